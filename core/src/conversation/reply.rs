//! The model's reply, piece by piece.

use std::time::Duration;

use super::{
    Conversation, Floor,
    history::Key,
    turn::{Abandoned, Reply, Turn},
};
use crate::{
    Command, EndedReason, Entry, FailureClass, Finish, HookTrigger, Message, ServerEvent,
    SpeechSource, Stage, StageFailure, TurnId,
};

/// Silence of the model that the caller may notice.
pub(super) const HANG_AFTER: Duration = Duration::from_secs(5);

/// Silence of the model after which it is given up.
///
/// The model's own limits and its fallbacks come first: this only catches that nobody answers.
pub(super) const REPLY_DUE: Duration = Duration::from_secs(30);

/// Spoken when a reply came to nothing but the conversation can go on.
pub(super) const NO_REPLY: &str = "Sorry, I lost my thread there. Could you say that again?";

/// What the model is told of a reply that ran into its limit: asked to, it can go on.
pub(super) const CUT_OFF: &str =
    "Your last reply was cut off: it ran into the limit of its length.";

impl Conversation {
    /// Gives the floor to the assistant; `answers` is the caller's entry that led to it.
    pub(super) fn begin_turn(&mut self, answers: Option<Key>, interruptible: bool) {
        self.turn = self.turn.next();
        self.said.clear();
        self.reply_wanted = false;
        self.silence_broken();
        self.speculations.turn_begun();
        let turn = Turn::reply(self.turn, self.now, self.quiet_until);
        self.floor = Floor::Assistant(Turn { answers, interruptible, ..turn });
        self.generate_if_due();
    }

    /// Asks the model unless there is a reason to wait: the silence after an interruption, or a
    /// cut speech of which we do not know yet how much was heard. A speculation that fits is taken
    /// instead.
    pub(super) fn generate_if_due(&mut self) {
        let cut_answers_due = self.speeches.cut_answers_due();
        let now = self.now;
        let Floor::Assistant(turn) = &self.floor else { return };
        let Reply::Due { not_before } = turn.reply else { return };
        if not_before.max(cut_answers_due) > now {
            return;
        }
        let id = turn.id;
        match self.take_speculation() {
            Some(speculation) => self.adopt(id, speculation),
            None => {
                self.generating(id);
                self.command(Command::Generate { turn: id });
            }
        }
    }

    /// The model is at work on the reply, asked as `asked_as`.
    pub(super) fn generating(&mut self, asked_as: TurnId) {
        let last_output_at = self.now;
        if let Floor::Assistant(turn) = &mut self.floor {
            turn.reply =
                Reply::Generating { asked_as, last_output_at, speech: None, has_output: false };
        }
    }

    pub(super) fn reply_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let now = self.now;
        let Floor::Assistant(turn) = &mut self.floor else { return };
        let turn_id = turn.id.wire_id();
        let interruptible = turn.interruptible;
        let Reply::Generating { last_output_at, speech, has_output, .. } = &mut turn.reply else {
            return;
        };
        *last_output_at = now;
        let open = *speech;
        // White space before the first word would make the voice start on nothing.
        let spoken = if open.is_some() { text } else { text.trim_start() };
        if !spoken.is_empty() {
            *has_output = true;
            match open {
                Some(id) => self.append_to_speech(id, spoken),
                None => {
                    let id = self.speeches.new_id();
                    *speech = Some(id);
                    self.open_speech(id, spoken, SpeechSource::Model, interruptible, None);
                }
            }
        }
        self.publish(ServerEvent::ModelOutput { output: text.into(), turn_id });
    }

    /// A reply that was cut off is an end like any other: the caller hears what of it makes sense,
    /// and has the floor.
    pub(super) fn reply_finished(&mut self, finish: Finish) {
        if finish.cut_by().is_some() {
            self.trim_reply_speech();
        }
        self.finish_reply_speech();
        let Floor::Assistant(turn) = &mut self.floor else { return };
        let said_nothing = matches!(turn.reply, Reply::Generating { has_output: false, .. });
        turn.was_broken |= finish == Finish::Broken;
        let running = self.tools.running_in(turn.id);
        if running > 0 {
            turn.reply = Reply::Tools;
            return;
        }
        turn.reply = Reply::Done;
        if !turn.answered_calls.is_empty() {
            self.after_tools();
            return;
        }
        match finish {
            Finish::Stop => {}
            Finish::Length if said_nothing => {
                self.say(NO_REPLY.into(), true, None);
            }
            Finish::Length => {
                let message = Message::System { content: CUT_OFF.into() };
                self.history.push(Entry { at: self.now, until: self.now, message });
                self.publish(ServerEvent::ConversationUpdate);
            }
            // What the caller heard makes no whole: they are told why it stops.
            Finish::Broken => {
                self.say(NO_REPLY.into(), true, None);
            }
            Finish::ContentFilter => {
                self.say(self.options.refusal.clone(), true, None);
            }
        }
    }

    pub(super) fn reply_failed(&mut self, failure: &StageFailure) {
        // It is over by itself: there is nothing left to cancel.
        if let Floor::Assistant(turn) = &mut self.floor {
            turn.reply = Reply::Done;
        }
        self.close(EndedReason::pipeline(failure), Some(self.options.apology.clone()));
    }

    /// The model said nothing for so long that nobody can be at work on it.
    pub(super) fn reply_overdue(&mut self) {
        let failure = StageFailure {
            stage: Stage::Model,
            // Who was asked is known outside; the contract has no reason for a nameless model.
            provider: "custom-llm".into(),
            class: FailureClass::Timeout,
            detail: format!("no output from the model for {} s", REPLY_DUE.as_secs()),
        };
        self.close(EndedReason::pipeline(&failure), Some(self.options.apology.clone()));
    }

    pub(super) fn publish_hang(&mut self) {
        if let Floor::Assistant(turn) = &mut self.floor {
            turn.hang_was_published = true;
            self.publish(ServerEvent::Hang);
            self.trigger_all(HookTrigger::ModelSilent);
        }
    }

    fn trim_reply_speech(&mut self) {
        if let Floor::Assistant(turn) = &self.floor
            && let Reply::Generating { speech: Some(speech), .. } = turn.reply
        {
            self.command(Command::TrimSpeech { speech });
        }
    }

    /// Closes the speech that the reply's words went to; later words start another.
    pub(super) fn finish_reply_speech(&mut self) {
        let now = self.now;
        let Floor::Assistant(turn) = &mut self.floor else { return };
        let Reply::Generating { speech, .. } = &mut turn.reply else { return };
        let Some(id) = speech.take() else { return };
        if let Some(speech) = self.speeches.get_mut(id) {
            speech.finished_at = Some(now);
            self.command(Command::FinishSpeech { speech: id });
            self.caption_rest(id);
        }
    }

    /// Gives up the assistant's turn: the model is stopped, and what was to be spoken is dropped
    /// as far as `what` goes. Tools go on.
    pub(super) fn abandon_turn(&mut self, what: Abandoned) {
        self.give_up_pause(false);
        if let Floor::Assistant(turn) = &mut self.floor {
            let asked_as = turn.asked_as();
            turn.reply = Reply::Done;
            turn.delayed.clear();
            if let Some(turn) = asked_as {
                self.command(Command::CancelReply { turn });
            }
        }
        let dropped = self.speeches.drop_queued(|message| match what {
            Abandoned::All | Abandoned::AllButKept => true,
            Abandoned::Interruptible => message.interruptible,
            Abandoned::Reply => false,
        });
        for id in dropped {
            self.refuse_blocked_calls(id);
        }
        self.cut_speeches(what);
    }
}
