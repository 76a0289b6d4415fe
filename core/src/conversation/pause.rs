//! Interruptions that may turn out to be none.
//!
//! The caller's voice alone cuts the assistant, before anybody knows what was said. Until words
//! show that it was an interruption, nothing is lost: the model goes on and its output is held, and
//! speeches remember where they were cut. Without words, or with nothing but an acknowledgement or
//! an echo, each speech goes on at the first word that was not heard.

use std::{collections::VecDeque, time::Duration};

use super::{
    Conversation, Floor,
    barge_in::{self, Words},
    history::join,
    speeches::{CUT_ANSWER_DUE, Speech},
    turn::{Reply, Turn},
};
use crate::{CallTime, Command, EndedReason, Event, ServerEvent, SpeechId};

/// How long after the cut words may take to come while the voice goes on.
///
/// What is resumed is heard within two seconds of the cut; voices take up to half a second to
/// begin.
const WORDS_DUE: Duration = Duration::from_millis(1_500);

/// The same where nothing was heard yet of the answer: a transcriber that has fallen silent is given up
/// within this time.
const UNHEARD_WORDS_DUE: Duration = Duration::from_secs(2);

/// The same where it was: whoever goes on with their question shall not be talked over because a
/// transcriber is being replaced.
const LOST_WORDS_DUE: Duration = Duration::from_secs(4);

/// How long after the voice fell silent its words may take to come: streaming transcribers take
/// 300 ms, and under load twice that.
const LAST_WORDS_DUE: Duration = Duration::from_millis(800);

/// Times in one turn of the assistant that a voice without words cuts it. After that it takes
/// words: where it coughs or bangs all the time, an agent that stops each time is no help.
const FALSE_CUTS_MAX: u32 = 3;

/// Pieces of a reply that are held: more than a model makes in [`LOST_WORDS_DUE`].
const HELD_MAX: usize = 4_000;

/// How many of the caller's interruptions were what they seemed to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interruptions {
    /// Words were said.
    pub confirmed: u32,
    /// No words were, or none that wanted the floor; the assistant went on.
    pub mistaken: u32,
}

/// The assistant's turn, stopped for a voice that has brought no words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pause {
    pub turn: Turn,
    since: CallTime,
    was_audible: bool,
    /// In the order of playing.
    pub speeches: Vec<Stopped>,
    /// What the turn's model and tools said meanwhile.
    pub held: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stopped {
    pub speech: Speech,
    /// What the voice says was heard of it, once it does, and when that was.
    pub heard: Option<(String, CallTime)>,
}

impl Stopped {
    /// The voice will not say any more what was heard: what is known of it counts.
    pub(super) fn settle(&mut self) {
        let Self { speech, heard } = self;
        let at = speech.heard_at.or(speech.began_at).unwrap_or_default();
        heard.get_or_insert_with(|| (speech.heard_so_far().to_owned(), at));
    }
}

impl Pause {
    /// Whether an answer belongs to the turn that was stopped, and is to be held.
    pub(super) fn holds(&self, event: &Event) -> bool {
        if let Event::ToolFinished { turn, .. } = event {
            return *turn == self.turn.id;
        }
        if let Event::ReplyText { turn, .. }
        | Event::ReplyToolCalls { turn, .. }
        | Event::ReplyFinished { turn, .. }
        | Event::ReplyFailed { turn, .. } = event
        {
            return self.turn.is_generating(*turn);
        }
        false
    }

    /// Why the call ends after one of its speeches, where a client asked for that.
    pub(super) fn asked_end(&self) -> Option<EndedReason> {
        self.speeches.iter().find_map(|stopped| stopped.speech.then_end.clone())
    }

    /// A speech that was stopped.
    pub(super) fn speech_mut(&mut self, id: SpeechId) -> Option<&mut Speech> {
        self.find(id).map(|stopped| &mut stopped.speech)
    }

    /// Whether the voice has said of all speeches what was heard.
    pub(super) fn is_answered(&self) -> bool {
        self.speeches.iter().all(|stopped| stopped.heard.is_some())
    }

