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
    anyscale,
    cerebras,
    custom_llm,
    deep_seek,
    deepinfra,
    groq,
    inflection_ai,
    llama_cpp,
    minimax,
    mistral,
    ollama,
    openai,
    openrouter,
    scripted,
    together_ai,
    vllm,
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

impl LlmRequest {
    /// The same, for the rest of a reply that broke off after `said`.
    fn told_to_go_on(mut self, said: &str) -> Self {
        let content = said.trim_end().to_owned();
        self.messages.push(Message::Assistant { content, interrupted: false });
        self.messages.push(Message::System { content: BROKE_OFF.into() });
        self
    }
}

/// What the provider counted, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All of the prompt, whatever the cache had of it.
    pub prompt_tokens: u64,
    /// All of the reply, thoughts included.
    pub completion_tokens: u64,
    /// What of the prompt was read from the provider's cache.
    pub cached_prompt_tokens: u64,
    /// What of the prompt was written to it.
    pub cache_write_tokens: u64,
    /// What of the reply were thoughts.
    pub reasoning_tokens: u64,
    /// What the provider says that it costs, in billionths of a USD.
    pub cost_nano_usd: Option<u64>,
}

impl Usage {
    /// Adds what another reply took, or another part of the same.
    pub fn add(&mut self, more: Self) {
        self.prompt_tokens += more.prompt_tokens;
        self.completion_tokens += more.completion_tokens;
        self.cached_prompt_tokens += more.cached_prompt_tokens;
        self.cache_write_tokens += more.cache_write_tokens;
        self.reasoning_tokens += more.reasoning_tokens;
        if let Some(cost) = more.cost_nano_usd {
            *self.cost_nano_usd.get_or_insert(0) += cost;
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum LlmEvent {
    Text(String),
    /// A whole tool call; its arguments have been parsed.
    ToolCall(ToolCall),
    /// More came of what is not told piece by piece: the model is at it.
    Unheard(Unheard),
    /// Tokens beyond those that were told before: a reply may tell them in parts.
    Usage(Usage),
    /// The last event of a stream that ended in order. A stream that closes without it was cut.
    Finished(Finish),
}

/// What a model writes that is not told as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// A tool call, which is told when all of it is there. Some servers send it whole, and say
    /// nothing until then.
    Call,
    /// Thoughts, which never are.
    Thoughts,
}

/// A running reply. Dropping it cancels it at the provider.
pub struct LlmStream {
    pub events: mpsc::Receiver<Result<LlmEvent, ProviderError>>,
}

/// What a model is told whose reply broke off, where it does not go on by itself.
const BROKE_OFF: &str = "The line broke while you were speaking: the words right before this note \
    are the beginning of your reply, and the caller has heard them. Go on with the very next word. \
    Do not greet, do not apologise, do not repeat any of it.";

/// A language model, set up for one assistant.
pub trait Llm: Send + Sync {
    fn capabilities(&self) -> LlmCapabilities;

    /// The model that is asked, as the provider names it; empty where it has but one.
    fn model(&self) -> &str {
        ""
    }

    /// Sends the request; resolves when the provider accepted it. The caller bounds the wait.
    fn generate(&self, request: LlmRequest) -> Opening<LlmStream>;

    /// Sends a request whose reply broke off after `said`, for the rest of it. What comes may repeat
    /// what was said, or a part of it.
    fn resume(&self, request: LlmRequest, said: &str) -> Opening<LlmStream> {
        self.generate(request.told_to_go_on(said))
    }

    /// It will be asked soon: connects if there is no connection. Returns at once.
    fn warm(&self) {}
}
