//! What the caller hears while they wait for an answer: a line would seem dead otherwise.

use std::time::Duration;

use super::{
    Conversation, Floor,
    turn::{Reply, Turn},
};
use crate::{CallTime, Command, EndedReason, HookAction, HookTrigger, SpeechId, SpeechSource};

/// Silence of ours after which the caller hears that we are at it.
const FIRST_AFTER: Duration = Duration::from_millis(2_500);

/// The same from then on: nobody bears more than five seconds, and a voice takes up to one to begin.
const FURTHER_AFTER: Duration = Duration::from_secs(4);

/// The longest silence that a caller bears: a message that comes by then needs no other before it.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// About how long a filler sounds: nothing else is to be said meanwhile.
const LENGTH: Duration = Duration::from_millis(1_500);

/// How long what was just said, or given to the voice to say, may take to arrive.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

impl Conversation {
    /// When the caller is to hear that somebody is there, if they hear nothing until then.
    pub(super) fn filler_at(&self, turn: &Turn) -> Option<CallTime> {
        self.options.fillers.as_ref()?;
        let is_awaited = match turn.reply {
            Reply::Due { .. } | Reply::Generating { .. } | Reply::Tools => true,
            Reply::Done => !self.speeches.playing().is_empty(),
        };
        let is_quiet = self.utterance.speaking_since().is_none() && !self.speeches.is_audible();
        if turn.answers.is_none() || !is_awaited || !is_quiet || self.is_silent() {
            return None;
        }
        let since = turn.begun_at.max(self.silent_since).max(turn.filled_at);
        let at = since + if turn.fillers == 0 { FIRST_AFTER } else { FURTHER_AFTER };
        // Words of the caller may follow their voice, and a voice is about to begin.
        let caller = self.utterance.silent_since().map(|at| at + SETTLED_AFTER);
        let voice = self.speeches.first_since().map(|at| at + SETTLED_AFTER);
        let at = at.max(caller.unwrap_or_default()).max(voice.unwrap_or_default());
        // What tools and hooks have to say comes instead.
        let by_tool = turn.delayed.iter().any(|message| message.at <= since + SILENCE_MAX);
        let by_hook =
            self.speaks_at_hang(turn).is_some_and(|hang| at <= hang && hang < at + LENGTH);
        (!by_tool && !by_hook).then_some(at)
    }

    pub(super) fn filler_due(&mut self) {
        let now = self.now;
        let (Floor::Assistant(turn), Some(fillers)) = (&mut self.floor, &self.options.fillers)
        else {
            return;
        };
        let text = if turn.fillers == 0 { &fillers.first } else { &fillers.further }.clone();
        turn.fillers += 1;
        turn.filled_at = now;
        if self.speeches.playing().is_empty() {
            self.say(text, true, None);
        } else {
            let id = self.speeches.new_id();
            self.fill_as(id, text, None);
        }
    }

    /// Has words sound that were kept, in front of what the voice was given and has not begun to
    /// say.
    pub(super) fn fill_as(&mut self, id: SpeechId, text: String, then_end: Option<EndedReason>) {
        self.command(Command::Fill { speech: id, text: text.clone() });
        let source = SpeechSource::ForceSay;
        let mut speech = self.new_speech(id, &text, source, then_end.is_none(), then_end);
        speech.finished_at = Some(self.now);
        speech.is_kept = true;
        self.speeches.play_first(speech, self.now);
    }

    /// When a hook that says something breaks the model's silence, unless it has.
    fn speaks_at_hang(&self, turn: &Turn) -> Option<CallTime> {
        let says = |action: &HookAction| match action {
            HookAction::Say { .. } => true,
            HookAction::Ask { .. } | HookAction::AddMessage { .. } | HookAction::EndCall => false,
        };
        let hooks = self.options.hooks.iter().filter(|hook| hook.on == HookTrigger::ModelSilent);
        let speaks = hooks.flat_map(|hook| &hook.actions).any(says);
        turn.hang_at().filter(|_| speaks)
    }
}
