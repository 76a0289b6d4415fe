//! What a client shows of a speech while it sounds (`assistant.speechStarted`).
//!
//! The event is sent when a speech begins to sound. Where the voice times its words, it is sent again
//! for each stretch of words that the voice timed together, when the first of them sounds; where it does
//! not, once more when a reply that began to sound before it was written to its end is.

use super::{Conversation, speeches::Speech};
use crate::{CallTime, ServerEvent, SpeechId, SpeechTiming, TimedWord};

impl Speech {
    /// Takes the next stretch of words that sounds, as it is told.
    fn next_timing(&mut self) -> Option<SpeechTiming> {
        let mut words = self.timed.pop_front()?;
        if let (false, Some(first)) = (self.is_captioned, words.first_mut()) {
            // Joined, all words of a turn give its text.
            let lead = if self.follows { " " } else { "" };
            first.text = format!("{lead}{}", first.text.trim_start());
        }
        self.is_captioned = true;
        Some(SpeechTiming::of_words(&words))
    }

    /// When the next stretch of words begins to sound.
    fn timing_at(&self) -> Option<CallTime> {
        let next = self.timed.front()?;
        Some(self.began_at? + next.first()?.start)
    }
}

impl Conversation {
    /// The voice says when words sound. Those of a speech that was cut will not.
    pub(super) fn speech_timed(&mut self, id: SpeechId, words: Vec<TimedWord>) {
        if let Some(speech) = self.speeches.get_mut(id)
            && !words.is_empty()
        {
            speech.timed.push_back(words);
        }
    }

    pub(super) fn caption_at(&self) -> Option<CallTime> {
        self.speeches.playing().iter().filter_map(Speech::timing_at).min()
    }

    pub(super) fn caption_due(&mut self) {
        let now = self.now;
        let due = |speech: &&Speech| speech.timing_at().is_some_and(|at| at <= now);
        if let Some(id) = self.speeches.playing().iter().find(due).map(|speech| speech.id) {
            self.caption(id);
        }
    }

    /// Tells of a speech that sounds, and of its next words where they are timed.
    pub(super) fn caption(&mut self, id: SpeechId) {
        let Some(speech) = self.speeches.get_mut(id) else { return };
        let timing = speech.next_timing();
        speech.told_bytes = speech.text.len();
        let (turn, source, own_text) = (speech.turn, speech.source, speech.whole_text());
        let text = if turn == self.turn { self.said.trim().to_owned() } else { own_text };
        // A recording has no words that anybody knows.
        if text.is_empty() {
            return;
        }
        self.publish(ServerEvent::AssistantSpeechStarted { text, turn: turn.0, source, timing });
    }

    /// A reply is written to its end: tells the rest of what was told before it was.
    pub(super) fn caption_rest(&mut self, id: SpeechId) {
        let is_untold = |speech: &&mut Speech| {
            let is_timed = speech.is_captioned || !speech.timed.is_empty();
            speech.began_at.is_some() && !is_timed && speech.text.len() > speech.told_bytes
        };
        if self.speeches.get_mut(id).as_ref().is_some_and(is_untold) {
            self.caption(id);
        }
    }
}
