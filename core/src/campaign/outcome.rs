//! What became of an attempt.

use serde::{Deserialize, Serialize};

/// How an attempt ended, as far as trying again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Somebody picked up.
    Answered,
    Busy,
    NoAnswer,
    Voicemail,
    /// No call came about, or it broke before anybody could speak.
    Failed,
}

impl Outcome {
    /// Reads an `endedReason` of the contract. `was_connected`: whether the call was answered, which
    /// tells a failure in mid-conversation from one before it.
    pub fn of_ended_reason(reason: &str, was_connected: bool) -> Self {
        match reason {
            "customer-busy" => Self::Busy,
            "customer-did-not-answer" => Self::NoAnswer,
            "voicemail" => Self::Voicemail,
            _ if was_connected => Self::Answered,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_in_mid_conversation_is_not_dialled_again_as_a_failure() {
        let reason = "call.in-progress.error-vapifault-worker-died";
        assert_eq!(Outcome::of_ended_reason(reason, true), Outcome::Answered);
        assert_eq!(Outcome::of_ended_reason(reason, false), Outcome::Failed);
        assert_eq!(Outcome::of_ended_reason("voicemail", true), Outcome::Voicemail);
        assert_eq!(Outcome::of_ended_reason("customer-busy", false), Outcome::Busy);
    }
}
