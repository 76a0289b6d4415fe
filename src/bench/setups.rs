//! How many calls a second a server takes: calls come at a rate, are greeted, and hang up.

use std::time::Duration;

use serde_json::{Value, json};

use super::{fleet::Load, results::Results, samples::Samples};

/// A rate of calls, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub calls_per_second: u32,
    pub seconds: u32,
}

/// What came of calls at a rate.
#[derive(Debug)]
pub struct Setups {
    rate: Rate,
    pub failed: usize,
    /// What went wrong, by name.
    pub problems: Vec<String>,
    greeted: u64,
    /// Greetings a second, from the first to the last.
    pub per_second: Option<f64>,
    pub setup: Samples,
    pub first_audio: Samples,
    pub lateness: Samples,
}

impl Rate {
    pub fn load(self) -> Load {
        let calls = self.calls_per_second * self.seconds;
        Load { calls, ramp: Duration::from_secs(1) / self.calls_per_second, total: calls }
    }
}

impl Setups {
    pub fn of(rate: Rate, results: Results) -> Self {
        let problems = results.problems();
        let mut greeted = results.greeted;
        greeted.sort_unstable();
        let per_second = match (greeted.first(), greeted.last()) {
            (Some(first), Some(last)) if last > first => {
                Some((greeted.len() - 1) as f64 / last.since(*first).as_secs_f64())
            }
            (_, _) => None,
        };
        Self {
            rate,
            failed: results.failures.len(),
            problems,
            greeted: greeted.len() as u64,
            per_second,
            setup: results.setup,
            first_audio: results.first_audio,
            lateness: results.lateness,
        }
    }

    /// What was asked for and reached, as a person reads it.
    pub fn said(&self) -> String {
        let Rate { calls_per_second, seconds } = self.rate;
        let reached = self.per_second.map_or("-".to_owned(), |rate| format!("{rate:.2}"));
        format!(
            "{reached} a second greeted of {calls_per_second} placed, for {seconds} s: {} greeted, \
             {} failed",
            self.greeted, self.failed
        )
    }

    pub fn json(&self) -> Value {
        json!({
            "calls_per_second": self.rate.calls_per_second,
            "seconds": self.rate.seconds,
            "greeted": self.greeted,
            "failed": self.failed,
            "reached_per_second": self.per_second,
            "setup_ms": self.setup.json(),
            "first_audio_ms": self.first_audio.json(),
            "callers_late_ms": self.lateness.json(),
            "problems": self.problems,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_calls_that_come_evenly() {
        let load = Rate { calls_per_second: 20, seconds: 60 }.load();
        assert_eq!((load.calls, load.total, load.ramp), (1_200, 1_200, Duration::from_millis(50)));
    }
}
