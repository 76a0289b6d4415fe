//! What Telnyx tells us, in JSON.
//!
//! Source: Telnyx's documentation, pages "Receiving Webhooks" and "Call Control" webhooks.

use serde_json::Value;

use crate::{
    carrier::{AnsweredBy, Ending, Step},
    wire_json::key_of,
};

/// A webhook whose signature was checked. They may come twice and in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// The same each time that it comes.
    pub id: String,
    /// RFC 3339.
    pub occurred_at: String,
    pub call_control_id: String,
    /// The same for the two of a transferred call.
    pub call_session_id: Option<String>,
    /// What we gave the call, base64.
    pub client_state: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub event: Event,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Initiated {
        is_incoming: bool,
    },
    Answered,
    /// Connected with another call.
    Bridged,
    HungUp(Ending),
    Key(char),
    AnsweredBy(AnsweredBy),
    SpeakEnded,
    PlaybackEnded,
    StreamStarted,
    StreamStopped,
    /// With Telnyx's reason.
    StreamFailed(String),
    /// Nothing that a call depends on.
    Other,
}

impl Event {
    /// How far it says that a call of ours has come.
    pub fn step(&self) -> Option<Step> {
        match self {
            Self::Initiated { .. } => Some(Step::Ringing),
            Self::Answered => Some(Step::Answered),
            Self::HungUp(ending) => Some(Step::Ended(*ending)),
            Self::Bridged
            | Self::Key(_)
            | Self::AnsweredBy(_)
            | Self::SpeakEnded
            | Self::PlaybackEnded
            | Self::StreamStarted
            | Self::StreamStopped
            | Self::StreamFailed(_)
            | Self::Other => None,
        }
    }
}

/// Reads a webhook.
///
/// # Errors
///
/// Names what is missing.
pub fn parse(body: &[u8]) -> Result<Webhook, String> {
    let whole: Value =
        serde_json::from_slice(body).map_err(|_| "the webhook is no JSON".to_owned())?;
    let (data, payload) = (&whole["data"], &whole["data"]["payload"]);
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let required =
        |value: &Value, name: &str| text(value).ok_or_else(|| format!("the webhook has no {name}"));
    Ok(Webhook {
        id: required(&data["id"], "data.id")?,
        occurred_at: required(&data["occurred_at"], "data.occurred_at")?,
        call_control_id: required(&payload["call_control_id"], "data.payload.call_control_id")?,
        call_session_id: text(&payload["call_session_id"]),
        client_state: text(&payload["client_state"]),
        from: text(&payload["from"]),
        to: text(&payload["to"]),
        event: event_of(&required(&data["event_type"], "data.event_type")?, payload),
    })
}

fn event_of(kind: &str, payload: &Value) -> Event {
    match kind {
        "call.initiated" => Event::Initiated { is_incoming: payload["direction"] == "incoming" },
        "call.answered" => Event::Answered,
        "call.bridged" => Event::Bridged,
        "call.hangup" => Event::HungUp(ending(payload)),
        "call.dtmf.received" => {
            let key = payload["digit"].as_str().map(key_of);
            key.and_then(Result::ok).map_or(Event::Other, Event::Key)
        }
        "call.machine.detection.ended"
        | "call.machine.premium.detection.ended"
        | "call.machine.greeting.ended"
        | "call.machine.premium.greeting.ended" => {
            Event::AnsweredBy(answered_by(kind, payload["result"].as_str().unwrap_or_default()))
        }
        "call.speak.ended" => Event::SpeakEnded,
        "call.playback.ended" => Event::PlaybackEnded,
        "streaming.started" => Event::StreamStarted,
        "streaming.stopped" => Event::StreamStopped,
        "streaming.failed" => {
            let reason = [&payload["failure_reason"], &payload["reason"]];
            let reason = reason.into_iter().find_map(Value::as_str).unwrap_or_default();
            Event::StreamFailed(reason.into())
        }
        _ => Event::Other,
    }
}

