//! What Vonage tells us, in JSON.
//!
//! Source: Vonage's documentation, page "Webhook reference" of the Voice API.

use serde_json::Value;

use crate::carrier::{AnsweredBy, Ending, Step};

/// A call that wants instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub uuid: String,
    pub conversation_uuid: Option<String>,
    /// E.164, with its plus.
    pub from: String,
    pub to: String,
}

/// A call's status, of the caller's leg or of one that it was connected with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub uuid: String,
    pub conversation_uuid: Option<String>,
    pub status: String,
    /// How far the call has come.
    pub step: Option<Step>,
    pub answered_by: Option<AnsweredBy>,
    /// Of another leg than the caller's: a websocket, or a party that was dialled.
    pub is_websocket: bool,
}

/// Reads the request for instructions.
///
/// # Errors
///
/// Names what is missing.
pub fn parse_answer(body: &[u8]) -> Result<Answer, String> {
    let whole = json(body)?;
    Ok(Answer {
        uuid: required(&whole, "uuid")?,
        conversation_uuid: text(&whole["conversation_uuid"]),
        from: with_plus(required(&whole, "from")?),
        to: with_plus(required(&whole, "to")?),
    })
}

/// Reads an event.
///
/// # Errors
///
/// Names what is missing.
pub fn parse_event(body: &[u8]) -> Result<Event, String> {
    let whole = json(body)?;
    let status = required(&whole, "status")?;
    let is_uri = |value: &Value| {
        value.as_str().is_some_and(|uri| uri.starts_with("wss://") || uri.starts_with("ws://"))
    };
    Ok(Event {
        uuid: required(&whole, "uuid")?,
        conversation_uuid: text(&whole["conversation_uuid"]),
        step: step_of(&status),
        answered_by: answered_by(&status, &whole["sub_state"]),
        is_websocket: is_uri(&whole["to"]),
        status,
    })
}

fn step_of(status: &str) -> Option<Step> {
    Some(match status {
        "started" => Step::Dialling,
        "ringing" => Step::Ringing,
        "answered" => Step::Answered,
        "completed" | "disconnected" => Step::Ended(Ending::Completed),
        "busy" => Step::Ended(Ending::Busy),
        "cancelled" => Step::Ended(Ending::Canceled),
        "unanswered" | "timeout" => Step::Ended(Ending::NoAnswer),
        "rejected" => Step::Ended(Ending::Rejected),
        "failed" => Step::Ended(Ending::Failed),
        _ => return None,
    })
}

fn answered_by(status: &str, sub_state: &Value) -> Option<AnsweredBy> {
    match status {
        "human" => Some(AnsweredBy::Human),
        "machine" => Some(AnsweredBy::Machine { greeting_is_over: sub_state == "beep_start" }),
        _ => None,
    }
}

fn json(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|_| "the webhook is no JSON".to_owned())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn required(whole: &Value, name: &str) -> Result<String, String> {
    text(&whole[name]).ok_or_else(|| format!("the webhook has no {name}"))
}

fn with_plus(number: String) -> String {
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("+{number}") } else { number }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_status_is_a_step() {
        let ended = |ending| Some(Step::Ended(ending));
        for (status, expected) in [
            ("started", Some(Step::Dialling)),
            ("ringing", Some(Step::Ringing)),
            ("answered", Some(Step::Answered)),
            ("completed", ended(Ending::Completed)),
            ("busy", ended(Ending::Busy)),
            ("cancelled", ended(Ending::Canceled)),
            ("unanswered", ended(Ending::NoAnswer)),
            ("timeout", ended(Ending::NoAnswer)),
            ("rejected", ended(Ending::Rejected)),
            ("failed", ended(Ending::Failed)),
            ("transfer", None),
        ] {
            let body = json!({"uuid": "u", "status": status, "to": "wss://a.example"});
            let event = parse_event(body.to_string().as_bytes()).unwrap();
            assert_eq!((event.step, event.is_websocket), (expected, true), "{status}");
        }
    }

    #[test]
    fn who_answered_is_read() {
        let read = |body: Value| parse_event(body.to_string().as_bytes()).unwrap().answered_by;
        let machine = |greeting_is_over| Some(AnsweredBy::Machine { greeting_is_over });
        assert_eq!(read(json!({"uuid": "u", "status": "human"})), Some(AnsweredBy::Human));
        assert_eq!(read(json!({"uuid": "u", "status": "machine"})), machine(false));
        let beep = json!({"uuid": "u", "status": "machine", "sub_state": "beep_start"});
        assert_eq!(read(beep), machine(true));
    }

    #[test]
    fn numbers_get_their_plus_and_what_is_missing_is_named() {
        let body = json!({"uuid": "u", "conversation_uuid": "CON-1", "from": "14155550100",
            "to": "sip:a@b"});
        let answer = parse_answer(body.to_string().as_bytes()).unwrap();
        assert_eq!((answer.from.as_str(), answer.to.as_str()), ("+14155550100", "sip:a@b"));
        assert!(parse_answer(b"{}").unwrap_err().contains("uuid"));
        assert!(parse_event(b"[").unwrap_err().contains("no JSON"));
    }
}
