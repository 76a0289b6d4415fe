//! One session's way through the caller's audio.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use offhook_core::{Event, FailureClass};
use offhook_media::{AudioFormat, Converter};
use offhook_providers::{
    ProviderError,
    stt::{Replay, SttCapabilities, SttEvent, SttInput, SttSession},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::Hint;
use crate::{CallContext, HealthKey};

/// A provider that takes no audio for this long, with its buffers full, has stopped reading.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Shorter than this is no time for a socket.
const SEND_MIN: Duration = Duration::from_millis(50);

/// After the VAD has heard nothing for this long, no provider still owes text for what was said.
const SILENCE_FORGOTTEN: Duration = Duration::from_secs(5);

/// A feed that is behind by this is replaying.
const BEHIND: Duration = Duration::from_millis(600);

/// A feed that is behind by less has caught up with the caller.
const LIVE: Duration = Duration::from_millis(200);

/// Final text up to so long before the end of the caller's voice has all of their words in it.
const END_TOLERANCE: Duration = Duration::from_millis(300);

/// How long the last words of a replay may take; then there are none.
const LAST_WORDS_DUE: Duration = Duration::from_millis(800);

/// Speech shorter than this holds no word that a transcriber would owe us.
const WORD_MIN: Duration = Duration::from_millis(300);

/// Sessions given up in a row for saying nothing: after so many, what sounds is no speech.
const SILENT_SESSIONS_MAX: u32 = 4;

/// Silence kept when silence is forgotten, so that the next word has an onset: the VAD may miss the
/// first two short words, and a slow transcriber may not have told of them by then. Final text needs
/// no such margin: it ends between two words, and audio before it would be understood twice.
const SILENCE_KEPT: Duration = Duration::from_secs(1);

/// Nothing: a session only ends by failing or by being dropped.
pub(super) enum Never {}

/// Reports to the node once that the provider is well: when it answers, not when it connects.
pub(super) struct Listened {
    pub health: HealthKey,
    pub took: Option<Duration>,
}

/// One session's way through the caller's audio.
pub(super) struct Feed {
    context: Arc<CallContext>,
    /// Which of the call's transcribers it is.
    candidate: usize,
    listened: Listened,
    capabilities: SttCapabilities,
    converter: Converter,
    /// Position of the session's first sample.
    origin: u64,
    cursor: u64,
    opened: Instant,
    sent_at: Instant,
    heard_at: Instant,
    /// The caller's speech that has had no answer yet began here.
    speaking_since: Option<Instant>,
    /// The caller was speaking when we last looked.
    was_speaking: bool,
    /// Nobody has spoken since.
    quiet_since: Instant,
    /// A partial has come whose final has not.
    unfinished: bool,
    /// A former session owed text, and this one has not said anything yet.
    has_inherited: bool,
    /// It was asked for final text that it owes, and has said nothing since.
    asked_final_at: Option<Instant>,
    /// It has been given all that a former session was given.
    reached_at: Option<Instant>,
}

impl Feed {
    pub(super) fn new(
        context: Arc<CallContext>,
        candidate: usize,
        listened: Listened,
        capabilities: SttCapabilities,
        format: AudioFormat,
    ) -> Self {
        let leg = context.audio.format();
        let origin = context.slots.transcriber.committed.load(Ordering::Acquire);
        let backlog = context.audio.speech_end().saturating_sub(origin);
        metrics::counter!("offhook_replayed_audio_milliseconds_total")
            .increment(leg.duration_of(backlog).as_millis() as u64);
        let now = Instant::now();
        let owes = context.slots.transcriber.owes.load(Ordering::Acquire);
        Self {
            converter: Converter::new(leg, format),
            candidate,
            listened,
            capabilities,
            origin,
            cursor: origin,
            opened: now,
            sent_at: now,
            heard_at: now,
            speaking_since: owes.then_some(now),
            was_speaking: false,
            quiet_since: now,
            unfinished: false,
            has_inherited: owes,
            asked_final_at: None,
            reached_at: None,
            context,
        }
    }

    pub(super) async fn run(
        &mut self,
        mut session: SttSession,
        mut hints: mpsc::Receiver<Hint>,
    ) -> Result<Never, ProviderError> {
        let mut news = self.context.audio.speech_news();
        loop {
            let pause = self.send_audio(&session).await?;
            let wake = pause.unwrap_or_else(|| Instant::now() + Duration::from_millis(500));
            tokio::select! {
                // Hints are few, and a provider may say more than can be taken in.
                biased;
                hint = hints.recv() => match hint {
                    Some(Hint::Finalize) => self.finalize(&session).await?,
                    None => return Err(ProviderError::new(FailureClass::Closed, "abandoned")),
                },
                event = session.events.recv() => match event {
                    Some(Ok(event)) => self.on_event(event),
                    Some(Err(error)) => return Err(error),
                    None => {
                        return Err(ProviderError::new(
                            FailureClass::Closed,
                            "the transcriber ended its session",
                        ));
                    }
                },
                () = news.changed(), if pause.is_none() => {}
                () = sleep_until(wake) => {}
            }
            self.keep_alive(&session).await?;
            self.catch_up(&session).await?;
            self.watch_progress()?;
        }
    }

    /// Sends what is there; when the provider must not have it all at once, says when to go on.
    async fn send_audio(&mut self, session: &SttSession) -> Result<Option<Instant>, ProviderError> {
        let leg = self.context.audio.format();
        loop {
            let (shortest, longest) = self.capabilities.chunk;
            let room = match self.capabilities.replay {
                Replay::Rate(rate) => {
                    // A head start of one chunk, then the provider's own pace.
                    let allowed = self.opened.elapsed().mul_f32(rate) + longest;
                    let sent = leg.duration_of(self.cursor - self.origin);
                    allowed.saturating_sub(sent)
                }
                Replay::Burst | Replay::ResumeUrl | Replay::Batch => longest,
            };
            let waiting = self.context.audio.speech_end().saturating_sub(self.cursor);
            let available = leg.duration_of(waiting);
            if available < shortest.max(Duration::from_millis(1)) {
                return Ok(None);
            }
            if room < shortest.max(Duration::from_millis(20)) {
                return Ok(Some(Instant::now() + Duration::from_millis(20)));
            }
            let read = self.context.audio.read_speech(self.cursor, longest.min(room));
            if read.audio.is_empty() {
                return Ok(None);
            }
            if read.skipped > 0 {
                metrics::counter!("offhook_audio_lost_milliseconds_total")
                    .increment(leg.duration_of(read.skipped).as_millis() as u64);
                // What is lost is silence to the provider: its clock stays that of the leg.
                let silence = leg.silence(read.skipped);
                let silence = self.converter.convert_bytes(silence);
                push(session, SttInput::Audio(silence), self.send_limit()).await?;
            }
            self.cursor = read.at + leg.samples_in_bytes(read.audio.len());
            let audio = self.converter.convert_bytes(read.audio.clone());
            if !audio.is_empty() {
                push(session, SttInput::Audio(audio), self.send_limit()).await?;
                self.sent_at = Instant::now();
            }
            let samples = leg.samples_in_bytes(read.audio.len()) + read.skipped;
            self.context.slots.transcriber.count_sent(self.candidate, samples);
        }
    }

    fn on_event(&mut self, event: SttEvent) {
        self.heard_at = Instant::now();
        self.asked_final_at = None;
        if let Some(took) = self.listened.took.take() {
            self.context.health.succeeded(&self.listened.health, Some(took));
        }
        self.speaking_since = None;
        self.context.slots.transcriber.silent_sessions.store(0, Ordering::Release);
        match event {
            SttEvent::SpeechStarted { .. } => {}
            SttEvent::Partial { text } => {
                self.has_inherited = false;
                self.unfinished = !text.is_empty();
                if self.unfinished {
                    self.context.slots.transcriber.owes.store(true, Ordering::Release);
                }
                self.context.tell(Event::Transcript { text, is_final: false });
            }
            SttEvent::Final { text, until } => {
                self.has_inherited = false;
                self.unfinished = false;
                self.context.slots.transcriber.owes.store(false, Ordering::Release);
                let leg = self.context.audio.format();
                let until = (self.origin + leg.samples_in(until)).min(self.cursor);
                self.commit(until);
                if !text.is_empty() {
                    self.context.tell(Event::Transcript { text, is_final: true });
                }
            }
            SttEvent::Language { language, words } => {
                self.context.tell(Event::LanguageHeard { language, words });
            }
            SttEvent::EagerEndOfTurn => self.context.tell(Event::EagerEndOfTurn),
            SttEvent::TurnResumed => self.context.tell(Event::TurnResumed),
            SttEvent::EndOfTurn => self.context.tell(Event::EndOfTurn),
            SttEvent::WordsPaused => self.context.tell(Event::WordsPaused),
        }
    }

    /// Audio that a lost session was given is on its way again.
    fn is_behind(&self) -> bool {
        self.context.slots.transcriber.is_behind.load(Ordering::Acquire)
    }

    /// The call knows that the caller paused; a provider that judges itself is left alone.
    async fn finalize(&mut self, session: &SttSession) -> Result<(), ProviderError> {
        if self.capabilities.native_end_of_turn {
            return Ok(());
        }
        if self.unfinished && self.capabilities.final_within.is_some() {
            self.asked_final_at.get_or_insert_with(Instant::now);
        }
        push(session, SttInput::Finalize, self.send_limit()).await
    }

    /// Tells when the successor of a lost session is no later than any other.
    async fn catch_up(&mut self, session: &SttSession) -> Result<(), ProviderError> {
        if !self.is_behind() {
            return Ok(());
        }
        let format = self.context.audio.format();
        let behind = self.context.audio.speech_end().saturating_sub(self.cursor);
        let speaks = self.context.caller_speaks();
        if self.reached_at.is_none() && format.duration_of(behind) <= LIVE {
            self.reached_at = Some(Instant::now());
            // The pause in which the lost one was asked is over.
            if !speaks {
                self.finalize(session).await?;
            }
        }
        let is_told = self.is_told(self.context.caller_fell_silent());
        let is_caught_up = match self.reached_at {
            Some(at) => speaks || is_told || at.elapsed() >= LAST_WORDS_DUE,
            None => is_told && !speaks,
        };
        if is_caught_up {
            self.context.slots.transcriber.is_behind.store(false, Ordering::Release);
            self.context.tell(Event::TranscriberCaughtUp);
        }
        Ok(())
    }

    async fn keep_alive(&mut self, session: &SttSession) -> Result<(), ProviderError> {
        let Some(every) = self.capabilities.keep_alive else { return Ok(()) };
        if self.sent_at.elapsed() < every {
            return Ok(());
        }
        self.sent_at = Instant::now();
        push(session, SttInput::KeepAlive, self.send_limit()).await
    }

    /// A session that says nothing to what the caller said raises no error by itself.
    fn watch_progress(&mut self) -> Result<(), ProviderError> {
        let speaks = self.context.caller_speaks();
        if speaks {
            if !self.was_speaking && !self.context.slots.transcriber.owes.load(Ordering::Acquire) {
                self.forget_silence_before_speech();
            }
            self.quiet_since = Instant::now();
            // The VAD hears a voice for a while after its last word.
            if !self.is_told(self.context.audio.caller_end()) {
                self.context.slots.transcriber.owes.store(true, Ordering::Release);
                let is_within_speech = self.committed() > self.context.caller_onset();
                let since = if is_within_speech { self.heard_at } else { Instant::now() };
                self.speaking_since.get_or_insert(since);
            }
        } else {
            // Too short to hold a word: a click. What a former session owed is none.
            if self.was_speaking
                && !self.has_inherited
                && !self.is_behind()
                && self.speaking_since.is_some_and(|at| at.elapsed() < WORD_MIN)
            {
                self.speaking_since = None;
                self.context.slots.transcriber.owes.store(self.unfinished, Ordering::Release);
            }
            if !self.has_inherited && self.is_told(self.context.caller_fell_silent()) {
                self.speaking_since = None;
                self.context.slots.transcriber.owes.store(false, Ordering::Release);
            }
            self.forget_silence();
            let owes =
                self.unfinished || self.context.slots.transcriber.owes.load(Ordering::Acquire);
            if !owes && !self.is_behind() {
                let kept = self.context.audio.format().samples_in(SILENCE_KEPT);
                self.skip_to(self.context.audio.caller_end().saturating_sub(kept));
            }
        }
        self.was_speaking = speaks;
        // Whoever hears silence again, at a pace of their own, has nothing to say to it.
        if self.is_behind() && self.cursor < self.context.caller_onset() {
            self.heard_at = Instant::now();
            self.speaking_since = self.speaking_since.map(|_| self.heard_at);
        }
        let limit = self.context.settings.calls.stt_stall_timeout;
        // Who has begun to say what was said goes on, whether the VAD hears a voice or not.
        let is_at_it = self.unfinished && self.capabilities.final_within.is_some();
        let since = match is_at_it {
            true => Some(self.heard_at),
            false => self.speaking_since.map(|since| since.max(self.heard_at)),
        };
        let words_due = since.map(|since| since + limit);
        let owed = self.asked_final_at.zip(self.capabilities.final_within);
        let final_due = owed.map(|(asked, within)| asked + within);
        let Some(due) = [words_due, final_due].into_iter().flatten().min() else { return Ok(()) };
        let slot = &self.context.slots.transcriber;
        let gone = slot.silent_sessions.load(Ordering::Acquire);
        if Instant::now() < due || gone >= SILENT_SESSIONS_MAX {
            return Ok(());
        }
        let silent = self.heard_at.max(self.opened).elapsed();
        slot.silent_sessions.fetch_add(1, Ordering::AcqRel);
        slot.suspected.store(true, Ordering::Release);
        Err(ProviderError::new(
            FailureClass::Stalled,
            format!("the caller spoke and the transcriber has said nothing for {silent:.1?}"),
        ))
    }

    /// What lies between the last final text and the onset of speech need not be heard again: at
    /// its own pace, a provider would take seconds to get to the words.
    fn forget_silence_before_speech(&mut self) {
        let kept = self.context.audio.format().samples_in(SILENCE_KEPT);
        let onset = self.context.caller_onset().saturating_sub(kept);
        self.skip_to(onset);
        self.commit(onset.min(self.cursor));
    }

    /// Passes over silence that nobody owes text for, where a replay is behind: at its own pace, a
    /// provider would be seconds late for whatever comes next. Its clock does not notice.
    fn skip_to(&mut self, position: u64) {
        let behind = self.context.audio.caller_end().saturating_sub(self.cursor);
        if self.context.audio.format().duration_of(behind) < BEHIND {
            return;
        }
        if let Some(skipped) = position.checked_sub(self.cursor) {
            self.cursor = position;
            self.origin += skipped;
        }
    }

    /// Silence needs no final text: a successor does not have to hear it again.
    fn forget_silence(&mut self) {
        if !self.unfinished && self.quiet_since.elapsed() >= SILENCE_FORGOTTEN {
            let kept = self.context.audio.format().samples_in(SILENCE_KEPT);
            self.commit(self.cursor.saturating_sub(kept));
            self.context.slots.transcriber.owes.store(false, Ordering::Release);
        }
    }

    /// How long the provider may take no audio: while the caller speaks, no longer than it may keep
    /// silent.
    fn send_limit(&self) -> Duration {
        let Some(since) = self.speaking_since else { return SEND_TIMEOUT };
        let due = since.max(self.heard_at) + self.context.settings.calls.stt_stall_timeout;
        due.saturating_duration_since(Instant::now()).clamp(SEND_MIN, SEND_TIMEOUT)
    }

    fn committed(&self) -> u64 {
        self.context.slots.transcriber.committed.load(Ordering::Acquire)
    }

    /// Whether final text has all that was said up to a position, but for less than a word.
    fn is_told(&self, position: u64) -> bool {
        let tolerance = self.context.audio.format().samples_in(END_TOLERANCE);
        !self.unfinished && self.committed() + tolerance >= position
    }

    fn commit(&self, until: u64) {
        self.context.slots.transcriber.committed.fetch_max(until, Ordering::AcqRel);
        self.context.audio.commit_caller(until);
    }
}

/// Sends within a limit.
async fn push(session: &SttSession, input: SttInput, limit: Duration) -> Result<(), ProviderError> {
    match timeout(limit, session.audio.send(input)).await {
        // The session's own error is in its events.
        Ok(Ok(()) | Err(_)) => Ok(()),
        Err(_) => Err(ProviderError::new(
            FailureClass::Stalled,
            format!("the transcriber took no audio for {limit:.1?}"),
        )),
    }
}
