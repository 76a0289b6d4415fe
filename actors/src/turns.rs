//! When each step of each turn happened.

mod barge_in;
mod edges;

use std::time::Duration;

use offhook_core::{CallTime, Command, Event, TurnId};

use crate::call::{CallInput, JournalEntry};

use self::{barge_in::BargeIn, edges::Edges};

/// Turns kept for a call's report; a call of ten minutes has some hundred.
const TURNS_MAX: usize = 2_000;

/// The steps from the caller's last sound to the agent's first, on the call's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnTimes {
    pub turn: TurnId,
    /// The caller fell silent, by the audio.
    pub speech_end: Option<CallTime>,
    /// The last final text of the utterance arrived.
    pub transcript: Option<CallTime>,
    /// The turn was taken, and the model asked unless it was before.
    pub generate: Option<CallTime>,
    /// The model was asked on the suspicion that the turn was over, and it was.
    pub speculated: Option<CallTime>,
    /// The first text to be spoken: the model's, or a tool's message.
    pub first_text: Option<CallTime>,
    /// The voice's first audio.
    pub first_audio: Option<CallTime>,
    /// The first audio left for the caller.
    pub sent: Option<CallTime>,
    /// What the model's words for it come with.
    asked_as: TurnId,
    edges: Edges,
}

/// The turns of a call.
#[derive(Clone, Debug, Default)]
pub struct TurnLog {
    speech_end: Option<CallTime>,
    transcript: Option<CallTime>,
    /// When the last of what a turn's end is judged by was there.
    released: Option<CallTime>,
    /// A speech is being heard.
    is_playing: bool,
    barge_in: BargeIn,
    /// The speculation under way, and when the model was asked.
    speculation: Option<(TurnId, CallTime)>,
    turns: Vec<TurnTimes>,
}

impl TurnLog {
    /// The turns whose answer was heard, oldest first.
    pub fn answered(&self) -> impl Iterator<Item = &TurnTimes> {
        self.turns.iter().filter(|turn| turn.sent.is_some())
    }

    /// An event comes in from outside: from a provider, from the leg, from the VAD.
    pub(crate) fn arrived(&mut self, now: CallTime, event: &Event) {
        if edges::may_end_turn(event) {
            self.released = Some(now);
        } else if let Event::ReplyText { turn, .. } = event {
            if let Some(last) = self.turns.last_mut().filter(|last| last.asked_as == *turn) {
                last.edges.text_arrived(now);
            }
        } else if let Event::ReplyFinished { turn, .. } = event {
            if let Some(last) = self.turns.last_mut().filter(|last| last.turn == *turn) {
                last.edges.reply_ended(now);
            }
        } else if let Event::SpeechBegan { .. } = event {
            self.is_playing = true;
            self.barge_in.forget();
            self.sent(now);
        } else if let Event::SpeechHeard { .. } | Event::SpeechCut { .. } = event {
            self.is_playing = false;
        }
    }

    /// The conversation is about to see an input; `due`: of a deadline, when it should have.
    pub(crate) fn note_input(&mut self, entry: &JournalEntry, due: Option<CallTime>) {
        self.barge_in.note_input(&entry.input);
        if due.is_some() {
            self.released = self.released.max(due);
        }
        let CallInput::Event(event) = &entry.input else { return };
        if let Event::SpeechStopped { at } = event {
            self.speech_end = Some(*at);
        } else if let Event::Transcript { is_final: true, .. } = event {
            self.transcript = Some(entry.at);
        } else if let Event::ReplyFailed { turn, .. } = event {
            self.speculation_dropped(*turn);
        }
    }

    pub(crate) fn note_command(&mut self, now: CallTime, command: &Command) {
        if let (Command::Speak { .. }, Some(turn)) = (command, self.turns.last_mut()) {
            turn.first_text.get_or_insert(now);
        } else if let Command::CutSpeech { .. } = command {
            self.barge_in.cut();
        } else if let Command::Speculate { turn } = command {
            self.speculation = Some((*turn, now));
        } else if let Command::CancelReply { turn } = command {
            self.speculation_dropped(*turn);
        } else if let Command::Generate { turn } = command {
            self.begin(*turn, now, None);
        } else if let Command::Adopt { turn, speculation } = command {
            self.adopt(*turn, *speculation, now);
        }
    }

    fn begin(&mut self, turn: TurnId, now: CallTime, speculated: Option<CallTime>) {
        // A second round of the same turn, after a tool.
        let is_begun = self.turns.last().is_some_and(|last| last.turn == turn);
        if is_begun || self.turns.len() >= TURNS_MAX {
            return;
        }
        self.turns.push(TurnTimes {
            turn,
            speech_end: self.speech_end.take(),
            transcript: self.transcript.take(),
            generate: Some(now),
            speculated,
            asked_as: turn,
            edges: Edges::released(self.released.take()),
            ..TurnTimes::default()
        });
    }

