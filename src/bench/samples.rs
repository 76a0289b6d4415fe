//! Measured times and their percentiles.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

/// Every time that was measured, in µs; as many entries as there were different ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    counts: BTreeMap<i64, u64>,
    count: u64,
}

/// What times that come fifty times a second and call are rounded to, in µs.
const COARSE_US: i64 = 10;

/// The shares that are shown.
pub const PERCENTILES: [(&str, f64); 4] =
    [("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99)];

impl Samples {
    pub fn add(&mut self, time: Duration) {
        self.add_us(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    }

    /// A time that may be negative: a difference of what two processes measured.
    pub fn add_us(&mut self, us: i64) {
        *self.counts.entry(us).or_default() += 1;
        self.count += 1;
    }

    /// One of very many.
    pub fn add_coarse(&mut self, time: Duration) {
        let us = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.add_us(us / COARSE_US * COARSE_US);
    }

    pub fn merge(&mut self, other: &Self) {
        for (us, count) in &other.counts {
            *self.counts.entry(*us).or_default() += count;
        }
        self.count += other.count;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The least of the times that this share of all does not exceed, in ms (nearest rank).
    pub fn percentile_ms(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().find_map(|(us, count)| {
            seen += count;
            (seen >= rank).then_some(*us as f64 / 1_000.0)
        })
    }

    pub fn max_ms(&self) -> Option<f64> {
        self.counts.last_key_value().map(|(us, _)| *us as f64 / 1_000.0)
    }

    /// Percentiles in ms; null where nothing was measured.
    pub fn json(&self) -> Value {
        let mut json = json!({"count": self.count});
        for (name, share) in PERCENTILES {
            json[name] = self.percentile_ms(share).into();
        }
        json["max"] = self.max_ms().into();
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(ms: impl IntoIterator<Item = u64>) -> Samples {
        let mut samples = Samples::default();
        ms.into_iter().for_each(|ms| samples.add(Duration::from_millis(ms)));
        samples
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let hundred = samples((1..=100).rev());
        assert_eq!(hundred.percentile_ms(0.5), Some(50.0));
        assert_eq!(hundred.percentile_ms(0.99), Some(99.0));
        assert_eq!(hundred.percentile_ms(1.0), Some(100.0));
        assert_eq!(hundred.max_ms(), Some(100.0));
        let few = samples([10, 30, 20]);
        assert_eq!((few.percentile_ms(0.5), few.percentile_ms(0.99)), (Some(20.0), Some(30.0)));
        assert_eq!(samples([7]).percentile_ms(0.01), Some(7.0));
    }

    #[test]
    fn nothing_measured_is_null_and_not_zero() {
        assert_eq!(Samples::default().percentile_ms(0.5), None);
        assert_eq!(Samples::default().json()["p99"], Value::Null);
    }

    #[test]
    fn what_several_callers_measured_counts_as_one() {
        let mut all = samples([1, 2]);
        all.merge(&samples([2, 3]));
        assert_eq!(all, samples([1, 2, 2, 3]));
        assert_eq!(all.count(), 4);
    }

    #[test]
    fn a_difference_below_zero_keeps_its_place() {
        let mut samples = Samples::default();
        [-1_500, 2_000, 500].into_iter().for_each(|us| samples.add_us(us));
        assert_eq!(samples.percentile_ms(0.1), Some(-1.5));
        assert_eq!(samples.percentile_ms(0.5), Some(0.5));
    }
}
