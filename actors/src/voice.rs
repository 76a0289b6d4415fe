//! The actor that speaks.
//!
//! The slot owns the ledger of every speech: what was handed to the provider, what audio came back,
//! and so what the caller heard of it. A provider session is a leaf that may die at any moment; its
//! successor goes on at the first word whose audio has not come.

mod clips;
mod kept;
mod recorded;
mod session;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use offhook_core::{
    ChunkPlan, Event, FailureClass, SpeechId, SpeechLedger, Stage, TextChunker, TimedWord,
    speech_format::FormatPlan,
};
use offhook_media::{AudioFormat, Cleared};
use offhook_providers::{
    ProviderError,
    tts::{ContextId, Tts, TtsInput},
};
use ractor::ActorProcessingErr;
use tokio::sync::mpsc;

use self::{kept::Recording, recorded::Recorded, session::speak};
use crate::{CallContext, Leaf, Port, Role, Staged, reopen::Reopening};

/// The voice of a call.
pub struct VoiceActor {
    context: Arc<CallContext>,
    reopening: Reopening,
    chunk_plan: Arc<ChunkPlan>,
    format_plan: FormatPlan,
    /// What shapes the voice's sound, where speech is kept for the next call.
    shape: Option<String>,
    _recorded: Option<Leaf>,
    /// The next session is opened when it is time.
    is_pausing: bool,
}

/// How text is cut for the voice that speaks now.
fn chunk_plan(context: &CallContext) -> Arc<ChunkPlan> {
    let capabilities = context.speaker().provider.capabilities();
    let text = context.spec.assistant.voice_text();
    Arc::new(text.chunk_plan(capabilities.streams_text, capabilities.text_chars_max))
}

/// What the voice is told.
#[derive(Clone, Debug)]
pub enum VoiceInput {
    /// Something will be spoken soon: connect if there is no connection.
    Prepare,
    Speak {
        speech: SpeechId,
        text: String,
    },
    /// Play this at once if that takes no voice, and give it up otherwise.
    Fill {
        speech: SpeechId,
        text: String,
    },
    /// The text was cut off: the end of it that makes no sense is dropped.
    Trim {
        speech: SpeechId,
    },
    Finish {
        speech: SpeechId,
    },
    /// The speech was silenced, `None`: it was over. Say no more of it, and tell what was heard.
    Cut {
        speech: SpeechId,
        cleared: Option<Cleared>,
    },
    /// The message of the assistant that is a recording.
    PlayRecording {
        speech: SpeechId,
    },
    /// The recording is there, in the leg's format. `None` inside: it cannot be had; outside: its task
    /// panicked.
    Fetched(Option<Option<Bytes>>),
    /// The session ended; `None`: its task panicked.
    SessionEnded(Option<ProviderError>),
    /// Time to open a session again.
    Reopen,
}

/// What a successor goes on from.
#[derive(Default)]
pub struct VoiceSlot(Mutex<Voice>);

impl VoiceSlot {
    pub(crate) fn stop(&self) {
        let mut voice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        voice.is_closed = true;
        voice.session = None;
    }
}

#[derive(Default)]
struct Voice {
    /// Characters handed to each candidate so far, which is what it charges.
    characters: BTreeMap<usize, u64>,
    /// The call ends: no session is opened any more.
    is_closed: bool,
    speeches: BTreeMap<SpeechId, Speech>,
    contexts_used: u32,
    session: Option<Session>,
    recorded: Recorded,
    /// The speech that waits for the recording.
    recording_due: Option<SpeechId>,
}

struct Session {
    texts: mpsc::Sender<TtsInput>,
    _task: Leaf,
}

/// One stretch of speech on its way to the caller's ear.
struct Speech {
    ledger: SpeechLedger,
    chunker: TextChunker,
    /// The provider's name for it, in the present session.
    context: ContextId,
    /// Where in its audio the present session began.
    origin: Duration,
    /// Handed to the provider since the present session began.
    handed_over: bool,
    /// No more text comes.
    finished: bool,
    /// All audio came.
    complete: bool,
    /// Its first text, which is kept from an earlier call: whether it is all of it, the next input
    /// says.
    held: Option<String>,
    /// What came of it, where it is kept for the next call.
    recording: Option<Recording>,
}

/// Text waiting for the session; a reply has some dozen pieces.
const TEXTS_MAX: usize = 256;

