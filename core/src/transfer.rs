//! Somebody else is to take the caller: what follows from what is known of them.
//!
//! The caller stays with us until the other party has heard what there is to say to them, so that
//! whatever goes wrong before leaves the caller where they were.

use std::time::Duration;

use crate::{Answerer, EndedReason};

/// How long the other party may be spoken to before the caller is put through: longer than the
/// longest summary takes to say.
const BRIEFING_MAX: Duration = Duration::from_secs(120);

/// How late a carrier's report that it gave up ringing may be.
const REPORT_DUE: Duration = Duration::from_secs(5);

/// How somebody is asked to take a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approach {
    /// They are spoken to once they have spoken.
    pub waits_for_speech: bool,
    /// A machine that answers does not get the caller.
    pub refuses_machines: bool,
    /// Something is said to them before.
    pub has_words: bool,
    /// How long it rings, and how long they may be silent then.
    pub patience: Duration,
}

/// What is told of the other party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorEvent {
    Answered,
    /// The carrier's word on who did.
    Heard(Answerer),
    /// They have heard what there was to say.
    Briefed,
    /// They are connected with the caller.
    Joined,
    Gone(Refusal),
    /// Nothing of it came in time: see [`Consultation::patience`].
    Late,
}

/// Why somebody did not take the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Busy,
    NoAnswer,
    /// A machine answered.
    Voicemail,
    /// They answered, and hung up before the caller was put through.
    HungUp,
    /// There is no such party, or the carrier could not connect it.
    Failed,
}

