//! Language models.
//!
//! To add a provider, write `llm/yours.rs` and name it below.

use offhook_core::{Finish, Message, ToolCall, ToolSpec};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Access, BuildError, Net, ProviderError, registry::providers, stt::Opening};

mod asking;
mod body;
mod calls;
mod errors;
mod stream;

providers! {
    Llm:
    anthropic,
    cerebras,
    custom_llm,
    deep_seek,
    deepinfra,
    groq,
    minimax,
    openai,
    openrouter,
    scripted,
    together_ai,
    xai,
}

pub use scripted::grammar_from_rules;

/// What a provider can do, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LlmCapabilities {
    pub tools: bool,
    /// It goes on from a last message of the assistant instead of starting anew.
    pub assistant_prefill: bool,
}

/// One question to a model.
#[derive(Clone, Debug)]
pub struct LlmRequest {
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
}

/// What the provider counted, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_prompt_tokens: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LlmEvent {
    Text(String),
    /// A whole tool call; its arguments have been parsed.
    ToolCall(ToolCall),
    Usage(Usage),
    /// The last event of a stream that ended in order. A stream that closes without it was cut.
    Finished(Finish),
}

/// A running reply. Dropping it cancels it at the provider.
pub struct LlmStream {
    pub events: mpsc::Receiver<Result<LlmEvent, ProviderError>>,
}

/// A language model, set up for one assistant.
pub trait Llm: Send + Sync {
    fn capabilities(&self) -> LlmCapabilities;

    /// Sends the request; resolves when the provider accepted it. The caller bounds the wait.
    fn generate(&self, request: LlmRequest) -> Opening<LlmStream>;
}
