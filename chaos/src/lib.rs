//! Fake provider servers, faults and scenarios.
//!
//! [`fakes`] speaks the protocols of real providers. Actors are killed, panicked and wedged by
//! `offhook_supervisors::Fault` in `tests/any_actor_may_die.rs`, provider sessions are dropped in
//! `tests/providers_may_drop.rs`, and the fakes of both live in `testkit`.

mod chance;
pub mod fakes;
pub mod scenario;