    fn adopt(&mut self, turn: TurnId, speculation: TurnId, now: CallTime) {
        let asked = self.speculation.take().map(|(_, asked)| asked);
        if let Some(asked) = asked {
            count_speculation("adopted");
            metrics::histogram!("offhook_speculation_saved_seconds")
                .record(now.after(asked).as_secs_f64());
        }
        self.begin(turn, now, asked);
        if let Some(last) = self.turns.last_mut().filter(|last| last.turn == turn) {
            last.asked_as = speculation;
            // What was held comes with the adoption, and nobody waited for it.
            last.edges.model_asked(now);
            last.edges.text_arrived(now);
        }
    }

    /// Counts a speculation that came to nothing, if this is the one under way.
    fn speculation_dropped(&mut self, turn: TurnId) {
        if self.speculation.take_if(|(running, _)| *running == turn).is_some() {
            count_speculation("dropped");
        }
    }

    /// The model's provider is asked.
    pub(crate) fn model_asked(&mut self, now: CallTime, turn: TurnId) {
        if let Some(last) = self.turns.last_mut().filter(|last| last.turn == turn) {
            last.edges.model_asked(now);
        }
    }

    /// A piece of text is left for the voice's session.
    pub(crate) fn voice_asked(&mut self, now: CallTime) {
        if let Some(turn) = self.turns.last_mut()
            && turn.first_text.is_some()
        {
            turn.edges.voice_asked(now, self.is_playing);
        }
    }

    /// The voice's first audio of whatever is answered now.
    pub(crate) fn first_audio(&mut self, now: CallTime) {
        if let Some(turn) = self.turns.last_mut()
            && turn.first_text.is_some()
        {
            turn.first_audio.get_or_insert(now);
        }
    }

    /// The leg is told to drop what it has not played.
    pub(crate) fn cleared(&mut self, now: CallTime) {
        if let Some(took) = self.barge_in.cleared(now) {
            metrics::histogram!("offhook_barge_in_seconds").record(took.as_secs_f64());
        }
    }

    fn sent(&mut self, now: CallTime) {
        let Some(turn) = self.turns.last_mut() else { return };
        if turn.first_audio.is_none() || turn.sent.is_some() {
            return;
        }
        turn.sent = Some(now);
        turn.observe();
    }
}

fn count_speculation(outcome: &'static str) {
    metrics::counter!("offhook_speculations_total", "outcome" => outcome).increment(1);
}

impl TurnTimes {
    /// From the caller's last sound to the transcript of it.
    pub fn transcriber(&self) -> Option<Duration> {
        Some(self.transcript?.after(self.speech_end?))
    }

    /// How much earlier than the turn was taken the model was asked.
    pub fn saved(&self) -> Option<Duration> {
        Some(self.generate?.after(self.speculated?))
    }

    /// From transcript (or last sound, if later) to the decision that the turn is over.
    pub fn endpointing(&self) -> Option<Duration> {
        let heard = self.speech_end.max(self.transcript)?;
        Some(self.generate?.after(heard))
    }

    pub fn model(&self) -> Option<Duration> {
        Some(self.first_text?.after(self.generate?))
    }

    pub fn voice(&self) -> Option<Duration> {
        Some(self.first_audio?.after(self.first_text?))
    }

    pub fn transport(&self) -> Option<Duration> {
        Some(self.sent?.after(self.first_audio?))
    }

    /// From the caller's last sound to the agent's first; where the VAD heard none, from their
    /// last words.
    pub fn total(&self) -> Option<Duration> {
        Some(self.sent?.after(self.speech_end.or(self.transcript)?))
    }

    /// What the runtime itself added to the turn: the time in which neither a provider nor a
    /// configured wait was waited for.
    ///
    /// It is the sum of three stretches:
    ///
    /// 1. from the last of what the end of the turn is judged by (the end of speech as the VAD told
    ///    it, the final text, the provider's own end of turn, the end of the silence that is
    ///    waited for) to the request to the model;
    /// 2. from the model's text (or the end of its reply) that completes the first piece for the
    ///    voice to that piece being left for the voice's session;
    /// 3. from the voice's first audio to the first audio sent to the caller.
    ///
    /// Answers are taken where they leave a provider's session, questions where they are put to it,
    /// so that the code of providers and what the way of the caller's audio to the transcriber takes
    /// (a frame, 20 ms, at most) count as the provider's. `None` where the first words were not the
    /// model's (a tool's message), or had to wait for an earlier speech to be heard.
    pub fn overhead(&self) -> Option<Duration> {
        self.edges.overhead(self.first_audio?, self.sent?)
    }

    fn observe(&self) {
        if let Some(overhead) = self.total().and(self.overhead()) {
            metrics::histogram!("offhook_runtime_overhead_seconds").record(overhead.as_secs_f64());
        }
        let stages = [
            ("transcriber", self.transcriber()),
            ("endpointing", self.endpointing()),
            ("model", self.model()),
            ("voice", self.voice()),
            ("transport", self.transport()),
            ("total", self.total()),
        ];
        for (stage, time) in stages {
            if let Some(time) = time {
                metrics::histogram!("offhook_turn_latency_seconds", "stage" => stage)
                    .record(time.as_secs_f64());
            }
        }
    }
}

#[cfg(test)]
mod tests;
