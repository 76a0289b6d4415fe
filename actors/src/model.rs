//! The actor that asks the language model.
//!
//! A reply is a leaf: it streams on while this actor is replaced, and is cancelled by dropping it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use offhook_core::{Event, FailureClass, Message, Stage, StageFailure, ToolCall, ToolSpec, TurnId};
use offhook_providers::{
    ProviderError,
    llm::{Llm, LlmEvent, LlmRequest, LlmStream, Usage},
};
use ractor::ActorProcessingErr;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{CallContext, Leaf, Port, Role, Staged, retry::Pacing};

/// The model of a call.
pub struct ModelActor {
    context: Arc<CallContext>,
}

/// What the model is told.
#[derive(Clone, Debug)]
pub enum ModelInput {
    /// It will be asked soon: connect if there is no connection.
    Prepare,
    Generate {
        turn: TurnId,
        messages: Vec<Message>,
        tools: Vec<ToolSpec>,
    },
    Cancel {
        turn: TurnId,
    },
    /// The reply's task ended; `panicked`: not as it should.
    Ended {
        turn: TurnId,
        panicked: bool,
    },
}

/// What a successor goes on from.
#[derive(Default)]
pub struct ModelSlot {
    reply: Mutex<Option<(TurnId, Leaf)>>,
    usage: Mutex<BTreeMap<usize, Usage>>,
    /// The call ends: no model is asked any more.
    is_closed: AtomicBool,
}

