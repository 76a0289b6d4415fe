//! A question to the model, until somebody begins to answer it.
//!
//! Whoever is late is raced by another; who fails is replaced as the call's policy has it. The first
//! to answer is heard, and the others are cancelled.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use offhook_core::{FailureClass, Loss, Stage, StageFailure, TurnId, hedge_after};
use offhook_providers::{
    ProviderError,
    llm::{LlmEvent, LlmRequest, LlmStream, Unheard},
};
use tokio::{
    pin, select,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{CallContext, reopen::Reopening};

/// What is asked.
pub(super) struct Question {
    pub context: Arc<CallContext>,
    pub turn: TurnId,
    pub request: LlmRequest,
    /// What was told of the reply before its stream broke.
    pub said: String,
}

/// A reply that has begun.
pub(super) struct Begun {
    pub candidate: usize,
    pub first: LlmEvent,
    pub stream: LlmStream,
}

/// How one of those asked has answered.
struct Arrival {
    candidate: usize,
    is_hedge: bool,
    took: Duration,
    result: Result<(LlmEvent, LlmStream), ProviderError>,
}

pub(super) struct Race<'a> {
    question: Question,
    reopening: &'a mut Reopening,
    is_hedged: &'a mut bool,
    racers: FuturesUnordered<BoxFuture<'static, Arrival>>,
    /// Whom `racers` ask.
    asked: Vec<usize>,
    /// A second one was asked.
    is_raced: bool,
}

impl<'a> Race<'a> {
    /// `is_hedged`: whether a second one was asked for this reply before; set when one is.
    pub fn new(question: Question, reopening: &'a mut Reopening, is_hedged: &'a mut bool) -> Self {
        let (racers, asked) = (FuturesUnordered::new(), Vec::new());
        Self { question, reopening, is_hedged, racers, asked, is_raced: false }
    }

    /// Asks who serves, after `wait`, and gives the first answer that begins.
    pub async fn run(
        &mut self,
        wait: Duration,
        mut is_awaited: watch::Receiver<bool>,
    ) -> Result<Begun, StageFailure> {
        let context = self.question.context.clone();
        let began = Instant::now() + wait;
        let serves = context.succession(Stage::Model).current();
        let key = &context.spec.stages.model.candidates()[serves].health;
        let hedge_at = began + hedge_after(context.health.ttfb(key, P95));
        self.ask(serves, wait, false);
        let hedge_due = async move {
            sleep_until(hedge_at).await;
            if is_awaited.wait_for(|it| *it).await.is_err() {
                // The reply is cancelled.
                std::future::pending::<()>().await;
            }
        };
        pin!(hedge_due);
        let mut given_up = None;
        loop {
            let may_hedge = context.settings.calls.hedge && !*self.is_hedged;
            select! {
                biased;
                Some(arrival) = self.racers.next() => {
                    self.left(arrival.candidate);
                    match arrival.result {
                        Ok((first, stream)) => {
                            let Arrival { candidate, is_hedge, took, .. } = arrival;
                            self.won(candidate, took, is_hedge, began);
                            return Ok(Begun { candidate, first, stream });
                        }
                        Err(error) => self.failed(arrival.candidate, &error, &mut given_up)?,
                    }
                }
                () = &mut hedge_due, if may_hedge => {
                    *self.is_hedged = true;
                    self.hedge(serves);
                }
            }
        }
    }

    fn ask(&mut self, candidate: usize, wait: Duration, is_hedge: bool) {
        let Question { context, turn, request, said } = &self.question;
        let staged = context.spec.stages.model.candidates()[candidate].clone();
        if !is_hedge {
            context.health.requested(&staged.health);
        }
        let limit = context.first_token_limit(candidate);
        let (context, turn, request, said) =
            (context.clone(), *turn, request.clone(), said.trim_end().to_owned());
        self.asked.push(candidate);
        self.racers.push(Box::pin(async move {
            sleep(wait).await;
            let asked = Instant::now();
            if !is_hedge {
                context.turns().model_asked(context.clock.now(), turn);
            }
            let opening = match said.is_empty() {
                true => staged.provider.generate(request),
                false => staged.provider.resume(request, &said),
            };
            let answer = async {
                let mut stream = opening.await?;
                loop {
                    match stream.events.recv().await {
                        Some(Ok(LlmEvent::Usage(usage))) => context.add_usage(candidate, usage),
                        Some(Ok(LlmEvent::Unheard(Unheard::Thoughts))) => {}
                        Some(Ok(
                            first @ (LlmEvent::Text(_)
                            | LlmEvent::ToolCall(_)
                            | LlmEvent::Unheard(Unheard::Call)
                            | LlmEvent::Finished(_)),
                        )) => return Ok((first, stream)),
                        Some(Err(error)) => return Err(error),
                        None => {
                            let detail = "the reply was cut off before its first word";
                            return Err(ProviderError::new(FailureClass::Closed, detail));
                        }
                    }
                }
            };
            let result = timeout(limit, answer).await.unwrap_or_else(|_| {
                let detail = format!("nothing came from the model within {limit:?}");
                Err(ProviderError::new(FailureClass::Timeout, detail))
            });
            Arrival { candidate, is_hedge, took: asked.elapsed(), result }
        }));
    }

