//! What a fake model answers: it counts, after the numbers of the caller and of his turn.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    App,
    hearing::{number_of, turn_of},
    report::TurnKey,
};

/// In the caller's words: call the first tool.
const CALL_ONE: u32 = 2_000;
/// Call every tool that is offered, at once.
const CALL_ALL: u32 = 2_001;
/// End as a content filter ends.
const FILTERED: u32 = 2_002;

/// Words of a reply that a filter cut off.
const FILTERED_WORDS: usize = 3;

/// A tool that is offered.
pub struct Tool {
    pub name: String,
    pub schema: Value,
}

/// What a model is asked.
pub struct Question {
    /// The caller's last words, and whether nothing came after them.
    pub said: String,
    /// What the assistant said after them: a reply that was cut off, which is to go on.
    pub spoken: String,
    /// The last words came after the result of a tool.
    pub has_result: bool,
    pub tools: Vec<Tool>,
    /// Longest reply, in tokens.
    pub tokens_max: Option<u64>,
    /// Words in all of the request, for its usage.
    pub prompt_words: usize,
}

/// What it answers, and when.
pub struct Answer {
    pub turn: Option<TurnKey>,
    /// Tokens of the text, with the space before each but the first.
    pub tokens: Vec<String>,
    pub calls: Vec<Call>,
    pub end: End,
    pub prompt_tokens: usize,
    first: Instant,
    gap: Duration,
}

pub struct Call {
    pub name: String,
    pub arguments: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Stop,
    Length,
    Tools,
    Filter,
}

impl Question {
    /// Answers it, and writes the request down.
    pub fn answer(self, app: &App, now: Instant) -> Answer {
        let said = last_sentence(&self.said);
        let turn = turn_of(said.split_whitespace());
        if let Some(turn) = turn {
            app.report.request(turn);
        }
        let asks =
            |number: u32| said.split_whitespace().any(|word| number_of(word) == Some(number));
        let called = match self.tools.len() {
            _ if self.has_result => 0,
            0 => 0,
            _ if asks(CALL_ONE) => 1,
            all if asks(CALL_ALL) => all,
            _ => 0,
        };
        let timing = app.timing();
        let mut answer = Answer {
            turn,
            tokens: Vec::new(),
            calls: self.tools.into_iter().take(called).map(|tool| tool.call(turn)).collect(),
            end: if called > 0 { End::Tools } else { End::Stop },
            prompt_tokens: self.prompt_words,
            first: now + timing.llm_ttft.draw(&app.chance),
            gap: timing.llm_token_gap.draw(&app.chance),
        };
        if called == 0 {
            answer.tokens = rest_of(counting(turn, timing.llm_words), &self.spoken);
            let limit = self.tokens_max.and_then(|max| usize::try_from(max).ok());
            if asks(FILTERED) {
                answer.tokens.truncate(FILTERED_WORDS);
                answer.end = End::Filter;
            } else if limit.is_some_and(|limit| limit < answer.tokens.len()) {
                answer.tokens.truncate(limit.unwrap_or_default());
                answer.end = End::Length;
            }
        }
        answer
    }
}

/// What follows of a reply on the words of it that end what was spoken.
fn rest_of(mut tokens: Vec<String>, spoken: &str) -> Vec<String> {
    let spoken: Vec<_> = spoken.split_whitespace().collect();
    let words: Vec<_> = tokens.iter().map(|token| token.trim()).collect();
    let longest = words.len().min(spoken.len());
    let overlap = (1..=longest).rev().find(|count| spoken.ends_with(&words[..*count]));
    tokens.drain(..overlap.unwrap_or(0));
    tokens
}

impl Answer {
    /// When the token with this index leaves.
    pub fn due(&self, index: usize) -> Instant {
        self.first + self.gap * u32::try_from(index).unwrap_or(u32::MAX)
    }

    pub fn completion_tokens(&self) -> usize {
        let arguments = |call: &Call| call.arguments.as_object().map_or(0, Map::len);
        self.tokens.len() + self.calls.iter().map(|call| 1 + arguments(call)).sum::<usize>()
    }
}

impl Tool {
    /// A call with all arguments that are required, of the types that the schema names.
    fn call(self, turn: Option<TurnKey>) -> Call {
        let said = turn.map_or_else(String::new, |turn| format!("{} {}", turn.0, turn.1));
        let required = self.schema["required"].as_array().into_iter().flatten();
        let arguments: Map<String, Value> = required
            .filter_map(Value::as_str)
            .map(|name| (name.to_owned(), argument(&self.schema["properties"][name], &said)))
            .collect();
        Call { name: self.name, arguments: arguments.into() }
    }
}

fn argument(schema: &Value, said: &str) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("number" | "integer") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => Value::Array(Vec::new()),
        Some("object") => Value::Object(Map::new()),
        Some(_) | None => said.into(),
    }
}

/// `17 3 1 2 3 ... n.`, or `1 2 3 ... n.` without a turn.
fn counting(turn: Option<TurnKey>, words: u32) -> Vec<String> {
    let turn = turn.map(|turn| [turn.0, turn.1]);
    let numbers = turn.into_iter().flatten().chain(1..=words);
    let mut tokens: Vec<String> = numbers
        .enumerate()
        .map(|(index, number)| if index == 0 { number.to_string() } else { format!(" {number}") })
        .collect();
    if let Some(last) = tokens.last_mut() {
        last.push('.');
    }
    tokens
}

/// The last sentence that has two numbers, or all of it: words of turns before may be joined to
/// those of this one.
fn last_sentence(said: &str) -> &str {
    let sentences = said.split(['.', '?', '!', '\n']);
    sentences.rev().find(|part| turn_of(part.split_whitespace()).is_some()).unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_was_cut_off_goes_on_after_its_last_word() {
        let turn = Some(TurnKey(17, 3));
        let rest = |spoken: &str| rest_of(counting(turn, 4), spoken).concat();
        assert_eq!(rest("Hello. 17 3 1").trim(), "2 3 4.");
        assert_eq!(rest(""), "17 3 1 2 3 4.");
    }

    #[test]
    fn the_latest_turn_that_was_said_counts() {
        assert_eq!(last_sentence("17 3.\n17 4. Thanks."), "17 4");
        assert_eq!(last_sentence("Hello there."), "Hello there.");
    }

    #[test]
    fn a_reply_counts_after_the_turn_s_numbers() {
        assert_eq!(counting(Some(TurnKey(17, 3)), 3).concat(), "17 3 1 2 3.");
        assert_eq!(counting(None, 2).concat(), "1 2.");
    }

    #[test]
    fn required_arguments_fit_their_schema() {
        let schema = serde_json::json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"}, "days": {"type": "integer"},
                "unit": {"enum": ["C", "F"]}, "note": {"type": "string"}
            },
            "required": ["city", "days", "unit"]
        });
        let call = Tool { name: "weather".into(), schema }.call(Some(TurnKey(1, 2)));
        assert_eq!(call.arguments.to_string(), r#"{"city":"1 2","days":1,"unit":"C"}"#);
    }
}
