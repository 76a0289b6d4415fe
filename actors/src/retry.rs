//! Pacing of retries, with jitter.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};

/// Waits between attempts: exponential from `initial` to `max`, each off by up to a half, so that
/// what failed together does not come back together.
pub struct Pacing(ExponentialBackoff);

impl Pacing {
    pub fn new(initial: Duration, max: Duration) -> Self {
        let pacing = ExponentialBackoffBuilder::new()
            .with_initial_interval(initial)
            .with_max_interval(max)
            .with_multiplier(2.0)
            .with_randomization_factor(0.5)
            .with_max_elapsed_time(None)
            .build();
        Self(pacing)
    }

    pub fn next(&mut self) -> Duration {
        // Without a maximum elapsed time there is always a next wait.
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }
}
