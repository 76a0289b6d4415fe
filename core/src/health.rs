//! How a provider is doing, as all calls of a node see it together.
//!
//! Times count from the start of the node. A breaker is open while its provider is believed to be
//! down: no call asks it then. It closes when a probe, which no caller waits for, was answered.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use crate::FailureClass;

/// Whether calls may ask a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    Closed,
    Open,
    /// A probe is under way.
    HalfOpen,
}

impl BreakerState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// The circuit breaker of one provider and key.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: BreakerState,
    probe_at: Duration,
    wait: Duration,
    /// Failures in a row that were not enough each by itself, since the first of them.
    strikes: (u32, Duration),
}

/// First wait before a provider that is down is probed.
const PROBE_FIRST: Duration = Duration::from_secs(1);
/// Longest such wait: who is back is used again within this time.
const PROBE_MAX: Duration = Duration::from_secs(30);
/// A refused key or an empty account is mended by people.
const PROBE_HOPELESS: Duration = Duration::from_secs(30);

/// So many failures in a row open a breaker, each too small to do so alone.
const STRIKES_MAX: u32 = 3;
/// ... unless they are further apart than this.
const STRIKES_WINDOW: Duration = Duration::from_secs(30);

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: BreakerState::Closed,
            probe_at: Duration::ZERO,
            wait: PROBE_FIRST,
            strikes: (0, Duration::ZERO),
        }
    }
}

impl Breaker {
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a call may ask.
    pub fn allows(&self) -> bool {
        self.state == BreakerState::Closed
    }

    /// A call's request was answered.
    pub fn on_success(&mut self) {
        self.strikes.0 = 0;
        if self.state == BreakerState::Open {
            // A call that had nobody else asked it all the same.
            *self = Self::default();
        }
    }

    /// A session or request failed, and the call may ask again. True when this opened the breaker.
    pub fn on_failure(&mut self, now: Duration, class: FailureClass) -> bool {
        match class {
            // What is wrong is what one call asks for.
            FailureClass::BadRequest | FailureClass::Unsupported => false,
            FailureClass::Unauthorized | FailureClass::Quota => self.open(now, PROBE_HOPELESS),
            FailureClass::RateLimited { retry_after } => {
                self.open(now, retry_after.unwrap_or(PROBE_FIRST))
            }
            FailureClass::Unavailable
            | FailureClass::Timeout
            | FailureClass::Closed
            | FailureClass::Stalled
            | FailureClass::Protocol => {
                let (count, since) = &mut self.strikes;
                if *count == 0 || now.saturating_sub(*since) > STRIKES_WINDOW {
                    (*count, *since) = (0, now);
                }
                *count += 1;
                *count >= STRIKES_MAX && self.open(now, PROBE_FIRST)
            }
        }
    }

    /// A call gave the provider up for another. True when this opened the breaker.
    pub fn on_abandoned(&mut self, now: Duration, class: FailureClass) -> bool {
        match class {
            FailureClass::BadRequest | FailureClass::Unsupported => false,
            FailureClass::Unauthorized | FailureClass::Quota | FailureClass::RateLimited { .. } => {
                self.on_failure(now, class)
            }
            FailureClass::Unavailable
            | FailureClass::Timeout
            | FailureClass::Closed
            | FailureClass::Stalled
            | FailureClass::Protocol => self.open(now, PROBE_FIRST),
        }
    }

    /// Takes up what a former process knew: open, and to be probed at once.
    pub fn restore_open(&mut self, now: Duration) {
        self.open(now, Duration::ZERO);
    }

    /// True once when a probe is due; whoever asks must carry it out.
    pub fn begin_probe(&mut self, now: Duration) -> bool {
        let is_due = self.state == BreakerState::Open && now >= self.probe_at;
        if is_due {
            self.state = BreakerState::HalfOpen;
        }
        is_due
    }

    /// Whoever carried out the probe that is under way is gone: another is due after a wait.
    pub fn on_probe_lost(&mut self, now: Duration) {
        if self.state == BreakerState::HalfOpen {
            self.on_probe(now, false);
        }
    }

    pub fn on_probe(&mut self, now: Duration, is_well: bool) {
        if is_well {
            *self = Self::default();
            return;
        }
        self.wait = (self.wait * 2).min(PROBE_MAX);
        self.state = BreakerState::Open;
        self.probe_at = now + self.wait;
    }

    fn open(&mut self, now: Duration, wait: Duration) -> bool {
        if self.state != BreakerState::Closed {
            return false;
        }
        self.state = BreakerState::Open;
        self.wait = PROBE_FIRST;
        self.probe_at = now + wait;
        true
    }
}

/// The latest times that something took, and what is usual among them.
#[derive(Clone, Debug, Default)]
pub struct Latencies(VecDeque<Duration>);

/// Times that are remembered: enough for a p95, few enough to follow a provider's day.
const LATENCIES_MAX: usize = 128;

/// Fewer than this say nothing about what is usual.
const LATENCIES_MIN: usize = 10;

impl Latencies {
    /// The time that this share of requests stayed within, `0.0..=1.0`; `None`: too few are known.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.0.len() < LATENCIES_MIN {
            return None;
        }
        let mut sorted: Vec<_> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len() - 1;
        Some(sorted[((last as f64) * share.clamp(0.0, 1.0)).ceil() as usize])
    }
}

impl Extend<Duration> for Latencies {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, times: I) {
        for took in times {
            if self.0.len() == LATENCIES_MAX {
                self.0.pop_front();
            }
            self.0.push_back(took);
        }
    }
}

/// Attempts that may be made at a provider that is failing, so that many calls that lose it at once
/// do not all run at it: attempts that succeed earn further ones.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    tokens: f64,
    at: Duration,
}

/// Attempts that may be made at once.
const ATTEMPTS_MAX: f64 = 20.0;
/// Attempts earned a second, whatever becomes of them.
const ATTEMPTS_PER_SECOND: f64 = 5.0;
/// Attempts earned by one that succeeded: a provider that is well is back for all within seconds.
const ATTEMPTS_EARNED: f64 = 3.0;

impl Default for RetryBudget {
    fn default() -> Self {
        Self { tokens: ATTEMPTS_MAX, at: Duration::ZERO }
    }
}

impl RetryBudget {
    /// Takes an attempt if there is one.
    pub fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * ATTEMPTS_PER_SECOND).min(ATTEMPTS_MAX);
        let is_left = self.tokens >= 1.0;
        if is_left {
            self.tokens -= 1.0;
        }
        is_left
    }

    pub fn on_success(&mut self) {
        self.tokens = (self.tokens + ATTEMPTS_EARNED).min(ATTEMPTS_MAX);
    }
}

#[cfg(test)]
mod tests;
