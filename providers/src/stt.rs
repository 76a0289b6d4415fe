//! Speech to text.
//!
//! To add a provider, write `stt/yours.rs` and name it below.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{Access, BuildError, Net, ProviderError, registry::providers};

providers! {
    Stt:
    custom_transcriber,
    deepgram,
    local,
}

/// How a provider may be given audio again that it (or another) lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Replay {
    /// As fast as the socket takes it.
    Burst,
    /// At most this multiple of real time, or the provider closes.
    Rate(f32),
    /// The provider kept it: reconnect to the same session.
    ResumeUrl,
    /// Through its request-response endpoint.
    Batch,
}

/// What a provider can do, as data.
#[derive(Clone, Debug, PartialEq)]
pub struct SttCapabilities {
    /// Formats it takes, best first. Empty: any linear PCM rate and mu-law.
    pub formats: Vec<AudioFormat>,
    /// It judges itself when the caller's turn is over.
    pub native_end_of_turn: bool,
    pub word_timings: bool,
    pub replay: Replay,
    /// Shortest and longest piece of audio in one message.
    pub chunk: (Duration, Duration),
    /// How long after [`SttInput::Finalize`] the final text of a partial comes at the latest; `None`:
    /// it may never, or nobody knows.
    pub final_within: Option<Duration>,
    /// Send [`SttInput::KeepAlive`] this often while no audio flows.
    pub keep_alive: Option<Duration>,
}

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct SttRequest {
    /// Format of the audio that will be sent, one of the capabilities' formats.
    pub format: AudioFormat,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SttInput {
    /// Whole samples in the session's format, in order, never empty.
    Audio(Bytes),
    /// Turn what was sent so far into final text now: the call's own endpointing is sure.
    Finalize,
    KeepAlive,
}

/// Times are positions in the audio of this session, from its first sample.
#[derive(Clone, Debug, PartialEq)]
pub enum SttEvent {
    SpeechStarted {
        at: Duration,
    },
    /// Replaces the partial before it.
    Partial {
        text: String,
    },
    /// Text that will not change, for audio up to `until`.
    Final {
        text: String,
        until: Duration,
    },
    /// The language of most words of the [`SttEvent::Final`] before it, as a BCP 47 tag, and how many
    /// they are. Only where the provider listens for several.
    Language {
        language: String,
        words: u32,
    },
    /// The provider thinks that the turn may be over: the last [`SttEvent::Partial`] is all of it,
    /// unless [`SttEvent::TurnResumed`] follows. Only where the document asks for it.
    EagerEndOfTurn,
    /// The caller went on after [`SttEvent::EagerEndOfTurn`].
    TurnResumed,
    /// The provider judges that the turn is over.
    EndOfTurn,
    /// No word has followed the last one for a second or so, whatever else is heard on the line. It
    /// says nothing about the turn.
    WordsPaused,
}

/// A running session. Dropping it ends it at once; its task and socket go with it.
///
/// Both channels are bounded. The provider's side closes `events` after it sent an error, or
/// when the session ended in order after `audio` was dropped.
pub struct SttSession {
    pub audio: mpsc::Sender<SttInput>,
    pub events: mpsc::Receiver<Result<SttEvent, ProviderError>>,
}

pub type Opening<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send>>;

/// A speech-to-text provider, set up for one assistant.
pub trait Stt: Send + Sync {
    fn capabilities(&self) -> SttCapabilities;

    /// The model that is asked, as the provider names it; empty where it has but one.
    fn model(&self) -> &str {
        ""
    }

    /// Connects. The caller bounds the wait; dropping the future gives up without a trace.
    fn open(&self, request: SttRequest) -> Opening<SttSession>;
}