fn ending(payload: &Value) -> Ending {
    match payload["hangup_cause"].as_str().unwrap_or_default() {
        "normal_clearing" => Ending::Completed,
        "user_busy" => Ending::Busy,
        "no_answer" | "timeout" => Ending::NoAnswer,
        "originator_cancel" => Ending::Canceled,
        "call_rejected" => Ending::Rejected,
        "not_found" | "unallocated_number" | "invalid_number_format" => Ending::Misdialed,
        "time_limit" => Ending::TimeLimit,
        _ => Ending::Failed,
    }
}

fn answered_by(kind: &str, result: &str) -> AnsweredBy {
    // The end of a greeting is told of machines alone.
    let greeting_is_over = kind.ends_with("greeting.ended");
    match result {
        "human" | "human_residence" | "human_business" => AnsweredBy::Human,
        "machine" | "silence" => AnsweredBy::Machine { greeting_is_over },
        "fax_detected" | "fax" => AnsweredBy::Fax,
        _ if greeting_is_over => AnsweredBy::Machine { greeting_is_over },
        _ => AnsweredBy::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: &str, more: Value) -> Event {
        let mut payload = json!({"call_control_id": "v3:1", "from": "+1", "client_state": null});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({"data": {"id": "e1", "event_type": kind, "record_type": "event",
            "occurred_at": "2026-11-21T17:00:00.000Z", "payload": payload}, "meta": {"attempt": 1}});
        let webhook = parse(body.to_string().as_bytes()).unwrap();
        assert_eq!((webhook.call_control_id.as_str(), webhook.client_state), ("v3:1", None));
        webhook.event
    }

    #[test]
    fn each_cause_of_a_hangup_is_an_ending() {
        for (cause, expected) in [
            ("normal_clearing", Ending::Completed),
            ("user_busy", Ending::Busy),
            ("no_answer", Ending::NoAnswer),
            ("timeout", Ending::NoAnswer),
            ("originator_cancel", Ending::Canceled),
            ("call_rejected", Ending::Rejected),
            ("not_found", Ending::Misdialed),
            ("time_limit", Ending::TimeLimit),
            ("unspecified", Ending::Failed),
            ("", Ending::Failed),
        ] {
            let event = read("call.hangup", json!({"hangup_cause": cause}));
            assert_eq!(event, Event::HungUp(expected), "{cause}");
            assert_eq!(event.step(), Some(Step::Ended(expected)));
        }
    }

    #[test]
    fn events_are_read_and_others_passed_over() {
        let incoming = json!({"direction": "incoming"});
        assert_eq!(read("call.initiated", incoming), Event::Initiated { is_incoming: true });
        assert_eq!(read("call.answered", json!({})).step(), Some(Step::Answered));
        assert_eq!(read("call.dtmf.received", json!({"digit": "#"})), Event::Key('#'));
        assert_eq!(read("call.dtmf.received", json!({"digit": "12"})), Event::Other);
        let failed = json!({"failure_reason": "connection_failed"});
        let expected = Event::StreamFailed("connection_failed".into());
        assert_eq!(read("streaming.failed", failed), expected);
        assert_eq!(read("call.cost", json!({})), Event::Other);
        for (kind, result, expected) in [
            ("call.machine.detection.ended", "human", AnsweredBy::Human),
            ("call.machine.premium.detection.ended", "human_business", AnsweredBy::Human),
            (
                "call.machine.detection.ended",
                "machine",
                AnsweredBy::Machine { greeting_is_over: false },
            ),
            (
                "call.machine.greeting.ended",
                "beep_detected",
                AnsweredBy::Machine { greeting_is_over: true },
            ),
            ("call.machine.premium.detection.ended", "fax_detected", AnsweredBy::Fax),
            ("call.machine.detection.ended", "not_sure", AnsweredBy::Unknown),
        ] {
            let event = read(kind, json!({"result": result}));
            assert_eq!(event, Event::AnsweredBy(expected), "{kind} {result}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(parse(b"{").unwrap_err().contains("no JSON"));
        assert!(parse(b"{}").unwrap_err().contains("data.id"));
        let body = json!({"data": {"id": "1", "occurred_at": "x", "event_type": "call.answered"}});
        let error = parse(body.to_string().as_bytes()).unwrap_err();
        assert!(error.contains("call_control_id"), "{error}");
    }
}
