//! A provider used for real, once: does it take this model or voice, and how fast is it?
//!
//! What it is given is canned, so that no caller has to find out whether a provider is well again.

use std::time::Duration;

use bytes::Bytes;
use offhook_core::{FailureClass, Message};
use offhook_media::{AudioFormat, Converter};
use offhook_providers::{
    ProviderError,
    llm::{Llm, LlmEvent, LlmRequest},
    stt::{Replay, Stt, SttInput, SttRequest},
    tts::{ContextId, Tts, TtsEvent, TtsInput, TtsRequest},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

/// Time for a session to open, or a request to be taken.
const OPEN_LIMIT: Duration = Duration::from_secs(8);

/// Time from there to the first token or sound.
const FIRST_LIMIT: Duration = Duration::from_secs(12);

/// Tokens that a model may write: it is to begin, no more.
pub const TOKENS_MAX: u64 = 16;

/// The format where a provider has no favourite.
const FORMAT: AudioFormat = AudioFormat::pcm16(16_000);

/// How long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Until the session was open, or the request taken.
    pub connect: Duration,
    /// From there to the first token or sound; transcribers have nothing to hear.
    pub first: Option<Duration>,
}

/// "Hello, can you hear me?", two seconds of synthetic speech in 8 kHz mu-law.
const SPEECH: &[u8] = include_bytes!("probe/hello.ulaw");

/// Lets a transcriber hear a sentence; whatever it answers shows that it listens.
pub async fn transcribe(provider: &dyn Stt) -> Result<Timing, ProviderError> {
    let capabilities = provider.capabilities();
    let format = favourite(&capabilities.formats);
    let asked = Instant::now();
    let opening = provider.open(SttRequest { format });
    let mut session = within(OPEN_LIMIT, "session", opening).await??;
    let connect = asked.elapsed();
    let speech = Converter::new(AudioFormat::mulaw(), format).convert_bytes(SPEECH.into());
    let (audio, rate) = (session.audio.clone(), capabilities.replay);
    let piece = format.bytes_in(capabilities.chunk.1.min(PIECE));
    let speaking = tokio::spawn(speak_to(audio, speech, piece, rate));
    let answer = within(FIRST_LIMIT, "answer to speech", session.events.recv()).await;
    speaking.abort();
    match answer? {
        Some(Ok(_)) => Ok(Timing { connect, first: None }),
        Some(Err(error)) => Err(error),
        None => Err(cut_off("session")),
    }
}

/// Longest piece of speech that is sent at once.
const PIECE: Duration = Duration::from_millis(200);

/// Sends speech as fast as the provider may have it, and asks for the text of it.
async fn speak_to(audio: mpsc::Sender<SttInput>, speech: Bytes, piece: usize, replay: Replay) {
    let pace = match replay {
        Replay::Rate(rate) => PIECE.div_f32(rate),
        Replay::Burst | Replay::ResumeUrl | Replay::Batch => Duration::ZERO,
    };
    let mut rest = speech;
    while !rest.is_empty() {
        let next = rest.split_to(piece.min(rest.len()));
        // A session that has ended says why in its events.
        if audio.send(SttInput::Audio(next)).await.is_err() {
            return;
        }
        sleep(pace).await;
    }
    let _ = audio.send(SttInput::Finalize).await;
    // What the provider is sent must not end before its answer is here.
    std::future::pending::<()>().await;
}

/// Asks for a word.
pub async fn ask(provider: &dyn Llm) -> Result<Timing, ProviderError> {
    let messages = vec![Message::User { content: "Say yes.".into() }];
    let request = LlmRequest { messages, tools: Vec::new() };
    let asked = Instant::now();
    let mut reply = within(OPEN_LIMIT, "answer", provider.generate(request)).await??;
    let connect = asked.elapsed();
    loop {
        let event = within(FIRST_LIMIT, "token", reply.events.recv()).await?;
        match event {
            Some(Ok(LlmEvent::Usage(_) | LlmEvent::Unheard(_))) => {}
            // A model that thinks may have spent its tokens on that.
            Some(Ok(LlmEvent::Text(_) | LlmEvent::ToolCall(_) | LlmEvent::Finished(_))) => {
                let first = Some(asked.elapsed() - connect);
                return Ok(Timing { connect, first });
            }
            Some(Err(error)) => return Err(error),
            None => return Err(cut_off("reply")),
        }
    }
}

/// Has a word spoken.
pub async fn speak(provider: &dyn Tts) -> Result<Timing, ProviderError> {
    let format = favourite(&provider.capabilities().formats);
    let asked = Instant::now();
    let mut session = within(OPEN_LIMIT, "session", provider.open(TtsRequest { format })).await??;
    let connect = asked.elapsed();
    let context = ContextId(1);
    for input in [TtsInput::Text { context, text: "Hello.".into() }, TtsInput::Finish { context }] {
        // A session that has ended says why in its events.
        let _ = within(OPEN_LIMIT, "room for text", session.input.send(input)).await?;
    }
    loop {
        match within(FIRST_LIMIT, "sound", session.events.recv()).await? {
            Some(Ok(TtsEvent::Audio { .. })) => {
                let first = Some(asked.elapsed() - connect);
                return Ok(Timing { connect, first });
            }
            Some(Ok(TtsEvent::Words { .. })) => {}
            Some(Ok(TtsEvent::Done { .. })) => {
                let detail = "it finished without a sound";
                return Err(ProviderError::new(FailureClass::Protocol, detail));
            }
            Some(Err(error)) => return Err(error),
            None => return Err(cut_off("session")),
        }
    }
}

fn favourite(formats: &[AudioFormat]) -> AudioFormat {
    formats.first().copied().unwrap_or(FORMAT)
}

fn cut_off(what: &str) -> ProviderError {
    ProviderError::new(FailureClass::Closed, format!("the {what} was cut off"))
}

async fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T, ProviderError> {
    timeout(limit, future).await.map_err(|_| {
        let detail = format!("no {what} within {} s", limit.as_secs());
        ProviderError::new(FailureClass::Timeout, detail)
    })
}
