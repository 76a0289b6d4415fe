//! What a campaign is told, and what it wants done.

use super::{Attempt, ContactId, Fact, LineId, NumberKey, Outcome, WallTime};

/// Tells requests for a slot apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Pause,
    Resume,
    /// For good. Calls under way come to their own end.
    Stop,
    /// Somebody asked not to be called.
    Barred {
        number: NumberKey,
    },
    Predialled {
        contact: ContactId,
        verdict: Predial,
    },
    SlotGranted {
        contact: ContactId,
        ask: AskId,
        /// The line that it is a slot of, one of those that were asked for.
        line: LineId,
    },
    SlotRefused {
        contact: ContactId,
        ask: AskId,
    },
    /// The intent is on disk.
    IntentKept {
        contact: ContactId,
        attempt: Attempt,
    },
    IntentLost {
        contact: ContactId,
        attempt: Attempt,
    },
    /// The carrier took the call.
    Dialled {
        contact: ContactId,
        attempt: Attempt,
    },
    /// The carrier was asked, and its answer never came.
    DialUnclear {
        contact: ContactId,
        attempt: Attempt,
    },
    /// The call is over, or the carrier refused it.
    Over {
        contact: ContactId,
        attempt: Attempt,
        outcome: Outcome,
    },
    /// What the carrier says of an attempt.
    Truth {
        contact: ContactId,
        attempt: Attempt,
        truth: Truth,
    },
}

/// What the client's server says of a contact before it is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predial {
    Eligible,
    NotEligible,
    /// It did not answer, or said something else.
    Failed,
}

/// What became of an attempt whose outcome was not written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    NeverDialled,
    Live,
    Over(Outcome),
    /// The carrier cannot tell.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write this down.
    Keep(Fact),
    /// Write this down, see that it is on disk, and answer with [`Event::IntentKept`].
    KeepThenTell(Fact),
    /// Ask the client's server; answer with [`Event::Predialled`].
    Predial { contact: ContactId },
    /// Answer with [`Event::SlotGranted`] or [`Event::SlotRefused`].
    /// `lines`: those that may be used, whose turn it is first.
    RequestSlot { contact: ContactId, ask: AskId, lines: Vec<LineId> },
    /// Nobody waits for this slot any more. If it was granted meanwhile, it is free.
    WithdrawSlot { ask: AskId },
    /// A slot that was granted is not used.
    ReleaseSlot { ask: AskId },
    /// Ask the carrier, once.
    Dial { contact: ContactId, attempt: Attempt, line: LineId, ask: AskId },
    /// Find out what became of an attempt; answer with [`Event::Truth`].
    AskCarrier { contact: ContactId, attempt: Attempt, line: LineId, since: WallTime },
}
