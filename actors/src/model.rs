//! The actor that asks the language model.
//!
//! A reply is a leaf: it streams on while this actor is replaced, and is cancelled by dropping it.

mod call_ids;
mod race;
mod reply;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use offhook_core::{Event, FailureClass, Message, Stage, StageFailure, ToolSpec, TurnId};
use offhook_providers::llm::{Llm, LlmRequest, Usage};
use ractor::ActorProcessingErr;
use tokio::sync::watch;

use self::reply::Reply;
use crate::{CallContext, Leaf, Port, Role, Staged};

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
    /// What was asked on suspicion is a reply that the caller waits for.
    Adopt {
        speculation: TurnId,
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
    reply: Mutex<Option<Running>>,
    usage: Mutex<BTreeMap<usize, Usage>>,
    /// The call ends: no model is asked any more.
    is_closed: AtomicBool,
}

/// A reply that is being made.
struct Running {
    turn: TurnId,
    /// Somebody waits for it.
    is_awaited: watch::Sender<bool>,
    _task: Leaf,
}

impl ModelSlot {
    pub(crate) fn stop(&self) {
        self.is_closed.store(true, Ordering::Release);
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

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
                self.generate(turn, LlmRequest { messages, tools });
            }
            ModelInput::Adopt { speculation } => {
                let reply = self.reply();
                if let Some(running) = reply.as_ref().filter(|it| it.turn == speculation) {
                    running.is_awaited.send_replace(true);
                }
            }
            ModelInput::Cancel { turn } => {
                let mut reply = self.reply();
                if reply.as_ref().is_some_and(|running| running.turn == turn) {
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
    fn generate(&self, turn: TurnId, request: LlmRequest) {
        let (is_awaited, awaited) = watch::channel(!turn.is_speculative());
        let reply = Reply::new(self.context.clone(), turn, request, awaited);
        let task = Leaf::watched(self.context.ports.model.clone(), reply.run(), move |done| {
            ModelInput::Ended { turn, panicked: done.is_none() }
        });
        let mut reply = self.reply();
        if !self.context.slots.model.is_closed.load(Ordering::Acquire) {
            *reply = Some(Running { turn, is_awaited, _task: task });
        }
    }

    fn reply(&self) -> MutexGuard<'_, Option<Running>> {
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
