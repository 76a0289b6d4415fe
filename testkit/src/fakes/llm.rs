use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use offhook_core::{FailureClass, Finish, Message, ToolCall};
use offhook_providers::{
    ProviderError,
    llm::{Llm, LlmCapabilities, LlmEvent, LlmRequest, LlmStream, Unheard},
    stt::Opening,
};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};

use super::Sessions;

/// A model that answers by a script.
#[derive(Clone)]
pub struct FakeLlm {
    pub sessions: Sessions,
    /// From a request to its first token.
    pub first_token: Duration,
    pub between_tokens: Duration,
    /// How long it writes a tool call, which is told as a whole.
    pub call_takes: Duration,
    /// What it makes of the beginning of a reply that broke off.
    pub resuming: Resuming,
    drop_all: Arc<Notify>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    warmed: Arc<AtomicUsize>,
    script: Arc<Script>,
}

/// What a model does that is given the beginning of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resuming {
    /// Goes on with the next word.
    GoesOn,
    /// Repeats some of the last words first.
    RepeatsWords(usize),
    /// Says all of it again.
    StartsAgain,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    Refuse(ProviderError),
    /// The stream is closed after so many words; 0: before the first.
    DieAfter(usize),
    /// Nothing comes after so many words, and no error.
    HangAfter(usize),
    /// The first token takes this long.
    Slow(Duration),
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

/// Between two pieces of a tool call.
const PIECE_OF_CALL: Duration = Duration::from_millis(100);

/// Messages between a reply and its reader.
const CHANNEL: usize = 64;

impl FakeLlm {
    pub fn new(script: impl Fn(&[Message]) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            sessions: Sessions::default(),
            first_token: Duration::from_millis(120),
            between_tokens: Duration::from_millis(15),
            call_takes: Duration::ZERO,
            resuming: Resuming::GoesOn,
            drop_all: Arc::default(),
            faults: Arc::default(),
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

    /// Breaks the next requests, one fault each, in this order.
    pub fn break_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults().extend(faults);
    }

    /// Refuses so many of the next requests, as a provider does that is down.
    pub fn refuse(&self, requests: usize) {
        let error = ProviderError::new(FailureClass::Unavailable, "told to refuse");
        self.break_next(std::iter::repeat_n(Fault::Refuse(error), requests));
    }

    /// Closes every stream that is open now.
    pub fn drop_streams(&self) {
        self.drop_all.notify_waiters();
    }

    fn faults(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.answer(request, None)
    }

    fn resume(&self, request: LlmRequest, said: &str) -> Opening<LlmStream> {
        self.answer(request, Some(said.to_owned()))
    }
}

type Output = mpsc::Sender<Result<LlmEvent, ProviderError>>;

impl FakeLlm {
    fn answer(&self, request: LlmRequest, said: Option<String>) -> Opening<LlmStream> {
        let (output, events) = mpsc::channel(CHANNEL);
        let fake = self.clone();
        Box::pin(async move {
            let fault = fake.faults().pop_front();
            let mut reply = (fake.script)(&request.messages);
            if let Reply::Fail(error) = reply {
                return Err(error);
            }
            if let Some(Fault::Refuse(error)) = fault {
                return Err(error);
            }
            if let Some(said) = said {
                reply = fake.rest_of(reply, &said);
            }
            tokio::spawn(async move {
                let session = fake.sessions.begin();
                let dropped = fake.drop_all.clone();
                tokio::select! {
                    biased;
                    () = fake.stream(reply, fault, &output) => {}
                    () = dropped.notified() => die(&output).await,
                }
                drop(session);
            });
            Ok(LlmStream { events })
        })
    }

    /// What the model says that has said the beginning.
    fn rest_of(&self, reply: Reply, said: &str) -> Reply {
        let said = said.split_whitespace().count();
        let from = match self.resuming {
            Resuming::GoesOn => said,
            Resuming::RepeatsWords(words) => said.saturating_sub(words),
            Resuming::StartsAgain => 0,
        };
        let rest = |text: String| text.split_inclusive(' ').skip(from).collect();
        match reply {
            Reply::Say(text) => Reply::Say(rest(text)),
            Reply::Call { say, tool, arguments } => Reply::Call { say: rest(say), tool, arguments },
            Reply::CutOff { say, finish } => Reply::CutOff { say: rest(say), finish },
            Reply::Fail(error) => Reply::Fail(error),
        }
    }

    async fn stream(&self, reply: Reply, fault: Option<Fault>, output: &Output) {
        let (first_token, last) = match fault {
            Some(Fault::Slow(first_token)) => (first_token, None),
            Some(Fault::DieAfter(words)) => (self.first_token, Some((words, true))),
            Some(Fault::HangAfter(words)) => (self.first_token, Some((words, false))),
            Some(Fault::Refuse(_)) | None => (self.first_token, None),
        };
        sleep(first_token).await;
        let (text, call, finish) = match reply {
            Reply::Say(text) => (text, None, Finish::Stop),
            Reply::Call { say, tool, arguments } => {
                let id = format!("call-{}", self.sessions.opened());
                (say, Some(ToolCall { id, name: tool, arguments }), Finish::Stop)
            }
            Reply::CutOff { say, finish } => (say, None, finish),
            Reply::Fail(_) => (String::new(), None, Finish::Stop),
        };
        for (index, token) in text.split_inclusive(' ').enumerate() {
            if last.is_some_and(|(words, _)| words == index) {
                break;
            }
            if output.send(Ok(LlmEvent::Text(token.to_owned()))).await.is_err() {
                return;
            }
            sleep(self.between_tokens).await;
        }
        match last {
            Some((_, true)) => return die(output).await,
            Some((_, false)) => return output.closed().await,
            None => {}
        }
        let until = Instant::now() + self.call_takes;
        while call.is_some() && Instant::now() < until {
            if output.send(Ok(LlmEvent::Unheard(Unheard::Call))).await.is_err() {
                return;
            }
            sleep(PIECE_OF_CALL).await;
        }
        if let Some(call) = call
            && output.send(Ok(LlmEvent::ToolCall(call))).await.is_err()
        {
            return;
        }
        // A reader that is gone has cancelled.
        let _ = output.send(Ok(LlmEvent::Finished(finish))).await;
    }
}

/// Ends a stream as a connection that is lost does.
async fn die(output: &Output) {
    let error = ProviderError::new(FailureClass::Closed, "told to die");
    // A reader that is gone has cancelled.
    let _ = output.send(Err(error)).await;
}
