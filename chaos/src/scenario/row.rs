//! A row of the table of faults: the promise, how it is put to the test, and its bounds.

use super::{Measure, Plan};

/// One promise.
pub struct Row {
    pub name: &'static str,
    pub promise: &'static str,
    /// Makes a run of it out of a seed.
    pub plan: fn(u64) -> Plan,
    pub bounds: &'static [Bound],
    pub form: Form,
}

/// How a row can be put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In virtual time and over sockets.
    Both,
    /// In virtual time only: what breaks cannot be broken from outside a process.
    Virtual,
    /// Over sockets only: what breaks is the process itself.
    Sockets,
    /// By this command: it is no matter of one call.
    Elsewhere(&'static str),
}

/// What a measure may come to at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    pub measure: Measure,
    pub at_most: f64,
}

impl Form {
    pub const fn is_virtual(self) -> bool {
        matches!(self, Self::Both | Self::Virtual)
    }

    pub const fn has_sockets(self) -> bool {
        matches!(self, Self::Both | Self::Sockets)
    }
}

pub(super) const fn at_most(measure: Measure, at_most: f64) -> Bound {
    Bound { measure, at_most }
}
