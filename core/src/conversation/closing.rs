//! The end of the call: last words first, where there are any.

use std::time::Duration;

use super::{
    Conversation, Floor,
    turn::{Abandoned, Reply},
};
use crate::{
    CallStatus, CallTime, Command, EndedReason, RECORDING_MAX, ServerEvent, SpeechId, Stage,
    StageFailure,
};

/// What the last words may take besides being said; then the call ends without.
const CLOSING_GRACE: Duration = Duration::from_secs(10);

/// The slowest speech that the end of a call waits for; 15 characters per second are usual.
const CLOSING_PER_CHAR: Duration = Duration::from_millis(100);

/// Why the call is about to end, and what is spoken before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closing {
    reason: EndedReason,
    /// The call ends then, heard or not.
    pub until: CallTime,
}

impl Conversation {
    /// Ends the call after `message` was heard, or at once when there is none to speak.
    pub(super) fn close(&mut self, reason: EndedReason, message: Option<String>) {
        let message = message.filter(|text| !text.trim().is_empty() && !self.is_silent());
        let nobody_hears = matches!(self.floor, Floor::Ringing | Floor::Away(_));
        let (Some(text), false) = (message, nobody_hears) else {
            self.end(reason);
            return;
        };
        let speech = self.begin_closing(Abandoned::All, reason.clone(), &text);
        self.speak_whole(speech, &text, false, Some(reason));
    }

    /// Drops all that was to be said for the last words, and names these.
    fn begin_closing(&mut self, abandoned: Abandoned, reason: EndedReason, text: &str) -> SpeechId {
        self.abandon_turn(abandoned);
        self.said.clear();
        let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let limit = CLOSING_GRACE.saturating_add(CLOSING_PER_CHAR.saturating_mul(chars));
        self.floor = Floor::Closing(Closing { reason, until: self.now + limit });
        self.speeches.new_id()
    }

    /// Ends the call after a recording was heard, or at once when nothing is to be heard.
    pub(super) fn close_with_recording(&mut self, reason: EndedReason, url: String) {
        if self.is_silent() || self.floor == Floor::Ringing {
            self.end(reason);
            return;
        }
        self.abandon_turn(Abandoned::All);
        self.said.clear();
        let until = self.now + CLOSING_GRACE + RECORDING_MAX;
        self.floor = Floor::Closing(Closing { reason: reason.clone(), until });
        self.play_recording(url, reason);
    }

    /// Ends the call. The first reason that it was about to end for is the one that counts.
    pub(super) fn end(&mut self, reason: EndedReason) {
        let reason = match &self.floor {
            Floor::Closing(closing) => closing.reason.clone(),
            Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Ended => reason,
        };
        self.drop_speculation();
        self.abandon_turn(Abandoned::All);
        let unanswered = self.utterance.unanswered.take();
        let last_words = self.utterance.take(self.now);
        self.record_caller(&last_words, unanswered);
        self.publish(ServerEvent::StatusUpdate {
            status: CallStatus::Ended,
            ended_reason: Some(reason.clone()),
        });
        self.command(Command::End { reason });
        self.floor = Floor::Ended;
    }

    pub(super) fn closing_overdue(&mut self) {
        if let Floor::Closing(closing) = &self.floor {
            self.end(closing.reason.clone());
        }
    }

    pub(super) fn stage_failed(&mut self, failure: &StageFailure) {
        let reason = EndedReason::pipeline(failure);
        let may_fill = self.options.fillers.is_some() && !self.is_silent();
        match (failure.stage, &mut self.floor) {
            // Nobody is left who could speak: what was kept of the voice is all there is.
            (Stage::Voice, Floor::Ringing | Floor::Closing(_)) => self.end(reason),
            (Stage::Voice, _) if !may_fill => self.end(reason),
            (Stage::Voice, _) => {
                let apology = self.options.apology.clone();
                let what = Abandoned::AllButKept;
                let speech = self.begin_closing(what, reason.clone(), &apology);
                self.fill_as(speech, apology, Some(reason));
            }
            // The last words need neither of them.
            (Stage::Transcriber | Stage::Model, Floor::Closing(_)) => {}
            (Stage::Model, Floor::Assistant(turn)) => {
                turn.reply = Reply::Done;
                self.close(reason, Some(self.options.apology.clone()));
            }
            (
                Stage::Transcriber | Stage::Model,
                Floor::Ringing
                | Floor::Idle { .. }
                | Floor::Caller
                | Floor::Assistant(_)
                | Floor::Paused(_)
                | Floor::Away(_)
                | Floor::Ended,
            ) => self.close(reason, Some(self.options.apology.clone())),
        }
    }
}
