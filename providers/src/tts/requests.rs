//! A voice that is asked once for each piece of text, and answers with raw audio.
//!
//! Pieces are spoken in the order in which they came. The next one is asked for while one is
//! spoken, so that the caller does not hear how long the voice takes to begin.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::{select, sync::mpsc, time::timeout};

use super::{ContextId, TtsEvent, TtsInput, TtsSession, samples::WholeSamples};
use crate::{
    ProviderError,
    net::http::{Resource, causes},
};

#[cfg(test)]
mod tests;

/// Messages that wait for the session; it takes them at once.
const INPUT_QUEUE: usize = 32;

/// Events that wait for their reader.
const EVENT_QUEUE: usize = 16;

/// Requests at once: what is spoken, and what comes next.
const REQUESTS_MAX: usize = 2;

/// Parts of a body that wait to be spoken. The network delivers some 10 kB in one: 0.2 s of 24 kHz.
const PART_QUEUE: usize = 32;

/// Texts that wait to be spoken. About half an hour of speech: more is a model gone astray.
const TEXTS_MAX: usize = 256;

/// A voice over HTTP, set up for one session.
pub(super) struct Voice {
    pub resource: Resource,
    pub format: AudioFormat,
    /// Longest wait for an answer, and for more of one.
    pub silence_limit: Duration,
    /// What is posted for a text.
    pub body: Box<dyn Fn(&str) -> Value + Send + Sync>,
}

pub(super) fn open(voice: Voice) -> TtsSession {
    let (input, inputs) = mpsc::channel(INPUT_QUEUE);
    let (output, events) = mpsc::channel(EVENT_QUEUE);
    let session = Session {
        voice: Arc::new(voice),
        items: VecDeque::new(),
        untold: VecDeque::new(),
        open: BTreeSet::new(),
    };
    tokio::spawn(async move {
        // Requests under way go with the session that reads their answers.
        let outcome = select! {
            () = output.closed() => return,
            outcome = session.run(inputs, &output) => outcome,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "voice session failed");
            // Nobody may be left to read it.
            let _ = output.send(Err(error)).await;
        }
    });
    TtsSession { input, events }
}

struct Session {
    voice: Arc<Voice>,
    items: VecDeque<Item>,
    untold: VecDeque<TtsEvent>,
    /// Contexts that were given text and are not finished.
    open: BTreeSet<ContextId>,
}

enum Item {
    Text { context: ContextId, text: String },
    Asked { context: ContextId, audio: Parts },
    Done { context: ContextId },
}

type Parts = mpsc::Receiver<Result<Bytes, ProviderError>>;

impl Item {
    fn context(&self) -> ContextId {
        match self {
            Self::Text { context, .. } | Self::Asked { context, .. } | Self::Done { context } => {
                *context
            }
        }
    }
}

impl Session {
    /// Runs until all is spoken that there is. Only the owner's interest bounds it, see `open`.
    async fn run(
        mut self,
        mut inputs: mpsc::Receiver<TtsInput>,
        output: &mpsc::Sender<Result<TtsEvent, ProviderError>>,
    ) -> Result<(), ProviderError> {
        let mut is_open = true;
        loop {
            self.ask_ahead();
            let untold = !self.untold.is_empty();
            if !is_open && !untold && self.items.is_empty() {
                return Ok(());
            }
            select! {
                biased; // What is cancelled is not told.
                input = inputs.recv(), if is_open => match input {
                    Some(input) => self.handle_input(input)?,
                    None => {
                        is_open = false;
                        let open = std::mem::take(&mut self.open);
                        self.items.extend(open.into_iter().map(|context| Item::Done { context }));
                    }
                },
                permit = output.reserve(), if untold => {
                    if let (Ok(permit), Some(event)) = (permit, self.untold.pop_front()) {
                        permit.send(Ok(event));
                    }
                }
                spoken = next(&mut self.items), if !untold && !self.items.is_empty() => {
                    self.untold.extend(spoken?);
                }
            }
        }
    }

