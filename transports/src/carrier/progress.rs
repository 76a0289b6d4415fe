//! How a call that we placed gets on, out of what its carrier reports late, twice or out of order.

use offhook_core::EndedReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    Twilio,
    Telnyx,
    Vonage,
}

impl Carrier {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
            Self::Vonage => "vonage",
        }
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The carrier has it and does not dial yet, or does.
    Dialling,
    Ringing,
    Answered,
    Ended(Ending),
}

/// How a call ended for the carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// One of the two hung up.
    Completed,
    Busy,
    /// It rang until the carrier gave up, or nobody took it.
    NoAnswer,
    /// We took it back before it was answered.
    Canceled,
    /// There is no such number.
    Misdialed,
    Rejected,
    /// It lasted as long as the carrier was told that it may.
    TimeLimit,
    Failed,
}

/// What is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Ringing,
    Answered,
    Ended(EndedReason),
}

/// One call's progress, which only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    carrier: Carrier,
    reached: Step,
    was_answered: bool,
    /// Somebody calls us.
    is_inbound: bool,
}

impl Progress {
    pub fn new(carrier: Carrier) -> Self {
        Self { carrier, reached: Step::Dialling, was_answered: false, is_inbound: false }
    }

    /// That of a call that comes in: whoever hangs up before it is answered is its caller.
    pub fn inbound(carrier: Carrier) -> Self {
        Self { is_inbound: true, ..Self::new(carrier) }
    }

    /// Takes what the carrier reports. Only what leads further is a change: reports that come again,
    /// or after a later one, are none.
    pub fn handle(&mut self, step: Step) -> Option<Change> {
        if rank(step) <= rank(self.reached) {
            return None;
        }
        self.reached = step;
        match step {
            Step::Dialling => None,
            Step::Ringing => Some(Change::Ringing),
            Step::Answered => {
                self.was_answered = true;
                Some(Change::Answered)
            }
            Step::Ended(Ending::Completed | Ending::Canceled) if self.is_inbound => {
                Some(Change::Ended(EndedReason::CustomerEndedCall))
            }
            Step::Ended(ending) => {
                Some(Change::Ended(reason(self.carrier, ending, self.was_answered)))
            }
        }
    }

    pub fn reached(&self) -> Step {
        self.reached
    }
}

fn rank(step: Step) -> u8 {
    match step {
        Step::Dialling => 0,
        Step::Ringing => 1,
        Step::Answered => 2,
        Step::Ended(_) => 3,
    }
}

