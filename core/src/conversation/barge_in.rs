//! Whether what the caller says over the assistant interrupts it.

use super::phrases;
use crate::StopSpeaking;

/// What words said over the assistant mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// "Mm-hm": the caller listens and wants nothing.
    Acknowledge,
    Interrupt,
    /// Interrupt, even if we are not sure that it was said over the assistant.
    InterruptInAnyCase,
    /// Neither yet: they are kept, and answered when the assistant is done.
    Wait,
}

pub(super) fn judge(plan: &StopSpeaking, text: &str) -> Words {
    if phrases::are_all_of(text, &plan.acknowledgement_phrases) {
        return Words::Acknowledge;
    }
    if phrases::contains_any(text, &plan.interruption_phrases) {
        return Words::InterruptInAnyCase;
    }
    let needed = usize::try_from(plan.num_words.max(1)).unwrap_or(usize::MAX);
    if phrases::words(text).len() >= needed { Words::Interrupt } else { Words::Wait }
}

/// Whether words that are not final yet may be the beginning of an acknowledgement: "I" of "I see".
pub(super) fn may_become_acknowledgement(plan: &StopSpeaking, text: &str) -> bool {
    phrases::begins_one_of(text, &plan.acknowledgement_phrases)
        && !phrases::contains_any(text, &plan.interruption_phrases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_unless_a_phrase_decides() {
        let plan = StopSpeaking {
            num_words: 3,
            acknowledgement_phrases: vec!["yeah".into(), "I see what you mean".into()],
            interruption_phrases: vec!["stop".into()],
            ..StopSpeaking::default()
        };
        assert_eq!(judge(&plan, "Yeah."), Words::Acknowledge);
        assert_eq!(judge(&plan, "I see what you mean"), Words::Acknowledge);
        assert_eq!(judge(&plan, "Yeah, yeah. I see what you mean."), Words::Acknowledge);
        assert_eq!(judge(&plan, "Yeah, I see one other thing"), Words::Interrupt);
        assert_eq!(judge(&plan, "Stop!"), Words::InterruptInAnyCase);
        assert_eq!(judge(&plan, "one two"), Words::Wait);
        assert_eq!(judge(&plan, "one two three"), Words::Interrupt);
    }

    #[test]
    fn without_a_number_of_words_one_is_enough() {
        assert_eq!(judge(&StopSpeaking::default(), "Sorry"), Words::Interrupt);
        assert_eq!(judge(&StopSpeaking::default(), " ... "), Words::Wait);
    }
}