    fn handle_input(&mut self, input: TtsInput) -> Result<(), ProviderError> {
        match input {
            TtsInput::Text { text, .. } if text.trim().is_empty() => {}
            TtsInput::Text { context, text } => {
                if self.items.len() >= TEXTS_MAX {
                    let detail = format!("{TEXTS_MAX} texts wait to be spoken");
                    return Err(self.voice.resource.peer.error(FailureClass::Stalled, detail));
                }
                self.open.insert(context);
                self.items.push_back(Item::Text { context, text });
            }
            TtsInput::Finish { context } => {
                self.open.remove(&context);
                self.items.push_back(Item::Done { context });
            }
            TtsInput::Cancel { context } => {
                self.open.remove(&context);
                self.items.retain(|item| item.context() != context);
                self.untold.retain(|event| context_of(event) != context);
            }
        }
        Ok(())
    }

    fn ask_ahead(&mut self) {
        let speakable = self.items.iter_mut().filter(|item| !matches!(item, Item::Done { .. }));
        for item in speakable.take(REQUESTS_MAX) {
            if let Item::Text { context, text } = item {
                let audio = ask(Arc::clone(&self.voice), std::mem::take(text));
                *item = Item::Asked { context: *context, audio };
            }
        }
    }
}

/// What the first item has to tell; an item that has told all is removed.
async fn next(items: &mut VecDeque<Item>) -> Result<Option<TtsEvent>, ProviderError> {
    let event = match items.front_mut() {
        Some(Item::Asked { context, audio }) => {
            let context = *context;
            let part = audio.recv().await.transpose()?;
            part.map(|audio| TtsEvent::Audio { context, audio })
        }
        Some(Item::Done { context }) => {
            let context = *context;
            items.pop_front();
            return Ok(Some(TtsEvent::Done { context }));
        }
        // Asked for before it comes to the front.
        Some(Item::Text { .. }) | None => None,
    };
    if event.is_none() {
        items.pop_front();
    }
    Ok(event)
}

/// Asks for a text to be spoken; nobody who listens is a request dropped.
fn ask(voice: Arc<Voice>, text: String) -> Parts {
    let (parts, audio) = mpsc::channel(PART_QUEUE);
    tokio::spawn(async move {
        let outcome = select! {
            () = parts.closed() => return,
            outcome = voice.speak(&text, &parts) => outcome,
        };
        if let Err(error) = outcome {
            // A receiver that is gone needs no error.
            let _ = parts.send(Err(error)).await;
        }
    });
    audio
}

impl Voice {
    async fn speak(
        &self,
        text: &str,
        parts: &mpsc::Sender<Result<Bytes, ProviderError>>,
    ) -> Result<(), ProviderError> {
        let peer = self.resource.peer;
        let limit = self.silence_limit;
        let mut answer = self.resource.post(&(self.body)(text), limit).await?;
        let request_id = answer.headers().get("x-request-id");
        tracing::debug!(provider = peer.provider, ?request_id, "speech accepted");
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let words = content_type.filter(|kind| is_text(kind)).map(str::to_owned);
        let mut samples = WholeSamples::default();
        let mut silent = true;
        loop {
            let part = match timeout(limit, answer.chunk()).await {
                Ok(Ok(Some(part))) => {
                    if let Some(kind) = words.as_deref().filter(|_| silent && is_readable(&part)) {
                        let detail = format!("answered with {kind}, expected raw audio");
                        return Err(peer.error(FailureClass::Protocol, detail));
                    }
                    samples.join(&part, self.format)
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    let detail = format!("the audio was cut off: {}", causes(&error));
                    return Err(peer.error(FailureClass::Closed, detail));
                }
                Err(_) => {
                    let detail = format!("the audio was silent for {limit:?}");
                    return Err(peer.error(FailureClass::Stalled, detail));
                }
            };
            if !part.is_empty() {
                silent = false;
                // A receiver that is gone ends the task; it need not be told.
                let _ = parts.send(Ok(part)).await;
            }
        }
        if silent && text.chars().any(char::is_alphanumeric) {
            return Err(peer.error(FailureClass::Protocol, "answered with no audio to a text"));
        }
        Ok(())
    }
}

/// Whether an answer claims to be something to read, such as an error with the wrong status. Some
/// web frameworks claim it of anything, so that alone proves nothing.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.trim_start().to_ascii_lowercase();
    kind.starts_with("text/") || kind.starts_with("application/json")
}

/// Whether the beginning of a body can be read; that of audio is close to silence.
fn is_readable(part: &[u8]) -> bool {
    part.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

fn context_of(event: &TtsEvent) -> ContextId {
    match event {
        TtsEvent::Audio { context, .. }
        | TtsEvent::Words { context, .. }
        | TtsEvent::Done { context } => *context,
    }
}
