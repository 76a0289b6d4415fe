//! What callers ask and what the model answers: a fixed vocabulary, since tones know only so many
//! different words.

use offhook_core::Message;

/// A question, the word by which the model knows it, and the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub key: &'static str,
    pub question: &'static str,
    pub answer: &'static str,
}

pub const GREETING: &str = "Hello, this is the clinic, how can we help you today?";

/// What a model says that has understood nothing.
pub const PARDON: &str = "pardon";

/// What the model says when a tool has failed, and when it has answered.
pub const TOOL_FAILED: &str = "Sadly the calendar gives no reply at present.";
pub const TOOL_WORKED: &str = "The calendar shows a vacancy early next month.";

/// The tool that [`Exchange`]s with `booking` in them have the model call.
pub const TOOL: &str = "calendar";

const fn exchange(key: &'static str, question: &'static str, answer: &'static str) -> Exchange {
    Exchange { key, question, answer }
}

pub const EXCHANGES: &[Exchange] = &[
    exchange(
        "hours",
        "Good morning could you please tell me what your opening hours are",
        "We are open from nine to five on every day of the week but Sunday.",
    ),
    exchange(
        "appointment",
        "Then I would like an appointment with one of your doctors please",
        "Gladly, which afternoon of this or of the coming fortnight would suit best?",
    ),
    exchange(
        "Thursday",
        "Thursday around ten would be fine for my son and for me",
        "That time is yours, we are looking forward to seeing both of you.",
    ),
    exchange(
        "parking",
        "Is there any parking near the building for a large van",
        "Behind the house you find twenty places, and none of them costs anything.",
    ),
    exchange(
        "letter",
        "Must he bring the letter that our old dentist wrote last winter",
        "Bring it along with all pictures that were taken, which saves much trouble.",
    ),
    exchange(
        "insurance",
        "Does the insurance of his school pay a part of what it costs",
        "Most schools carry about half, so ask them before anything begins.",
    ),
    exchange(
        "breakfast",
        "May he have breakfast or should he rather come with an empty stomach",
        "A light meal does no harm, only coffee and juice are better left out.",
    ),
    exchange(
        "wheelchair",
        "My mother comes too and she sits in a wheelchair most days",
        "There is a lift beside both doors, and somebody waits downstairs if wanted.",
    ),
];

/// The question that has the model call a tool.
pub const BOOKING: Exchange =
    exchange("vacancy", "Please look up when the next vacancy with doctor Brown is", TOOL_WORKED);

/// What there is to say to a conversation: the rest of the answer where a part of it was spoken in
/// this turn already.
pub fn answer(messages: &[Message]) -> String {
    let asked = offhook_testkit::fakes::last_user(messages);
    let known = EXCHANGES.iter().rev().find(|exchange| asked.contains(exchange.key));
    let answer = known.map_or(PARDON, |exchange| exchange.answer);
    rest_of(answer, &spoken_since(messages))
}

/// What the assistant said since the caller spoke last.
fn spoken_since(messages: &[Message]) -> String {
    let since =
        messages.iter().rev().take_while(|message| !matches!(message, Message::User { .. }));
    let mut parts: Vec<&str> = since
        .filter_map(|message| match message {
            Message::Assistant { content, .. } => Some(content.as_str()),
            Message::System { .. }
            | Message::User { .. }
            | Message::ToolCalls { .. }
            | Message::ToolResult { .. } => None,
        })
        .collect();
    parts.reverse();
    parts.join(" ")
}

/// What follows in `answer` on the words that end `spoken`.
fn rest_of(answer: &str, spoken: &str) -> String {
    let (words, said): (Vec<_>, Vec<_>) =
        (answer.split_whitespace().collect(), spoken.split_whitespace().collect());
    let longest = words.len().min(said.len());
    let overlap = (1..=longest).rev().find(|n| said.ends_with(&words[..*n])).unwrap_or(0);
    words[overlap..].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(content: &str) -> Message {
        Message::User { content: content.into() }
    }

    fn assistant(content: &str) -> Message {
        Message::Assistant { content: content.into(), interrupted: false }
    }

    #[test]
    fn a_model_that_is_asked_again_goes_on_after_what_was_spoken() {
        let asked = user(EXCHANGES[0].question);
        assert_eq!(answer(&[assistant(GREETING), asked.clone()]), EXCHANGES[0].answer);
        let half = [asked, assistant("We are open from")];
        assert_eq!(answer(&half), "nine to five on every day of the week but Sunday.");
        assert_eq!(answer(&[user("what")]), PARDON);
    }

    #[test]
    fn every_question_is_known_by_its_own_word_alone() {
        for exchange in EXCHANGES.iter().chain([&BOOKING]) {
            let knows = EXCHANGES.iter().chain([&BOOKING]);
            let known = knows.filter(|other| exchange.question.contains(other.key)).count();
            assert_eq!(known, 1, "{}", exchange.question);
        }
    }
}
