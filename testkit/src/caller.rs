//! A synthetic caller: speaks over a websocket leg in real time, and keeps what a person would hear.
//!
//! The caller has a microphone that never stops (silence between its lines) and a loudspeaker that
//! plays what arrives in real time, so both tracks of [`Heard`] lie on one clock: sample `n` of one
//! and of the other belong to the same moment. When a line is due is decided by what the
//! loudspeaker has played, not by what the server claims.
//!
//! Assumptions:
//! - Agent audio below an RMS of 150 is silence; speech pauses for less than
//!   [`CallerOptions::turn_gap`] within a turn.
//! - The leg is Vapi's websocket transport (binary audio, JSON text).

mod level;
mod loudspeaker;
pub mod script;
mod session;
pub mod synth;
#[cfg(test)]
mod tests;
mod wav;

use std::sync::Arc;
use std::time::Duration;

use offhook_media::AudioFormat;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub use session::call_over;
pub use wav::read_wav;

/// Time for the connection and the websocket handshake; a server that needs longer is not ready.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The longest message the caller reads, in bytes: forty seconds of the widest audio.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// One call: where to, and what is said.
pub struct CallerOptions {
    /// `transport.websocketCallUrl` of the call.
    pub websocket_url: String,
    /// The audio format that the call was created with.
    pub format: AudioFormat,
    pub lines: Vec<Line>,
    /// Speak the first line at once, not after the agent's first message.
    pub speaks_first: bool,
    /// Silence of the agent, while the caller waits for it, after which the caller hangs up.
    pub patience: Duration,
    /// Silence of the agent, after it spoke, that hands the floor to the caller.
    pub turn_gap: Duration,
    /// The longest call; the caller then hangs up.
    pub limit: Duration,
    /// Sees each message of the server as it arrives, with the time since the call began.
    pub on_event: Option<EventObserver>,
}

pub type EventObserver = Box<dyn FnMut(Duration, &Value) + Send>;

impl CallerOptions {
    /// A patient caller who lets the agent speak first.
    pub fn new(websocket_url: impl Into<String>, format: AudioFormat, lines: Vec<Line>) -> Self {
        Self {
            websocket_url: websocket_url.into(),
            format,
            lines,
            speaks_first: false,
            patience: Duration::from_secs(20),
            turn_gap: Duration::from_millis(700),
            limit: Duration::from_secs(600),
            on_event: None,
        }
    }
}

/// What the caller does next. After the last line it hears the agent out, then hangs up.
#[derive(Clone, Debug)]
pub enum Line {
    /// Speaks once the agent has spoken and then been silent for the turn gap.
    Say(Spoken),
    /// Speaks when the agent has been speaking for `after`; as `Say` when it stops before that.
    Interrupt { after: Duration, spoken: Spoken },
    /// Keeps silent for a while.
    Wait(Duration),
    /// Hangs up at once.
    HangUp,
}

impl Line {
    /// A line spoken by `voice`, at the sample rate of the call.
    pub async fn say(
        text: &str,
        voice: &synth::Voice,
        sample_rate_hz: u32,
    ) -> Result<Self, CallerError> {
        let samples = synth::speak(text, voice, sample_rate_hz).await?;
        Ok(Self::Say(Spoken::new(text, samples)))
    }
}

/// Something to say, as audio at the sample rate of the call.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// What is said, or a name for it.
    pub label: String,
    samples: Arc<[i16]>,
    /// Where its last sound ends, in samples.
    sound_end: usize,
}

impl Spoken {
    /// Silence at its end is left out: the microphone sends silence anyway, and the end of the
    /// caller's speech is what latencies are counted from.
    pub fn new(label: impl Into<String>, mut samples: Vec<i16>) -> Self {
        let sound_end = level::sound_end(&samples);
        samples.truncate(sound_end + level::FADE_SAMPLES);
        Self { label: label.into(), samples: samples.into(), sound_end }
    }

    pub fn samples(&self) -> &[i16] {
        &self.samples
    }
}

/// What was said and heard in a call.
#[derive(Clone, Debug)]
pub struct Heard {
    pub sample_rate_hz: u32,
    /// What the caller's microphone sent.
    pub caller: Vec<i16>,
    /// What the caller's loudspeaker played; as long as `caller`.
    pub agent: Vec<i16>,
    /// The server's messages, with the time since the call began.
    pub events: Vec<(Duration, Value)>,
    /// The agent's answers to lines; a line that got none has no entry.
    pub turns: Vec<TurnTiming>,
    /// What the server did against the protocol, such as audio of half a sample.
    pub complaints: Vec<String>,
    /// Audio that had arrived and was not yet played when the call ended.
    pub unplayed: Duration,
    pub closed: CloseInfo,
}

/// How long a caller waited for an answer, as the caller's ears know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnTiming {
    /// The label of the line that was answered.
    pub label: String,
    /// The end of the line's last sound.
    pub caller_speech_end: Duration,
    /// The beginning of the agent's first sound after it.
    pub agent_first_audio: Duration,
}

impl TurnTiming {
    pub fn latency(&self) -> Duration {
        self.agent_first_audio.saturating_sub(self.caller_speech_end)
    }
}

/// How the call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseInfo {
    pub by: ClosedBy,
    /// The code of the server's close frame.
    pub code: Option<u16>,
    /// The reason in the server's close frame, or what became of the connection.
    pub reason: String,
    /// When the caller's line went dead: the length of both tracks.
    pub at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The caller had said everything, or its script hung up.
    Caller,
    /// The caller hung up because the agent did not answer within the patience.
    OutOfPatience,
    /// The caller hung up because the call had lasted for its limit.
    TimeLimit,
    /// The server closed the call.
    Agent,
    /// The connection broke.
    Lost,
}

/// Why a call could not be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    #[error("connecting a call to {url} failed: {reason}")]
    Connect { url: String, reason: String },
    #[error("`{program}` is not installed: apt-get install {package}")]
    NotInstalled { program: String, package: String },
    #[error("unknown voice `{voice}`, expected one of: {known}")]
    UnknownVoice { voice: String, known: String },
    #[error("speaking a line with `{program}` failed: {reason}")]
    Synthesis { program: String, reason: String },
    #[error("reading {path} as WAV failed: {reason}")]
    Wav { path: String, reason: String },
}

/// Places a call and holds it to its end.
pub async fn call(options: CallerOptions) -> Result<Heard, CallerError> {
    let failed = |reason: String| CallerError::Connect {
        url: without_query(&options.websocket_url).into(),
        reason,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    // Nagle's algorithm holds small messages back: frames would arrive in pairs.
    let nodelay = true;
    let connect = connect_async_with_config(&options.websocket_url, Some(config), nodelay);
    let (socket, _response) = timeout(CONNECT_LIMIT, connect)
        .await
        .map_err(|_| failed(format!("no answer within {} s", CONNECT_LIMIT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    Ok(call_over(socket, options).await)
}

/// The query may hold a token.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}