impl ModelSlot {
    pub(crate) fn stop(&self) {
        self.is_closed.store(true, Ordering::Release);
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Attempts at one reply, as long as nothing of it was said.
const ATTEMPTS_MAX: u32 = 3;
/// First wait between them.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest such wait, the provider's own `retry-after` included: a caller waits in silence.
const RETRY_MAX: Duration = Duration::from_secs(2);

impl Role for ModelActor {
    const NAME: &'static str = "model";
    type Input = ModelInput;

    fn port(context: &CallContext) -> &Port<ModelInput> {
        &context.ports.model
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        context.model().provider.warm();
        Ok(Self { context })
    }

    fn handle(&mut self, input: ModelInput) -> Result<(), ActorProcessingErr> {
        match input {
            ModelInput::Prepare => self.context.model().provider.warm(),
            ModelInput::Generate { turn, messages, tools } => {
                let request = LlmRequest { messages, tools };
                let context = self.context.clone();
                let leaf = Leaf::watched(
                    self.context.ports.model.clone(),
                    async move { reply(context, turn, request).await },
                    move |done| ModelInput::Ended { turn, panicked: done.is_none() },
                );
                let mut reply = self.reply();
                if !self.context.slots.model.is_closed.load(Ordering::Acquire) {
                    *reply = Some((turn, leaf));
                }
            }
            ModelInput::Cancel { turn } => {
                let mut reply = self.reply();
                if reply.as_ref().is_some_and(|(running, _)| *running == turn) {
                    *reply = None;
                }
            }
            ModelInput::Ended { turn, panicked: true } => {
                let failure = StageFailure {
                    stage: Stage::Model,
                    provider: self.context.model().name.clone(),
                    class: FailureClass::Protocol,
                    detail: "the reply's task panicked".into(),
                };
                self.context.tell(Event::ReplyFailed { turn, failure });
            }
            ModelInput::Ended { panicked: false, .. } => {}
        }
        Ok(())
    }
}

impl ModelActor {
    fn reply(&self) -> MutexGuard<'_, Option<(TurnId, Leaf)>> {
        self.context.slots.model.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallContext {
    /// What each model's provider counted in this call.
    pub fn usage(&self) -> Vec<(&Staged<dyn Llm>, Usage)> {
        let candidates = self.spec.stages.model.candidates();
        let usage = self.slots.model.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.iter().map(|(&it, &usage)| (&candidates[it], usage)).collect()
    }

    pub(crate) fn add_usage(&self, candidate: usize, more: Usage) {
        let mut usage = self.slots.model.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.entry(candidate).or_default().add(more);
    }
}

/// Gets one reply and tells the conversation what comes.
async fn reply(context: Arc<CallContext>, turn: TurnId, request: LlmRequest) {
    let provider = &context.model().name;
    let mut pacing = Pacing::new(RETRY_FIRST, RETRY_MAX);
    let mut attempt = 1;
    loop {
        let mut said = false;
        let result = stream(&context, turn, request.clone(), &mut said).await;
        let outcome = result.as_ref().err().map_or("ok", |error| error.class.name());
        metrics::counter!("offhook_provider_requests_total", "kind" => "model",
            "provider" => provider.clone(), "outcome" => outcome)
        .increment(1);
        let Err(error) = result else { return };
        let wait = error.class.retry_after().unwrap_or_else(|| pacing.next());
        let hopeless = said || !error.class.is_transient() || wait > RETRY_MAX;
        if hopeless || attempt == ATTEMPTS_MAX {
            tracing::error!(call = %context.spec.id, provider, %error, attempt, "model failed");
            let failure = StageFailure {
                stage: Stage::Model,
                provider: provider.clone(),
                class: error.class,
                detail: error.detail,
            };
            context.tell(Event::ReplyFailed { turn, failure });
            return;
        }
        tracing::warn!(call = %context.spec.id, provider, %error, attempt, "model failed, again");
        attempt += 1;
        sleep(wait).await;
    }
}

async fn stream(
    context: &CallContext,
    turn: TurnId,
    request: LlmRequest,
    said: &mut bool,
) -> Result<(), ProviderError> {
    let limit = context.settings.calls.llm_first_token_timeout;
    let asked = Instant::now();
    context.turns().model_asked(context.clock.now(), turn);
    let late =
        |what: &str| ProviderError::new(FailureClass::Timeout, format!("{what} within {limit:?}"));
    let mut ids = CallIds::of(&request.messages);
    let generating = context.model().provider.generate(request);
    let mut stream: LlmStream =
        timeout(limit, generating).await.map_err(|_| late("the model did not answer"))??;
    let mut calls = Vec::new();
    let mut first = true;
    loop {
        let event = timeout(limit, stream.events.recv())
            .await
            .map_err(|_| late("nothing came from the model"))?
            .ok_or_else(|| ProviderError::new(FailureClass::Closed, "the reply was cut off"))??;
        let is_output = match event {
            LlmEvent::Text(_) | LlmEvent::ToolCall(_) | LlmEvent::Finished(_) => true,
            LlmEvent::Usage(_) => false,
        };
        if is_output && std::mem::take(&mut first) {
            metrics::histogram!("offhook_provider_ttfb_seconds", "kind" => "model",
                "provider" => context.model().name.clone())
            .record(asked.elapsed().as_secs_f64());
        }
        match event {
            LlmEvent::Text(text) => {
                *said = true;
                context.tell(Event::ReplyText { turn, text });
            }
            LlmEvent::ToolCall(call) => calls.push(ids.distinguish(call)),
            LlmEvent::Usage(usage) => {
                context.add_usage(context.succession(Stage::Model).current(), usage)
            }
            LlmEvent::Finished(finish) => {
                if let Some(cause) = finish.cut_by() {
                    let provider = &context.model().name;
                    tracing::warn!(call = %context.spec.id, provider, cause, "reply cut off");
                    metrics::counter!("offhook_replies_cut_total", "cause" => cause).increment(1);
                }
                if !calls.is_empty() {
                    context.tell(Event::ReplyToolCalls { turn, calls });
                }
                context.tell(Event::ReplyFinished { turn, finish });
                return Ok(());
            }
        }
    }
}

/// The ids of a conversation's tool calls. Some servers number the calls of every reply from the
/// start, or give all of them one id.
struct CallIds(HashSet<String>);

impl CallIds {
    fn of(messages: &[Message]) -> Self {
        let calls = messages.iter().flat_map(|message| match message {
            Message::ToolCalls { calls } => calls.as_slice(),
            Message::System { .. }
            | Message::User { .. }
            | Message::Assistant { .. }
            | Message::ToolResult { .. } => &[],
        });
        Self(calls.map(|call| call.id.clone()).collect())
    }

    /// The call, with an id of its own where another has the same.
    fn distinguish(&mut self, mut call: ToolCall) -> ToolCall {
        if self.0.contains(&call.id) {
            call.id = format!("call_{}", Uuid::new_v4().simple());
        }
        self.0.insert(call.id.clone());
        call
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_tool_call_of_a_conversation_has_an_id_of_its_own() {
        let call = |id: &str| ToolCall { id: id.into(), name: "book".into(), arguments: json!({}) };
        let mut ids = CallIds::of(&[Message::ToolCalls { calls: vec![call("call_0")] }]);
        let given = ["call_0", "call_1", "call_1"].map(|id| ids.distinguish(call(id)).id);
        assert_eq!(given[1], "call_1", "an id that nobody has stays");
        assert!(given[0] != "call_0" && given[2] != "call_1" && given[0] != given[2], "{given:?}");
    }
}
