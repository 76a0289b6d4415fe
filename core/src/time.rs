use std::{fmt, ops, time::Duration};

use serde::{Deserialize, Serialize};

/// Time since the call was created.
///
/// The core never asks a clock; whoever drives it says what time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallTime(Duration);

impl CallTime {
    pub const ZERO: Self = Self(Duration::ZERO);

    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    pub const fn from_duration(since_start: Duration) -> Self {
        Self(since_start)
    }

    pub const fn as_duration(self) -> Duration {
        self.0
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// How long until `self`, seen from `now`; zero once it has passed.
    pub fn after(self, now: Self) -> Duration {
        self.0.saturating_sub(now.0)
    }
}

impl ops::Add<Duration> for CallTime {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        // A duration out of a document may be as long as it likes: "never" must not overflow.
        Self(self.0.saturating_add(by))
    }
}

impl fmt::Display for CallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}
