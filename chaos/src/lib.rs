//! Fake provider servers, faults and scenarios.
//!
//! [`fakes`] speaks the protocols of real providers and breaks in every way that they do. [`scenario`]
//! is the table of faults: each row runs the whole runtime in virtual time, and `offhook chaos` runs
//! it for users, over sockets too.

pub mod chance;
//! [`fakes`] speaks the protocols of real providers, [`carriers`] those of telephone carriers. Actors are killed, panicked and wedged by
//! `offhook_supervisors::Fault` in `tests/any_actor_may_die.rs`, provider sessions are dropped in
//! `tests/providers_may_drop.rs`, and the fakes of both live in `testkit`.

pub mod carriers;
mod chance;
pub mod fakes;
pub mod scenario;
