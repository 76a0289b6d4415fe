//! What the assistant says: given to the voice, begun, heard, cut.

use std::collections::VecDeque;

use super::{
    Conversation, Floor,
    absence::Away,
    echo::Sounded,
    history::join,
    phrases,
    speeches::{CUT_ANSWER_DUE, Queued, Speech},
    turn::{Abandoned, Turn},
};
use crate::{
    CallTime, Command, EndedReason, Entry, Message, Role, ServerEvent, SpeechId, SpeechSource,
    SpeechStatus, TranscriptType,
};

impl Conversation {
    /// Has a message spoken that no model made, after what is being said; `None` when it will not
    /// be: the assistant is muted, too many are waiting, or there is nothing to say.
    pub(super) fn say(
        &mut self,
        text: String,
        interruptible: bool,
        then_end: Option<EndedReason>,
    ) -> Option<SpeechId> {
        if self.is_silent() || text.trim().is_empty() {
            return None;
        }
        let id = self.speeches.new_id();
        self.speeches.enqueue(Queued { id, text, interruptible, then_end }).then_some(id)
    }

    /// Gives waiting messages to the voice once they may be spoken.
    ///
    /// Nothing talks over the caller but what they may not interrupt either.
    pub(super) fn release_queued(&mut self) {
        while let Some(next) = self.speeches.next_queued() {
            let may_speak = match self.floor {
                Floor::Idle { .. } | Floor::Assistant(_) => true,
                Floor::Caller => !next.interruptible,
                Floor::Ringing
                | Floor::Paused(_)
                | Floor::Away(_)
                | Floor::Closing(_)
                | Floor::Ended => false,
            };
            if !may_speak || self.speeches.open().is_some() {
                return;
            }
            let Some(Queued { id, text, interruptible, then_end }) = self.speeches.pop_queued()
            else {
                return;
            };
            if !matches!(self.floor, Floor::Assistant(_)) {
                self.floor = Floor::Assistant(Turn::message(self.turn, self.now));
                self.said.clear();
            }
            self.speak_whole(id, &text, interruptible, then_end);
        }
    }

    /// Gives a complete speech to the voice.
    pub(super) fn speak_whole(
        &mut self,
        id: SpeechId,
        text: &str,
        interruptible: bool,
        then_end: Option<EndedReason>,
    ) {
        self.open_speech(id, text, SpeechSource::ForceSay, interruptible, then_end);
        if let Some(speech) = self.speeches.get_mut(id) {
            speech.finished_at = Some(self.now);
        }
        self.command(Command::FinishSpeech { speech: id });
    }

    /// Has a recording played. Nobody knows its words: history has none of it.
    pub(super) fn play_recording(&mut self, url: String, then_end: EndedReason) {
        let id = self.speeches.new_id();
        let mut speech = self.new_speech(id, "", SpeechSource::ForceSay, false, Some(then_end));
        speech.finished_at = Some(self.now);
        self.speeches.play(speech, self.now);
        self.command(Command::PlayRecording { speech: id, url });
    }

    pub(super) fn open_speech(
        &mut self,
        id: SpeechId,
        text: &str,
        source: SpeechSource,
        interruptible: bool,
        then_end: Option<EndedReason>,
    ) {
        let speech = self.new_speech(id, text, source, interruptible, then_end);
        self.speeches.play(speech, self.now);
        self.said = join(&self.said, text);
        self.command(Command::Speak { speech: id, text: text.into() });
    }

    pub(super) fn new_speech(
        &mut self,
        id: SpeechId,
        text: &str,
        source: SpeechSource,
        interruptible: bool,
        then_end: Option<EndedReason>,
    ) -> Speech {
        Speech {
            id,
            turn: self.turn,
            key: self.history.reserve(),
            source,
            text: text.into(),
            before: String::new(),
            interruptible,
            then_end,
            is_kept: false,
            began_at: None,
            first_began_at: None,
            finished_at: None,
            follows: !self.said.is_empty(),
            timed: VecDeque::new(),
            is_captioned: false,
            told_bytes: 0,
            heard_chars: 0,
            heard_at: None,
        }
    }

    pub(super) fn append_to_speech(&mut self, id: SpeechId, text: &str) {
        if let Some(speech) = self.speeches.get_mut(id) {
            speech.text.push_str(text);
            self.said.push_str(text);
            self.command(Command::Speak { speech: id, text: text.into() });
        }
    }

    pub(super) fn speech_began(&mut self, id: SpeechId) {
        let now = self.now;
        if let Some(cut) = self.speeches.cut_mut(id) {
            cut.began_at.get_or_insert(now);
            return;
        }
        if self.stopped_began(id) {
            return;
        }
        let Some(speech) = self.speeches.get_mut(id) else { return };
        if speech.began_at.is_some() {
            return;
        }
        speech.began_at = Some(now);
        let turn_id = speech.turn;
        if let Floor::Assistant(turn) = &mut self.floor
            && turn.id == turn_id
        {
            turn.began_speaking = true;
        }
        self.publish_assistant_speech(SpeechStatus::Started, turn_id.0);
        self.caption(id);
    }

