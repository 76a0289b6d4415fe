use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use offhook_providers::{
    ProviderError,
    stt::Opening,
    tts::{
        ContextId, Tts, TtsCapabilities, TtsEvent, TtsInput, TtsRequest, TtsSession, WordTiming,
    },
};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

use super::Sessions;
use crate::tones;

/// A voice that speaks in [`tones`](crate::tones).
#[derive(Clone)]
pub struct FakeTts {
    pub sessions: Sessions,
    /// How long it takes to connect.
    pub connect: Duration,
    /// From a piece of text to its first audio.
    pub first_audio: Duration,
    /// How much faster than speech audio comes.
    pub speed: u32,
    drop_all: Arc<Notify>,
    is_mute: Arc<AtomicBool>,
    refusals: Arc<AtomicU32>,
}

/// Messages between a session and its user.
const CHANNEL: usize = 64;

impl Default for FakeTts {
    fn default() -> Self {
        Self {
            sessions: Sessions::default(),
            connect: Duration::ZERO,
            first_audio: Duration::from_millis(80),
            speed: 10,
            drop_all: Arc::default(),
            is_mute: Arc::default(),
            refusals: Arc::default(),
        }
    }
}

impl FakeTts {
    /// Closes every session that is open now, as a provider that goes down does.
    pub fn drop_sessions(&self) {
        self.drop_all.notify_waiters();
    }

    /// Takes text and says nothing, in sessions old and new; `false`: speaks again.
    pub fn fall_silent(&self, is_mute: bool) {
        self.is_mute.store(is_mute, Ordering::Release);
    }

    /// Refuses the next sessions, as many as this.
    pub fn refuse(&self, sessions: u32) {
        self.refusals.store(sessions, Ordering::Release);
    }
}

impl Tts for FakeTts {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities {
            formats: vec![AudioFormat::pcm16(16_000), AudioFormat::mulaw()],
            word_timings: true,
            idle_limit: None,
            text_chars_max: 10_000,
            streams_text: true,
        }
    }

    fn open(&self, request: TtsRequest) -> Opening<TtsSession> {
        let refusals = self
            .refusals
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if refusals.is_ok() {
            let error = ProviderError::new(FailureClass::Unavailable, "told to refuse");
            return Box::pin(async move { Err(error) });
        }
        let (input, texts) = mpsc::channel(CHANNEL);
        let (output, events) = mpsc::channel(CHANNEL);
        let fake = self.clone();
        tokio::spawn(async move {
            let session = fake.sessions.begin();
            let speaking = speak(&fake, request.format, texts, &output);
            tokio::select! {
                biased;
                () = speaking => {}
                () = fake.drop_all.notified() => {
                    let error = ProviderError::new(FailureClass::Closed, "told to drop");
                    let _ = output.send(Err(error)).await;
                }
            }
            drop(session);
        });
        let connect = self.connect;
        Box::pin(async move {
            sleep(connect).await;
            Ok(TtsSession { input, events })
        })
    }
}

type Output = mpsc::Sender<Result<TtsEvent, ProviderError>>;

async fn speak(
    fake: &FakeTts,
    format: AudioFormat,
    mut texts: mpsc::Receiver<TtsInput>,
    output: &Output,
) {
    let mut spoken: BTreeMap<ContextId, Duration> = BTreeMap::new();
    while let Some(input) = texts.recv().await {
        if fake.is_mute.load(Ordering::Acquire) {
            continue;
        }
        match input {
            TtsInput::Text { context, text } => {
                sleep(fake.first_audio).await;
                for word in text.split_whitespace() {
                    if fake.is_mute.load(Ordering::Acquire) {
                        break;
                    }
                    let start = spoken.get(&context).copied().unwrap_or_default();
                    let end = start + tones::WORD;
                    spoken.insert(context, end);
                    let timing = WordTiming { word: word.to_owned(), start, end };
                    let audio = format.encode(&tones::speak(word, format.sample_rate_hz));
                    let words = TtsEvent::Words { context, words: vec![timing] };
                    if output.send(Ok(words)).await.is_err()
                        || output.send(Ok(TtsEvent::Audio { context, audio })).await.is_err()
                    {
                        return;
                    }
                    sleep(tones::WORD / fake.speed).await;
                }
            }
            TtsInput::Finish { context } => {
                spoken.remove(&context);
                if output.send(Ok(TtsEvent::Done { context })).await.is_err() {
                    return;
                }
            }
            TtsInput::Cancel { context } => {
                spoken.remove(&context);
            }
        }
    }
}
