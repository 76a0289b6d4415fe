//! Which of a stage's providers serves a call, and what becomes of a session that is lost.
//!
//! A provider that lost a session in use gets one more, if its error says that this may help; one
//! that refuses, is slow to connect, or says nothing is replaced at once where there is another. Who
//! was promoted stays: a call does not go back and forth between two voices.

use std::time::Duration;

use crate::{CallTime, Disposition, FailureClass, Intensity, RestartBudget};

/// Decides for one stage of one call.
#[derive(Debug)]
pub struct Failover {
    current: usize,
    candidates: Vec<Candidate>,
    intensity: Intensity,
    budget: RestartBudget,
    /// When the session at hand was opened in place of a lost one of the same provider.
    again_at: Option<CallTime>,
    /// Since when no session of any provider could be opened.
    refused_since: Option<CallTime>,
    /// Longest wait that a provider may ask for and still be preferred to another.
    retry_after_max: Duration,
    /// How long refusals are borne.
    refused_max: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    /// It can never serve this call: the key, the account, the request is wrong.
    is_excluded: bool,
    failed_at: Option<CallTime>,
}

/// How a session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was open, and failed.
    Broken,
    /// It was open and was given up on suspicion: it may have had nothing to say.
    Suspected,
    /// It could not be opened.
    Refused,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Open another session of the same provider.
    Again(Pace),
    /// Open a session of this candidate, which serves from now on.
    Promote { to: usize, pace: Pace },
    /// Nobody can serve.
    GiveUp,
}

/// When to open the next session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    AtOnce,
    /// After a wait that grows with each, and is no longer than this: then it is time to give up.
    Paced(Duration),
    /// After what the provider asked for.
    After(Duration),
}

/// How long refused sessions are tried again, over all providers: a caller whom nobody can hear or
/// answer is told so, which takes three seconds, and the call is over within five.
const REFUSED_MAX: Duration = Duration::from_millis(1_500);

/// The same for a request that a filler covers.
const UNANSWERED_MAX: Duration = Duration::from_millis(4_500);

/// Shorter than this no session is opened over the internet.
const PATIENCE_MIN: Duration = Duration::from_millis(300);

/// A provider that lost two sessions within this time is not asked for a third while there is
/// another; nor is one that was left within it promoted again while there is a fresh one.
const LATELY: Duration = Duration::from_secs(15);

impl Failover {
    /// `candidates`: how many there are, at least one; the first serves from `start`.
    pub fn new(candidates: usize, start: usize, intensity: Intensity) -> Self {
        Self {
            current: start,
            candidates: vec![Candidate::default(); candidates.max(1)],
            intensity,
            budget: RestartBudget::new(intensity),
            again_at: None,
            refused_since: None,
            retry_after_max: Duration::ZERO,
            refused_max: REFUSED_MAX,
        }
    }

    /// For requests, whose waits the caller hears a filler in: prefers the provider that serves to
    /// another if it says that it will after this at most.
    pub fn waiting(self, retry_after_max: Duration) -> Self {
        Self { retry_after_max, refused_max: UNANSWERED_MAX, ..self }
    }

    pub const fn current(&self) -> usize {
        self.current
    }

    /// Whether another candidate could take the place of the one that serves.
    pub fn has_other(&self, now: CallTime) -> bool {
        self.others().any(|other| self.is_fresh(other, now))
    }

    /// Who would be promoted if the one that serves were lost.
    pub fn next_fresh(&self, now: CallTime, is_allowed: impl Fn(usize) -> bool) -> Option<usize> {
        self.others().find(|&other| is_allowed(other) && self.is_fresh(other, now))
    }

    /// The one that serves has answered a request.
    pub fn on_served(&mut self) {
        self.refused_since = None;
    }

    /// One that was asked beside the one that serves has failed.
    pub fn on_other_failed(&mut self, other: usize, now: CallTime, class: FailureClass) {
        let failed = &mut self.candidates[other];
        failed.failed_at = Some(now);
        failed.is_excluded |= !class.is_transient();
    }

