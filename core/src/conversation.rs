//! Whose turn it is.
//!
//! [`Conversation`] is the whole of turn-taking: endpointing, barge-in, tools, silence, the end.
//! It owns no task, no channel and no clock: the same events at the same times give the same
//! commands, so that a conversation is rebuilt from its journal.
//!
//! Assumptions:
//! - Times never go backwards; one that does is read as the latest time seen.
//! - The voice plays speeches in the order in which their first [`Command::Speak`] came. A second
//!   speech is given text only after [`Command::FinishSpeech`] of the first.
//! - Every [`Command::CutSpeech`] is answered by [`Event::SpeechCut`], or by
//!   [`Event::SpeechHeard`] where the end was faster; no answer counts as nothing heard.
//! - Answers that come after [`Command::End`] still correct the history.

mod absence;
mod barge_in;
mod caller;
mod captions;
mod closing;
mod control;
mod echo;
mod endpointing;
mod filler;
mod history;
mod hooks;
mod keypad;
mod language;
mod pause;
pub(crate) mod phrases;
mod reply;
mod seam;
mod speaking;
mod speculation;
mod speeches;
mod timers;
mod tools;
mod turn;
mod utterance;
mod voicemail;

use self::{
    absence::Away,
    closing::Closing,
    echo::Sounded,
    endpointing::Estimator,
    history::History,
    hooks::Hooks,
    language::Languages,
    pause::Pause,
    seam::Seam,
    speculation::Speculations,
    speeches::Speeches,
    tools::ToolRuns,
    turn::Turn,
    utterance::Utterance,
    voicemail::{Asking, Voicemail},
};
use crate::{
    CallOptions, CallTime, Command, Deadline, EndOfTurnEstimator, Entry, Event, Message,
    ServerEvent, TextEstimator, TurnId, keypad::Keypad,
};

pub use pause::Interruptions;

/// What the model is told of a reply that the caller interrupted.
const CUT_SHORT: &str =
    "The caller interrupted you there: of that reply they heard nothing more than these words.";

/// One call's conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    options: CallOptions,
    estimator: Estimator,
    /// The latest time that we were told.
    now: CallTime,
    floor: Floor,
    /// The assistant's latest turn.
    turn: TurnId,
    /// Everything spoken in that turn.
    said: String,
    utterance: Utterance,
    keypad: Keypad,
    languages: Languages,
    speculations: Speculations,
    /// The transcriber has told of an end of turn, and not failed to since.
    native_end_of_turn: bool,
    /// A voice was heard lately that went on without words, or had none: there are others on the line.
    voice_is_doubtful: bool,
    /// Times that a server was asked how long to wait.
    endpointing_requests: u32,
    seam: Option<Seam>,
    speeches: Speeches,
    tools: ToolRuns,
    history: History,
    muted: bool,
    /// A message was added that the model shall answer as soon as nobody speaks.
    reply_wanted: bool,
    /// Messages that clients added.
    messages_added: u32,
    interruptions: Interruptions,
    hooks: Hooks,
    voicemail: Voicemail,
    /// What the other side said while a voicemail is thought of.
    voicemail_heard: String,
    voicemail_asking: Asking,
    /// What the assistant said last, while an echo of it may come.
    sounded: Option<Sounded>,
    /// When the caller last heard the end of something that the assistant said.
    silent_since: CallTime,
    /// The assistant was interrupted and stays silent until then.
    quiet_until: CallTime,
    /// When the leg came up.
    began_at: Option<CallTime>,
    /// What the event at hand has led to so far; empty between events.
    commands: Vec<Command>,
}

/// Who holds the floor.
#[derive(Clone, Debug, PartialEq)]
enum Floor {
    /// The leg is not up: nobody hears anything.
    Ringing,
    /// Nobody speaks.
    Idle { since: CallTime },
    /// The caller speaks, or paused, or words of theirs are awaited.
    Caller,
    /// The assistant thinks, waits for tools or speaks. The caller may be speaking over it.
    Assistant(Turn),
    /// The assistant was stopped for a voice; words will show whether it was interrupted.
    Paused(Pause),
    /// The leg is gone, and may come back.
    Away(Away),
    /// The last words are spoken.
    Closing(Closing),
    /// The call is over; nothing more is commanded.
    Ended,
}

impl Conversation {
    pub fn new(options: CallOptions) -> Self {
        Self::with_estimator(options, &TextEstimator)
    }

