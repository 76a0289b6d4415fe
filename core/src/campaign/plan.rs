//! What a campaign was told to do, and what is wrong with it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Calendar, Opening, Outcome, Outside, WallTime, ZoneId};

/// One of our phone numbers, by its place in a list that the owner of the campaign keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LineId(pub u16);

/// How a campaign dials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub earliest: Option<WallTime>,
    /// Nothing is dialled from here on.
    pub latest: Option<WallTime>,
    pub calendar: Calendar,
    /// Calls at once.
    pub concurrency_max: u32,
    pub calls_per_second_max: f64,
    /// The share of attempts that somebody should answer; with fewer, dialling slows down as much.
    pub answered_min: Option<f64>,
    pub caps: Caps,
    pub retries: Retries,
    /// Lines that take turns; each contact names its pool by place.
    pub pools: Vec<Vec<LineId>>,
    /// Whether the client's server is asked before each contact.
    pub has_predial: bool,
}

/// How often somebody is called. A day is the callee's, a week is seven times 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    pub attempts: u8,
    pub per_day: Option<u8>,
    pub per_week: Option<u8>,
    /// Counting the calls of everybody to that number, not only this campaign's.
    pub number_per_day: Option<u32>,
    pub number_per_week: Option<u32>,
}

/// What is tried again after which outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    pub busy: RetryRule,
    pub no_answer: RetryRule,
    pub voicemail: RetryRule,
    pub failed: RetryRule,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRule {
    /// Further attempts after as many outcomes of this kind.
    pub retries: u8,
    /// Before the first of them; each later wait is twice the one before.
    pub backoff: Duration,
    pub backoff_max: Duration,
}

/// Attempts that are remembered of a contact, and so the most that it may have.
pub const ATTEMPTS_MAX: u8 = 20;

/// The contract's default of `maxConcurrency`.
const CONCURRENCY_DEFAULT: u32 = 10;

/// Calls a second unless the plan says otherwise: what a new Twilio account is allowed.
const CALLS_PER_SECOND_DEFAULT: f64 = 1.0;

impl Default for Plan {
    fn default() -> Self {
        Self {
            earliest: None,
            latest: None,
            calendar: Calendar::default(),
            concurrency_max: CONCURRENCY_DEFAULT,
            calls_per_second_max: CALLS_PER_SECOND_DEFAULT,
            answered_min: None,
            caps: Caps {
                attempts: ATTEMPTS_MAX,
                per_day: None,
                per_week: None,
                number_per_day: None,
                number_per_week: None,
            },
            retries: Retries::default(),
            pools: vec![vec![LineId(0)]],
            has_predial: false,
        }
    }
}

impl RetryRule {
    /// The wait before the next attempt, after this many outcomes of the kind; `None`: no more.
    pub fn wait(&self, outcomes: u8) -> Option<Duration> {
        if outcomes == 0 || outcomes > self.retries {
            return None;
        }
        let doubled = self.backoff.saturating_mul(1 << (outcomes - 1).min(30));
        Some(doubled.min(self.backoff_max.max(self.backoff)))
    }
}

impl Retries {
    pub const fn after(&self, outcome: Outcome) -> Option<&RetryRule> {
        match outcome {
            Outcome::Answered => None,
            Outcome::Busy => Some(&self.busy),
            Outcome::NoAnswer => Some(&self.no_answer),
            Outcome::Voicemail => Some(&self.voicemail),
            Outcome::Failed => Some(&self.failed),
        }
    }
}

