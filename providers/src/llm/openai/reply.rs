//! Puts a streamed reply together: pure, and lenient about what compatible servers do
//! differently.

use offhook_core::{FailureClass, Finish, ToolCall};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::Errors;
use crate::{
    ProviderError,
    llm::{LlmEvent, Usage},
    net::sse::SseEvent,
};

/// Tool calls in one reply that are put together; more are no sensible reply.
const TOOL_CALLS_MAX: usize = 32;

/// Arguments of one tool call, in bytes.
const ARGUMENTS_BYTES_MAX: usize = 256 << 10;

/// The state of one reply.
pub(super) struct Reply {
    errors: Errors,
    id: String,
    calls: Vec<Call>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    /// `[DONE]` was read.
    done: bool,
}

/// A tool call as far as it came.
#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    name: String,
    arguments: String,
}

impl Reply {
    pub fn new(errors: Errors) -> Self {
        Self { errors, id: String::new(), calls: Vec::new(), usage: None, finish: None, done: false }
    }

    /// Nothing that follows would add anything.
    pub fn is_complete(&self) -> bool {
        self.done || (self.finish.is_some() && self.usage.is_some())
    }

    pub fn has_finish_reason(&self) -> bool {
        self.finish.is_some()
    }

    pub fn handle(&mut self, event: &SseEvent) -> Result<Vec<LlmEvent>, ProviderError> {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.done = true;
        }
        if data.is_empty() || self.done {
            return Ok(Vec::new());
        }
        let chunk: Value = serde_json::from_str(data).map_err(|e| self.errors.unreadable(&e))?;
        if event.event == "error" || chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(self.errors.in_stream(&chunk));
        }
        let chunk = Chunk::deserialize(chunk).map_err(|e| self.errors.unreadable(&e))?;
        self.handle_chunk(chunk)
    }

    /// What is left to tell at the end of the body.
    pub fn finish(&mut self) -> Result<Vec<LlmEvent>, ProviderError> {
        // Some servers say only `[DONE]`.
        let Some(finish) = self.finish.or(self.done.then_some(Finish::Stop)) else {
            let detail = "the reply ended without a reason to finish";
            return Err(self.errors.error(FailureClass::Closed, detail));
        };
        let mut events = self.take_calls(finish)?;
        events.extend(self.usage.take().map(LlmEvent::Usage));
        events.push(LlmEvent::Finished(finish));
        Ok(events)
    }

    fn handle_chunk(&mut self, chunk: Chunk) -> Result<Vec<LlmEvent>, ProviderError> {
        let mut events = Vec::new();
        if let Some(id) = chunk.id {
            self.id = id;
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.into());
        }
        // One choice is all that is ever asked for.
        if let Some(choice) = chunk.choices.into_iter().flatten().next() {
            let delta = choice.delta.unwrap_or_default();
            // A refusal is said to the caller like any other answer.
            let texts = [delta.content, delta.refusal].into_iter().flatten();
            events.extend(texts.filter(|text| !text.is_empty()).map(LlmEvent::Text));
            for (position, part) in delta.tool_calls.into_iter().flatten().enumerate() {
                self.add(position, part)?;
            }
            if let Some(reason) = choice.finish_reason {
                let finish = self.read_finish(&reason)?;
                self.finish = Some(finish);
                events.extend(self.take_calls(finish)?);
            }
        }
        Ok(events)
    }

    fn read_finish(&self, reason: &str) -> Result<Finish, ProviderError> {
        match reason {
            "stop" | "tool_calls" | "function_call" => Ok(Finish::Stop),
            "length" => Ok(Finish::Length),
            "content_filter" => Ok(Finish::ContentFilter),
            "error" => {
                Err(self.errors.error(FailureClass::Unavailable, "broke off the reply: error"))
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
        let known = self.calls.iter().position(|call| match (part.index, &id) {
            // Servers that number every call 0 still give each an id of its own.
            (Some(index), Some(id)) => {
                call.index == Some(index) && call.id.as_ref().is_none_or(|known| known == id)
            }
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
            None if self.calls.len() < TOOL_CALLS_MAX => {
                self.calls.push(Call { index: part.index, ..Call::default() });
                self.calls.len() - 1
            }
            None => {
                let detail = format!("sent more than {TOOL_CALLS_MAX} tool calls in one reply");
                return Err(self.errors.error(FailureClass::Protocol, detail));
            }
        };
        let call = &mut self.calls[at];
        call.id = call.id.take().or(id);
        let function = part.function.unwrap_or_default();
        if call.name.is_empty() {
            call.name = function.name.unwrap_or_default();
        }
        match function.arguments {
            None | Some(Value::Null) => {}
            Some(Value::String(piece)) => call.arguments.push_str(&piece),
            Some(whole) => call.arguments = whole.to_string(),
        }
        if call.arguments.len() > ARGUMENTS_BYTES_MAX {
            let detail = format!("sent arguments longer than {ARGUMENTS_BYTES_MAX} bytes");
            return Err(self.errors.error(FailureClass::Protocol, detail));
        }
        Ok(())
    }

    fn take_calls(&mut self, finish: Finish) -> Result<Vec<LlmEvent>, ProviderError> {
        let calls = std::mem::take(&mut self.calls).into_iter();
        calls.map(|call| self.read_call(call, finish).map(LlmEvent::ToolCall)).collect()
    }

    fn read_call(&self, call: Call, finish: Finish) -> Result<ToolCall, ProviderError> {
        let Call { name, arguments, .. } = call;
        let id = call.id.unwrap_or_else(|| format!("call_{}", uuid::Uuid::new_v4().simple()));
        if arguments.trim().is_empty() {
            return Ok(ToolCall { id, name, arguments: json!({}) });
        }
        match (serde_json::from_str(&arguments), finish) {
            (Ok(arguments @ Value::Object(_)), _) => Ok(ToolCall { id, name, arguments }),
            (Ok(Value::Null), _) => Ok(ToolCall { id, name, arguments: json!({}) }),
            (_, Finish::Length) => {
                let detail = format!("ran out of tokens in a call of `{name}`, raise maxTokens");
                Err(self.errors.error(FailureClass::BadRequest, detail))
            }
            (_, Finish::Stop | Finish::ContentFilter) => {
                let detail = format!("called `{name}` with arguments that are no JSON object");
                Err(self.errors.error(FailureClass::Protocol, detail))
            }
        }
    }
}

#[derive(Deserialize)]
struct Chunk {
    id: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<CallPart>>,
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

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        let details = usage.prompt_tokens_details;
        Self {
            prompt_tokens: usage.prompt_tokens.unwrap_or_default(),
            completion_tokens: usage.completion_tokens.unwrap_or_default(),
            cached_prompt_tokens: details.and_then(|d| d.cached_tokens).unwrap_or_default(),
        }
    }
}
