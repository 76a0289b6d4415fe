//! Pacing of retries, with jitter.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};
use uuid::Uuid;

/// Waits between attempts: exponential from `initial` to `max`, each off by up to a half, so that
/// what failed together does not come back together.
pub struct Pacing {
    waits: ExponentialBackoff,
    jitter: Jitter,
}

/// By how much of itself a wait may be shorter or longer.
const JITTER: f64 = 0.5;

/// Where the jitter of somebody's waits comes from.
///
/// It follows from a call's id, which is random: calls that lost the same provider at once come back
/// apart, and a run in virtual time whose calls have the same ids waits as long as before.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(u64);

/// Splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Pacing {
    pub fn new(initial: Duration, max: Duration, jitter: Jitter) -> Self {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(initial)
            .with_max_interval(max)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        Self { waits, jitter }
    }

    pub fn next(&mut self) -> Duration {
        // Without a maximum elapsed time there is always a next wait.
        let wait = self.waits.next_backoff().unwrap_or(self.waits.max_interval);
        wait.mul_f64(1.0 - JITTER + 2.0 * JITTER * self.jitter.next())
    }

    /// The waits are as short again as at first.
    pub fn start_over(&mut self) {
        self.waits.reset();
    }
}

impl Jitter {
    /// That of a call, and of what in it waits.
    pub fn of(call: Uuid, what: &str) -> Self {
        let (high, low) = call.as_u64_pair();
        let mut jitter = Self(high ^ low.rotate_left(32));
        for byte in what.bytes() {
            jitter.0 = jitter.draw() ^ u64::from(byte);
        }
        jitter
    }

    /// From 0 to below 1.
    fn next(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(2);

    fn waits(call: Uuid, what: &str) -> Vec<Duration> {
        let mut pacing = Pacing::new(FIRST, MAX, Jitter::of(call, what));
        (0..8).map(|_| pacing.next()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_each_off_by_up_to_a_half() {
        for call in 0..100_u128 {
            let mut usual = FIRST;
            for wait in waits(Uuid::from_u128(call), "voice") {
                assert!(wait >= usual.mul_f64(0.5) && wait <= usual.mul_f64(1.5), "{wait:?}");
                usual = (usual * 2).min(MAX);
            }
        }
    }

    #[test]
    fn a_call_waits_the_same_in_every_run_and_its_stages_and_others_differ() {
        let call = Uuid::from_u128(0x1F << 64);
        assert_eq!(waits(call, "voice"), waits(call, "voice"));
        assert_ne!(waits(call, "voice"), waits(call, "model"));
        assert_ne!(waits(call, "voice"), waits(Uuid::from_u128(0x2F << 64), "voice"));
    }

    #[test]
    fn calls_that_fail_at_once_come_back_spread_over_the_whole_of_the_wait() {
        let first = |call| waits(Uuid::from_u128(call), "voice")[0].as_millis() / 10;
        let mut tenths = [0; 10];
        for call in 0..500 {
            tenths[first(call << 70 | call) as usize - 5] += 1;
        }
        assert!(tenths.iter().all(|calls| (25..=80).contains(calls)), "{tenths:?}");
    }
}
