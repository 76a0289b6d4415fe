//! What a server answers a tool call with.

use offhook_core::ToolOutcome;
use serde_json::{Map, Value};

use crate::{lenient::text, tool};

/// Longest result that a model is told, in characters. Longer ones are cut, and say so: they would
/// fill its context, and a caller waits for the reading.
pub const RESULT_CHARS_MAX: usize = 20_000;
/// Written at the end of a result that was cut.
const CUT_MARK: &str = " [cut]";
/// Told to the model where a server answered without a result.
const NO_RESULT: &str = "No result returned.";

/// Reads the answer to one tool call.
///
/// Expected is `{"results": [{"toolCallId", "result" | "error", "message"?}]}`. Accepted are also
/// `{"result"}` and `{"error"}` alone, a single result without an id, any other JSON, and plain
/// text. Results that are no strings are passed on as JSON; of messages only what is to be spoken
/// counts.
///
/// # Errors
///
/// Says what is wrong with the answer, in words that hold nothing of its content.
pub fn parse(body: &[u8], call_id: &str) -> Result<ToolOutcome, String> {
    let plain = String::from_utf8_lossy(body);
    let plain = plain.trim();
    if plain.is_empty() {
        return Err(format!(
            "the answer to tool call {} is empty, expected {{\"results\": [...]}}",
            call_id
        ));
    }
    match serde_json::from_str(plain) {
        Ok(Value::Object(answer)) => outcome_of(&answer, call_id),
        Ok(Value::String(result)) => Ok(done(&result)),
        Ok(other) => Ok(done(&other.to_string())),
        Err(_) => Ok(done(plain)),
    }
}

fn outcome_of(answer: &Map<String, Value>, call_id: &str) -> Result<ToolOutcome, String> {
    match answer.get("results") {
        Some(Value::Array(results)) => {
            let own = results
                .iter()
                .find(|result| text(result, "toolCallId") == Some(call_id))
                .or_else(|| match results.as_slice() {
                    [only] if text(only, "toolCallId").is_none() => Some(only),
                    _ => None,
                });
            match own {
                Some(Value::Object(result)) => Ok(outcome(result)),
                Some(other) => Ok(done(&as_text(other))),
                // An error of the whole answer stands for all of its results.
                None if answer.contains_key("error") => Ok(outcome(answer)),
                None => Err(format!(
                    "no result for tool call {} among {} results, expected one with that toolCallId",
                    call_id,
                    results.len()
                )),
            }
        }
        Some(_) => Err(format!("`results` for tool call {} is no list", call_id)),
        None if answer.contains_key("result") || answer.contains_key("error") => {
            Ok(outcome(answer))
        }
        None => Ok(done(&Value::Object(answer.clone()).to_string())),
    }
}

fn outcome(result: &Map<String, Value>) -> ToolOutcome {
    let field = |name: &str| result.get(name).filter(|value| !value.is_null());
    let message = field("message").and_then(spoken);
    match (field("error"), field("result")) {
        (Some(error), _) => ToolOutcome::Failed { error: cut(&as_text(error)), message },
        (None, Some(value)) => ToolOutcome::Done { result: cut(&as_text(value)), message },
        (None, None) => ToolOutcome::Done { result: NO_RESULT.into(), message },
    }
}

/// The text of a message that is to be spoken: one for the model alone (`role: system`) is not.
fn spoken(message: &Value) -> Option<String> {
    let content = match message {
        Value::String(content) => content.clone(),
        Value::Array(messages) => return messages.iter().find_map(spoken),
        Value::Object(_) if text(message, "role") == Some("system") => return None,
        Value::Object(_) => tool::content(message),
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    (!content.trim().is_empty()).then_some(content)
}

fn done(result: &str) -> ToolOutcome {
    ToolOutcome::Done { result: cut(result), message: None }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(RESULT_CHARS_MAX) {
        Some((end, _)) => text[..end].to_owned() + CUT_MARK,
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(body: &str) -> Result<ToolOutcome, String> {
        parse(body.as_bytes(), "t1")
    }

    fn result(text: &str) -> Result<ToolOutcome, String> {
        Ok(ToolOutcome::Done { result: text.into(), message: None })
    }

    #[test]
    fn the_result_with_the_calls_id_counts() {
        let body = json!({"results": [
            {"toolCallId": "t0", "result": "other"},
            {"toolCallId": "t1", "result": "booked", "message": {"type": "request-complete", "content": "All set."}},
        ]});
        assert_eq!(
            parsed(&body.to_string()),
            Ok(ToolOutcome::Done { result: "booked".into(), message: Some("All set.".into()) })
        );
    }

    #[test]
    fn an_error_is_a_failure() {
        let body = json!({"results": [{"toolCallId": "t1", "error": "full", "message": "Sorry."}]});
        assert_eq!(
            parsed(&body.to_string()),
            Ok(ToolOutcome::Failed { error: "full".into(), message: Some("Sorry.".into()) })
        );
        assert_eq!(
            parsed(r#"{"results": [], "error": "down"}"#),
            Ok(ToolOutcome::Failed { error: "down".into(), message: None })
        );
    }

    #[test]
    fn other_forms_of_an_answer_are_accepted() {
        assert_eq!(parsed(r#"{"result": "booked"}"#), result("booked"));
        assert_eq!(parsed(r#"{"results": [{"result": {"ok": true}}]}"#), result(r#"{"ok":true}"#));
        assert_eq!(parsed(r#"{"results": [{"toolCallId": "t1"}]}"#), result("No result returned."));
        assert_eq!(parsed(r#"{"results": ["booked"]}"#), result("booked"));
        assert_eq!(parsed(r#"{"slots": [1]}"#), result(r#"{"slots":[1]}"#));
        assert_eq!(parsed(r#""booked""#), result("booked"));
        assert_eq!(parsed("booked for Friday\n"), result("booked for Friday"));
        assert_eq!(parsed("[1, 2]"), result("[1,2]"));
    }

    #[test]
    fn a_message_for_the_model_alone_is_not_spoken() {
        let body = r#"{"result": "a", "message": {"role": "system", "content": "be nice"}}"#;
        assert_eq!(parsed(body), result("a"));
    }

    #[test]
    fn an_answer_to_another_call_is_an_error_that_quotes_nothing() {
        let error =
            parsed(r#"{"results": [{"toolCallId": "t9", "result": "secret"}]}"#).unwrap_err();
        assert_eq!(
            error,
            "no result for tool call t1 among 1 results, expected one with that toolCallId"
        );
        assert!(parsed("").unwrap_err().contains("is empty"));
        assert!(parsed(r#"{"results": 3}"#).unwrap_err().contains("is no list"));
    }

    #[test]
    fn a_long_result_is_cut() {
        let Ok(ToolOutcome::Done { result, .. }) = parsed(&"ü".repeat(RESULT_CHARS_MAX + 5))
        else {
            panic!("expected a result");
        };
        assert_eq!(result.chars().count(), RESULT_CHARS_MAX + CUT_MARK.len());
        assert!(result.ends_with("ü [cut]"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _outcome = parse(&body, "t1");
        }
    }
}