/// Speeches kept after they were complete, so that a late cut still knows what was heard.
const SPEECHES_KEPT: usize = 8;

/// Silence between a word that broke off, half of it heard, and the same word said anew.
const SEAM_PAUSE: Duration = Duration::from_millis(60);

/// First wait before a lost session is opened again; the leg plays its lead meanwhile.
const REOPEN_FIRST: Duration = Duration::from_millis(50);
const REOPEN_MAX: Duration = Duration::from_secs(2);

impl Role for VoiceActor {
    const NAME: &'static str = "voice";
    type Input = VoiceInput;

    fn port(context: &CallContext) -> &Port<VoiceInput> {
        &context.ports.voice
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        let reopening = Reopening::new(&context, Stage::Voice, REOPEN_FIRST, REOPEN_MAX);
        let mut actor = Self {
            shape: kept::shape(&context),
            chunk_plan: chunk_plan(&context),
            format_plan: context.spec.assistant.voice_text().format,
            _recorded: None,
            context,
            reopening,
            is_pausing: false,
        };
        // Warm before the first word is due.
        actor.prepare();
        let is_fetching = matches!(actor.voice().recorded, Recorded::Fetching);
        actor._recorded = is_fetching.then(|| recorded::fetch(&actor.context)).flatten();
        Ok(actor)
    }

    fn handle(&mut self, input: VoiceInput) -> Result<(), ActorProcessingErr> {
        match input {
            VoiceInput::Speak { speech, text } => {
                if !self.hold(speech, &text) {
                    self.release(speech);
                    self.say(speech, &text);
                }
            }
            VoiceInput::Fill { speech, text } => self.fill(speech, &text),
            VoiceInput::Trim { speech } => {
                self.release(speech);
                self.trim(speech);
            }
            VoiceInput::Finish { speech } => {
                if !self.play_kept(speech) {
                    self.release(speech);
                    self.finish(speech);
                }
            }
            VoiceInput::Cut { speech, cleared } => self.cut(speech, cleared),
            VoiceInput::PlayRecording { speech } => self.play_recording(speech),
            VoiceInput::Fetched(audio) => self.recording_fetched(audio.flatten()),
            VoiceInput::Prepare => self.prepare(),
            VoiceInput::Reopen => {
                self.is_pausing = false;
                self.ensure_session();
            }
            VoiceInput::SessionEnded(Some(error)) => self.recover(error),
            VoiceInput::SessionEnded(None) => {
                let class = FailureClass::Protocol;
                self.recover(ProviderError::new(class, "the session task of the voice panicked"));
            }
        }
        Ok(())
    }
}

impl VoiceActor {
    /// Connects, whether the voice holds a session for it or asks anew for each sentence.
    fn prepare(&mut self) {
        self.ensure_session();
        self.context.speaker().provider.warm();
    }

    fn say(&mut self, speech: SpeechId, text: &str) {
        let pieces = self.voice().speech(speech, &self.chunk_plan).chunker.push(text);
        for piece in pieces {
            self.hand_over(speech, piece);
        }
    }

    fn hand_over(&mut self, speech: SpeechId, piece: String) {
        self.context.turns().voice_asked(self.context.clock.now());
        self.ensure_session();
        let text = self.format_plan.format(&piece);
        let mut voice = self.voice();
        let is_open = voice.session.is_some();
        let entry = voice.speech(speech, &self.chunk_plan);
        entry.ledger.spoken_as(&piece, &text);
        // A piece may be nothing but marks for the eye, and the next session is given what came while
        // there was none.
        if text.trim().is_empty() || !is_open {
            return;
        }
        entry.handed_over = true;
        let context = entry.context;
        voice.send_text(
            self.context.succession(Stage::Voice).current(),
            context,
            text.into_owned(),
        );
    }

    /// Drops what was not handed over and makes no sense, and says what will be spoken.
    fn trim(&mut self, speech: SpeechId) {
        let mut voice = self.voice();
        let Some(entry) = voice.speeches.get_mut(&speech) else { return };
        entry.chunker.trim();
        let text = format!("{}{}", entry.ledger.text(), entry.chunker.held());
        drop(voice);
        self.context.tell(Event::SpeechTrimmed { speech, text });
    }

