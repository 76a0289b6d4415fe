//! How fast a campaign dials.
//!
//! The limit is the plan's. Dialling begins slowly and doubles by the second until it is reached, so
//! that a plan gone wrong is seen before it has called many. Free slots need no estimate: nobody is
//! dialled without a slot in hand, and only a few wait for one. When fewer people answer than the
//! plan wants, dialling slows down in proportion: numbers that nobody answers are soon marked as spam.

use std::time::Duration;

use super::{Outcome, WallTime};

/// Calls a second to begin with.
const FIRST_RATE: f64 = 1.0;

/// How long the rate takes to double.
const DOUBLES_IN: Duration = Duration::from_secs(1);

/// Attempts that the share of answered ones is taken over, about.
const MEMORY: f64 = 100.0;

/// Fewer attempts than this say nothing about who answers.
const ATTEMPTS_MIN: u32 = 30;

/// However few people answer, dialling goes on at this share of its rate: else nobody would ever
/// find out that more of them do.
const SLOWEST: f64 = 0.1;

/// Contacts that wait for a slot, or have one and wait to be dialled. Enough to take what becomes free
/// at once, few enough that other campaigns find room in the queue.
const ASKS_MAX: usize = 16;

#[derive(Clone, Debug)]
pub struct Pacing {
    rate_max: f64,
    answered_min: Option<f64>,
    rate: f64,
    grown_at: Option<WallTime>,
    ask_at: WallTime,
    dial_at: WallTime,
    answered: f64,
    attempts: u32,
}

impl Pacing {
    pub fn new(rate_max: f64, answered_min: Option<f64>) -> Self {
        Self {
            rate_max,
            answered_min,
            rate: rate_max.min(FIRST_RATE),
            grown_at: None,
            ask_at: WallTime::ZERO,
            dial_at: WallTime::ZERO,
            answered: 0.0,
            attempts: 0,
        }
    }

    /// Calls a second, at most.
    pub fn rate(&self) -> f64 {
        let share = match self.answered_min {
            Some(least) if self.attempts >= ATTEMPTS_MIN && least > 0.0 => {
                (self.answered / least).clamp(SLOWEST, 1.0)
            }
            Some(_) | None => 1.0,
        };
        self.rate * share
    }

    /// How many may wait for a slot: what is dialled within a second.
    pub fn asks_max(&self) -> usize {
        (self.rate().ceil() as usize).clamp(1, ASKS_MAX)
    }

    pub const fn ask_at(&self) -> WallTime {
        self.ask_at
    }

    pub const fn dial_at(&self) -> WallTime {
        self.dial_at
    }

    pub fn on_ask(&mut self, now: WallTime) {
        self.grow(now);
        self.ask_at = now + self.gap();
    }

    pub fn on_dial(&mut self, now: WallTime) {
        self.dial_at = now + self.gap();
    }

    /// A wall clock may be set back: nobody waits for it to come up again.
    pub fn on_clock(&mut self, now: WallTime) {
        let furthest = now + self.gap().max(DOUBLES_IN);
        self.ask_at = self.ask_at.min(furthest);
        self.dial_at = self.dial_at.min(furthest);
        self.grown_at = self.grown_at.map(|at| at.min(now));
    }

    /// No slot was to be had in time, or the intent could not be written down.
    pub fn on_refused(&mut self, now: WallTime) {
        self.ask_at = self.ask_at.max(now + DOUBLES_IN);
    }

    pub fn on_outcome(&mut self, outcome: Outcome) {
        self.attempts = self.attempts.saturating_add(1);
        let weight = 1.0 / f64::from(self.attempts).min(MEMORY);
        let answered = if outcome == Outcome::Answered { 1.0 } else { 0.0 };
        self.answered += (answered - self.answered) * weight;
    }

    fn grow(&mut self, now: WallTime) {
        let since = *self.grown_at.get_or_insert(now);
        let passed = now.after(since).min(DOUBLES_IN).as_secs_f64();
        self.rate = (self.rate * (passed / DOUBLES_IN.as_secs_f64()).exp2()).min(self.rate_max);
        self.grown_at = Some(now);
    }

    /// Rounded up to a millisecond, which is as finely as we tell time: never faster than the rate.
    fn gap(&self) -> Duration {
        Duration::from_millis((1_000.0 / self.rate()).ceil().max(1.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls within so many seconds, each dialled as soon as it may be.
    fn dialled(pacing: &mut Pacing, from_s: u64, seconds: u64) -> usize {
        let mut now = WallTime::from_millis(from_s * 1_000);
        let end = now + Duration::from_secs(seconds);
        let mut count = 0;
        while now < end {
            pacing.on_ask(now);
            pacing.on_dial(now);
            count += 1;
            now = pacing.ask_at().max(pacing.dial_at());
        }
        count
    }

    #[test]
    fn dialling_begins_slowly_and_never_exceeds_its_rate() {
        let mut pacing = Pacing::new(20.0, None);
        assert!(dialled(&mut pacing, 100, 1) <= 2);
        dialled(&mut pacing, 101, 10);
        let count = dialled(&mut pacing, 120, 10);
        assert!((190..=200).contains(&count), "{count}");
    }

    #[test]
    fn a_rate_below_one_a_second_holds_from_the_start() {
        let count = dialled(&mut Pacing::new(0.1, None), 100, 60);
        assert_eq!(count, 6);
    }

    #[test]
    fn dialling_slows_down_with_the_share_of_people_who_answer() {
        let mut pacing = Pacing::new(10.0, Some(0.5));
        dialled(&mut pacing, 100, 20);
        let mut attempts = |answered: u32| {
            for index in 0..500 {
                let outcome =
                    if index * 37 % 100 < answered { Outcome::Answered } else { Outcome::NoAnswer };
                pacing.on_outcome(outcome);
            }
            pacing.rate()
        };
        assert!(attempts(60) > 8.0);
        assert!((2.0..7.5).contains(&attempts(25)));
        assert!((attempts(0) - 1.0).abs() < 0.1, "it never comes to a halt");
        assert!(attempts(60) > 8.0, "it is fast again once people answer");
    }
}