/// What keeps a plan from being carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    NoContacts,
    NoLines { pool: usize },
    NoConcurrency,
    NoRate { calls_per_second: f64 },
    BadShare { answered_min: f64 },
    Attempts { attempts: u8 },
    NoAttemptsBy { cap: &'static str },
    BadWindow { index: usize },
    LatestBeforeEarliest,
    TooLate,
    NeverOpens { zone: ZoneId },
    OpensTooLate { zone: ZoneId, opens: WallTime },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoContacts => f.write_str("there is nobody to call"),
            Self::NoLines { pool } => {
                write!(f, "entry {pool} of the dial plan has no phone number to call from")
            }
            Self::NoConcurrency => f.write_str("maxConcurrency must be at least 1"),
            Self::NoRate { calls_per_second } => {
                write!(f, "calls per second must be above 0, not {calls_per_second}")
            }
            Self::BadShare { answered_min } => {
                write!(
                    f,
                    "the least share of answered calls must be from 0 to 1, not {answered_min}"
                )
            }
            Self::Attempts { attempts } => {
                write!(f, "attempts per contact must be from 1 to {ATTEMPTS_MAX}, not {attempts}")
            }
            Self::NoAttemptsBy { cap } => write!(f, "{cap} must be at least 1"),
            Self::BadWindow { index } => write!(
                f,
                "calling window {index} must have a day, and end after it begins and by 24:00; \
                 a window over midnight is two"
            ),
            Self::LatestBeforeEarliest => {
                f.write_str("schedulePlan.latestAt must be after schedulePlan.earliestAt")
            }
            Self::TooLate => f.write_str("schedulePlan.latestAt has passed"),
            Self::NeverOpens { zone: ZoneId(zone) } => {
                write!(f, "no calling window ever opens in time zone {zone}")
            }
            Self::OpensTooLate { zone: ZoneId(zone), opens } => write!(
                f,
                "the first calling window in time zone {zone} opens at {} ms, \
                 not before schedulePlan.latestAt",
                opens.as_millis()
            ),
        }
    }
}

impl Plan {
    /// Everything that is wrong, for a plan about to be started with contacts in these zones.
    pub fn problems(
        &self,
        now: WallTime,
        zones: impl IntoIterator<Item = ZoneId>,
        outside: &dyn Outside,
    ) -> Vec<Problem> {
        let mut problems = self.problems_of_values();
        let begins = self.earliest.map_or(now, |earliest| earliest.max(now));
        if let Some(latest) = self.latest {
            if self.earliest.is_some_and(|earliest| latest <= earliest) {
                problems.push(Problem::LatestBeforeEarliest);
            } else if latest <= now {
                problems.push(Problem::TooLate);
            }
        }
        if !problems.is_empty() {
            return problems;
        }
        let mut is_empty = true;
        for zone in zones {
            is_empty = false;
            match self.calendar.opening(begins, |at| outside.offsets_s(zone, at)) {
                Opening::Open { .. } => {}
                Opening::Never => problems.push(Problem::NeverOpens { zone }),
                Opening::Closed { until } => {
                    if self.latest.is_some_and(|latest| until >= latest) {
                        problems.push(Problem::OpensTooLate { zone, opens: until });
                    }
                }
            }
        }
        if is_empty {
            problems.push(Problem::NoContacts);
        }
        problems
    }

    fn problems_of_values(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.pools.is_empty() {
            problems.push(Problem::NoLines { pool: 0 });
        }
        let empty = self.pools.iter().enumerate().filter(|(_, lines)| lines.is_empty());
        problems.extend(empty.map(|(pool, _)| Problem::NoLines { pool }));
        if self.concurrency_max == 0 {
            problems.push(Problem::NoConcurrency);
        }
        let calls_per_second = self.calls_per_second_max;
        if !(calls_per_second.is_finite() && calls_per_second > 0.0) {
            problems.push(Problem::NoRate { calls_per_second });
        }
        if let Some(answered_min) = self.answered_min
            && !(0.0..=1.0).contains(&answered_min)
        {
            problems.push(Problem::BadShare { answered_min });
        }
        let attempts = self.caps.attempts;
        if !(1..=ATTEMPTS_MAX).contains(&attempts) {
            problems.push(Problem::Attempts { attempts });
        }
        let caps = [
            ("attempts per contact and day", self.caps.per_day.map(u32::from)),
            ("attempts per contact and week", self.caps.per_week.map(u32::from)),
            ("attempts per number and day", self.caps.number_per_day),
            ("attempts per number and week", self.caps.number_per_week),
        ];
        let none = caps.into_iter().filter(|&(_, cap)| cap == Some(0));
        problems.extend(none.map(|(cap, _)| Problem::NoAttemptsBy { cap }));
        for (index, window) in self.calendar.windows.iter().enumerate() {
            let has_day = window.days.0.contains(&true);
            if !has_day || window.from_minute >= window.to_minute || window.to_minute > 24 * 60 {
                problems.push(Problem::BadWindow { index });
            }
        }
        problems
    }
}
