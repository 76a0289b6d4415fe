//! Whether a voicemail answered (`voicemailDetection`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::conversation::phrases;

/// How a voicemail is listened for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoicemailPlan {
    /// From this age of the call on words are judged (`backoffPlan.startAtSeconds`).
    pub start_at: Duration,
    /// Up to this age a voicemail is thought of: after the last retry of the plan it is not.
    pub until: Duration,
    /// Age of the call at which the beep is waited for no longer (`beepMaxAwaitSeconds`).
    pub beep_due: Duration,
    /// Spoken after the beep; without one the call ends as soon as a voicemail is noticed
    /// (`voicemailMessage`).
    pub message: Option<String>,
    /// The address of a recording that is played in place of a message.
    #[serde(default)]
    pub recording: Option<String>,
    /// When the model is asked; absent: it is not.
    #[serde(default)]
    pub questions: Option<VoicemailQuestions>,
}

/// When the model is asked whether a voicemail answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoicemailQuestions {
    /// Age of the call at the first question (`backoffPlan.startAtSeconds`).
    pub start_at: Duration,
    /// From one question to the next (`frequencySeconds`).
    pub every: Duration,
    /// How many there are at most (`maxRetries`).
    pub attempts: u32,
}

/// Longest recording that is played: a little less than a playout holds (60 s), and more than the 30 s
/// that some voicemails take.
pub const RECORDING_MAX: Duration = Duration::from_secs(50);

/// How long the model's answer to such a question is worth something: less than the shortest time
/// to the next question that the contract has (2.5 s) and twice what a model takes for a word.
pub const VOICEMAIL_ANSWER_DUE: Duration = Duration::from_millis(2_400);

/// Said by voicemails, and hardly by people who pick up.
const SURE: &[&str] = &[
    "leave a message",
    "leave your message",
    "leave me a message",
    "leave us a message",
    "leave a brief message",
    "leave a detailed message",
    "leave your name",
    "record your message",
    "recording your message",
    "after the tone",
    "after the beep",
    "at the tone",
    "at the beep",
    "voicemail",
    "voice mail",
    "mailbox",
    "answering machine",
    "can't take your call",
    "cannot take your call",
    "unable to take your call",
    "not able to take your call",
    "available to take your call",
    "can't answer the phone",
    "can't come to the phone",
    "cannot come to the phone",
    "the person you are trying to reach",
    "the person you're trying to reach",
    "the person you are calling",
    "the person you have called",
    "the number you have dialed",
    "the subscriber you have dialed",
];

/// Said by voicemails, and by people too: two of them together are sure.
const LIKELY: &[&str] = &[
    "you've reached",
    "you have reached",
    "not available",
    "isn't available",
    "get back to you",
    "call you back",
    "return your call",
    "missed your call",
    "press one",
    "press pound",
    "at the moment",
    "right now",
    "as soon as",
];

/// Said by people who pick up.
const HUMAN: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "yes",
    "who is this",
    "who's this",
    "who's calling",
    "who is calling",
    "speaking",
    "sorry",
    "i'm here",
    "can you hear me",
    "what's up",
];

/// People who pick up are brief.
const HUMAN_WORDS_MAX: usize = 8;

/// Whether the words heard so far are a voicemail's greeting. English; other languages have the beep
/// and the carrier.
pub(crate) fn is_greeting(heard: &str) -> bool {
    contains_any(heard, SURE)
        || LIKELY.iter().filter(|one| contains_any(heard, &[**one])).count() >= 2
}

/// Whether these words are those of a person who picked up.
pub(crate) fn is_human(said: &str) -> bool {
    phrases::words(said).len() <= HUMAN_WORDS_MAX
        && contains_any(said, HUMAN)
        && !contains_any(said, SURE)
        && !contains_any(said, LIKELY)
}

fn contains_any(text: &str, phrases: &[&str]) -> bool {
    let phrases: Vec<_> = phrases.iter().map(ToString::to_string).collect();
    phrases::contains_any(text, &phrases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_of_voicemails_are_known() {
        for greeting in [
            "Hi, you've reached Ann. I can't come to the phone right now.",
            "Please leave a message after the tone.",
            "Your call has been forwarded to an automatic voice message system. At the tone please \
             record your message.",
            "You have reached the office of Dr. Lee. We will get back to you.",
            "The mailbox is full.",
        ] {
            assert!(is_greeting(greeting), "{greeting}");
            assert!(!is_human(greeting), "{greeting}");
        }
    }

    #[test]
    fn people_are_no_voicemails() {
        for said in [
            "Hello?",
            "Hi, this is Ann speaking.",
            "You've reached Acme Dental, how can I help you?",
            "I am busy right now.",
            "Sure, leave it with me.",
        ] {
            assert!(!is_greeting(said), "{said}");
        }
        assert!(is_human("Hello? Sorry, I'm here."));
        assert!(is_human("Yes, who is this?"));
        assert!(!is_human("Press one for sales."));
        assert!(!is_human("Hi, you've reached Ann."));
    }
}
