//! Puts a streamed reply together: pure, and lenient about what compatible servers do
//! differently.

use std::borrow::Cow;

use offhook_core::{FailureClass, Finish};
use serde::Deserialize;
use serde_json::Value;

use super::{thoughts::Thoughts, usage::WireUsage};
use crate::{
    ProviderError,
    llm::{
        LlmEvent, Unheard, Usage,
        calls::{CallDraft, begin},
        errors::Errors,
        stream::Assemble,
    },
    net::sse::SseEvent,
};

/// The state of one reply.
pub(super) struct Reply {
    errors: Errors,
    /// The field of `usage` that says what the reply cost in USD; empty where none does.
    cost_field: &'static str,
    thoughts: Thoughts,
    calls: Vec<CallDraft>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    /// `[DONE]` was read.
    done: bool,
}

impl Assemble for Reply {
    fn handle(&mut self, event: &SseEvent) -> Result<Vec<LlmEvent>, ProviderError> {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.done = true;
        }
        if data.is_empty() || self.done {
            return Ok(Vec::new());
        }
        let chunk: Value = serde_json::from_str(data).map_err(|e| self.errors.unreadable(&e))?;
        if event.event == "error" || is_error(&chunk) {
            if self.errors.is_filtered(&chunk) {
                self.finish = Some(Finish::ContentFilter);
                self.done = true;
                return Ok(Vec::new());
            }
            return Err(self.errors.in_stream(&chunk));
        }
        let chunk = Chunk::deserialize(chunk).map_err(|e| self.errors.unreadable(&e))?;
        self.handle_chunk(chunk)
    }

    fn is_complete(&self) -> bool {
        self.done || (self.finish.is_some() && self.usage.is_some())
    }

    fn has_finish_reason(&self) -> bool {
        self.finish.is_some()
    }

    fn finish(&mut self) -> Result<Vec<LlmEvent>, ProviderError> {
        // Some servers say only `[DONE]`.
        let Some(finish) = self.finish.or(self.done.then_some(Finish::Stop)) else {
            let detail = "the reply ended without a reason to finish";
            return Err(self.errors.error(FailureClass::Closed, detail));
        };
        let mut events: Vec<_> = self.thoughts.finish().map(LlmEvent::Text).into_iter().collect();
        events.extend(self.take_calls(finish)?);
        events.extend(self.usage.take().map(LlmEvent::Usage));
        events.push(LlmEvent::Finished(finish));
        Ok(events)
    }
}

/// Whether a chunk reports that the reply has failed, in the place where a vendor says so.
fn is_error(chunk: &Value) -> bool {
    let places = ["/error", "/x_groq/error"].map(|place| chunk.pointer(place));
    let code = chunk.pointer("/base_resp/status_code").and_then(Value::as_i64);
    places.into_iter().flatten().any(|error| !error.is_null()) || code.is_some_and(|code| code != 0)
}

impl Reply {
    pub fn new(errors: Errors, cost_field: &'static str) -> Self {
        Self {
            errors,
            cost_field,
            thoughts: Thoughts::default(),
            calls: Vec::new(),
            usage: None,
            finish: None,
            done: false,
        }
    }

