//! When a slow request is raced by another, and how often that may be.

use std::time::Duration;

/// Earliest moment at which a request is raced: models that are quicker than this differ by less
/// than a caller notices.
const HEDGE_MIN: Duration = Duration::from_millis(400);

/// Latest moment: a caller who hears nothing for longer wonders. Also where too few requests are
/// known to say what is usual.
const HEDGE_MAX: Duration = Duration::from_millis(1_200);

/// Further requests for each one that is asked for.
const SHARE: f64 = 0.05;

/// Further requests that may be made at once, so that a bad minute after a good hour does not
/// double the load of a provider that is slow already.
const SAVED_MAX: f64 = 5.0;

/// How long a first token is waited for before the request is raced; `p95`: within which 95 of 100
/// came lately.
pub fn hedge_after(p95: Option<Duration>) -> Duration {
    p95.unwrap_or(HEDGE_MAX).clamp(HEDGE_MIN, HEDGE_MAX)
}

/// Races that a node may run against one provider: one, and one more for twenty requests.
#[derive(Clone, Debug)]
pub struct HedgeBudget(f64);

impl Default for HedgeBudget {
    fn default() -> Self {
        Self(1.0)
    }
}

impl HedgeBudget {
    /// A request was made that somebody asked for.
    pub fn on_request(&mut self) {
        self.0 = (self.0 + SHARE).min(SAVED_MAX);
    }

    /// Takes a further request if there is one.
    pub fn take(&mut self) -> bool {
        // Twenty times a twentieth is a little less than one.
        let is_left = self.0 >= 1.0 - 1e-9;
        if is_left {
            self.0 = (self.0 - 1.0).max(0.0);
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_begins_when_an_answer_is_later_than_usual_within_what_a_caller_bears() {
        let ms = Duration::from_millis;
        assert_eq!(hedge_after(Some(ms(90))), ms(400));
        assert_eq!(hedge_after(Some(ms(700))), ms(700));
        assert_eq!(hedge_after(Some(ms(4_000))), ms(1_200));
        assert_eq!(hedge_after(None), ms(1_200));
    }

    #[test]
    fn of_a_thousand_slow_requests_one_in_twenty_is_raced() {
        let mut budget = HedgeBudget::default();
        let raced = (0..1_000).filter(|_| {
            budget.on_request();
            budget.take()
        });
        assert_eq!(raced.count(), 51);
    }

    #[test]
    fn a_long_quiet_time_does_not_save_up_for_a_stampede() {
        let mut budget = HedgeBudget::default();
        for _ in 0..10_000 {
            budget.on_request();
        }
        assert_eq!((0..100).filter(|_| budget.take()).count(), 5);
    }
}