/// Why a call ended that ended so.
fn reason(carrier: Carrier, ending: Ending, was_answered: bool) -> EndedReason {
    match ending {
        Ending::Completed if was_answered => EndedReason::CustomerEndedCall,
        Ending::Completed | Ending::NoAnswer => EndedReason::CustomerDidNotAnswer,
        Ending::Busy => EndedReason::CustomerBusy,
        Ending::Canceled => EndedReason::ManuallyCanceled,
        Ending::TimeLimit => EndedReason::ExceededMaxDuration,
        Ending::Rejected => match carrier {
            Carrier::Vonage => EndedReason::VonageRejected,
            Carrier::Twilio => EndedReason::TwilioFailedToConnectCall,
            Carrier::Telnyx => EndedReason::OutboundCallFailedToConnect,
        },
        Ending::Misdialed | Ending::Failed => match (carrier, ending) {
            (Carrier::Twilio, Ending::Misdialed) => EndedReason::TwilioReportedCustomerMisdialed,
            (Carrier::Twilio, _) => EndedReason::TwilioFailedToConnectCall,
            (Carrier::Vonage, _) => EndedReason::VonageFailedToConnectCall,
            (Carrier::Telnyx, _) => EndedReason::OutboundCallFailedToConnect,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(carrier: Carrier, steps: &[Step]) -> Vec<Change> {
        let mut progress = Progress::new(carrier);
        steps.iter().filter_map(|step| progress.handle(*step)).collect()
    }

    const DONE: Step = Step::Ended(Ending::Completed);

    #[test]
    fn a_caller_who_hangs_up_before_the_answer_ended_the_call() {
        let mut progress = Progress::inbound(Carrier::Telnyx);
        let ended = progress.handle(Step::Ended(Ending::Canceled));
        assert_eq!(ended, Some(Change::Ended(EndedReason::CustomerEndedCall)));
    }

    #[test]
    fn a_call_rings_is_answered_and_ends_once_whatever_comes_again_or_late() {
        let ended = Change::Ended(EndedReason::CustomerEndedCall);
        let whole = [Change::Ringing, Change::Answered, ended.clone()];
        for steps in [
            &[Step::Dialling, Step::Ringing, Step::Answered, DONE][..],
            &[Step::Ringing, Step::Ringing, Step::Answered, Step::Answered, DONE, DONE],
            &[Step::Ringing, Step::Dialling, Step::Answered, Step::Ringing, DONE, Step::Answered],
        ] {
            assert_eq!(run(Carrier::Twilio, steps), whole, "{steps:?}");
        }
        let early = [Step::Answered, Step::Ringing, DONE];
        assert_eq!(run(Carrier::Twilio, &early), [Change::Answered, ended]);
        assert_eq!(
            run(Carrier::Twilio, &[DONE, Step::Ringing, Step::Answered]),
            [Change::Ended(EndedReason::CustomerDidNotAnswer)],
            "an end overtook the rest: nothing comes to life after it"
        );
    }

    #[test]
    fn each_ending_has_its_reason() {
        use Carrier::{Telnyx, Twilio, Vonage};
        for (carrier, ending, expected) in [
            (Twilio, Ending::Busy, "customer-busy"),
            (Telnyx, Ending::Busy, "customer-busy"),
            (Vonage, Ending::NoAnswer, "customer-did-not-answer"),
            (Twilio, Ending::Canceled, "manually-canceled"),
            (Twilio, Ending::Misdialed, "twilio-reported-customer-misdialed"),
            (Twilio, Ending::Failed, "twilio-failed-to-connect-call"),
            (Twilio, Ending::Rejected, "twilio-failed-to-connect-call"),
            (Vonage, Ending::Failed, "vonage-failed-to-connect-call"),
            (Vonage, Ending::Misdialed, "vonage-failed-to-connect-call"),
            (Vonage, Ending::Rejected, "vonage-rejected"),
            (Telnyx, Ending::Failed, "call.in-progress.error-sip-outbound-call-failed-to-connect"),
            (
                Telnyx,
                Ending::Misdialed,
                "call.in-progress.error-sip-outbound-call-failed-to-connect",
            ),
            (Telnyx, Ending::TimeLimit, "exceeded-max-duration"),
            (Telnyx, Ending::Completed, "customer-did-not-answer"),
        ] {
            let changes = run(carrier, &[Step::Ringing, Step::Ended(ending)]);
            let [Change::Ringing, Change::Ended(reason)] = changes.as_slice() else { panic!() };
            assert_eq!(reason.to_string(), expected, "{carrier:?} {ending:?}");
        }
    }

    proptest! {
        #[test]
        fn however_reports_are_mixed_a_call_ends_at_most_once_and_nothing_follows(
            steps in prop::collection::vec(prop::sample::select(vec![
                Step::Dialling, Step::Ringing, Step::Answered, DONE,
                Step::Ended(Ending::Busy), Step::Ended(Ending::Failed),
            ]), 0..20)
        ) {
            let changes = run(Carrier::Vonage, &steps);
            let ends = changes.iter().filter(|change| matches!(change, Change::Ended(_))).count();
            prop_assert_eq!(ends, usize::from(steps.iter().any(|s| matches!(s, Step::Ended(_)))));
            if ends == 1 {
                prop_assert!(matches!(changes.last(), Some(Change::Ended(_))));
            }
        }
    }
}
