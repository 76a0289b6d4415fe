//! Faults, fake provider servers and scenarios, by name and by seed.
//!
//! Empty so far. Actors are killed, panicked and wedged by `offhook_supervisors::Fault` in
//! `tests/any_actor_may_die.rs`, provider sessions are dropped in `tests/providers_may_drop.rs`, and
//! the fakes of both live in `testkit`; what grows beyond them belongs here.
