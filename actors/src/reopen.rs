//! What a stage does when its provider session is lost: open another, promote the next provider, or
//! give up.

use std::{sync::Arc, time::Duration};

use offhook_api::call::Fallback;
use offhook_core::{CallTime, Event, FailureClass, Loss, Next, Pace, Stage, StageFailure};
use offhook_providers::ProviderError;

use crate::{
    CallContext, HealthKey, Port,
    retry::{Jitter, Pacing},
};

/// The restarts of one stage's sessions.
pub(crate) struct Reopening {
    stage: Stage,
    pacing: Pacing,
    last_lost: Option<CallTime>,
    /// What went wrong since sessions could last be opened, for whoever is told in the end.
    failures: Vec<StageFailure>,
}

/// A session that held this long was in order: the next loss is a first one again.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// Failures that the operator is told together.
const FAILURES_TOLD_MAX: usize = 8;

impl Reopening {
    /// Waits between sessions grow from `first` to `max`.
    pub fn new(context: &CallContext, stage: Stage, first: Duration, max: Duration) -> Self {
        let jitter = Jitter::of(context.spec.id, stage.name());
        let pacing = Pacing::new(first, max, jitter);
        Self { stage, pacing, last_lost: None, failures: Vec::new() }
    }

    /// Decides on a lost session, and leaves `reopen` in the stage's port when it is time for
    /// another; without hope, the conversation is told. `suspected`: it was given up for silence
    /// that may mean nothing.
    pub fn on_lost<M: Clone + Send + Sync + 'static>(
        &mut self,
        context: &CallContext,
        error: ProviderError,
        suspected: bool,
        (port, reopen): (Arc<Port<M>>, M),
    ) {
        let was_open = context.succession(self.stage).lost(context.clock.now());
        if was_open {
            self.failures.clear();
        }
        let loss = match (was_open, suspected) {
            (_, true) => Loss::Suspected,
            (true, false) => Loss::Broken,
            (false, false) => Loss::Refused,
        };
        let wait = match self.next(context, &error, loss) {
            Ok(wait) => wait,
            Err(failure) => {
                context.stage_failed(failure);
                return;
            }
        };
        // Bounded by the wait itself; the port of a call that is over takes it without harm.
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            port.send(reopen);
        });
    }

    /// Decides on a lost session or request, and promotes whoever shall serve: how long to wait
    /// before that one is asked. The failure tells of all since one was last answered.
    pub fn next(
        &mut self,
        context: &CallContext,
        error: &ProviderError,
        loss: Loss,
    ) -> Result<Duration, StageFailure> {
        let (stage, class) = (self.stage, error.class);
        let keys = context.health_keys(stage);
        let succession = context.succession(stage);
        let now = context.clock.now();
        let failed = keys[succession.current()];
        metrics::counter!("offhook_provider_requests_total", "kind" => stage.name(),
            "provider" => failed.provider.clone(), "outcome" => class.name())
        .increment(1);
        let health = &context.health;
        health.failed(failed, class);
        let may_retry = health.take_retry(failed);
        let is_allowed = |candidate: usize| health.allows(keys[candidate]);
        let next = succession.failover().on_lost(now, loss, class, is_allowed, may_retry);
        let pace = match next {
            Next::Again(pace) => pace,
            Next::Promote { to, pace } => {
                // What sounded may have been no speech: other calls go on asking it.
                if loss != Loss::Suspected {
                    health.abandoned(failed, class);
                }
                context.promoted(stage, failed, keys[to], class, error.detail.clone());
                pace
            }
            Next::GiveUp => {
                health.abandoned(failed, class);
                self.note(failed, error);
                return Err(self.all_failures());
            }
        };
        self.note(failed, error);
        if self.last_lost.is_some_and(|at| now.after(at) > SETTLED_AFTER) {
            self.pacing.start_over();
        }
        self.last_lost = Some(now);
        let wait = match pace {
            Pace::AtOnce => Duration::ZERO,
            Pace::Paced(at_most) => self.pacing.next().min(at_most),
            Pace::After(wait) => wait,
        };
        tracing::warn!(call = %context.spec.id, %stage, provider = failed.provider, %error, ?wait,
            "provider lost, asking again");
        Ok(wait)
    }

    /// Notes what went wrong, for whoever is told in the end.
    pub fn note(&mut self, failed: &HealthKey, error: &ProviderError) {
        let failure = StageFailure {
            stage: self.stage,
            provider: failed.provider.clone(),
            class: error.class,
            detail: error.detail.clone(),
        };
        if self.failures.len() < FAILURES_TOLD_MAX && !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    /// The first failure, in the words of all.
    fn all_failures(&mut self) -> StageFailure {
        let mut failures = std::mem::take(&mut self.failures).into_iter();
        let mut first = failures.next().expect("the failure at hand was noted");
        for other in failures {
            first.detail = format!("{}; {}: {}", first.detail, other.provider, other.detail);
        }
        first
    }
}

impl CallContext {
    /// Tells everybody whom it concerns that another provider serves a stage.
    fn promoted(
        &self,
        stage: Stage,
        from: &HealthKey,
        to: &HealthKey,
        class: FailureClass,
        reason: String,
    ) {
        self.note_promotion(stage, from, to, class.name(), reason);
        let (from, to) = (from.provider.clone(), to.provider.clone());
        self.tell(Event::ProviderPromoted { stage, from, to, class });
    }

    /// Writes down that another provider serves a stage.
    pub(crate) fn note_promotion(
        &self,
        stage: Stage,
        from: &HealthKey,
        to: &HealthKey,
        cause: &'static str,
        reason: String,
    ) {
        tracing::warn!(call = %self.spec.id, %stage, from = from.provider, to = to.provider, cause,
            "fallback takes over");
        metrics::counter!("offhook_failovers_total", "kind" => stage.name(),
            "from" => from.provider.clone(), "to" => to.provider.clone(), "cause" => cause)
        .increment(1);
        let (from, to) = (from.provider.clone(), to.provider.clone());
        self.record().note_fallback(&Fallback { stage, from, to, reason });
    }

    /// How long a provider may keep silent: as long as is usual, or shorter where another could take
    /// over.
    pub(crate) fn patience(&self, stage: Stage, usual: Duration) -> Duration {
        let now = self.clock.now();
        let failover = self.succession(stage).failover();
        let until_given_up = failover.patience(now).unwrap_or(usual);
        match failover.has_other(now) {
            true => usual.min(until_given_up).min(self.settings.calls.failover_patience),
            false => usual.min(until_given_up),
        }
    }

    /// A stage's provider answers: the end of a gap, if a session was lost before.
    pub(crate) fn answered(&self, stage: Stage) {
        if let Some(gap) = self.succession(stage).answered(self.clock.now()) {
            metrics::histogram!("offhook_failover_gap_seconds", "kind" => stage.name())
                .record(gap.as_secs_f64());
        }
    }
}
