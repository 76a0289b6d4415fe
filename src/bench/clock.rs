//! The one clock of a bench: `CLOCK_MONOTONIC`, which every process of a machine reads alike, so
//! that times of callers and of fake providers can be subtracted.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, in ns of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        Self(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }

    /// Time since an earlier moment; none since a later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time from another moment to this one, in µs; negative when this one is the earlier.
    pub fn minus_us(self, other: Self) -> i64 {
        (self.0 as i64 - other.0 as i64) / 1_000
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time.as_nanos() as u64)
    }
}
