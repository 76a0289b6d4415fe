//! What the caller does: speaks, pauses, goes on, speaks over the assistant.

use super::{
    Conversation, Floor,
    barge_in::Words,
    history::{Key, join},
    seam::Seam,
    turn::{Abandoned, Turn},
    utterance::{Spoken, Wait},
};
use crate::{
    CallTime, Command, Entry, HookTrigger, Message, Role, ServerEvent, SpeechStatus, Stage,
    TranscriptType,
};

/// Words by which partials lag behind the caller. Where a failure kept so few of them back until
/// the answer sounded, it goes on: it answers a question that lacked no more than that.
const TAIL_WORDS: usize = 2;

impl Conversation {
    pub(super) fn voice_started(&mut self, at: CallTime) {
        if self.utterance.voice_started(at.min(self.now)) {
            self.publish_caller_speech(SpeechStatus::Started);
        }
    }

    pub(super) fn voice_stopped(&mut self, at: CallTime) {
        if self.utterance.voice_stopped(at.min(self.now)) {
            self.publish_caller_speech(SpeechStatus::Stopped);
        }
    }

    /// Takes a transcript into the utterance, without the words that were answered already, unless
    /// it is an echo of the assistant. Returns whether it is.
    pub(super) fn hear(&mut self, text: &str, is_final: bool) -> bool {
        let is_echo = self.is_echo(text);
        if is_final {
            self.note_echo(is_echo);
        }
        if is_echo {
            self.utterance.hear("", is_final, self.now);
            return true;
        }
        if !text.trim().is_empty() {
            let transcript_type =
                if is_final { TranscriptType::Final } else { TranscriptType::Partial };
            let transcript = text.trim().to_owned();
            self.publish(ServerEvent::Transcript { role: Role::User, transcript_type, transcript });
        }
        let new = self.part_at_seam(text, is_final);
        self.utterance.hear(&new, is_final, self.now);
        if self.utterance.has_words() {
            self.judge_utterance();
        }
        false
    }

    /// Takes a transcript that came while the assistant held the floor.
    ///
    /// `answered_lately`: without a new voice, it belongs to what the assistant is answering.
    pub(super) fn hear_over_assistant(
        &mut self,
        text: &str,
        is_final: bool,
        answered_lately: bool,
    ) {
        self.hear(text, is_final);
        if !self.utterance.has_words() {
            return;
        }
        let is_late = answered_lately && !self.utterance.was_voiced();
        if is_late && is_final && self.restart_unheard_turn() {
            return;
        }
        let interrupts = match self.judge_words() {
            Some(Words::Acknowledge) => {
                if is_final {
                    self.utterance.forget_words();
                }
                false
            }
            Some(Words::InterruptInAnyCase) => true,
            Some(Words::Interrupt) => !is_late,
            None | Some(Words::Wait) => false,
        };
        if interrupts && self.is_interruptible() {
            self.interrupt();
        }
    }

    /// Whether the caller may interrupt what sounds, or what is about to.
    pub(super) fn is_interruptible(&self) -> bool {
        match (self.speeches.first(), &self.floor) {
            (Some(speech), _) => speech.interruptible,
            (None, Floor::Assistant(turn)) => turn.interruptible,
            (
                None,
                Floor::Ringing
                | Floor::Idle { .. }
                | Floor::Caller
                | Floor::Paused(_)
                | Floor::Away(_)
                | Floor::Closing(_)
                | Floor::Ended,
            ) => false,
        }
    }

    /// Barge-in: the caller takes the floor from the assistant.
    pub(super) fn interrupt(&mut self) {
        let Floor::Assistant(turn) = &self.floor else { return };
        let (answers, turn_id) = (turn.answers, self.turn);
        let was_audible = self.speeches.is_audible();
        self.abandon_turn(Abandoned::Interruptible);
        if was_audible {
            self.quiet_until = self.now + self.options.stop_speaking.backoff;
            self.publish(ServerEvent::UserInterrupted { turn_id: turn_id.wire_id() });
        } else {
            // Nothing was heard of an answer: what was asked still waits for one, even if this
            // turns out to be a cough.
            self.utterance.unanswered = answers;
        }
        self.floor = if self.speeches.playing().is_empty() {
            Floor::Caller
        } else {
            Floor::Assistant(Turn::message(self.turn, self.now))
        };
        if was_audible {
            self.interrupted();
        }
    }

    /// The caller has cut the assistant off, by words.
    pub(super) fn interrupted(&mut self) {
        self.interruptions.confirmed += 1;
        self.trigger_all(HookTrigger::AssistantInterrupted);
    }

    /// What was awaited of the utterance did not come.
    pub(super) fn utterance_due(&mut self, wait: Wait) {
        match wait {
            Wait::Silence if self.utterance.has_partial() => self.utterance.await_final(self.now),
            Wait::Silence | Wait::Final => self.answer_caller(),
            // A noise. Where it made us drop an answer, the answer is due again.
            Wait::Words if self.utterance.unanswered.is_some() => self.answer_caller(),
            Wait::Words => {
                self.utterance.take(self.now);
                self.yield_floor();
            }
        }
    }

    /// Another provider serves a stage: what the one before judged itself, we judge again, until it
    /// shows that it does so too.
    pub(super) fn promoted(&mut self, stage: Stage) {
        self.native_end_of_turn &= stage != Stage::Transcriber;
    }

