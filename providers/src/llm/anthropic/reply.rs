//! Puts a streamed reply together: pure.

use offhook_core::{FailureClass, Finish};
use serde::Deserialize;
use serde_json::Value;

use super::ERRORS;
use crate::{
    ProviderError,
    llm::{
        LlmEvent, Unheard, Usage,
        calls::{CallDraft, begin},
        stream::Assemble,
    },
    net::sse::SseEvent,
};

/// The state of one reply.
#[derive(Default)]
pub(super) struct Reply {
    calls: Vec<CallDraft>,
    usage: WireUsage,
    /// What was told of it.
    told: Usage,
    finish: Option<Finish>,
    /// `message_stop` was read.
    done: bool,
}

impl Assemble for Reply {
    fn handle(&mut self, event: &SseEvent) -> Result<Vec<LlmEvent>, ProviderError> {
        let data = event.data.trim();
        if data.is_empty() || self.done {
            return Ok(Vec::new());
        }
        let data: Value = serde_json::from_str(data).map_err(|e| ERRORS.unreadable(&e))?;
        if data["type"] == "error" {
            return Err(ERRORS.in_stream(&data));
        }
        let event = Event::deserialize(data).map_err(|e| ERRORS.unreadable(&e))?;
        self.handle_event(event)
    }

    fn is_complete(&self) -> bool {
        self.done
    }

    fn has_finish_reason(&self) -> bool {
        self.finish.is_some()
    }

    fn finish(&mut self) -> Result<Vec<LlmEvent>, ProviderError> {
        let Some(finish) = self.finish else {
            let detail = "the reply ended without a reason to stop";
            return Err(ERRORS.error(FailureClass::Closed, detail));
        };
        let usage = self.untold_usage().map(LlmEvent::Usage);
        Ok(usage.into_iter().chain([LlmEvent::Finished(finish)]).collect())
    }
}

impl Reply {
    fn handle_event(&mut self, event: Event) -> Result<Vec<LlmEvent>, ProviderError> {
        match event {
            Event::MessageStart { message } => {
                // The prompt is paid for, though the caller may interrupt the reply to it. The
                // tokens of the reply are counted at its end.
                self.usage.update(WireUsage { output_tokens: None, ..message.usage });
                Ok(self.untold_usage().map(LlmEvent::Usage).into_iter().collect())
            }
            Event::ContentBlockStart { index, content_block } => self.start(index, content_block),
            Event::ContentBlockDelta { index, delta } => self.add(index, delta),
            Event::MessageDelta { delta, usage } => {
                self.usage.update(usage);
                let Some(reason) = delta.stop_reason else { return Ok(Vec::new()) };
                let finish = read_finish(&reason);
                self.finish = Some(finish);
                let calls = std::mem::take(&mut self.calls).into_iter();
                let read = calls.map(|call| call.read(ERRORS, finish));
                let read = read.filter_map(Result::transpose);
                read.map(|call| call.map(LlmEvent::ToolCall)).collect()
            }
            Event::MessageStop => {
                self.done = true;
                Ok(Vec::new())
            }
            Event::Other => Ok(Vec::new()),
        }
    }

    /// What was counted beyond what was told: later counts contain the earlier ones.
    fn untold_usage(&mut self) -> Option<Usage> {
        let total = self.usage.total()?;
        let told = std::mem::replace(&mut self.told, total);
        let more = Usage {
            prompt_tokens: total.prompt_tokens.saturating_sub(told.prompt_tokens),
            completion_tokens: total.completion_tokens.saturating_sub(told.completion_tokens),
            cached_prompt_tokens: total
                .cached_prompt_tokens
                .saturating_sub(told.cached_prompt_tokens),
            cache_write_tokens: total.cache_write_tokens.saturating_sub(told.cache_write_tokens),
            ..Usage::default()
        };
        (more != Usage::default()).then_some(more)
    }

    fn start(&mut self, index: u64, block: Block) -> Result<Vec<LlmEvent>, ProviderError> {
        match block {
            Block::Text { text } => Ok(spoken(text)),
            Block::ToolUse { id, name, input } => {
                let arguments = match input {
                    Some(Value::Object(input)) if !input.is_empty() => {
                        Value::Object(input).to_string()
                    }
                    Some(_) | None => String::new(),
                };
                let call = CallDraft { index: Some(index), id: Some(id), name, arguments };
                begin(&mut self.calls, call, ERRORS).map(|_| at_it(Unheard::Call))
            }
            Block::Other => Ok(at_it(Unheard::Thoughts)),
        }
    }

    fn add(&mut self, index: u64, delta: Delta) -> Result<Vec<LlmEvent>, ProviderError> {
        match delta {
            Delta::Text { text } => Ok(spoken(text)),
            Delta::InputJson { partial_json } => {
                let call = self.calls.iter_mut().find(|call| call.index == Some(index));
                // A block of another kind, such as a tool of the provider's own, is no call of ours.
                if let Some(call) = call {
                    call.arguments.push_str(&partial_json);
                    call.check_length(ERRORS)?;
                }
                Ok(at_it(Unheard::Call))
            }
            Delta::Other => Ok(at_it(Unheard::Thoughts)),
        }
    }
}

fn at_it(what: Unheard) -> Vec<LlmEvent> {
    vec![LlmEvent::Unheard(what)]
}

fn spoken(text: String) -> Vec<LlmEvent> {
    if text.is_empty() { Vec::new() } else { vec![LlmEvent::Text(text)] }
}

fn read_finish(reason: &str) -> Finish {
    match reason {
        "end_turn" | "tool_use" | "stop_sequence" | "pause_turn" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "refusal" => Finish::ContentFilter,
        other => {
            tracing::debug!(reason = other, "unknown reason to stop, taken for the end of a turn");
            Finish::Stop
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    MessageDelta {
        delta: Stop,
        #[serde(default)]
        usage: WireUsage,
    },
    MessageStop,
    /// `ping`, `content_block_stop`, and what is yet to be invented.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    usage: WireUsage,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Option<Value>,
    },
    /// Thoughts among others.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

/// Tokens as far as they were counted; later counts replace earlier ones.
#[derive(Default, Deserialize)]
struct WireUsage {
    /// Without those that were written to the cache or read from it.
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl WireUsage {
    fn update(&mut self, later: WireUsage) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens =
            later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
    }

    fn total(&self) -> Option<Usage> {
        let cached = self.cache_read_input_tokens.unwrap_or_default();
        let written = self.cache_creation_input_tokens.unwrap_or_default();
        Some(Usage {
            prompt_tokens: self.input_tokens? + written + cached,
            completion_tokens: self.output_tokens.unwrap_or_default(),
            cached_prompt_tokens: cached,
            cache_write_tokens: written,
            ..Usage::default()
        })
    }
}