    fn handle_chunk(&mut self, chunk: Chunk) -> Result<Vec<LlmEvent>, ProviderError> {
        let mut events = Vec::new();
        // Groq puts it into a place of its own where nobody asked for it.
        if let Some(usage) = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage)) {
            self.usage = Some(usage.read(self.cost_field));
        }
        // One choice is all that is ever asked for.
        if let Some(choice) = chunk.choices.into_iter().flatten().next() {
            let delta = choice.delta.unwrap_or_default();
            let is_call = delta.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
            let is_thought = delta.has_thoughts();
            let content = delta.content.as_ref().map(text_of);
            let spoken = content.map(|content| self.thoughts.strip(&content));
            // A refusal is said to the caller like any other answer.
            let texts = [spoken, delta.refusal].into_iter().flatten();
            events.extend(texts.filter(|text| !text.is_empty()).map(LlmEvent::Text));
            for (position, part) in delta.tool_calls.into_iter().flatten().enumerate() {
                self.add(position, part)?;
            }
            if let Some(reason) = choice.finish_reason {
                let finish = self.read_finish(&reason)?;
                self.finish = Some(finish);
                events.extend(self.thoughts.finish().map(LlmEvent::Text));
                events.extend(self.take_calls(finish)?);
            } else if is_call {
                events.push(LlmEvent::Unheard(Unheard::Call));
            } else if is_thought && events.is_empty() {
                events.push(LlmEvent::Unheard(Unheard::Thoughts));
            }
        }
        Ok(events)
    }

    fn read_finish(&self, reason: &str) -> Result<Finish, ProviderError> {
        match reason {
            "stop" | "tool_calls" | "function_call" => Ok(Finish::Stop),
            // Mistral's: the context of the model is full.
            "length" | "model_length" => Ok(Finish::Length),
            "content_filter" => Ok(Finish::ContentFilter),
            // The second is DeepSeek's.
            "error" | "insufficient_system_resource" => {
                let detail = format!("broke off the reply: {reason}");
                Err(self.errors.error(FailureClass::Unavailable, detail))
            }
            other => {
                tracing::debug!(reason = other, "unknown reason to finish, taken for a stop");
                Ok(Finish::Stop)
            }
        }
    }

    /// Adds a piece of a tool call to the call it belongs to: that of its index; without one, that
    /// of its id; without either, the one at its place.
    fn add(&mut self, position: usize, part: CallPart) -> Result<(), ProviderError> {
        let id = part.id.filter(|id| !id.is_empty());
        let function = part.function.unwrap_or_default();
        let begins = function.name.as_ref().is_some_and(|name| !name.is_empty());
        let is_same = |call: &CallDraft, id| call.id.as_ref().is_none_or(|known| known == id);
        // From the end: of calls with one number, the last is the one that goes on.
        let known = self.calls.iter().rposition(|call| match (part.index, &id) {
            // Servers that number every call 0 still give each an id and a name of its own; those
            // that make up an id for every piece name the function once.
            (Some(index), Some(id)) => call.index == Some(index) && (!begins || is_same(call, id)),
            (Some(index), None) => call.index == Some(index),
            (None, Some(id)) => call.id.as_ref() == Some(id),
            (None, None) => false,
        });
        let at_place = match (part.index, &id) {
            (None, None) => self.calls.len().checked_sub(1).map(|last| position.min(last)),
            (Some(_), _) | (None, Some(_)) => None,
        };
        let at = match known.or(at_place) {
            Some(at) => at,
            None => {
                let call = CallDraft { index: part.index, ..CallDraft::default() };
                begin(&mut self.calls, call, self.errors)?
            }
        };
        let call = &mut self.calls[at];
        call.id = call.id.take().or(id);
        if call.name.is_empty() {
            call.name = function.name.unwrap_or_default();
        }
        match function.arguments {
            None | Some(Value::Null) => {}
            Some(Value::String(piece)) => call.arguments.push_str(&piece),
            Some(whole) => call.arguments = whole.to_string(),
        }
        call.check_length(self.errors)
    }

    fn take_calls(&mut self, finish: Finish) -> Result<Vec<LlmEvent>, ProviderError> {
        let calls = std::mem::take(&mut self.calls).into_iter();
        let read = calls.map(|call| call.read(self.errors, finish));
        read.filter_map(Result::transpose).map(|call| call.map(LlmEvent::ToolCall)).collect()
    }
}

/// The words of a piece: a text, or a list of parts of which some are text (Mistral's models that
/// think).
fn text_of(content: &Value) -> Cow<'_, str> {
    match content {
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(parts) => {
            let texts = parts.iter().filter(|part| part["type"] == "text");
            Cow::Owned(texts.filter_map(|part| part["text"].as_str()).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Cow::Borrowed(""),
    }
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    x_groq: Option<OfGroq>,
}

#[derive(Deserialize)]
struct OfGroq {
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<Value>,
    refusal: Option<String>,
    tool_calls: Option<Vec<CallPart>>,
    /// Thoughts, at DeepSeek and those who follow it.
    reasoning_content: Option<Value>,
    /// The same at Groq and OpenRouter.
    reasoning: Option<Value>,
}

impl Delta {
    /// Whether there is anything in it that may be a thought, be it marked as one within the text.
    fn has_thoughts(&self) -> bool {
        let is_there = |value: &Value| !value.is_null() && *value != "";
        let places = [&self.content, &self.reasoning_content, &self.reasoning];
        places.into_iter().flatten().any(is_there)
    }
}

#[derive(Deserialize)]
struct CallPart {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionPart>,
}

#[derive(Default, Deserialize)]
struct FunctionPart {
    name: Option<String>,
    arguments: Option<Value>,
}