impl Refusal {
    /// What the model is told.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Busy => "the line is busy",
            Self::NoAnswer => "nobody answered",
            Self::Voicemail => "a voicemail answered",
            Self::HungUp => "they hung up before the caller was put through",
            Self::Failed => "the carrier could not connect it",
        }
    }

    /// Why the call ends that ends because of it.
    pub const fn reason(self) -> EndedReason {
        match self {
            Self::Busy => EndedReason::OperatorBusy,
            Self::NoAnswer | Self::Voicemail => EndedReason::OperatorDidNotAnswer,
            Self::HungUp | Self::Failed => EndedReason::TransferFailed,
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStep {
    Wait,
    /// Say to the other party what there is to say.
    Brief,
    /// Connect the two.
    Join,
    /// The caller stays.
    GiveUp(Refusal),
}

/// One attempt to have somebody take the caller, told of in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consultation {
    approach: Approach,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ringing,
    /// They answered, and have not spoken.
    Listening,
    Briefing,
    /// They are connected with the caller, or never will be.
    Over,
}

impl Consultation {
    pub fn new(approach: Approach) -> Self {
        Self { approach, state: State::Ringing }
    }

    pub fn handle(&mut self, event: OperatorEvent) -> TransferStep {
        match (self.state, event) {
            (State::Over, _) => TransferStep::Wait,
            (_, OperatorEvent::Gone(refusal)) => self.give_up(self.seen(refusal)),
            (_, OperatorEvent::Heard(Answerer::Voicemail | Answerer::VoicemailReady))
                if self.approach.refuses_machines =>
            {
                self.give_up(Refusal::Voicemail)
            }

            (State::Ringing, OperatorEvent::Answered) if self.approach.waits_for_speech => {
                self.state = State::Listening;
                TransferStep::Wait
            }
            // A report that somebody was heard may overtake the one that they answered.
            (State::Ringing, OperatorEvent::Answered | OperatorEvent::Heard(_))
            | (State::Listening, OperatorEvent::Heard(_)) => self.go_on(),
            (State::Ringing | State::Listening, OperatorEvent::Late) => {
                self.give_up(Refusal::NoAnswer)
            }
            (State::Listening, OperatorEvent::Answered) => TransferStep::Wait,

            // Whoever listens to us so long has not hung up: the report was lost.
            (State::Briefing, OperatorEvent::Briefed | OperatorEvent::Late) => self.join(),
            (State::Briefing, OperatorEvent::Answered | OperatorEvent::Heard(_)) => {
                TransferStep::Wait
            }
            // A carrier that was told to connect them when it liked has done so.
            (_, OperatorEvent::Joined) => {
                self.state = State::Over;
                TransferStep::Wait
            }
            (State::Ringing | State::Listening, OperatorEvent::Briefed) => TransferStep::Wait,
        }
    }

    /// How long the next event may take, counted from the last step.
    pub fn patience(&self) -> Duration {
        match self.state {
            State::Ringing => self.approach.patience.saturating_add(REPORT_DUE),
            State::Listening => self.approach.patience,
            State::Briefing => BRIEFING_MAX,
            State::Over => Duration::ZERO,
        }
    }

    fn go_on(&mut self) -> TransferStep {
        if !self.approach.has_words {
            return self.join();
        }
        self.state = State::Briefing;
        TransferStep::Brief
    }

    fn join(&mut self) -> TransferStep {
        self.state = State::Over;
        TransferStep::Join
    }

    fn give_up(&mut self, refusal: Refusal) -> TransferStep {
        self.state = State::Over;
        TransferStep::GiveUp(refusal)
    }

    /// Carriers tell the end of a call alike, whether it was answered or not.
    fn seen(&self, refusal: Refusal) -> Refusal {
        match (self.state, refusal) {
            (State::Listening | State::Briefing, _) => Refusal::HungUp,
            (State::Ringing, Refusal::HungUp) => Refusal::NoAnswer,
            (State::Ringing | State::Over, refusal) => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OperatorEvent::*, *};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn steps(waits: bool, has_words: bool, events: &[OperatorEvent]) -> Vec<TransferStep> {
        let mut it = Consultation::new(Approach {
            waits_for_speech: waits,
            refuses_machines: waits,
            has_words,
            patience: PATIENCE,
        });
        events.iter().map(|event| it.handle(*event)).collect()
    }

    #[test]
    fn whoever_answers_is_spoken_to_and_then_gets_the_caller() {
        use TransferStep::{Brief, Join, Wait};
        assert_eq!(steps(false, true, &[Answered, Briefed, Joined]), [Brief, Join, Wait]);
        assert_eq!(steps(false, false, &[Answered, Gone(Refusal::HungUp)]), [Join, Wait]);
    }

    #[test]
    fn whoever_is_to_speak_first_is_waited_for() {
        use TransferStep::{Brief, GiveUp, Join, Wait};
        let human = Heard(Answerer::Human);
        assert_eq!(steps(true, true, &[Answered, human, Briefed]), [Wait, Brief, Join]);
        assert_eq!(steps(true, true, &[Answered, Late]), [Wait, GiveUp(Refusal::NoAnswer)]);
        // Reports overtake one another.
        assert_eq!(steps(true, true, &[human, Answered, Briefed]), [Brief, Wait, Join]);
    }

    #[test]
    fn a_machine_does_not_get_the_caller_where_it_is_told_from_people() {
        use TransferStep::{Brief, GiveUp, Wait};
        let machine = Heard(Answerer::Voicemail);
        assert_eq!(steps(true, true, &[Answered, machine]), [Wait, GiveUp(Refusal::Voicemail)]);
        assert_eq!(steps(false, true, &[Answered, machine]), [Brief, Wait]);
    }

    #[test]
    fn whoever_does_not_take_the_caller_leaves_them_where_they_are_once() {
        use TransferStep::{Brief, GiveUp, Wait};
        for refusal in [Refusal::Busy, Refusal::NoAnswer, Refusal::Failed] {
            let events = [Gone(refusal), Gone(refusal), Answered, Late];
            assert_eq!(steps(false, true, &events), [GiveUp(refusal), Wait, Wait, Wait]);
        }
        assert_eq!(steps(false, true, &[Late]), [GiveUp(Refusal::NoAnswer)]);
        let left = [Answered, Gone(Refusal::NoAnswer)];
        assert_eq!(steps(false, true, &left), [Brief, GiveUp(Refusal::HungUp)]);
    }

    #[test]
    fn each_wait_has_its_own_end_and_a_lost_report_of_the_briefing_costs_nobody_the_caller() {
        let mut it = Consultation::new(Approach {
            waits_for_speech: true,
            refuses_machines: true,
            has_words: true,
            patience: PATIENCE,
        });
        assert_eq!(it.patience(), PATIENCE + REPORT_DUE);
        assert_eq!(it.handle(Answered), TransferStep::Wait);
        assert_eq!(it.patience(), PATIENCE);
        assert_eq!(it.handle(Heard(Answerer::Human)), TransferStep::Brief);
        assert_eq!(it.patience(), BRIEFING_MAX);
        assert_eq!(it.handle(Late), TransferStep::Join);
    }

    #[test]
    fn each_refusal_ends_a_call_for_its_own_reason() {
        assert_eq!(Refusal::Busy.reason(), EndedReason::OperatorBusy);
        assert_eq!(Refusal::Voicemail.reason(), EndedReason::OperatorDidNotAnswer);
        assert_eq!(Refusal::Failed.reason(), EndedReason::TransferFailed);
    }
}
