//! The caller's leg is gone and may come back.
//!
//! Nobody listens meanwhile: the assistant is stopped where it was, what its model and tools say is
//! held, and nobody's silence is counted. Whoever comes back hears the rest, from the first word
//! that they did not hear.

use std::time::Duration;

use super::{
    Conversation, Floor,
    barge_in::Words,
    pause::{Pause, Stopped},
    speeches::CUT_ANSWER_DUE,
    turn::Reply,
};
use crate::{CallTime, EndedReason, Event, Message, SpeechId};

/// What the model is told where the caller has been told that the line was cut off.
const BRIDGED: &str = "The line was cut off for a moment, and the caller has just been told so. \
                       Go on from there: do not repeat what they heard, and do not apologise again.";

/// What is kept while the leg is gone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Away {
    /// The turn that was stopped; `None`: the assistant had nothing to say.
    pub pause: Option<Pause>,
    /// Why the call ends when the leg stays away.
    reason: EndedReason,
    /// Until then it may come back.
    pub until: CallTime,
    since: CallTime,
    /// It is back, and what was heard of the speeches is still to be told.
    returned: Option<Returned>,
}

#[derive(Clone, Debug, PartialEq)]
struct Returned {
    bridge: Option<String>,
}

impl Away {
    /// When the conversation goes on at the latest, if the leg is back.
    pub(super) fn goes_on_at(&self) -> Option<CallTime> {
        self.returned.as_ref().map(|_| self.since + CUT_ANSWER_DUE)
    }
}

impl Conversation {
    /// The leg is gone; the call ends for `reason` unless it is back within `wait`.
    pub(super) fn leg_lost(&mut self, reason: EndedReason, wait: Duration) {
        let pause = match std::mem::replace(&mut self.floor, Floor::Caller) {
            Floor::Idle { .. } | Floor::Caller => None,
            Floor::Paused(pause) => Some(pause),
            floor @ Floor::Assistant(_) => {
                self.floor = floor;
                self.stop_turn()
            }
            // Its last words were being spoken.
            floor @ Floor::Closing(_) => {
                self.floor = floor;
                self.end(reason);
                return;
            }
            // Gone once more before anything was said.
            Floor::Away(away) => away.pause,
            floor @ (Floor::Ringing | Floor::Ended) => {
                self.floor = floor;
                return;
            }
        };
        let (since, until) = (self.now, self.now + wait);
        self.floor = Floor::Away(Away { pause, reason, until, since, returned: None });
    }

    /// The leg is back. `bridge` is spoken before anything else.
    pub(super) fn leg_back(&mut self, bridge: Option<String>) {
        if let Floor::Away(away) = &mut self.floor {
            away.returned.get_or_insert(Returned { bridge });
        }
    }

    /// Goes on with whoever is back, once it is known what they heard before.
    pub(super) fn go_on_if_back(&mut self) {
        let now = self.now;
        let is_ready = |away: &Away| {
            let is_told = away.pause.as_ref().is_none_or(Pause::is_answered);
            away.goes_on_at().is_some_and(|at| is_told || at <= now)
        };
        let floor = std::mem::replace(&mut self.floor, Floor::Caller);
        let Floor::Away(away) = floor else {
            self.floor = floor;
            return;
        };
        if !is_ready(&away) {
            self.floor = Floor::Away(away);
            return;
        }
        let Away { pause, returned, .. } = away;
        let bridge = returned.and_then(|returned| returned.bridge);
        self.silence_broken();
        self.utterance.wait_anew(self.now);
        let bridge = bridge.filter(|text| !text.trim().is_empty() && !self.is_silent());
        match pause {
            Some(pause) if self.words_interrupt() => {
                self.floor = Floor::Paused(pause);
                self.give_up_pause(true);
            }
            Some(pause) => {
                self.go_on(pause, bridge);
                return;
            }
            // Nothing more of it will be transcribed: it is answered as it is.
            None if bridge.is_some() && self.utterance.has_words() => self.answer_caller(),
            None => self.yield_floor(),
        }
        if let Some(bridge) = bridge {
            self.tell_model_of_bridge();
            self.say(bridge, true, None);
        }
    }

    /// The leg stayed away.
    pub(super) fn leg_gone(&mut self) {
        if let Floor::Away(away) = &self.floor {
            self.end(away.reason.clone());
        }
    }

    /// The process that carried the call is gone, and whoever was at work on something with it:
    /// model, voice, transcriber. What they still owed is asked for again or taken as it is.
    pub(super) fn revived(&mut self, reason: EndedReason, wait: Duration) {
        if matches!(self.floor, Floor::Ringing | Floor::Ended) {
            return;
        }
        self.drop_speculation();
        while let Some(cut) = self.speeches.pop_cut() {
            let heard = cut.heard_so_far().to_owned();
            self.record_heard(&cut, &heard, true, cut.heard_at.unwrap_or(self.now));
        }
        self.utterance.settle_words(self.now);
        self.leg_lost(reason, wait);
        let Floor::Away(Away { pause: Some(pause), .. }) = &mut self.floor else { return };
        for stopped in &mut pause.speeches {
            stopped.settle();
        }
        let Reply::Generating { .. } = pause.turn.reply else { return };
        if pause.held.iter().any(|event| matches!(event, Event::ReplyFinished { .. })) {
            return;
        }
        let turn = pause.turn.id;
        let cut_off = pause.give_up_reply(self.tools.running_in(turn) > 0);
        for Stopped { speech, heard } in cut_off {
            let (heard, at) = heard.unwrap_or_default();
            self.record_heard(&speech, &heard, true, at);
        }
    }

    /// Notes how far the caller has heard a speech that goes on.
    pub(super) fn speech_progressed(&mut self, id: SpeechId, chars: u32) {
        let now = self.now;
        if let Some(speech) = self.speeches.get_mut(id) {
            speech.heard_chars = speech.heard_chars.max(chars);
            speech.heard_at = Some(now);
        }
    }

    /// The turn that was stopped, whether for a voice or because nobody is there.
    pub(super) fn stopped_turn(&mut self) -> Option<&mut Pause> {
        match &mut self.floor {
            Floor::Paused(pause) => Some(pause),
            Floor::Away(away) => away.pause.as_mut(),
            Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Closing(_)
            | Floor::Ended => None,
        }
    }

    /// The assistant goes on with a turn that was stopped because nobody was there.
    fn go_on(&mut self, mut pause: Pause, bridge: Option<String>) {
        let speeches = std::mem::take(&mut pause.speeches);
        let held = std::mem::take(&mut pause.held);
        pause.begin_again(self.now);
        self.floor = Floor::Assistant(pause.turn);
        if let Some(bridge) = bridge {
            self.tell_model_of_bridge();
            let id = self.speeches.new_id();
            self.speak_whole(id, &bridge, true, None);
        }
        self.resume_turn(speeches, held);
        self.generate_if_due();
        self.go_on_after_tools();
    }

    fn tell_model_of_bridge(&mut self) {
        if let Floor::Assistant(turn) = &mut self.floor
            && turn.reply != Reply::Done
        {
            turn.aside.push(Message::System { content: BRIDGED.into() });
        }
    }

    /// Whether what the caller said when the line was cut off takes the floor.
    fn words_interrupt(&self) -> bool {
        matches!(self.judge_words(), Some(Words::Interrupt | Words::InterruptInAnyCase))
    }
}
