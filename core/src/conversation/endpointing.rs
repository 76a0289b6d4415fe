//! How long a silence must be before the caller's turn is over.

use std::time::Duration;

use crate::StartSpeaking;

/// The silence that ends a turn after `text`, counted from the end of speech.
///
/// The plan's `wait` is the least it can be, however sure the text is.
pub(super) fn silence_after(plan: &StartSpeaking, text: &str) -> Duration {
    let text = text.trim_end();
    let bare = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    // Transcribers punctuate every piece of a number that is read out in pieces, so that a number
    // weighs more than the mark behind it.
    let by_text = if bare.ends_with(char::is_numeric) {
        plan.on_number
    } else if text.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।']) {
        plan.on_punctuation
    } else {
        plan.on_no_punctuation
    };
    by_text.max(plan.wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_sooner_the_surer_the_text_is() {
        let plan = StartSpeaking::default();
        let cases = [
            ("I would like to cancel.", 400),
            ("I would like to cancel", 1_500),
            ("Well,", 1_500),
            ("It is 555", 500),
            ("It is 555.", 500),
            ("予約したいです。", 400),
            ("", 1_500),
        ];
        for (text, want_ms) in cases {
            assert_eq!(silence_after(&plan, text), Duration::from_millis(want_ms), "{text}");
        }
    }

    #[test]
    fn the_wait_is_the_least_there_is() {
        let plan = StartSpeaking { wait: Duration::from_secs(3), ..StartSpeaking::default() };
        assert_eq!(silence_after(&plan, "Yes."), Duration::from_secs(3));
        assert_eq!(silence_after(&plan, "Yes"), Duration::from_secs(3));
    }
}
