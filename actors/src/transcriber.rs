//! The actor that turns the caller's audio into text.
//!
//! The slot owns the position up to which text is final; a provider session is a leaf that may die
//! at any moment. Its successor is fed from that position, so that no word is lost with it.

mod feed;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use offhook_core::{CallTime, Event, FailureClass, Stage};
use offhook_media::AudioFormat;
use offhook_providers::{
    ProviderError,
    stt::{Stt, SttRequest},
};
use ractor::ActorProcessingErr;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use self::feed::{Feed, Listened};
use crate::{CallContext, Leaf, Port, Role, Staged, reopen::Reopening};

/// The transcriber of a call.
pub struct TranscriberActor {
    context: Arc<CallContext>,
    reopening: Reopening,
    session: Option<Session>,
}

struct Session {
    hints: mpsc::Sender<Hint>,
    _task: Leaf,
}

/// What the transcriber is told.
#[derive(Clone, Debug)]
pub enum TranscriberInput {
    /// The VAD hears silence after speech: text should become final now.
    CallerPaused,
    /// The caller's turn was taken.
    TurnTaken,
    /// The session ended; `None`: its task panicked.
    SessionEnded(Option<ProviderError>),
    /// Time to open a session again.
    Reopen,
}

/// What a successor goes on from.
#[derive(Default)]
pub struct TranscriberSlot {
    /// Position in the caller's audio up to which the text is final.
    committed: AtomicU64,
    /// Samples that each candidate was sent, repeated ones and silence for lost ones included.
    sent: Mutex<BTreeMap<usize, u64>>,
    /// The caller spoke, and final text of that has not come.
    owes: AtomicBool,
    /// Sessions in a row that were given up for saying nothing.
    silent_sessions: AtomicU32,
    /// The session at hand was given up for that, and not for an error.
    suspected: AtomicBool,
    /// A session was opened before.
    was_open: AtomicBool,
    /// One was lost, and its successor has not caught up with the caller.
    is_behind: AtomicBool,
}

impl TranscriberSlot {
    /// Begins at a later position than zero.
    pub(crate) fn begin_at(&self, position: u64) {
        self.committed.store(position, Ordering::Release);
    }

    fn sent(&self) -> MutexGuard<'_, BTreeMap<usize, u64>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_sent(&self, candidate: usize, samples: u64) {
        *self.sent().entry(candidate).or_default() += samples;
    }
}

#[derive(Clone, Copy, Debug)]
enum Hint {
    Finalize,
}

/// First wait before a lost session is opened again; the ring keeps what is said meanwhile.
const REOPEN_FIRST: Duration = Duration::from_millis(100);
/// Longest such wait: four of them fit into the ring.
const REOPEN_MAX: Duration = Duration::from_secs(5);

/// Hints waiting for the session; a second `Finalize` says nothing new.
const HINTS_MAX: usize = 4;

impl Role for TranscriberActor {
    const NAME: &'static str = "transcriber";
    type Input = TranscriberInput;

    fn port(context: &CallContext) -> &Port<TranscriberInput> {
        &context.ports.transcriber
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        let reopening = Reopening::new(&context, Stage::Transcriber, REOPEN_FIRST, REOPEN_MAX);
        let mut actor = Self { context, reopening, session: None };
        if actor.context.slots.transcriber.was_open.swap(true, Ordering::AcqRel) {
            actor.context.lost_transcriber();
        }
        actor.open();
        Ok(actor)
    }

    fn handle(&mut self, input: TranscriberInput) -> Result<(), ActorProcessingErr> {
        match input {
            TranscriberInput::CallerPaused | TranscriberInput::TurnTaken => {
                if let Some(session) = &self.session {
                    // Full: a hint is waiting already.
                    let _ = session.hints.try_send(Hint::Finalize);
                }
                Ok(())
            }
            TranscriberInput::Reopen => {
                self.open();
                Ok(())
            }
            TranscriberInput::SessionEnded(Some(error)) => {
                self.session = None;
                self.recover(error);
                Ok(())
            }
            TranscriberInput::SessionEnded(None) => {
                self.session = None;
                let detail = "the session task of the transcriber panicked";
                self.recover(ProviderError::new(FailureClass::Protocol, detail));
                Ok(())
            }
        }
    }
}

