//! Offhook for tests: scripted fakes, a synthetic caller, assertions.

pub mod caller;
pub mod fakes;
pub mod tones;
pub mod world;
