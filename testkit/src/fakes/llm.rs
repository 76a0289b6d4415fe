use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use offhook_core::{Finish, Message, ToolCall};
use offhook_providers::{
    ProviderError,
    llm::{Llm, LlmCapabilities, LlmEvent, LlmRequest, LlmStream},
    stt::Opening,
};
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};

use super::Sessions;

/// A model that answers by a script.
#[derive(Clone)]
pub struct FakeLlm {
    pub sessions: Sessions,
    /// From a request to its first token.
    pub first_token: Duration,
    pub between_tokens: Duration,
    warmed: Arc<AtomicUsize>,
    script: Arc<Script>,
}

/// Says what to answer to a conversation.
type Script = dyn Fn(&[Message]) -> Reply + Send + Sync;

/// What the model does.
#[derive(Clone, Debug)]
pub enum Reply {
    Say(String),
    /// Says something (or nothing) and calls a tool.
    Call {
        say: String,
        tool: String,
        arguments: Value,
    },
    /// Says something (or nothing) and is cut off.
    CutOff {
        say: String,
        finish: Finish,
    },
    Fail(ProviderError),
}

/// One line of a simple script: when the caller's last words contain the first, say the second.
pub type Line = (&'static str, &'static str);

/// Messages between a reply and its reader.
const CHANNEL: usize = 64;

impl FakeLlm {
    pub fn new(script: impl Fn(&[Message]) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            sessions: Sessions::default(),
            first_token: Duration::from_millis(120),
            between_tokens: Duration::from_millis(15),
            warmed: Arc::default(),
            script: Arc::new(script),
        }
    }

    /// Answers by the first line whose key the caller's last words contain.
    pub fn lines(lines: &'static [Line]) -> Self {
        Self::new(move |messages| {
            let said = last_user(messages);
            let line = lines.iter().find(|(key, _)| said.contains(key));
            Reply::Say(line.map_or("pardon", |(_, answer)| answer).to_owned())
        })
    }

    /// How often it was told that it will be asked soon.
    pub fn warmed(&self) -> usize {
        self.warmed.load(Ordering::Acquire)
    }
}

/// What the caller said last.
pub fn last_user(messages: &[Message]) -> &str {
    let users = messages.iter().rev().filter_map(|message| match message {
        Message::User { content } => Some(content.as_str()),
        Message::System { .. }
        | Message::Assistant { .. }
        | Message::ToolCalls { .. }
        | Message::ToolResult { .. } => None,
    });
    users.take(1).next().unwrap_or_default()
}

impl Llm for FakeLlm {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities { tools: true, assistant_prefill: false }
    }

    fn warm(&self) {
        self.warmed.fetch_add(1, Ordering::AcqRel);
    }

    fn generate(&self, request: LlmRequest) -> Opening<LlmStream> {
        let (output, events) = mpsc::channel(CHANNEL);
        let fake = self.clone();
        Box::pin(async move {
            let reply = (fake.script)(&request.messages);
            if let Reply::Fail(error) = reply {
                return Err(error);
            }
            tokio::spawn(async move { fake.stream(reply, output).await });
            Ok(LlmStream { events })
        })
    }
}

impl FakeLlm {
    async fn stream(self, reply: Reply, output: mpsc::Sender<Result<LlmEvent, ProviderError>>) {
        let session = self.sessions.begin();
        sleep(self.first_token).await;
        let (text, call, finish) = match reply {
            Reply::Say(text) => (text, None, Finish::Stop),
            Reply::Call { say, tool, arguments } => {
                let id = format!("call-{}", self.sessions.opened());
                (say, Some(ToolCall { id, name: tool, arguments }), Finish::Stop)
            }
            Reply::CutOff { say, finish } => (say, None, finish),
            Reply::Fail(_) => (String::new(), None, Finish::Stop),
        };
        for token in text.split_inclusive(' ') {
            if output.send(Ok(LlmEvent::Text(token.to_owned()))).await.is_err() {
                return;
            }
            sleep(self.between_tokens).await;
        }
        if let Some(call) = call
            && output.send(Ok(LlmEvent::ToolCall(call))).await.is_err()
        {
            return;
        }
        // A reader that is gone has cancelled.
        let _ = output.send(Ok(LlmEvent::Finished(finish))).await;
        drop(session);
    }
}
