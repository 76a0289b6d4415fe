//! What a stage does when its provider session is lost: open another, or give up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use offhook_core::{CallTime, Disposition, Intensity, RestartBudget, Stage, StageFailure};
use offhook_providers::ProviderError;

use crate::{CallContext, Port, retry::Pacing};

/// The restarts of one stage's sessions.
pub(crate) struct Reopening {
    stage: Stage,
    budget: RestartBudget,
    pacing: Pacing,
    waits: (Duration, Duration),
    last_lost: Option<CallTime>,
    /// The session at hand was opened; set by its task.
    pub opened: Arc<AtomicBool>,
    /// Since when no session could be opened.
    refused_since: Option<CallTime>,
}

/// How long a provider that refuses sessions, or does not answer, is tried again: nobody waits on
/// a silent line for longer than five seconds without being told.
const REFUSED_MAX: Duration = Duration::from_millis(4_500);

/// What is to become of a lost session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It counts against the restarts of the stage.
    Counted,
    /// It was given up on suspicion: another is opened at once, whatever went before.
    Suspected,
}

/// A session that held this long was in order: the next loss is a first one again.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

impl Reopening {
    /// Waits between sessions grow from `first` to `max`.
    pub fn new(context: &CallContext, stage: Stage, first: Duration, max: Duration) -> Self {
        let calls = &context.settings.calls;
        let intensity = Intensity {
            restarts_max: calls.restarts_max as usize,
            window: calls.restarts_window,
            backoff: first,
        };
        Self {
            stage,
            budget: RestartBudget::new(intensity),
            pacing: Pacing::new(first, max),
            waits: (first, max),
            last_lost: None,
            opened: Arc::default(),
            refused_since: None,
        }
    }

    /// Counts a lost session, and leaves `reopen` in the stage's port when it is time for another;
    /// without hope, or with the budget spent, the conversation is told.
    pub fn on_lost<M: Clone + Send + Sync + 'static>(
        &mut self,
        context: &CallContext,
        provider: &str,
        error: ProviderError,
        loss: Loss,
        (port, reopen): (Arc<Port<M>>, M),
    ) {
        let (stage, class) = (self.stage, error.class);
        metrics::counter!("offhook_provider_requests_total", "kind" => stage.name(),
            "provider" => provider.to_owned(), "outcome" => class.name())
        .increment(1);
        let now = context.clock.now();
        let was_open = self.opened.swap(false, Ordering::AcqRel);
        if was_open {
            self.refused_since = None;
        }
        let is_hopeless = if !class.is_transient() {
            true
        } else if loss == Loss::Suspected {
            false
        } else if was_open {
            self.budget.on_failure(now) == Disposition::Escalate
        } else {
            now.after(*self.refused_since.get_or_insert(now)) >= REFUSED_MAX
        };
        if is_hopeless {
            let provider = provider.to_owned();
            context.stage_failed(StageFailure { stage, provider, class, detail: error.detail });
            return;
        }
        if self.last_lost.is_some_and(|at| now.after(at) > SETTLED_AFTER) {
            self.pacing = Pacing::new(self.waits.0, self.waits.1);
        }
        self.last_lost = Some(now);
        let wait = self.pacing.next();
        tracing::warn!(call = %context.spec.id, %stage, provider, %error, ?wait,
            "provider session lost, opening another");
        // Bounded by the wait itself; the port of a call that is over takes it without harm.
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            port.send(reopen);
        });
    }
}
