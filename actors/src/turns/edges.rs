//! When a turn passed the edges of the runtime: where the world is asked, and where it answers.

use std::time::Duration;

use offhook_core::{CallTime, Event};

/// Whether the end of a turn is judged by this.
pub(super) fn may_end_turn(event: &Event) -> bool {
    matches!(
        event,
        Event::SpeechStopped { .. }
            | Event::Transcript { is_final: true, .. }
            | Event::EndOfTurn
            | Event::WordsPaused
    )
}

/// The edges that a turn passed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edges {
    /// Nothing outside is waited for any more before the model can be asked.
    released: Option<CallTime>,
    model_asked: Option<CallTime>,
    /// The last of the model's text, or its end, before the voice had something to say.
    text: Option<CallTime>,
    voice_asked: Option<CallTime>,
    /// An earlier speech was being heard when the voice was asked.
    is_queued: bool,
}

impl Edges {
    pub fn released(at: Option<CallTime>) -> Self {
        Self { released: at, ..Self::default() }
    }

    pub fn model_asked(&mut self, now: CallTime) {
        self.model_asked.get_or_insert(now);
    }

    /// The model's text came in; what comes after the voice has its first piece does not count.
    pub fn text_arrived(&mut self, now: CallTime) {
        if self.voice_asked.is_none() {
            self.text = Some(now);
        }
    }

    /// The reply is over, which makes a piece of text whole that was not.
    pub fn reply_ended(&mut self, now: CallTime) {
        if self.text.is_some() {
            self.text_arrived(now);
        }
    }

    pub fn voice_asked(&mut self, now: CallTime, is_queued: bool) {
        if self.voice_asked.is_none() {
            self.voice_asked = Some(now);
            self.is_queued = is_queued;
        }
    }

    pub fn overhead(&self, first_audio: CallTime, sent: CallTime) -> Option<Duration> {
        if self.is_queued {
            return None;
        }
        let before_model = self.model_asked?.after(self.released?);
        let before_voice = self.voice_asked?.after(self.text?);
        Some(before_model + before_voice + sent.after(first_audio))
    }
}
