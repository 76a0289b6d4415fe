//! What became of an attempt.

use serde::{Deserialize, Serialize};

use crate::EndedReason;

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
    /// `was_connected`: whether somebody or something picked up, which tells a call that failed in
    /// mid-conversation from one that never came about.
    pub fn of(reason: &EndedReason, was_connected: bool) -> Self {
        if *reason == EndedReason::CustomerBusy {
            Self::Busy
        } else if *reason == EndedReason::CustomerDidNotAnswer {
            Self::NoAnswer
        } else if *reason == EndedReason::Voicemail {
            Self::Voicemail
        } else if was_connected {
            Self::Answered
        } else {
            Self::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_in_mid_conversation_is_not_dialled_again_as_a_failure() {
        let died = EndedReason::WorkerDied;
        assert_eq!(Outcome::of(&died, true), Outcome::Answered);
        assert_eq!(Outcome::of(&died, false), Outcome::Failed);
        assert_eq!(Outcome::of(&EndedReason::Voicemail, true), Outcome::Voicemail);
        assert_eq!(Outcome::of(&EndedReason::CustomerBusy, false), Outcome::Busy);
        assert_eq!(Outcome::of(&EndedReason::CustomerDidNotAnswer, false), Outcome::NoAnswer);
    }
}