    fn finish(&mut self, speech: SpeechId) {
        let rest = self.voice().speech(speech, &self.chunk_plan).chunker.finish();
        if let Some(rest) = rest {
            self.hand_over(speech, rest);
        }
        let mut voice = self.voice();
        let entry = voice.speech(speech, &self.chunk_plan);
        entry.finished = true;
        entry.ledger.text_done();
        if entry.ledger.voiced().trim().is_empty() {
            entry.complete = true;
            self.context.audio.with_playout(|playout| playout.finish(speech.0));
        } else {
            let context = entry.context;
            voice.send(TtsInput::Finish { context });
        }
    }

    /// Gives up a speech that was silenced, and says what was heard of it.
    fn cut(&mut self, speech: SpeechId, cleared: Option<Cleared>) {
        let leg_was_lost = cleared.is_some_and(|cleared| cleared.leg_was_lost);
        let heard = cleared.map_or(Duration::ZERO, |cleared| {
            self.context.audio.format().duration_of(cleared.heard_samples)
        });
        let mut voice = self.voice();
        voice.recording_due.take_if(|due| *due == speech);
        let words = match voice.speeches.remove(&speech) {
            Some(entry) => {
                if !entry.complete {
                    voice.send(TtsInput::Cancel { context: entry.context });
                }
                match leg_was_lost {
                    true => entry.ledger.heard_whole(heard).to_string(),
                    false => entry.ledger.heard(heard).to_string(),
                }
            }
            None => String::new(),
        };
        drop(voice);
        self.context.tell(Event::SpeechCut { speech, heard: words });
    }

    fn recover(&mut self, error: ProviderError) {
        let pending = {
            let mut voice = self.voice();
            voice.session = None;
            let audio = &self.context.audio;
            let format = audio.format();
            voice.renumber(format, |speech, samples| {
                audio.with_playout(|playout| {
                    let kept = playout.truncate(speech, samples);
                    if kept > samples {
                        playout.queue(speech, format.silence(format.samples_in(SEAM_PAUSE)));
                    }
                    kept
                })
            })
        };
        if !pending && error.class == FailureClass::Closed {
            // Idle sessions are closed by their providers; the next speech opens another.
            let provider = &self.context.speaker().name;
            tracing::debug!(call = %self.context.spec.id, provider, %error, "voice session closed");
            return;
        }
        let reopen = (self.context.ports.voice.clone(), VoiceInput::Reopen);
        self.is_pausing = true;
        self.reopening.on_lost(&self.context, error, false, reopen);
        // Another voice may take longer pieces, and sounds otherwise.
        self.chunk_plan = chunk_plan(&self.context);
        self.shape = kept::shape(&self.context);
    }

    /// Opens a session unless there is one, and hands over what the last one still owed.
    fn ensure_session(&mut self) {
        let mut voice = self.voice();
        if voice.is_closed || voice.session.is_some() || self.is_pausing {
            return;
        }
        let (texts, from_actor) = mpsc::channel(TEXTS_MAX);
        let context = self.context.clone();
        let task = Leaf::watched(
            self.context.ports.voice.clone(),
            async move { speak(context, from_actor).await },
            VoiceInput::SessionEnded,
        );
        voice.session = Some(Session { texts, _task: task });
        let candidate = self.context.succession(Stage::Voice).current();
        let owed: Vec<_> = voice
            .speeches
            .values_mut()
            .filter(|speech| !speech.complete && !speech.handed_over)
            .map(|speech| {
                speech.handed_over = true;
                let delivered = speech.ledger.audio_duration();
                let rest = speech.ledger.remaining(delivered).to_owned();
                (speech.context, rest, speech.finished)
            })
            .collect();
        for (context, rest, finished) in owed {
            // In pieces that this voice takes: the one before may have taken longer ones.
            let mut chunker = TextChunker::new(self.chunk_plan.clone());
            let mut pieces = chunker.push(&rest);
            pieces.extend(chunker.finish());
            for piece in pieces {
                let text = self.format_plan.format(&piece).into_owned();
                if !text.trim().is_empty() {
                    voice.send_text(candidate, context, text);
                }
            }
            if finished {
                voice.send(TtsInput::Finish { context });
            }
        }
    }

    fn voice(&self) -> MutexGuard<'_, Voice> {
        self.context.voice()
    }
}

impl CallContext {
    /// How many characters of a speech are in what was heard of it, white space apart.
    pub(crate) fn chars_heard(&self, speech: SpeechId, heard: Duration) -> Option<u32> {
        let voice = self.voice();
        let text = voice.speeches.get(&speech)?.ledger.heard_whole(heard);
        let chars = text.chars().filter(|char| !char.is_whitespace()).count();
        Some(u32::try_from(chars).unwrap_or(u32::MAX))
    }