    /// Asks a second one: the next model if there is one that is well, else the same again.
    fn hedge(&mut self, slow: usize) {
        let context = &self.question.context;
        let keys = context.health_keys(Stage::Model);
        let succession = context.succession(Stage::Model);
        // The one that was late is gone already, and another is asked.
        if succession.current() != slow || !context.health.take_hedge(keys[slow]) {
            return;
        }
        let is_allowed = |candidate: usize| context.health.allows(keys[candidate]);
        let other = succession.failover().next_fresh(context.clock.now(), is_allowed);
        tracing::info!(call = %context.spec.id, slow = keys[slow].provider, "racing a slow model");
        self.is_raced = true;
        self.ask(other.unwrap_or(slow), Duration::ZERO, true);
    }

    /// Somebody began to answer: that one is heard.
    fn won(&self, candidate: usize, took: Duration, is_hedge: bool, began: Instant) {
        let context = &self.question.context;
        let keys = context.health_keys(Stage::Model);
        let succession = context.succession(Stage::Model);
        let provider = keys[candidate].provider.clone();
        context.health.succeeded(keys[candidate], Some(took));
        context.answered(Stage::Model);
        metrics::histogram!("offhook_provider_ttfb_seconds", "kind" => "model",
            "provider" => provider)
        .record(took.as_secs_f64());
        if succession.current() == candidate {
            succession.failover().on_served();
        }
        if self.is_raced {
            let won = if is_hedge { "true" } else { "false" };
            metrics::counter!("offhook_hedges_total", "kind" => "model", "won" => won).increment(1);
        }
        if is_hedge && let Some(slow) = self.asked.first() {
            context.health.outrun(keys[*slow], began.elapsed());
        }
    }

    /// Somebody failed; another is asked in their place unless one is being asked. An error: nobody
    /// can answer.
    fn failed(
        &mut self,
        candidate: usize,
        error: &ProviderError,
        given_up: &mut Option<StageFailure>,
    ) -> Result<(), StageFailure> {
        let context = self.question.context.clone();
        let succession = context.succession(Stage::Model);
        let now = context.clock.now();
        succession.lost(now);
        let serves = succession.current();
        if candidate == serves && !self.asked.contains(&serves) {
            match self.reopening.next(&context, error, Loss::Refused) {
                Ok(wait) => {
                    let serves = succession.current();
                    if !self.asked.contains(&serves) {
                        self.ask(serves, wait, false);
                    }
                }
                Err(failure) => *given_up = Some(failure),
            }
        } else {
            context.model_failed(candidate, error);
            self.reopening.note(context.health_keys(Stage::Model)[candidate], error);
            if candidate != serves {
                succession.failover().on_other_failed(candidate, now, error.class);
            }
        }
        if self.asked.is_empty() {
            match given_up.take() {
                Some(failure) => return Err(failure),
                None => self.ask(succession.current(), Duration::ZERO, false),
            }
        }
        Ok(())
    }

    fn left(&mut self, candidate: usize) {
        if let Some(index) = self.asked.iter().position(|asked| *asked == candidate) {
            self.asked.swap_remove(index);
        }
    }
}

/// Nineteen of twenty first tokens come earlier.
const P95: f64 = 0.95;

impl CallContext {
    /// How long a first token is waited for. Where another model could be asked, that is twice what
    /// a caller bears, or what is usual of this one: a race begins long before.
    fn first_token_limit(&self, candidate: usize) -> Duration {
        let calls = &self.settings.calls;
        if !self.succession(Stage::Model).has_other(self.clock.now()) {
            return calls.llm_first_token_timeout;
        }
        let key = &self.spec.stages.model.candidates()[candidate].health;
        let usual = self.health.ttfb(key, P95).unwrap_or_default();
        (usual.max(calls.failover_patience) * 2).min(calls.llm_first_token_timeout)
    }

    pub(super) fn count_model_request(&self, candidate: usize, outcome: &'static str) {
        let provider = self.spec.stages.model.candidates()[candidate].name.clone();
        metrics::counter!("offhook_provider_requests_total", "kind" => "model",
            "provider" => provider, "outcome" => outcome)
        .increment(1);
    }

    /// Notes a failure that changes nothing for the call.
    pub(super) fn model_failed(&self, candidate: usize, error: &ProviderError) {
        let key = &self.spec.stages.model.candidates()[candidate].health;
        self.count_model_request(candidate, error.class.name());
        self.health.failed(key, error.class);
        let provider = &key.provider;
        tracing::warn!(call = %self.spec.id, provider, %error, "model failed");
    }
}