    pub(super) fn speech_heard(&mut self, id: SpeechId) {
        if let Some(speech) = self.speeches.take_cut(id) {
            // It was over before the cut could reach it.
            self.record_heard(&speech, &speech.text, false, self.now);
            self.generate_if_due();
            return;
        }
        let is_open = self.speeches.open().is_some_and(|open| open.id == id);
        if is_open || self.heard_of_stopped(id, None) {
            return;
        }
        let Some(speech) = self.speeches.remove(id, self.now) else { return };
        self.fell_silent(&speech);
        let heard = speech.text.clone();
        self.speech_is_over(speech, &heard);
    }

    /// A speech was heard to its end, `heard` being its last text.
    pub(super) fn speech_is_over(&mut self, speech: Speech, heard: &str) {
        self.record_heard(&speech, heard, false, self.now);
        if phrases::contains_any(&speech.whole_text(), &self.options.end_call_phrases) {
            self.end(EndedReason::AssistantSaidEndCallPhrase);
            return;
        }
        self.speech_over(speech);
    }

    /// The voice says how much of a speech was heard: of one that we cut, or of one that it had
    /// to give up by itself.
    pub(super) fn speech_cut(&mut self, id: SpeechId, heard: &str) {
        if let Some(speech) = self.speeches.take_cut(id) {
            self.record_heard(&speech, heard, true, self.now);
            self.generate_if_due();
            return;
        }
        if self.heard_of_stopped(id, Some(heard)) {
            return;
        }
        if self.speeches.open().is_some_and(|open| open.id == id) {
            self.finish_reply_speech();
        }
        let Some(speech) = self.speeches.remove(id, self.now) else { return };
        self.fell_silent(&speech);
        self.record_heard(&speech, heard, true, self.now);
        self.speech_over(speech);
    }

    /// The voice dropped the end of a speech.
    pub(super) fn speech_trimmed(&mut self, id: SpeechId, text: &str) {
        let present = self.turn;
        let stopped = match &mut self.floor {
            Floor::Paused(pause) | Floor::Away(Away { pause: Some(pause), .. }) => {
                pause.speech_mut(id)
            }
            Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => None,
        };
        let playing = stopped.or(self.speeches.get_mut(id));
        let of_turn = playing.as_ref().is_some_and(|speech| speech.turn == present);
        let dropped = match playing {
            Some(speech) if speech.text.starts_with(text) => speech.text.split_off(text.len()),
            Some(_) | None => return,
        };
        // What is said after it may stand behind it already.
        if of_turn && let Some((before, after)) = self.said.rsplit_once(dropped.trim()) {
            self.said = join(before, after);
        }
    }

    /// The first speech took longer than any voice can: nobody plays it.
    pub(super) fn speech_lost(&mut self) {
        let Some(id) = self.speeches.first().map(|speech| speech.id) else { return };
        if let Some(speech) = self.cut_speech(id, CallTime::ZERO) {
            self.speech_over(speech);
        }
    }

    /// Cuts what is in play, as far as `what` goes.
    pub(super) fn cut_speeches(&mut self, what: Abandoned) {
        let cut: Vec<_> = self
            .speeches
            .playing()
            .iter()
            // Whoever makes more text for an unfinished speech has been stopped.
            .filter(|speech| speech.finished_at.is_none() || what.includes(speech))
            .map(|speech| speech.id)
            .collect();
        for id in cut {
            self.cut_speech(id, self.now + CUT_ANSWER_DUE);
            self.refuse_blocked_calls(id);
        }
    }

    fn cut_speech(&mut self, id: SpeechId, answer_due: CallTime) -> Option<Speech> {
        let speech = self.silence_speech(id)?;
        self.speeches.remember_cut(speech.clone(), answer_due);
        Some(speech)
    }

    /// Has the voice stop a speech, whatever becomes of it.
    pub(super) fn silence_speech(&mut self, id: SpeechId) -> Option<Speech> {
        let speech = self.speeches.remove(id, self.now)?;
        self.command(Command::CutSpeech { speech: id });
        self.fell_silent(&speech);
        Some(speech)
    }

    /// A speech sounds no more, if it did.
    fn fell_silent(&mut self, speech: &Speech) {
        if speech.began_at.is_some() {
            self.publish_assistant_speech(SpeechStatus::Stopped, speech.turn.0);
            self.sounded = Sounded::of(speech, self.now);
            self.silent_since = self.now;
        }
    }

    /// What waited for a speech goes on, now that it was heard or never will be.
    fn speech_over(&mut self, speech: Speech) {
        if let Some(reason) = speech.then_end {
            self.end(reason);
            return;
        }
        self.run_blocked_calls(speech.id);
    }

    pub(super) fn record_heard(
        &mut self,
        speech: &Speech,
        heard: &str,
        interrupted: bool,
        until: CallTime,
    ) {
        let heard = join(&speech.before, heard.trim());
        if heard.is_empty() {
            return;
        }
        self.history.insert(
            speech.key,
            Entry {
                at: speech.first_began_at().unwrap_or(self.now),
                until,
                message: Message::Assistant { content: heard.clone(), interrupted },
            },
        );
        self.publish(ServerEvent::Transcript {
            role: Role::Assistant,
            transcript_type: TranscriptType::Final,
            transcript: heard,
        });
        self.publish(ServerEvent::ConversationUpdate);
    }

    fn publish_assistant_speech(&mut self, status: SpeechStatus, turn: u32) {
        self.publish(ServerEvent::SpeechUpdate { status, role: Role::Assistant, turn });
    }
}