    /// The latest speech that the voice was given.
    pub(crate) fn latest_speech(&self) -> Option<SpeechId> {
        self.voice().speeches.keys().next_back().copied()
    }

    /// Characters of text that each voice was given.
    pub fn spoken_characters(&self) -> Vec<(&Staged<dyn Tts>, u64)> {
        let candidates = self.spec.stages.voice.candidates();
        self.voice().characters.iter().map(|(&it, &count)| (&candidates[it], count)).collect()
    }

    /// Tells when words of a speech sound, where somebody wants to know.
    fn words_timed(&self, speech: SpeechId, words: Vec<TimedWord>) {
        if self.wants_word_timings && !words.is_empty() {
            self.tell(Event::SpeechTimed { speech, words });
        }
    }

    /// Has a speech sound no more; returns what was heard of it, unless it was over.
    pub(crate) fn hush(&self, speech: SpeechId) -> Option<Cleared> {
        let now = self.audio.leg_time(self.clock.now());
        self.audio.with_playout(|playout| playout.clear(now, speech.0))
    }

    fn voice(&self) -> MutexGuard<'_, Voice> {
        self.slots.voice.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Voice {
    fn speech(&mut self, id: SpeechId, plan: &Arc<ChunkPlan>) -> &mut Speech {
        if !self.speeches.contains_key(&id) {
            self.forget_old();
            self.contexts_used += 1;
        }
        let context = ContextId(self.contexts_used);
        self.speeches.entry(id).or_insert_with(|| Speech {
            ledger: SpeechLedger::new(),
            chunker: TextChunker::new(plan.clone()),
            context,
            handed_over: false,
            origin: Duration::ZERO,
            finished: false,
            complete: false,
            held: None,
            recording: None,
        })
    }

    fn forget_old(&mut self) {
        let complete: Vec<_> =
            self.speeches.iter().filter(|(_, s)| s.complete).map(|(id, _)| *id).collect();
        for id in complete.iter().rev().skip(SPEECHES_KEPT) {
            self.speeches.remove(id);
        }
    }

    fn of_context(&mut self, context: ContextId) -> Option<(SpeechId, &mut Speech)> {
        self.speeches
            .iter_mut()
            .find(|(_, speech)| speech.context == context)
            .map(|(id, speech)| (*id, speech))
    }

    /// Gives what is not complete a new context for the next session; true when there is any.
    ///
    /// `playout` drops what waits behind so many samples of a speech, and says how many are left;
    /// behind half a word it leaves a pause.
    fn renumber(&mut self, format: AudioFormat, playout: impl Fn(u32, u64) -> u64) -> bool {
        let mut any = false;
        for (id, speech) in self.speeches.iter_mut().filter(|(_, speech)| !speech.complete) {
            self.contexts_used += 1;
            speech.context = ContextId(self.contexts_used);
            speech.handed_over = false;
            // Half a word is heard as none: the next voice says it as a whole.
            let whole = format.samples_in(speech.ledger.whole_words_end());
            let kept = playout(id.0, whole);
            speech.ledger.truncate_audio(format.duration_of(kept));
            speech.ledger.resume(if kept > whole { SEAM_PAUSE } else { Duration::ZERO });
            speech.origin = speech.ledger.audio_duration();
            // The rest comes from another session: a seam is nothing to keep.
            speech.recording = None;
            any = true;
        }
        any
    }

    /// Names a text that is no speech, and counts it.
    fn new_context(&mut self, candidate: usize, text: &str) -> ContextId {
        *self.characters.entry(candidate).or_default() += text.chars().count() as u64;
        self.contexts_used += 1;
        ContextId(self.contexts_used)
    }

    /// Leaves text for the session of a candidate, and counts it.
    fn send_text(&mut self, candidate: usize, context: ContextId, text: String) {
        *self.characters.entry(candidate).or_default() += text.chars().count() as u64;
        self.send(TtsInput::Text { context, text });
    }

    /// Leaves input for the session; one that does not take it is found out by its own limits.
    fn send(&mut self, input: TtsInput) {
        if let Some(session) = &self.session
            && session.texts.try_send(input).is_err()
        {
            tracing::warn!("voice session takes no text");
        }
    }
}