    /// How long the next session may take to open, where sessions are refused: until it is time to
    /// give up.
    pub fn patience(&self, now: CallTime) -> Option<Duration> {
        let refused = now.after(self.refused_since?);
        Some(self.refused_max.saturating_sub(refused).max(PATIENCE_MIN))
    }

    /// Decides after a loss. `is_allowed`: whether the node's health lets a candidate be asked;
    /// `may_retry`: whether the node has attempts left for the provider that serves.
    pub fn on_lost(
        &mut self,
        now: CallTime,
        loss: Loss,
        class: FailureClass,
        is_allowed: impl Fn(usize) -> bool,
        may_retry: bool,
    ) -> Next {
        self.on_other_failed(self.current, now, class);
        let is_spent = match loss {
            Loss::Broken => {
                self.refused_since = None;
                self.budget.on_failure(now) == Disposition::Escalate
            }
            Loss::Suspected => {
                self.refused_since = None;
                false
            }
            Loss::Refused => {
                self.refused_since.get_or_insert(now);
                false
            }
        };
        let fresh = self.next_fresh(now, &is_allowed);
        let was_lost_lately = self.again_at.is_some_and(|at| now.after(at) < LATELY);
        let helps = match class {
            FailureClass::Closed | FailureClass::Protocol => loss == Loss::Broken,
            FailureClass::Stalled
            | FailureClass::RateLimited { .. }
            | FailureClass::Unavailable
            | FailureClass::Timeout
            | FailureClass::Unauthorized
            | FailureClass::Quota
            | FailureClass::BadRequest
            | FailureClass::Unsupported => false,
        };
        if helps && may_retry && !is_spent && !was_lost_lately {
            self.again_at = Some(now);
            return Next::Again(Pace::AtOnce);
        }
        let soon = class.retry_after().filter(|wait| *wait <= self.retry_after_max);
        if let Some(wait) = soon.filter(|_| may_retry && !is_spent && !was_lost_lately) {
            self.again_at = Some(now);
            return Next::Again(Pace::After(wait));
        }
        match fresh {
            Some(to) => self.promote(to, Pace::AtOnce),
            None => self.without_fresh(now, is_spent, loss, class, is_allowed),
        }
    }

    /// Nobody is left who has not failed lately: whoever did so longest ago, until time is up, and
    /// first of all those whom the node has not given up.
    fn without_fresh(
        &mut self,
        now: CallTime,
        is_spent: bool,
        loss: Loss,
        class: FailureClass,
        is_allowed: impl Fn(usize) -> bool,
    ) -> Next {
        let refused = self.refused_since.map_or(Duration::ZERO, |since| now.after(since));
        let left = self.refused_max.saturating_sub(refused);
        if is_spent || left.is_zero() {
            // A model may be asked again, for the next reply.
            self.refused_since = None;
            return Next::GiveUp;
        }
        let usable = (0..self.candidates.len()).filter(|&it| !self.candidates[it].is_excluded);
        let order = |&it: &usize| (!is_allowed(it), self.candidates[it].failed_at, it);
        let Some(to) = usable.min_by_key(order) else {
            return Next::GiveUp;
        };
        let pace = match class.retry_after().filter(|_| to == self.current) {
            Some(wait) if wait > left => return Next::GiveUp,
            Some(wait) => Pace::After(wait),
            None if loss == Loss::Suspected => Pace::AtOnce,
            None => Pace::Paced(left),
        };
        if to == self.current {
            self.again_at = Some(now);
            return Next::Again(pace);
        }
        self.promote(to, pace)
    }

    fn promote(&mut self, to: usize, pace: Pace) -> Next {
        self.current = to;
        self.again_at = None;
        self.budget = RestartBudget::new(self.intensity);
        Next::Promote { to, pace }
    }

    /// Those beside the one that serves, in the order of the plan.
    fn others(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.candidates.len()).filter(|&it| it != self.current)
    }

    fn is_fresh(&self, candidate: usize, now: CallTime) -> bool {
        let Candidate { is_excluded, failed_at } = self.candidates[candidate];
        !is_excluded && failed_at.is_none_or(|at| now.after(at) >= LATELY)
    }
}

#[cfg(test)]
mod tests;