    /// Gives up what the model was at work on, so that it is asked again; returns the speeches that
    /// had not got all of their text. `tools_run`: their results come first.
    pub(super) fn give_up_reply(&mut self, tools_run: bool) -> Vec<Stopped> {
        self.held.retain(|event| matches!(event, Event::ToolFinished { .. }));
        let awaits_tools = tools_run || !self.turn.answered_calls.is_empty();
        self.turn.reply = match awaits_tools {
            true => Reply::Tools,
            false => Reply::Due { not_before: CallTime::ZERO },
        };
        self.speeches.extract_if(.., |stopped| stopped.speech.finished_at.is_none()).collect()
    }

    /// The turn goes on from now: nobody was waited for in the meantime.
    pub(super) fn begin_again(&mut self, now: CallTime) {
        if let Reply::Generating { last_output_at, speech, .. } = &mut self.turn.reply {
            *last_output_at = now;
            *speech = None;
        }
    }

    fn find(&mut self, id: SpeechId) -> Option<&mut Stopped> {
        self.speeches.iter_mut().find(|stopped| stopped.speech.id == id)
    }
}

impl Conversation {
    /// How many of the caller's interruptions were what they seemed to be.
    pub fn interruptions(&self) -> Interruptions {
        self.interruptions
    }

    /// The caller's voice has lasted long enough to interrupt.
    pub(super) fn interrupt_by_voice(&mut self) {
        // What they may not interrupt sounds on, so that there is no stopping as a whole.
        if self.speeches.playing().iter().any(|speech| !speech.interruptible) {
            self.interrupt();
            return;
        }
        let Some(pause) = self.stop_turn() else { return };
        if pause.was_audible {
            self.publish(ServerEvent::UserInterrupted { turn_id: self.turn.wire_id() });
        }
        self.floor = Floor::Paused(pause);
    }

    /// Takes the floor from the assistant in a way that it can go on where it was.
    pub(super) fn stop_turn(&mut self) -> Option<Pause> {
        let floor = std::mem::replace(&mut self.floor, Floor::Caller);
        let Floor::Assistant(turn) = floor else {
            self.floor = floor;
            return None;
        };
        let was_audible = self.speeches.is_audible();
        let ids: Vec<_> = self.speeches.playing().iter().map(|speech| speech.id).collect();
        let speeches = ids.into_iter().filter_map(|id| self.silence_speech(id));
        let speeches = speeches.map(|speech| Stopped { speech, heard: None }).collect();
        Some(Pause { turn, since: self.now, was_audible, speeches, held: Vec::new() })
    }

    /// Whether a voice without words still cuts this turn.
    pub(super) fn is_cut_by_voice(turn: &Turn) -> bool {
        turn.false_cuts < FALSE_CUTS_MAX
    }

    /// When the assistant goes on unless words come.
    pub(super) fn resume_at(&self, pause: &Pause) -> CallTime {
        let due = match (pause.was_audible, self.utterance.is_lost()) {
            (true, _) => WORDS_DUE,
            (false, false) => UNHEARD_WORDS_DUE,
            (false, true) => LOST_WORDS_DUE,
        };
        let due = pause.since + due;
        let silent_at = self.utterance.silent_since();
        silent_at.map_or(due, |at| due.min((at + LAST_WORDS_DUE).max(pause.since)))
    }

    /// Time is up: what words there are decide.
    pub(super) fn pause_over(&mut self) {
        match self.judge_words() {
            None | Some(Words::Acknowledge) => self.resume(),
            Some(Words::Interrupt | Words::InterruptInAnyCase | Words::Wait) => {
                self.give_up_pause(true);
            }
        }
    }

    /// Takes a transcript that came while the assistant was stopped.
    pub(super) fn hear_in_pause(&mut self, text: &str, is_final: bool) {
        let was_echo = self.hear(text, is_final);
        match self.judge_words() {
            None if was_echo && is_final => self.resume(),
            Some(Words::Acknowledge) if is_final => {
                self.utterance.forget_words();
                self.resume();
            }
            Some(Words::Interrupt | Words::InterruptInAnyCase) => self.give_up_pause(true),
            None | Some(Words::Acknowledge | Words::Wait) => {}
        }
    }

    /// The transcriber says that the caller's turn is over: an acknowledgement will be no more.
    pub(super) fn turn_ended_in_pause(&mut self) {
        let is_paused = matches!(self.floor, Floor::Paused(_));
        if is_paused && self.judge_words() == Some(Words::Acknowledge) {
            self.utterance.forget_words();
            self.resume();
        }
    }

