//! Fake provider servers, faults and scenarios.
//!
//! [`fakes`] speaks the protocols of real providers and breaks in every way that they do. [`scenario`]
//! is the table of faults: each row runs the whole runtime in virtual time, and `offhook chaos` runs
//! it for users, over sockets too.

pub mod chance;
pub mod fakes;
pub mod scenario;