    /// A conversation whose ends of turns somebody else judges.
    pub fn with_estimator(
        options: CallOptions,
        estimator: &'static dyn EndOfTurnEstimator,
    ) -> Self {
        Self {
            options,
            estimator: Estimator(estimator),
            now: CallTime::ZERO,
            floor: Floor::Ringing,
            turn: TurnId::default(),
            said: String::new(),
            utterance: Utterance::default(),
            keypad: Keypad::default(),
            languages: Languages::default(),
            speculations: Speculations::default(),
            native_end_of_turn: false,
            voice_is_doubtful: false,
            endpointing_requests: 0,
            seam: None,
            speeches: Speeches::default(),
            tools: ToolRuns::default(),
            history: History::default(),
            muted: false,
            reply_wanted: false,
            messages_added: 0,
            interruptions: Interruptions::default(),
            hooks: Hooks::default(),
            voicemail: Voicemail::default(),
            voicemail_heard: String::new(),
            voicemail_asking: Asking::default(),
            sounded: None,
            silent_since: CallTime::ZERO,
            quiet_until: CallTime::ZERO,
            began_at: None,
            commands: Vec::new(),
        }
    }

    /// Takes one event and says what to do about it.
    pub fn handle(&mut self, now: CallTime, event: Event) -> Vec<Command> {
        self.now = self.now.max(now);
        if let Event::Transcript { text, is_final } = &event
            && !self.is_over()
        {
            self.overhear(text, *is_final);
        }
        self.decide(event);
        self.settle();
        std::mem::take(&mut self.commands)
    }

    /// When [`Conversation::handle_timeout`] next has something to do, and what for.
    ///
    /// Right after [`Conversation::handle`] that may be a time already past: something is due.
    pub fn next_deadline(&self) -> Option<Deadline> {
        self.next_timer().map(|(due, timer)| (due, timer.reason()))
    }

    /// Does what fell due by `now`.
    pub fn handle_timeout(&mut self, now: CallTime) -> Vec<Command> {
        self.now = self.now.max(now);
        self.run_timers();
        std::mem::take(&mut self.commands)
    }

    /// What the model is asked with: the preamble and the history as heard so far, with what is
    /// being spoken in its place, and a word on every tool that is still running.
    ///
    /// Models insist on a result for each of their calls.
    pub fn prompt(&self) -> Vec<Message> {
        let speaking = self.speeches.playing().iter().map(|speech| {
            let content = speech.whole_text();
            (speech.key, Message::Assistant { content, interrupted: false })
        });
        let running = self.tools.running().map(|run| (run.key, run.still_running()));
        let recorded = self.history.keyed().map(|(key, entry)| (key, entry.message.clone()));

        let mut keyed: Vec<_> = recorded.chain(speaking).chain(running).collect();
        keyed.sort_by_key(|(key, _)| *key);
        let spoken = keyed.into_iter().flat_map(|(_, message)| {
            let was_cut = matches!(message, Message::Assistant { interrupted: true, .. });
            let note = was_cut.then(|| Message::System { content: CUT_SHORT.into() });
            [Some(message), note].into_iter().flatten()
        });
        let preamble = self.options.preamble.iter().cloned();
        preamble.chain(spoken).chain(self.aside()).collect()
    }

    /// What was said and done so far, oldest first, without the preamble.
    pub fn history(&self) -> &[Entry] {
        self.history.entries()
    }

    /// The assistant's latest turn; 0 until the model was first asked.
    pub fn turn(&self) -> TurnId {
        self.turn
    }

    /// Whether [`Command::End`] was given.
    pub fn is_over(&self) -> bool {
        self.floor == Floor::Ended
    }

