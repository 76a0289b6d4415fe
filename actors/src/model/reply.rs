//! One reply of the model, whoever makes it.
//!
//! A stream that breaks is gone on with by another, of the same model or of the next: the
//! conversation is told whole words, each once. Tool calls are told together when the reply is
//! over, or has broken off after them.

use std::{sync::Arc, time::Duration};

use offhook_core::{
    Continuation, Event, FailureClass, Finish, Loss, Stage, StageFailure, ToolCall, TurnId,
};
use offhook_providers::{
    ProviderError,
    llm::{LlmEvent, LlmRequest, Unheard},
};
use tokio::{sync::watch, time::timeout};

use super::{
    call_ids::CallIds,
    race::{Begun, Question, Race},
};
use crate::{CallContext, reopen::Reopening};

/// A reply that is being made.
pub(super) struct Reply {
    context: Arc<CallContext>,
    turn: TurnId,
    request: LlmRequest,
    is_awaited: watch::Receiver<bool>,
    reopening: Reopening,
    said: Continuation,
    ids: CallIds,
    calls: Vec<ToolCall>,
    /// A request of it was raced already.
    is_hedged: bool,
}

/// First wait before a model is asked again that refused.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest such wait, the provider's own `retry-after` apart: a caller waits in silence.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Longest silence within a reply of words: models write ten times as fast as voices speak, and one
/// that pauses for longer has stopped.
const SILENCE_MAX: Duration = Duration::from_millis(2_500);

/// The same where tools are offered and the server has not shown that it says when it writes a
/// call: it may be at one, to be told as a whole. No caller bears a longer silence.
const SILENCE_MAX_WITH_TOOLS: Duration = Duration::from_secs(5);

impl Reply {
    pub fn new(
        context: Arc<CallContext>,
        turn: TurnId,
        request: LlmRequest,
        is_awaited: watch::Receiver<bool>,
    ) -> Self {
        Self {
            reopening: Reopening::new(&context, Stage::Model, RETRY_FIRST, RETRY_MAX),
            context,
            turn,
            is_awaited,
            said: Continuation::default(),
            ids: CallIds::of(&request.messages),
            calls: Vec::new(),
            is_hedged: false,
            request,
        }
    }

    /// Tells the conversation what comes, until the reply is over.
    pub async fn run(mut self) {
        if let Err(failure) = self.make().await {
            self.give_up(failure);
        }
    }

    async fn make(&mut self) -> Result<(), StageFailure> {
        let mut wait = Duration::ZERO;
        loop {
            let question = Question {
                context: self.context.clone(),
                turn: self.turn,
                request: self.request.clone(),
                said: self.said.told().to_owned(),
            };
            let mut race = Race::new(question, &mut self.reopening, &mut self.is_hedged);
            let begun = race.run(wait, self.is_awaited.clone()).await?;
            let candidate = begun.candidate;
            let error = match self.stream(begun).await {
                Ok(finish) => {
                    self.finish(finish);
                    return Ok(());
                }
                Err(error) => error,
            };
            if !self.calls.is_empty() {
                // Their results matter more than what would have been said behind them.
                self.context.model_failed(candidate, &error);
                self.finish(Finish::Broken);
                return Ok(());
            }
            self.said.cut();
            wait = self.lost(candidate, &error)?;
        }
    }

    /// Decides who goes on with a reply whose stream broke.
    fn lost(&mut self, candidate: usize, error: &ProviderError) -> Result<Duration, StageFailure> {
        let context = &self.context;
        let now = context.clock.now();
        context.succession(Stage::Model).lost(now);
        if candidate == context.succession(Stage::Model).current() {
            return self.reopening.next(context, error, Loss::Broken);
        }
        // The quicker one of two: the one that serves is asked.
        context.model_failed(candidate, error);
        context.succession(Stage::Model).failover().on_other_failed(candidate, now, error.class);
        self.reopening.note(context.health_keys(Stage::Model)[candidate], error);
        Ok(Duration::ZERO)
    }

    /// Tells what a stream brings, to its end.
    async fn stream(&mut self, begun: Begun) -> Result<Finish, ProviderError> {
        let Begun { candidate, first, mut stream } = begun;
        let mut limit = match self.request.tools.is_empty() {
            true => SILENCE_MAX,
            false => SILENCE_MAX_WITH_TOOLS,
        };
        let mut next = Some(first);
        loop {
            let event = match next.take() {
                Some(first) => first,
                None => timeout(limit, stream.events.recv())
                    .await
                    .map_err(|_| {
                        let detail = format!("the reply was silent for {limit:?}");
                        ProviderError::new(FailureClass::Stalled, detail)
                    })?
                    .ok_or_else(|| {
                        ProviderError::new(FailureClass::Closed, "the reply was cut off")
                    })??,
            };
            match event {
                LlmEvent::Text(piece) => {
                    let text = self.said.push(&piece);
                    self.tell_text(text);
                }
                LlmEvent::ToolCall(call) => {
                    let text = self.said.finish();
                    self.tell_text(text);
                    self.calls.push(self.ids.distinguish(call));
                }
                LlmEvent::Unheard(Unheard::Call) => limit = SILENCE_MAX,
                LlmEvent::Unheard(Unheard::Thoughts) => {}
                LlmEvent::Usage(usage) => self.context.add_usage(candidate, usage),
                LlmEvent::Finished(finish) => {
                    self.context.count_model_request(candidate, "ok");
                    return Ok(finish);
                }
            }
        }
    }

    fn tell_text(&self, text: String) {
        if !text.is_empty() {
            self.context.tell(Event::ReplyText { turn: self.turn, text });
        }
    }

    fn finish(&mut self, finish: Finish) {
        let (context, turn) = (&self.context, self.turn);
        if let Some(cause) = finish.cut_by() {
            let provider = &context.model().name;
            tracing::warn!(call = %context.spec.id, provider, cause, "reply cut off");
            metrics::counter!("offhook_replies_cut_total", "cause" => cause).increment(1);
        }
        let text = self.said.finish();
        self.tell_text(text);
        let calls = std::mem::take(&mut self.calls);
        if !calls.is_empty() {
            self.context.tell(Event::ReplyToolCalls { turn, calls });
        }
        self.context.tell(Event::ReplyFinished { turn, finish });
    }

    /// Nobody can make the reply, or the rest of it.
    fn give_up(&mut self, failure: StageFailure) {
        let provider = &failure.provider;
        let (class, detail) = (failure.class.name(), &failure.detail);
        tracing::error!(call = %self.context.spec.id, provider, class, detail, "model failed");
        if self.said.has_told() {
            self.finish(Finish::Broken);
        } else {
            self.context.tell(Event::ReplyFailed { turn: self.turn, failure });
        }
    }
}
