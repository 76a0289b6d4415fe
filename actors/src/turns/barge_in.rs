//! How long the agent goes on over a caller who interrupts it.

use std::time::Duration;

use offhook_core::{CallTime, Event};

use crate::call::CallInput;

/// From the caller's onset, by the audio, to the leg being told to drop what it has not played.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BargeIn {
    /// The caller's last onset that has not cut a speech.
    onset: Option<CallTime>,
    /// What the conversation looks at was said by the caller, or by their silence.
    is_callers: bool,
    /// The onset that cut a speech which the leg still plays.
    cutting: Option<CallTime>,
}

impl BargeIn {
    pub fn note_input(&mut self, input: &CallInput) {
        self.is_callers = match input {
            CallInput::Deadline => true,
            CallInput::Event(event) => {
                matches!(event, Event::SpeechStarted { .. } | Event::Transcript { .. })
            }
        };
        if let CallInput::Event(Event::SpeechStarted { at }) = input {
            self.onset = Some(*at);
        }
    }

    /// The conversation cuts a speech.
    pub fn cut(&mut self) {
        if self.is_callers
            && let Some(onset) = self.onset.take()
        {
            self.cutting = Some(onset);
        }
    }

    /// The leg is told; says how long it took when a caller was the cause.
    pub fn cleared(&mut self, now: CallTime) -> Option<Duration> {
        Some(now.after(self.cutting.take()?))
    }

    /// Another speech is heard: a cut that the leg needed not be told of is over.
    pub fn forget(&mut self) {
        self.cutting = None;
    }
}