    fn decide(&mut self, event: Event) {
        match (&self.floor, event) {
            (Floor::Paused(pause) | Floor::Away(Away { pause: Some(pause), .. }), event)
                if pause.holds(&event) =>
            {
                self.hold_in_pause(event)
            }

            // What a speech or a tool came to belongs into the history even after the end.
            (_, Event::SpeechHeard { speech }) => self.speech_heard(speech),
            (_, Event::SpeechCut { speech, heard }) => self.speech_cut(speech, &heard),
            (_, Event::SpeechTrimmed { speech, text }) => self.speech_trimmed(speech, &text),
            (_, Event::ToolFinished { turn, call_id, outcome }) => {
                self.tool_finished(turn, &call_id, outcome);
            }
            (Floor::Ended, _) => {}

            (_, Event::LegClosed { reason } | Event::EndRequested { reason }) => self.end(reason),
            (_, Event::Farewell { words, reason }) => self.close(reason, Some(words)),
            (_, Event::LegLost { reason, wait }) => self.leg_lost(reason, wait),
            (_, Event::LegBack { bridge }) => self.leg_back(bridge),
            (_, Event::Revived { reason, wait }) => self.revived(reason, wait),
            (_, Event::StageFailed { failure }) => self.stage_failed(&failure),
            (_, Event::Control(control)) => self.control(control),

            (Floor::Ringing, Event::LegConnected) => self.leg_connected(),
            (_, Event::LegConnected) => {}
            (Floor::Ringing, _) => {}

            (Floor::Idle { .. }, Event::SpeechStarted { at }) => {
                self.floor = Floor::Caller;
                self.voice_started(at);
            }
            (_, Event::SpeechStarted { at }) => self.voice_started(at),
            (_, Event::SpeechStopped { at }) => self.voice_stopped(at),
            (_, Event::ProviderPromoted { stage, .. }) => self.promoted(stage),
            (_, Event::TranscriberLost) => self.transcriber_lost(),
            (_, Event::TranscriberCaughtUp) => self.utterance.transcriber_caught_up(),
            (_, Event::EndOfTurn) => {
                self.native_end_of_turn = true;
                self.utterance.end_of_turn(self.now);
                self.turn_ended_in_pause();
            }
            (_, Event::WordsPaused) => self.utterance.words_paused(),
            (_, Event::EagerEndOfTurn) => {
                self.native_end_of_turn = true;
                self.utterance.suspect_end();
            }
            (_, Event::TurnResumed) => self.turn_resumed(),
            (_, Event::LanguageHeard { language, words }) => self.language_heard(&language, words),
            (_, Event::EndpointingAnswered { request, timeout }) => {
                self.utterance.server_answered(request, timeout);
            }

            (Floor::Idle { .. }, Event::Transcript { text, is_final }) => {
                self.hear(&text, is_final);
                if self.utterance.has_words() {
                    self.floor = Floor::Caller;
                }
            }
            (
                Floor::Caller | Floor::Away(_) | Floor::Closing(_),
                Event::Transcript { text, is_final },
            ) => {
                self.hear(&text, is_final);
            }
            (Floor::Paused(_), Event::Transcript { text, is_final }) => {
                self.hear_in_pause(&text, is_final);
            }
            (Floor::Assistant(turn), Event::Transcript { text, is_final }) => {
                let was_answered_lately = turn.answers_words_before(self.now);
                self.hear_over_assistant(&text, is_final, was_answered_lately);
            }

            (
                _,
                event @ (Event::ReplyText { turn: id, .. }
                | Event::ReplyToolCalls { turn: id, .. }
                | Event::ReplyFinished { turn: id, .. }
                | Event::ReplyFailed { turn: id, .. }),
            ) if self.speculations.holds(id) => self.hold(event),
            (Floor::Assistant(turn), Event::ReplyText { turn: id, text })
                if turn.is_generating(id) =>
            {
                self.reply_text(&text);
            }
            (Floor::Assistant(turn), Event::ReplyToolCalls { turn: id, calls })
                if turn.is_generating(id) =>
            {
                self.reply_tool_calls(calls);
            }
            (Floor::Assistant(turn), Event::ReplyFinished { turn: id, finish })
                if turn.is_generating(id) =>
            {
                self.reply_finished(finish);
            }
            (Floor::Assistant(turn), Event::ReplyFailed { turn: id, failure })
                if turn.is_generating(id) =>
            {
                self.reply_failed(&failure);
            }
            // A reply that was cancelled meanwhile.
            (
                _,
                Event::ReplyText { .. }
                | Event::ReplyToolCalls { .. }
                | Event::ReplyFinished { .. }
                | Event::ReplyFailed { .. },
            ) => {}

            (_, Event::SpeechBegan { speech }) => self.speech_began(speech),
            (_, Event::SpeechTimed { speech, words }) => self.speech_timed(speech, words),
            (_, Event::SpeechProgress { speech, chars }) => self.speech_progressed(speech, chars),
            (_, Event::Beep { .. }) => self.beeped(),
            (_, Event::Answered { by }) => self.answered(by),
            (_, Event::VoicemailJudged { request, is_voicemail }) => {
                self.voicemail_judged(request, is_voicemail);
            }
            (_, Event::KeyPressed { key }) => self.key_pressed(key),
        }
    }

    /// Draws the conclusions that any event may allow: what waited is spoken, and a floor that
    /// nobody needs is given up.
    fn settle(&mut self) {
        self.go_on_if_back();
        self.release_queued();
        self.ask_prompted();
        match &self.floor {
            Floor::Assistant(turn) if turn.is_done() && self.speeches.playing().is_empty() => {
                match turn.ending.clone() {
                    Some(reason) => self.close(reason, self.options.end_call_message.clone()),
                    None => self.yield_floor(),
                }
            }
            Floor::Caller if self.utterance.wait(&self.options.start_speaking).is_none() => {
                self.yield_floor();
            }
            Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => {}
        }
        self.ask_endpointing();
        self.review_speculation();
    }

    /// What the model is told for the present turn alone.
    fn aside(&self) -> Vec<Message> {
        match &self.floor {
            Floor::Assistant(turn) => turn.aside.clone(),
            Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => Vec::new(),
        }
    }

    fn command(&mut self, command: Command) {
        if !self.is_over() {
            self.commands.push(command);
        }
    }

    fn publish(&mut self, event: ServerEvent) {
        self.command(Command::Publish(event));
    }
}

#[cfg(test)]
mod tests;
