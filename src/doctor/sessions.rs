//! A provider used for real, once: does it take this model or voice, and how fast is it?

use std::time::{Duration, Instant};

use offhook_core::{FailureClass, Message};
use offhook_media::AudioFormat;
use offhook_providers::{
    ProviderError,
    llm::{Llm, LlmEvent, LlmRequest},
    stt::{Stt, SttRequest},
    tts::{ContextId, Tts, TtsEvent, TtsInput, TtsRequest},
};
use tokio::time::timeout;

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

/// Opens a session and closes it.
pub async fn transcribe(provider: &dyn Stt) -> Result<Timing, ProviderError> {
    let format = favourite(&provider.capabilities().formats);
    let asked = Instant::now();
    let session = within(OPEN_LIMIT, "session", provider.open(SttRequest { format })).await??;
    let connect = asked.elapsed();
    drop(session);
    Ok(Timing { connect, first: None })
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
            Some(Ok(LlmEvent::Usage(_))) => {}
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

#[cfg(test)]
mod tests {
    use offhook_testkit::fakes::{FakeLlm, FakeStt, FakeTts};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_stage_is_used_once_and_timed() {
        assert_eq!(transcribe(&FakeStt::default()).await.unwrap().first, None);
        assert!(speak(&FakeTts::default()).await.unwrap().first.is_some());
        assert!(ask(&FakeLlm::lines(&[("", "Yes.")])).await.unwrap().first.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_is_not_waited_for() {
        let error = within(OPEN_LIMIT, "session", std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Timeout);
        assert!(error.detail.contains("no session within 8 s"), "{error}");
    }
}