impl TranscriberActor {
    fn open(&mut self) {
        let (hints, from_actor) = mpsc::channel(HINTS_MAX);
        let context = self.context.clone();
        let task = Leaf::watched(
            self.context.ports.transcriber.clone(),
            async move { transcribe(context, from_actor).await },
            TranscriberInput::SessionEnded,
        );
        self.session = Some(Session { hints, _task: task });
    }

    fn recover(&mut self, error: ProviderError) {
        let reopen = (self.context.ports.transcriber.clone(), TranscriberInput::Reopen);
        let is_suspected = self.context.slots.transcriber.suspected.swap(false, Ordering::AcqRel);
        self.context.lost_transcriber();
        self.reopening.on_lost(&self.context, error, is_suspected, reopen);
    }
}

/// Runs one session until it fails.
async fn transcribe(context: Arc<CallContext>, hints: mpsc::Receiver<Hint>) -> ProviderError {
    let succession = context.succession(Stage::Transcriber);
    let candidate = succession.current();
    let Staged { name, provider, health } =
        context.spec.stages.transcriber.candidates()[candidate].clone();
    let opened = succession.opened.clone();
    let capabilities = provider.capabilities();
    let format = choose_format(&capabilities.formats, context.audio.format());
    let limit =
        context.patience(Stage::Transcriber, context.settings.calls.provider_connect_timeout);
    let asked = Instant::now();
    let session = match timeout(limit, provider.open(SttRequest { format })).await {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return error,
        Err(_) => {
            return ProviderError::new(
                FailureClass::Timeout,
                format!("no transcriber session within {limit:?}"),
            );
        }
    };
    metrics::histogram!("offhook_provider_ttfb_seconds", "kind" => "transcriber",
        "provider" => name.clone())
    .record(asked.elapsed().as_secs_f64());
    metrics::counter!("offhook_provider_requests_total", "kind" => "transcriber",
        "provider" => name, "outcome" => "ok")
    .increment(1);
    opened.store(true, Ordering::Release);
    context.succession(Stage::Transcriber).failover().on_served();
    context.answered(Stage::Transcriber);
    let listened = Listened { health, took: Some(asked.elapsed()) };
    let mut feed = Feed::new(context, candidate, listened, capabilities, format);
    match feed.run(session, hints).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// The format that needs the least conversion: the leg's own, else the provider's favourite.
pub(crate) fn choose_format(offered: &[AudioFormat], leg: AudioFormat) -> AudioFormat {
    if offered.is_empty() || offered.contains(&leg) {
        return leg;
    }
    offered
        .iter()
        .copied()
        .find(|format| format.sample_rate_hz == leg.sample_rate_hz)
        .unwrap_or(offered[0])
}

impl CallContext {
    /// Tells that what the caller says is heard later than usual.
    fn lost_transcriber(&self) {
        self.slots.transcriber.is_behind.store(true, Ordering::Release);
        self.tell(Event::TranscriberLost);
    }

    /// Audio that each transcriber was sent, which is what it charges.
    pub fn audio_transcribed(&self) -> Vec<(&Staged<dyn Stt>, Duration)> {
        let candidates = self.spec.stages.transcriber.candidates();
        let sent = self.slots.transcriber.sent();
        sent.iter()
            .map(|(&it, &samples)| (&candidates[it], self.audio.format().duration_of(samples)))
            .collect()
    }

    /// How far behind the caller the final text is.
    pub fn transcriber_lag(&self) -> Duration {
        let committed = self.slots.transcriber.committed.load(Ordering::Acquire);
        self.audio.format().duration_of(self.audio.speech_end().saturating_sub(committed))
    }

    /// The call's time of the last final text.
    pub fn transcribed_until(&self) -> CallTime {
        let committed = self.slots.transcriber.committed.load(Ordering::Acquire);
        self.audio.call_time(self.audio.format().duration_of(committed))
    }
}

#[cfg(test)]
mod tests;
