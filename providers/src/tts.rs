//! Text to speech.
//!
//! To add a provider, write `tts/yours.rs` and name it below.

use std::time::Duration;

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Access, BuildError, Net, ProviderError, registry::providers, stt::Opening};

providers! {
    Tts:
    cartesia,
    custom_voice,
    elevenlabs,
    local,
    openai,
}

mod requests;
mod samples;

/// What a provider can do, as data.
#[derive(Clone, Debug, PartialEq)]
pub struct TtsCapabilities {
    /// Formats it can produce, best first.
    pub formats: Vec<AudioFormat>,
    pub word_timings: bool,
    /// A session closes after this long without text.
    pub idle_limit: Option<Duration>,
    /// Longest text of one message, in characters.
    pub text_chars_max: usize,
    /// It takes text in pieces of any size; otherwise each piece must be a whole sentence or clause.
    pub streams_text: bool,
}

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct TtsRequest {
    /// Format of the audio wanted, one of the capabilities' formats.
    pub format: AudioFormat,
}

/// One stretch of speech in a session, numbered by the caller, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u32);

#[derive(Clone, Debug, PartialEq)]
pub enum TtsInput {
    /// Text to append to a context, ending at a word boundary.
    Text { context: ContextId, text: String },
    /// No more text for this context: speak what is left, then say `Done`.
    Finish { context: ContextId },
    /// Stop this context; nothing of it is wanted any more and no `Done` follows.
    Cancel { context: ContextId },
}

/// A word of a context and when it is spoken, from the first sample of the context.
#[derive(Clone, Debug, PartialEq)]
pub struct WordTiming {
    pub word: String,
    pub start: Duration,
    pub end: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TtsEvent {
    /// Whole samples in the session's format.
    Audio { context: ContextId, audio: Bytes },
    /// Timings of words, in order, for audio sent before or after.
    Words { context: ContextId, words: Vec<WordTiming> },
    /// All audio of a finished context was sent.
    Done { context: ContextId },
}

/// A running session. Dropping it ends it at once; its task, socket or child process go with it.
///
/// Both channels are bounded: a voice that is read slowly waits. The provider's side closes
/// `events` after it sent an error, or when the session ended in order after `input` was dropped.
pub struct TtsSession {
    pub input: mpsc::Sender<TtsInput>,
    pub events: mpsc::Receiver<Result<TtsEvent, ProviderError>>,
}

/// A text-to-speech provider, set up for one assistant.
pub trait Tts: Send + Sync {
    fn capabilities(&self) -> TtsCapabilities;

    /// The model that is asked, as the provider names it; empty where it has but one.
    fn model(&self) -> &str {
        ""
    }

    /// Connects. The caller bounds the wait; dropping the future gives up without a trace.
    fn open(&self, request: TtsRequest) -> Opening<TtsSession>;

    /// Something will be spoken soon: a voice whose sessions hold no connection makes one.
    /// Returns at once.
    fn warm(&self) {}
}
