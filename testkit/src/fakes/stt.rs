use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use offhook_providers::{
    ProviderError,
    stt::{Opening, Replay, Stt, SttCapabilities, SttEvent, SttInput, SttRequest, SttSession},
};
use tokio::sync::{Notify, mpsc};

use super::Sessions;
use crate::tones::{Ear, text_of};

/// A transcriber that understands [`tones`](crate::tones).
#[derive(Clone)]
pub struct FakeStt {
    pub sessions: Sessions,
    /// Silence after which what was said is final.
    pub final_after: Duration,
    drop_all: Arc<Notify>,
    mute_all: Arc<Notify>,
    refusals: Arc<AtomicU32>,
}

/// Messages between a session and its user.
const CHANNEL: usize = 64;

impl Default for FakeStt {
    fn default() -> Self {
        Self {
            sessions: Sessions::default(),
            final_after: Duration::from_millis(200),
            drop_all: Arc::default(),
            mute_all: Arc::default(),
            refusals: Arc::default(),
        }
    }
}

impl FakeStt {
    /// Closes every session that is open now, as a provider that goes down does.
    pub fn drop_sessions(&self) {
        self.drop_all.notify_waiters();
    }

    /// Lets every session that is open now take audio and say nothing any more.
    pub fn fall_silent(&self) {
        self.mute_all.notify_waiters();
    }

    /// Refuses the next sessions, as many as this.
    pub fn refuse(&self, sessions: u32) {
        self.refusals.store(sessions, Ordering::Release);
    }
}

impl Stt for FakeStt {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities {
            formats: Vec::new(),
            native_end_of_turn: false,
            word_timings: false,
            replay: Replay::Burst,
            chunk: (Duration::from_millis(20), Duration::from_millis(200)),
            final_within: Some(Duration::from_millis(700)),
            keep_alive: None,
        }
    }

    fn open(&self, request: SttRequest) -> Opening<SttSession> {
        let refusals = self
            .refusals
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if refusals.is_ok() {
            let error = ProviderError::new(FailureClass::Unavailable, "told to refuse");
            return Box::pin(async move { Err(error) });
        }
        let (audio, input) = mpsc::channel(CHANNEL);
        let (output, events) = mpsc::channel(CHANNEL);
        let fake = self.clone();
        tokio::spawn(async move { fake.run(request.format, input, output).await });
        Box::pin(async move { Ok(SttSession { audio, events }) })
    }
}

/// A sample beyond this is sound, whatever it says.
const LOUD: u16 = 1_000;

type Output = mpsc::Sender<Result<SttEvent, ProviderError>>;

impl FakeStt {
    async fn run(self, format: AudioFormat, mut input: mpsc::Receiver<SttInput>, output: Output) {
        let _session = self.sessions.begin();
        let mut ear = Ear::new(format.sample_rate_hz);
        let mut words = Vec::new();
        let (mut is_silent, mut has_heard) = (false, false);
        loop {
            let input = tokio::select! {
                biased;
                input = input.recv() => input,
                () = self.mute_all.notified() => {
                    is_silent = true;
                    continue;
                }
                () = self.drop_all.notified() => {
                    let error = ProviderError::new(FailureClass::Closed, "told to drop");
                    let _ = output.send(Err(error)).await;
                    return;
                }
            };
            if is_silent && input.is_some() {
                continue;
            }
            let finalize = match input {
                Some(SttInput::Audio(audio)) => {
                    let samples = format.decode(&audio);
                    let is_loud = samples.iter().any(|sample| sample.unsigned_abs() > LOUD);
                    if is_loud && !std::mem::replace(&mut has_heard, true) {
                        let started = SttEvent::SpeechStarted { at: ear.position() };
                        if output.send(Ok(started)).await.is_err() {
                            return;
                        }
                    }
                    let new = ear.hear(&samples);
                    if !new.is_empty() {
                        words.extend(new);
                        let text = text_of(&words);
                        if output.send(Ok(SttEvent::Partial { text })).await.is_err() {
                            return;
                        }
                    }
                    ear.silence() >= self.final_after
                }
                Some(SttInput::Finalize) => ear.silence() >= Duration::from_millis(60),
                Some(SttInput::KeepAlive) => false,
                None => return,
            };
            if finalize && !words.is_empty() {
                let text = text_of(&std::mem::take(&mut words));
                // Up to where it was silent: words under way belong to the next text.
                let until = ear.position().saturating_sub(ear.silence());
                if output.send(Ok(SttEvent::Final { text, until })).await.is_err() {
                    return;
                }
            }
        }
    }
}