    /// The caller's turn is over: it is recorded and the model asked.
    pub(super) fn answer_caller(&mut self) {
        let is_as_supposed = self.is_as_supposed();
        // A transcriber that judged ends of turns and is silent about this one was replaced.
        if self.utterance.has_words() {
            self.native_end_of_turn &= self.utterance.had_end_of_turn();
            self.voice_is_doubtful = self.utterance.voice_outlasts_words();
        }
        let unanswered = self.utterance.unanswered.take();
        let spoken = self.utterance.take(self.now);
        let answers = self.record_caller(&spoken, unanswered);
        if self.is_silent() || answers.is_none() {
            self.yield_floor();
            return;
        }
        if is_as_supposed {
            self.speculation_is_sure();
        }
        self.begin_turn(answers, true);
    }

    /// Nobody needs the floor any more: to whoever waited for it, or nobody.
    pub(super) fn yield_floor(&mut self) {
        if self.utterance.wait(&self.options.start_speaking).is_some() {
            self.floor = Floor::Caller;
        } else if self.reply_wanted && !self.is_silent() {
            self.begin_turn(None, true);
        } else {
            self.floor = Floor::Idle { since: self.now };
            self.silence_began();
        }
    }

    /// Writes down what the caller said, behind the unanswered question if it is the latest
    /// entry; returns the entry that is to be answered.
    pub(super) fn record_caller(
        &mut self,
        spoken: &Spoken,
        unanswered: Option<Key>,
    ) -> Option<Key> {
        let text = spoken.text();
        if text.is_empty() {
            return unanswered;
        }
        self.caller_spoke();
        let earlier = unanswered
            .filter(|key| self.history.last_key() == Some(*key))
            .and_then(|key| Some((key, self.history.user_text(key)?.to_owned())));
        let (key, before) = match earlier {
            Some((key, before)) => {
                self.history.set_user_text(key, join(&before, &text), spoken.until);
                (key, before)
            }
            None => {
                let message = Message::User { content: text };
                let entry = Entry { at: spoken.began, until: spoken.until, message };
                (self.history.push(entry), String::new())
            }
        };
        if !spoken.partial.is_empty() {
            let prefix = join(&before, &spoken.finals);
            self.seam = Some(Seam::new(self.seam.take(), key, prefix, &spoken.partial, self.now));
        }
        self.publish(ServerEvent::ConversationUpdate);
        Some(key)
    }

    /// A final came late. Where nothing of the answer was heard, the whole question is asked
    /// again; otherwise (`false`) it is the start of what the caller says next.
    fn restart_unheard_turn(&mut self) -> bool {
        let Floor::Assistant(turn) = &self.floor else { return false };
        if turn.began_speaking || self.speeches.is_audible() {
            return false;
        }
        let answers = turn.answers;
        self.abandon_turn(Abandoned::Reply);
        self.utterance.unanswered = answers;
        self.answer_caller();
        true
    }

    /// The transcriber is gone, and what it owed will come from another one. A question that it
    /// left without its end, and whose answer nobody has heard of, is answered when it is whole.
    pub(super) fn transcriber_lost(&mut self) {
        self.utterance.transcriber_lost(self.now);
        let Floor::Assistant(turn) = &self.floor else { return };
        let (Some(entry), Some(seam)) = (turn.answers, &self.seam) else { return };
        let is_heard = turn.began_speaking || self.speeches.is_audible();
        if seam.entry() != entry || is_heard || self.utterance.was_voiced() {
            return;
        }
        self.abandon_turn(Abandoned::Reply);
        self.utterance.unanswered = Some(entry);
        self.utterance.await_replay(self.now);
        self.floor = Floor::Caller;
    }

    /// Takes the words out of a transcript that a turn was begun on before they were final, and
    /// corrects what was recorded of them once they are.
    fn part_at_seam(&mut self, text: &str, is_final: bool) -> String {
        let Some(seam) = self.seam.take() else { return text.to_owned() };
        let Some(parted) = seam.part(text, !self.utterance.was_voiced(), self.now) else {
            return text.to_owned();
        };
        // Told again after a failure, and answered by now: the end of what is being answered.
        let is_tail = self.utterance.is_replayed()
            && self.heard_an_answer_to(seam.entry())
            && parted.new.split_whitespace().count() <= TAIL_WORDS;
        let (tail, new) = if is_tail { (parted.new, "") } else { ("", parted.new) };
        if !is_final {
            let new = new.to_owned();
            self.seam = Some(seam);
            return new;
        }
        if !parted.last_turn.is_empty() {
            let corrected = join(&join(seam.prefix(), parted.last_turn), tail);
            if self.history.user_text(seam.entry()) != Some(&corrected) {
                self.history.set_user_text(seam.entry(), corrected, CallTime::ZERO);
                self.publish(ServerEvent::ConversationUpdate);
            }
        }
        new.to_owned()
    }

    /// Whether the answer to a question of the caller's sounds, or has sounded.
    fn heard_an_answer_to(&self, entry: Key) -> bool {
        match &self.floor {
            Floor::Assistant(turn) if turn.answers == Some(entry) => {
                turn.began_speaking || self.speeches.is_audible()
            }
            Floor::Idle { .. } => true,
            Floor::Assistant(_)
            | Floor::Ringing
            | Floor::Caller
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => false,
        }
    }

    fn publish_caller_speech(&mut self, status: SpeechStatus) {
        self.command(Command::Publish(ServerEvent::SpeechUpdate {
            status,
            role: Role::User,
            turn: self.turn.0,
        }));
    }
}
