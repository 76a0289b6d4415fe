//! Asking the model before the caller's turn is surely over.
//!
//! What it answers is held here: nothing is spoken, published or run of it. Once the turn is over
//! with the same words it is taken as if it had come just then; otherwise it leaves no trace.
//!
//! Whether a speculation still fits is read off the state after each event, and not off the event:
//! whatever makes the model's question another one drops it.

use std::time::Duration;

use super::{Conversation, Floor, phrases, turn::Reply, utterance::Wait};
use crate::{CallTime, Command, Event, TurnId};

/// Requests to the model on the suspicion that one turn is over; a caller who hesitates ten times
/// shall not cost ten requests.
const SPECULATIONS_MAX: u32 = 3;

/// What is left to wait must be more than this: for less, a request that may be in vain is not worth
/// it.
const WORTH_IT: Duration = Duration::from_millis(150);

/// Pieces of a reply that are held: more than a model makes in the longest wait there is (15 s).
const HELD_MAX: usize = 4_000;

/// Bytes of text that are held: an hour of speech.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// The speculations of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Speculations {
    /// How many there were in the call.
    count: u32,
    /// How many there were in this turn of the caller.
    in_turn: u32,
    current: Option<Speculation>,
}

/// A reply to a turn that may not be over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Speculation {
    id: TurnId,
    /// What the caller had said.
    text: String,
    /// Since when the caller had been speaking, where the voice had not been noticed to stop.
    speaking_since: Option<CallTime>,
    /// The history that the model was asked with.
    revision: u64,
    /// The turn is over; what is held is due with the reply.
    is_sure: bool,
    held: Vec<Event>,
    held_bytes: usize,
}

impl Speculations {
    /// A turn was begun: the caller's next one may be speculated on anew.
    pub(super) fn turn_begun(&mut self) {
        self.in_turn = 0;
    }

    /// Whether an answer with this id is to be held.
    pub(super) fn holds(&self, id: TurnId) -> bool {
        self.current.as_ref().is_some_and(|current| current.id == id)
    }
}

impl Conversation {
    /// The conversation as it would be were the caller's turn over with the words that were heard
    /// so far. What is asked on that suspicion is asked with its prompt and its history.
    pub fn supposing_turn_over(&self) -> Self {
        let mut supposed = self.clone();
        if supposed.floor == Floor::Caller {
            let unanswered = supposed.utterance.unanswered.take();
            let spoken = supposed.utterance.take(supposed.now);
            supposed.record_caller(&spoken, unanswered);
        }
        supposed
    }

    /// Drops a speculation that does not fit any more, and begins one where that is worth it.
    pub(super) fn review_speculation(&mut self) {
        if self.speculations.current.is_some() && !self.is_supposed_still() {
            self.drop_speculation();
        }
        if self.speculation_at().is_some_and(|at| at <= self.now) {
            self.speculate();
        }
    }

    /// When the model is to be asked on suspicion, if nothing happens until then.
    pub(super) fn speculation_at(&self) -> Option<CallTime> {
        let plan = &self.options.start_speaking;
        let may = plan.speculation
            && !self.is_silent()
            && self.floor == Floor::Caller
            && self.speculations.current.is_none()
            && self.speculations.in_turn < SPECULATIONS_MAX;
        if !may {
            return None;
        }
        // How much of a cut speech was heard belongs into the question.
        let at = self.utterance.likely_over_at()?.max(self.speeches.cut_answers_due());
        let (due, wait) = self.utterance.wait(plan)?;
        let is_worth_it = match wait {
            Wait::Silence | Wait::Final => at.max(self.now) + WORTH_IT < due,
            Wait::Words => false,
        };
        is_worth_it.then_some(at)
    }

    pub(super) fn speculate(&mut self) {
        let speculations = &mut self.speculations;
        speculations.count += 1;
        speculations.in_turn += 1;
        let turn = TurnId::speculation(speculations.count);
        speculations.current = Some(Speculation {
            id: turn,
            text: self.utterance.text(),
            speaking_since: self.utterance.speaking_since(),
            revision: self.history.revision(),
            is_sure: false,
            held: Vec::new(),
            held_bytes: 0,
        });
        self.command(Command::Speculate { turn });
    }

    /// Keeps a piece of the reply until the turn is over.
    pub(super) fn hold(&mut self, event: Event) {
        let Some(current) = &mut self.speculations.current else { return };
        if let Event::ReplyFailed { .. } = event {
            // Asked properly, the model's failure is dealt with properly.
            self.speculations.current = None;
            self.speculations.in_turn = SPECULATIONS_MAX;
            return;
        }
        if let Event::ReplyText { text, .. } = &event {
            current.held_bytes += text.len();
        }
        current.held.push(event);
        if current.held.len() > HELD_MAX || current.held_bytes > HELD_BYTES_MAX {
            self.drop_speculation();
            self.speculations.in_turn = SPECULATIONS_MAX;
        }
    }

    /// Whether the model would be asked the same were the caller's turn over now.
    pub(super) fn is_as_supposed(&self) -> bool {
        self.speculations.current.as_ref().is_some_and(|current| {
            let since = self.utterance.speaking_since();
            !current.is_sure
                && !self.is_silent()
                && self.floor == Floor::Caller
                && (since.is_none() || since == current.speaking_since)
                && current.revision == self.history.revision()
                && phrases::are_same(&current.text, &self.utterance.text())
        })
    }

    /// The turn is over as supposed; its question has just been written down.
    pub(super) fn speculation_is_sure(&mut self) {
        if let Some(current) = &mut self.speculations.current {
            current.is_sure = true;
            current.revision = self.history.revision();
        }
    }

    /// The speculation that is the reply to the turn at hand; any other is dropped.
    pub(super) fn take_speculation(&mut self) -> Option<Speculation> {
        let revision = self.history.revision();
        let fits = |current: &mut Speculation| current.is_sure && current.revision == revision;
        let taken = self.speculations.current.take_if(fits);
        self.drop_speculation();
        taken
    }

    /// Makes a speculation the reply to `turn`: what was held comes now, in its order.
    pub(super) fn adopt(&mut self, turn: TurnId, speculation: Speculation) {
        self.generating(speculation.id);
        self.command(Command::Adopt { turn, speculation: speculation.id });
        for event in speculation.held {
            self.decide(event);
        }
    }

    pub(super) fn drop_speculation(&mut self) {
        if let Some(current) = self.speculations.current.take() {
            self.command(Command::CancelReply { turn: current.id });
        }
    }

    /// The caller went on, by the transcriber's word.
    pub(super) fn turn_resumed(&mut self) {
        self.utterance.resumed();
        if self.floor == Floor::Caller {
            self.drop_speculation();
        }
    }

    fn is_supposed_still(&self) -> bool {
        let is_due = match &self.floor {
            Floor::Assistant(turn) => matches!(turn.reply, Reply::Due { .. }),
            Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => false,
        };
        let is_sure = self.speculations.current.as_ref().is_some_and(|current| current.is_sure);
        (is_sure && is_due) || self.is_as_supposed()
    }
}
