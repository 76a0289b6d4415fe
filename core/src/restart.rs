use std::{collections::VecDeque, time::Duration};

use crate::CallTime;

/// How many restarts we grant, and within which window.
#[derive(Clone, Copy, Debug)]
pub struct Intensity {
    pub restarts_max: usize,
    pub window: Duration,
    pub backoff: Duration,
}

/// Decides whether a failed child may start again.
#[derive(Debug)]
pub struct RestartBudget {
    intensity: Intensity,
    failures: VecDeque<CallTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    RestartAt(CallTime),
    Escalate,
}

impl RestartBudget {
    pub fn new(intensity: Intensity) -> Self {
        Self { intensity, failures: VecDeque::new() }
    }

    pub fn on_failure(&mut self, now: CallTime) -> Disposition {
        let window = self.intensity.window;
        self.failures.retain(|&at| at + window > now);
        self.failures.push_back(now);
        if self.failures.len() > self.intensity.restarts_max {
            return Disposition::Escalate;
        }
        Disposition::RestartAt(now + self.intensity.backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_failure_within_the_window_escalates() {
        let mut budget = RestartBudget::new(Intensity {
            restarts_max: 2,
            window: Duration::from_secs(10),
            backoff: Duration::from_millis(100),
        });
        let at = CallTime::from_millis;

        assert_eq!(budget.on_failure(at(0)), Disposition::RestartAt(at(100)));
        assert_eq!(budget.on_failure(at(5_000)), Disposition::RestartAt(at(5_100)));
        assert_eq!(budget.on_failure(at(9_000)), Disposition::Escalate);
        assert_eq!(budget.on_failure(at(16_000)), Disposition::RestartAt(at(16_100)));
    }
}
