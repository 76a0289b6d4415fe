//! Offhook for tests: scripted fakes, a synthetic caller, assertions.

pub mod caller;