    pub(super) fn hold_in_pause(&mut self, event: Event) {
        let Some(pause) = self.stopped_turn() else { return };
        pause.held.push(event);
        if pause.held.len() <= HELD_MAX {
            return;
        }
        if matches!(self.floor, Floor::Paused(_)) {
            self.resume();
        } else {
            self.give_up_held();
        }
    }

    /// Notes what the voice says of a speech that was stopped; `None`: all of it was heard. Returns
    /// whether it was such a speech.
    pub(super) fn heard_of_stopped(&mut self, id: SpeechId, heard: Option<&str>) -> bool {
        let now = self.now;
        let Some(pause) = self.stopped_turn() else { return false };
        let Some(stopped) = pause.find(id) else { return false };
        let heard = heard.unwrap_or(&stopped.speech.text);
        stopped.heard.get_or_insert_with(|| (heard.to_owned(), now));
        true
    }

    /// A speech that was stopped had begun to sound before the voice knew; returns whether it was
    /// such a speech.
    pub(super) fn stopped_began(&mut self, id: SpeechId) -> bool {
        let now = self.now;
        let Some(pause) = self.stopped_turn() else { return false };
        let Some(stopped) = pause.find(id) else { return false };
        stopped.speech.began_at.get_or_insert(now);
        true
    }

    /// The assistant keeps the floor after all, and goes on where it was stopped.
    fn resume(&mut self) {
        let floor = std::mem::replace(&mut self.floor, Floor::Caller);
        let Floor::Paused(mut pause) = floor else {
            self.floor = floor;
            return;
        };
        pause.begin_again(self.now);
        let Pause { mut turn, was_audible, speeches, held, .. } = pause;
        self.interruptions.mistaken += u32::from(was_audible);
        self.voice_is_doubtful |= !self.utterance.has_words();
        self.utterance.ignore_voice();
        if !self.utterance.has_words() {
            self.utterance.take(self.now);
        }
        turn.false_cuts += 1;
        self.floor = Floor::Assistant(turn);
        self.resume_turn(speeches, held);
    }

    /// Has the rest of the speeches spoken, then does what was held.
    pub(super) fn resume_turn(&mut self, speeches: Vec<Stopped>, held: Vec<Event>) {
        for mut stopped in speeches {
            stopped.settle();
            let Stopped { speech, heard } = stopped;
            let heard = heard.map(|(heard, _)| heard).unwrap_or_default();
            self.resume_speech(speech, &heard);
            if !matches!(self.floor, Floor::Assistant(_)) {
                return;
            }
        }
        for event in held {
            self.decide(event);
        }
    }

    /// Has the rest of a speech spoken, under a new name at the place of the old one.
    fn resume_speech(&mut self, mut speech: Speech, heard: &str) {
        let rest = rest_of(&speech.text, heard).to_owned();
        if rest.chars().any(char::is_alphanumeric) {
            let id = self.speeches.new_id();
            self.tools.wait_for_other(speech.id, id);
            let first_began_at = speech.first_began_at();
            let before = join(&speech.before, heard);
            let follows = speech.follows || !before.is_empty();
            // Its words are timed anew, and told again from where it goes on.
            speech = Speech {
                id,
                text: rest,
                before,
                first_began_at,
                began_at: None,
                follows,
                timed: VecDeque::new(),
                is_captioned: false,
                told_bytes: 0,
                heard_chars: 0,
                heard_at: None,
                ..speech
            };
            self.replay_speech(speech);
        } else {
            self.speech_is_over(speech, heard);
        }
    }

    /// More was held than anybody makes in an absence: the model is asked anew once somebody listens.
    fn give_up_held(&mut self) {
        let Some(pause) = self.stopped_turn() else { return };
        let (id, asked_as) = (pause.turn.id, pause.turn.asked_as());
        let tools_run = self.tools.running_in(id) > 0;
        let cut_off = self.stopped_turn().map(|pause| pause.give_up_reply(tools_run));
        for mut stopped in cut_off.unwrap_or_default() {
            stopped.settle();
            let (heard, at) = stopped.heard.unwrap_or_default();
            self.record_heard(&stopped.speech, &heard, true, at);
        }
        if let Some(turn) = asked_as {
            self.command(Command::CancelReply { turn });
        }
    }

