//! Speeches that the voice said before, and those it says for the first time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use offhook_core::{Event, SpeechId, Stage};

use super::{Speech, VoiceActor};
use crate::{
    CallContext,
    voice_cache::{AUDIO_MAX, KeptSpeech, TEXT_MAX, VoiceKey},
};

/// A speech that is kept once all of it has come.
pub(super) struct Recording {
    key: VoiceKey,
    audio: BytesMut,
    words: Vec<(String, Duration, Duration)>,
}

impl Recording {
    fn new(key: VoiceKey) -> Self {
        Self { key, audio: BytesMut::new(), words: Vec::new() }
    }
}

/// Where a kept speech is played.
enum Place {
    After(Vec<SpeechId>),
    /// In front of those that have not begun.
    First,
}

impl Speech {
    /// Notes audio of it, in the leg's format.
    pub(super) fn record_audio(&mut self, audio: &[u8]) {
        if let Some(recording) = &mut self.recording {
            recording.audio.extend_from_slice(audio);
            if recording.audio.len() > AUDIO_MAX {
                self.recording = None;
            }
        }
    }

    pub(super) fn record_words(&mut self, words: &[(String, Duration, Duration)]) {
        if let Some(recording) = &mut self.recording {
            recording.words.extend_from_slice(words);
        }
    }
}

/// What shapes the sound of the call's voice; `None`: it wants nothing kept.
pub(super) fn shape(context: &CallContext) -> Option<String> {
    shape_of(context, context.succession(Stage::Voice).current())
}

/// The name of a text as one of the call's voices says it.
pub(super) fn key(context: &CallContext, candidate: usize, text: &str) -> Option<VoiceKey> {
    let shape = shape_of(context, candidate).filter(|_| text.len() <= TEXT_MAX)?;
    let voice = &context.spec.stages.voice.candidates()[candidate].name;
    Some(VoiceKey::new(&context.spec.org, voice, &shape, context.audio.format(), text))
}

fn shape_of(context: &CallContext, candidate: usize) -> Option<String> {
    let assistant = &context.spec.assistant;
    let wants = assistant.sound().keeps_speech && !context.voice_cache.is_off();
    let language = assistant.voice_text().format.is_english;
    wants.then(|| format!("{} {candidate} {language}", assistant.document()["voice"]))
}

/// Keeps what the voice has wholly said.
pub(super) fn keep(context: &CallContext, speech: &mut Speech) {
    let Some(Recording { key, audio, words }) = speech.recording.take() else { return };
    if speech.finished && !audio.is_empty() {
        context.voice_cache.keep(key, KeptSpeech { audio: audio.freeze(), words });
    }
}

impl VoiceActor {
    /// Looks at text before it is spoken. True: it was said before, and is held until it is known
    /// whether it is all of its speech, which is with the next input.
    pub(super) fn hold(&mut self, speech: SpeechId, text: &str) -> bool {
        let key = self.key_of(text);
        let mut voice = self.voice();
        if let Some(entry) = voice.speeches.get_mut(&speech) {
            entry.recording = None;
            return false;
        }
        let Some(key) = key else { return false };
        let is_kept = self.context.voice_cache.contains(&key);
        let entry = voice.speech(speech, &self.chunk_plan);
        if is_kept {
            entry.held = Some(text.to_owned());
        } else {
            entry.recording = Some(Recording::new(key));
            metrics::counter!("offhook_voice_cache_misses_total").increment(1);
        }
        is_kept
    }

    /// Speaks what was held after all: there is more to its speech.
    pub(super) fn release(&mut self, speech: SpeechId) {
        let held = self.voice().speeches.get_mut(&speech).and_then(|entry| entry.held.take());
        if let Some(text) = held {
            self.say(speech, &text);
        }
    }

    /// Plays a speech that was held and is whole. False: there is none, or no room for it.
    pub(super) fn play_kept(&mut self, speech: SpeechId) -> bool {
        let held = self.voice().speeches.get(&speech).and_then(|entry| entry.held.clone());
        let kept = held.as_deref().and_then(|text| self.key_of(text));
        let Some(kept) = kept.and_then(|key| self.context.voice_cache.get(&key)) else {
            return false;
        };
        let voice = self.voice();
        let before = voice.speeches.range(..speech).filter(|(_, entry)| !entry.complete);
        let before: Vec<SpeechId> = before.map(|(id, _)| *id).collect();
        drop(voice);
        self.play(speech, kept, Place::After(before))
    }

    /// Plays a speech in front of those that have not begun, if any voice of the call said it before;
    /// says that nothing of it was heard otherwise.
    pub(super) fn fill(&mut self, speech: SpeechId, text: &str) {
        let current = self.context.succession(Stage::Voice).current();
        let others = 0..self.context.spec.stages.voice.candidates().len();
        let kept = std::iter::once(current).chain(others).find_map(|candidate| {
            self.context.voice_cache.get(&key(&self.context, candidate, text)?)
        });
        self.voice().speech(speech, &self.chunk_plan).held = Some(text.to_owned());
        if !kept.is_some_and(|kept| self.play(speech, kept, Place::First)) {
            self.voice().speeches.remove(&speech);
            self.context.tell(Event::SpeechCut { speech, heard: String::new() });
        }
    }

    /// Plays a whole speech; false: there is no room for it, or another came first.
    fn play(&self, speech: SpeechId, kept: KeptSpeech, place: Place) -> bool {
        let leg = self.context.audio.format();
        let length = leg.duration_of(leg.samples_in_bytes(kept.audio.len()));
        let mut voice = self.context.voice();
        let is_queued = self.context.audio.with_playout(|playout| {
            // Speeches are played in the order they were named in: one whose first sound has not
            // come is named now.
            match place {
                Place::After(before) => before.iter().for_each(|earlier| {
                    playout.queue(earlier.0, Bytes::new());
                }),
                Place::First if !playout.is_complete() => return false,
                Place::First => {}
            }
            let is_queued = playout.queue(speech.0, kept.audio);
            if is_queued {
                playout.finish(speech.0);
            }
            is_queued
        });
        let Some(entry) = voice.speeches.get_mut(&speech).filter(|_| is_queued) else {
            return false;
        };
        let text = entry.held.take().unwrap_or_default();
        let pieces = entry.chunker.push(&text);
        for piece in pieces.into_iter().chain(entry.chunker.finish()) {
            entry.ledger.spoken_as(&piece, &self.format_plan.format(&piece));
        }
        entry.ledger.audio(length);
        entry.ledger.words(kept.words);
        let timed = entry.ledger.newly_timed();
        entry.ledger.text_done();
        entry.ledger.audio_done();
        (entry.finished, entry.complete) = (true, true);
        drop(voice);
        self.context.words_timed(speech, timed);
        let now = self.context.clock.now();
        self.context.turns().voice_asked(now);
        self.context.turns().first_audio(now);
        metrics::counter!("offhook_voice_cache_hits_total").increment(1);
        true
    }

    fn key_of(&self, text: &str) -> Option<VoiceKey> {
        let shape = self.shape.as_deref().filter(|_| text.len() <= TEXT_MAX)?;
        let spec = &self.context.spec;
        let format = self.context.audio.format();
        let voice = &self.context.speaker().name;
        Some(VoiceKey::new(&spec.org, voice, shape, format, text))
    }
}
