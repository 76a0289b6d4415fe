//! A model of rules: what the caller said matches a pattern, and the rule says the reply.
//!
//! ```json
//! {"provider": "scripted", "tokenDelayMs": 20, "rules": [
//!   {"when": "book", "examples": ["I would like to book an appointment"], "reply": "For which day?"},
//!   {"when": "(?<day>monday|thursday)", "call": {"name": "book", "arguments": {"day": "{day}"}}},
//!   {"tool": "book", "when": "*", "reply": "Done, your number is {result.number}."},
//!   {"when": "goodbye", "reply": "Goodbye.", "end": true},
//!   {"when": "*", "reply": "Could you say that again?"}
//! ]}
//! ```
//!
//! The first rule whose pattern matches answers; `*` answers what no pattern matches. A rule with
//! `tool` is about the result of that tool, any other about the caller's last words (the empty
//! text before there are any). It streams word by word, at a pace, like any model.

mod grammar;
mod rules;
mod slots;

use std::{sync::Arc, time::Duration};

use offhook_core::{Finish, Message, ToolCall, ToolKind};
use serde_json::{Map, Value};
use tokio::{sync::mpsc, time::sleep};

pub use self::grammar::grammar_from_rules;
use self::rules::{Answer, Rules};
use super::{Llm, LlmCapabilities, LlmEvent, LlmRequest, LlmStream, Opening, Provider, Usage};
use crate::{Access, BuildError, Net, ProviderError, probe::Probe};

pub const PROVIDER: Provider =
    Provider { name: "scripted", key_variable: "", probe: Probe::Embedded, specimen: "", build };

/// Time before each word when `tokenDelayMs` does not say: about what fast models do.
const TOKEN_DELAY: Duration = Duration::from_millis(20);

/// Longest `tokenDelayMs`: slower is a model that is down, and there are better fakes of that.
const TOKEN_DELAY_MAX: Duration = Duration::from_secs(10);

/// Events that wait to be read: a slow reader slows the model.
const EVENT_QUEUE: usize = 16;

/// What ends the call where no tool of the assistant says that it does.
const END_CALL: &str = "endCall";

fn build(options: &Value, _access: &Access, _net: &Net) -> Result<Box<dyn Llm>, BuildError> {
    let scripted = scripted(options).map_err(|reason| BuildError::Options {
        kind: "Llm",
        name: PROVIDER.name.into(),
        reason,
    })?;
    Ok(Box::new(scripted))
}

fn scripted(options: &Value) -> Result<Scripted, String> {
    let token_delay = match options.get("tokenDelayMs") {
        None | Some(Value::Null) => TOKEN_DELAY,
        Some(delay) => delay
            .as_u64()
            .map(Duration::from_millis)
            .filter(|delay| *delay <= TOKEN_DELAY_MAX)
            .ok_or("`tokenDelayMs` must be a whole number from 0 to 10000")?,
    };
    let rules = Arc::new(Rules::parse(options.get("rules").unwrap_or(&Value::Null))?);
    Ok(Scripted { rules, token_delay })
}

struct Scripted {
    rules: Arc<Rules>,
    token_delay: Duration,
}

impl Llm for Scripted {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities { tools: true, assistant_prefill: false }
    }

    fn generate(&self, request: LlmRequest) -> Opening<LlmStream> {
        let (rules, token_delay) = (self.rules.clone(), self.token_delay);
        Box::pin(async move {
            let events = events(rules.answer(&request.messages), &request);
            let (output, stream) = mpsc::channel(EVENT_QUEUE);
            tokio::spawn(stream_events(events, token_delay, output));
            Ok(LlmStream { events: stream })
        })
    }
}

/// The whole of a reply, in the order in which a model gives it.
fn events(answer: Answer, request: &LlmRequest) -> Vec<LlmEvent> {
    let text = answer.reply.unwrap_or_default();
    let mut events: Vec<LlmEvent> =
        text.split_inclusive(' ').map(|word| LlmEvent::Text(word.into())).collect();
    let usage = Usage {
        prompt_tokens: request.messages.iter().map(words).sum(),
        completion_tokens: events.len() as u64,
        ..Usage::default()
    };

    let mut calls: Vec<(String, Value)> = answer.call.into_iter().collect();
    if answer.end {
        let tool = request.tools.iter().find(|tool| tool.kind == ToolKind::EndCall);
        let name = tool.map_or(END_CALL, |tool| &tool.name);
        calls.push((name.into(), Value::Object(Map::new())));
    }
    let made = request.messages.iter().map(calls_in).sum::<usize>();
    events.extend(calls.into_iter().enumerate().map(|(index, (name, arguments))| {
        LlmEvent::ToolCall(ToolCall { id: format!("call_{}", made + index + 1), name, arguments })
    }));
    events.extend([LlmEvent::Usage(usage), LlmEvent::Finished(Finish::Stop)]);
    events
}

async fn stream_events(
    events: Vec<LlmEvent>,
    token_delay: Duration,
    output: mpsc::Sender<Result<LlmEvent, ProviderError>>,
) {
    for event in events {
        let is_token = match event {
            LlmEvent::Text(_) | LlmEvent::ToolCall(_) => true,
            LlmEvent::Unheard(_) | LlmEvent::Usage(_) | LlmEvent::Finished(_) => false,
        };
        if is_token {
            tokio::select! {
                () = output.closed() => return,
                () = sleep(token_delay) => {}
            }
        }
        if output.send(Ok(event)).await.is_err() {
            return;
        }
    }
}

/// The nearest that a model of rules has to tokens.
fn words(message: &Message) -> u64 {
    let count = |text: &str| text.split_whitespace().count() as u64;
    match message {
        Message::System { content }
        | Message::User { content }
        | Message::Assistant { content, .. }
        | Message::ToolResult { content, .. } => count(content),
        Message::ToolCalls { calls } => calls.len() as u64,
    }
}

fn calls_in(message: &Message) -> usize {
    match message {
        Message::ToolCalls { calls } => calls.len(),
        Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. }
        | Message::ToolResult { .. } => 0,
    }
}

#[cfg(test)]
mod tests;
