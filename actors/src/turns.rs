//! When each step of each turn happened.

use std::time::Duration;

use offhook_core::{CallTime, Command, Event, TurnId};

use crate::call::{CallInput, JournalEntry};

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
    /// The turn was taken and the model asked.
    pub generate: Option<CallTime>,
    /// The first text to be spoken: the model's, or a tool's message.
    pub first_text: Option<CallTime>,
    /// The voice's first audio.
    pub first_audio: Option<CallTime>,
    /// The first audio left for the caller.
    pub sent: Option<CallTime>,
}

/// The turns of a call.
#[derive(Clone, Debug, Default)]
pub struct TurnLog {
    speech_end: Option<CallTime>,
    transcript: Option<CallTime>,
    turns: Vec<TurnTimes>,
}

impl TurnLog {
    /// The turns whose answer was heard, oldest first.
    pub fn answered(&self) -> impl Iterator<Item = &TurnTimes> {
        self.turns.iter().filter(|turn| turn.sent.is_some())
    }

    pub(crate) fn note_input(&mut self, entry: &JournalEntry) {
        let CallInput::Event(event) = &entry.input else { return };
        if let Event::SpeechStopped { at } = event {
            self.speech_end = Some(*at);
        } else if let Event::Transcript { is_final: true, .. } = event {
            self.transcript = Some(entry.at);
        } else if let Event::SpeechBegan { .. } = event {
            self.sent(entry.at);
        }
    }

    pub(crate) fn note_command(&mut self, now: CallTime, command: &Command) {
        if let (Command::Speak { .. }, Some(turn)) = (command, self.turns.last_mut()) {
            turn.first_text.get_or_insert(now);
        }
        let Command::Generate { turn } = command else { return };
        if self.turns.last().is_some_and(|last| last.turn == *turn) {
            // A second round of the same turn, after a tool.
            return;
        }
        if self.turns.len() < TURNS_MAX {
            self.turns.push(TurnTimes {
                turn: *turn,
                speech_end: self.speech_end.take(),
                transcript: self.transcript.take(),
                generate: Some(now),
                ..TurnTimes::default()
            });
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

    fn sent(&mut self, now: CallTime) {
        let Some(turn) = self.turns.last_mut() else { return };
        if turn.first_audio.is_none() || turn.sent.is_some() {
            return;
        }
        turn.sent = Some(now);
        turn.observe();
    }
}

impl TurnTimes {
    /// From the caller's last sound to the transcript of it.
    pub fn transcriber(&self) -> Option<Duration> {
        Some(self.transcript?.after(self.speech_end?))
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

    fn observe(&self) {
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
