//! Scenarios: what is broken and when, and what must hold all the same.
//!
//! A [`Row`] is a promise of the table of faults: it makes a [`Plan`] out of a seed and names the bounds
//! of what is measured. [`world::run`] carries a plan out on the whole runtime, in virtual time, with
//! real actors and scripted providers, and says what every caller heard; [`invariants`] and
//! [`measure`] judge that. Nothing is judged by a counter of the runtime that a caller could not hear.
//!
//! A random seed is a plan too: [`random::plan`] breaks several things in one call.

pub mod fault;
pub mod invariants;
mod leg;
pub mod measure;
pub mod phrases;
pub mod picture;
pub mod plan;
mod providers;
pub mod random;
mod receiver;
mod recorder;
pub mod row;
pub mod rows;
pub mod runner;
mod sabotage;
pub mod shrink;
pub mod trace;
pub mod words;
pub mod world;

pub use measure::Measure;
pub use plan::Plan;
pub use row::{Bound, Row};
pub use runner::{Outcome, Verdict};