    fn replay_speech(&mut self, mut speech: Speech) {
        let (id, text) = (speech.id, speech.text.clone());
        let is_open = speech.finished_at.is_none();
        if !is_open {
            speech.finished_at = Some(self.now);
        } else if let Floor::Assistant(turn) = &mut self.floor
            && let Reply::Generating { speech, .. } = &mut turn.reply
        {
            *speech = Some(id);
        }
        self.speeches.play(speech, self.now);
        self.command(Command::Speak { speech: id, text });
        if !is_open {
            self.command(Command::FinishSpeech { speech: id });
        }
    }

    /// What was stopped is over. `is_confirmed`: the caller's words took the floor.
    pub(super) fn give_up_pause(&mut self, is_confirmed: bool) {
        let (floor, away) = match std::mem::replace(&mut self.floor, Floor::Caller) {
            Floor::Paused(pause) => (Some(pause), None),
            Floor::Away(mut away) => (away.pause.take(), Some(away)),
            floor @ (Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Closing(_)
            | Floor::Ended) => {
                self.floor = floor;
                return;
            }
        };
        let Some(Pause { turn, since, was_audible, speeches, held }) = floor else {
            self.floor = away.map_or(Floor::Caller, Floor::Away);
            return;
        };
        if let Some(turn) = turn.asked_as() {
            self.command(Command::CancelReply { turn });
        }
        for id in self.speeches.drop_queued(|message| message.interruptible) {
            self.refuse_blocked_calls(id);
        }
        for Stopped { speech, heard } in speeches {
            let id = speech.id;
            match heard {
                Some((heard, at)) => {
                    self.record_heard(&speech, &heard, heard != speech.text, at);
                }
                None => self.speeches.remember_cut(speech, since + CUT_ANSWER_DUE),
            }
            self.refuse_blocked_calls(id);
        }
        if was_audible {
            self.quiet_until = self.quiet_until.max(since + self.options.stop_speaking.backoff);
        } else if is_confirmed {
            self.utterance.unanswered = turn.answers;
        }
        if let Some(away) = away {
            self.floor = Floor::Away(away);
        } else if !is_confirmed {
            self.floor = Floor::Assistant(Turn { reply: Reply::Done, ..turn });
        }
        // Tools ran on: what they came to is known, and told once somebody listens.
        for event in held {
            if let Event::ToolFinished { turn, call_id, outcome } = event {
                self.tool_finished(turn, &call_id, outcome);
            }
        }
        if is_confirmed && was_audible {
            self.interrupted();
        }
    }

    /// What the words of the caller mean, where there are any.
    pub(super) fn judge_words(&self) -> Option<Words> {
        if !self.utterance.has_words() {
            return None;
        }
        let text = self.utterance.text();
        // It may become an echo with the next word.
        if self.utterance.has_partial() && self.may_become_echo(&text) {
            return Some(Words::Wait);
        }
        let plan = &self.options.stop_speaking;
        let judged = barge_in::judge(plan, &text);
        let may_go_on =
            self.utterance.has_partial() && barge_in::may_become_acknowledgement(plan, &text);
        Some(if judged == Words::Interrupt && may_go_on { Words::Wait } else { judged })
    }
}

/// What of a text comes after the words heard, which the voice may report with other white space.
fn rest_of<'a>(text: &'a str, heard: &str) -> &'a str {
    let (text, heard) = (text.trim_start(), heard.trim());
    if let Some(rest) = text.strip_prefix(heard) {
        return rest.trim_start();
    }
    let mut rest = text;
    for _ in heard.split_whitespace() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        rest = rest[end..].trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::rest_of;

    #[test]
    fn the_rest_begins_with_the_first_word_that_was_not_heard() {
        assert_eq!(rest_of(" We are open. Come!", "We are"), "open. Come!");
        assert_eq!(rest_of("We are open.", ""), "We are open.");
        assert_eq!(rest_of("We are open.", "We are open."), "");
        assert_eq!(rest_of("We  are\nopen now.", "We are open"), "now.");
    }
}
