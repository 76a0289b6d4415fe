//! The actor that runs tools.
//!
//! Running a tool has an effect outside: it is journalled durably before the request leaves. Runs
//! are leaves in the slot: they go on while this actor is replaced, and end with the call.

mod phone;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use offhook_api::{ServerTarget, tool::Tool, tool_response};
use offhook_core::{Event, ServerEvent, ToolCall, ToolOutcome, TurnId};
use ractor::ActorProcessingErr;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{CallContext, Leaf, Port, Role, egress::Post};

/// The tools of a call.
pub struct ToolExecutorActor {
    context: Arc<CallContext>,
}

/// What the tool executor is told.
#[derive(Clone, Debug)]
pub enum ToolInput {
    Run {
        turn: TurnId,
        call: ToolCall,
    },
    /// A run ended; `None`: it panicked.
    Ended {
        turn: TurnId,
        call_id: String,
        outcome: Option<ToolOutcome>,
    },
}

/// What a successor goes on from.
#[derive(Default)]
pub struct ToolSlot {
    running: Mutex<HashMap<String, Leaf>>,
    /// The call ends: no tool is run any more.
    is_closed: AtomicBool,
}

impl ToolSlot {
    pub(crate) fn stop(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl ToolSlot {
    /// Runs something that is no tool until it is done or the call ends; false when it runs already,
    /// or the call ends.
    pub(crate) fn run_once(
        &self,
        name: &str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = running.get(name).is_none_or(Leaf::is_finished);
        if self.is_closed.load(Ordering::Acquire) || !is_free {
            return false;
        }
        running.insert(name.to_owned(), Leaf::spawn(task));
        true
    }
}

/// Tools running at once in one call; a model asks for a handful.
const RUNNING_MAX: usize = 16;

/// How long the journal is waited for before a tool runs without it: a dead disk degrades a call.
const JOURNAL_TIMEOUT: Duration = Duration::from_millis(500);

impl Role for ToolExecutorActor {
    const NAME: &'static str = "tool_executor";
    type Input = ToolInput;

    fn port(context: &CallContext) -> &Port<ToolInput> {
        &context.ports.tools
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        Ok(Self { context })
    }

    fn handle(&mut self, input: ToolInput) -> Result<(), ActorProcessingErr> {
        match input {
            ToolInput::Run { turn, call } => self.run(turn, call),
            ToolInput::Ended { turn, call_id, outcome } => {
                self.running().remove(&call_id);
                let outcome = outcome.unwrap_or_else(|| ToolOutcome::Failed {
                    error: "the tool could not be run; whether it took effect is unknown".into(),
                    message: None,
                });
                self.context.tell(Event::ToolFinished { turn, call_id, outcome });
            }
        }
        Ok(())
    }
}

impl ToolExecutorActor {
    fn run(&mut self, turn: TurnId, call: ToolCall) {
        let call_id = call.id.clone();
        let mut running = self.running();
        if self.context.slots.tools.is_closed.load(Ordering::Acquire) {
            return;
        }
        if running.contains_key(&call_id) {
            // A second attempt at the same input: the first one started it.
            return;
        }
        if running.len() >= RUNNING_MAX {
            let error =
                format!("{RUNNING_MAX} tools are running already; this one was not started");
            let outcome = ToolOutcome::Failed { error, message: None };
            self.context.tell(Event::ToolFinished { turn, call_id, outcome });
            return;
        }
        let context = self.context.clone();
        let id = call_id.clone();
        let leaf = Leaf::watched(
            self.context.ports.tools.clone(),
            async move { ask(&context, &call).await },
            move |outcome| ToolInput::Ended { turn, call_id: id, outcome },
        );
        running.insert(call_id, leaf);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Leaf>> {
        self.context.slots.tools.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the tool's server, as the contract's `tool-calls` message has it.
async fn ask(context: &Arc<CallContext>, call: &ToolCall) -> ToolOutcome {
    let failed = |error: String| ToolOutcome::Failed { error, message: None };
    let tool = context.spec.assistant.tool(&call.name);
    let action = tool.and_then(|tool| tool.phone_action(&tool.arguments(&call.arguments)));
    let own = tool.and_then(|tool| tool.target.server.clone());
    let server = own.or_else(|| context.spec.server.clone());
    if let Some(Err(problem)) = action {
        return failed(problem);
    }
    if action.is_none() && server.is_none() {
        return failed(format!(
            "the tool `{}` has no server: set `server.url` on the tool or the assistant",
            call.name
        ));
    }
    let intent = json!({"tool": {"id": call.id, "name": call.name, "arguments": call.arguments}});
    let journalled = context.journal.append_durable(intent.to_string().into_bytes());
    if !matches!(timeout(JOURNAL_TIMEOUT, journalled).await, Ok(Ok(()))) {
        tracing::error!(call = %context.spec.id, tool = call.name, "tool run is not journalled");
    }
    if let Some(Ok(action)) = action {
        let says_words = tool.is_some_and(Tool::leaves_message_to_destination);
        return phone::run(context, action, server, says_words).await;
    }
    let Some(server) = server else { return failed("the tool has no server".into()) };
    let event = ServerEvent::ToolCalls { tool_calls: vec![call.clone()] };
    let body = context.server_message(&event, &[], None);
    let answer = match post(context, &server, &body, call).await {
        Ok(answer) => answer,
        Err(problem) => {
            tracing::warn!(call = %context.spec.id, tool = call.name, problem, "tool failed");
            return failed(format!("the tool's server {problem}"));
        }
    };
    tool_response::parse(&answer, &call.id).unwrap_or_else(|problem| {
        tracing::warn!(call = %context.spec.id, tool = call.name, problem, "tool answer unreadable");
        failed(format!("the tool's server gave an answer that cannot be read: {problem}"))
    })
}

/// Posts the request, again where the tool's own backoff plan says so. The call's id makes a
/// repeated request recognisable.
async fn post(
    context: &CallContext,
    server: &ServerTarget,
    body: &Value,
    call: &ToolCall,
) -> Result<Vec<u8>, String> {
    let event_id = format!("{}-{}", context.spec.id, call.id);
    let org = context.spec.org.as_str();
    let request = Post { target: server, org, body, event_id: &event_id };
    let mut retry = 0;
    loop {
        let (problem, status) = match context.egress.post(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer.body),
            Ok(answer) => (format!("answered with status {}", answer.status), Some(answer.status)),
            Err(error) => (format!("did not answer: {error}"), None),
        };
        retry += 1;
        let plan = server.backoff.as_ref().filter(|plan| {
            status.is_none_or(|status| !plan.excluded_status_codes.contains(&status))
        });
        match plan.and_then(|plan| plan.delay(retry)) {
            Some(delay) => tokio::time::sleep(delay).await,
            None => return Err(problem),
        }
    }
}
