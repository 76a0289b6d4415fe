//! Fake providers and carriers, faults and scenarios.
//!
//! [`fakes`] speaks the protocols of real providers, [`carriers`] those of telephone carriers, and both
//! break in every way that the real ones do. [`scenario`] is the table of faults: each row runs the
//! whole runtime in virtual time, and `offhook chaos` runs it for users, over sockets too; [`proxy`]
//! breaks the providers of their own assistants.

pub mod carriers;
pub mod chance;
pub mod fakes;
pub mod proxy;
pub mod scenario;
