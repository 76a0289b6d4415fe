//! Instructions for Vonage: what a call does next.
//!
//! Source: Vonage's documentation, page "NCCO reference".

use std::time::Duration;

use serde_json::{Value, json};

/// Longest text that one `talk` may have, in characters.
const TALK_CHARS_MAX: usize = 1_500;

/// One instruction; the call ends after the last.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Talk {
        text: String,
        language: Option<String>,
    },
    /// Plays a sound file once, or `times` times; 0 is for ever.
    Stream {
        url: String,
        times: u32,
    },
    Connect {
        endpoint: Endpoint,
        from: Option<String>,
        /// How long it rings.
        timeout: Option<Duration>,
        /// Told of the other leg; with `synchronous` its answer may be other instructions.
        event_url: Option<String>,
        is_synchronous: bool,
    },
    Conversation {
        name: String,
        start_on_enter: bool,
        end_on_exit: bool,
        music_on_hold_url: Option<String>,
    },
    Wait(Duration),
    /// Tells an address that the call has come so far.
    Notify {
        payload: Value,
        url: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// The call's audio with us.
    Websocket {
        uri: String,
        sample_rate_hz: u32,
        headers: Vec<(String, String)>,
    },
    Phone {
        number: String,
        dtmf_answer: Option<String>,
    },
    Sip {
        uri: String,
        /// Sent along, by name.
        headers: Vec<(String, String)>,
    },
}

/// Instructions that Vonage would not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NccoError(String);

/// Writes instructions.
///
/// # Errors
///
/// Names what Vonage would refuse.
pub fn write(actions: &[Action]) -> Result<Value, NccoError> {
    actions.iter().map(action).collect()
}

fn action(action: &Action) -> Result<Value, NccoError> {
    Ok(match action {
        Action::Talk { text, language } => {
            if text.chars().count() > TALK_CHARS_MAX {
                let problem = format!("talk has more than {TALK_CHARS_MAX} characters");
                return Err(NccoError(problem));
            }
            let mut talk = json!({"action": "talk", "text": text});
            put(&mut talk, "language", language.as_ref());
            talk
        }
        Action::Stream { url, times } => {
            json!({"action": "stream", "streamUrl": [url], "loop": times})
        }
        Action::Connect { endpoint, from, timeout, event_url, is_synchronous } => {
            let mut connect = json!({"action": "connect", "endpoint": [self::endpoint(endpoint)?]});
            put(&mut connect, "from", from.as_ref().map(|from| digits(from)));
            put(&mut connect, "timeout", timeout.map(|time| time.as_secs().max(1)));
            put(&mut connect, "eventUrl", event_url.as_ref().map(|url| [url]));
            put(&mut connect, "eventType", is_synchronous.then_some("synchronous"));
            connect
        }
        Action::Conversation { name, start_on_enter, end_on_exit, music_on_hold_url } => {
            let mut conversation = json!({
                "action": "conversation",
                "name": name,
                "startOnEnter": start_on_enter,
                "endOnExit": end_on_exit,
            });
            put(&mut conversation, "musicOnHoldUrl", music_on_hold_url.as_ref().map(|url| [url]));
            conversation
        }
        Action::Notify { payload, url } => {
            json!({"action": "notify", "payload": payload, "eventUrl": [url]})
        }
        Action::Wait(time) => json!({"action": "wait", "timeout": time.as_secs_f64()}),
    })
}

fn endpoint(endpoint: &Endpoint) -> Result<Value, NccoError> {
    Ok(match endpoint {
        Endpoint::Websocket { uri, sample_rate_hz, headers } => {
            if !uri.starts_with("wss://") && !uri.starts_with("ws://") {
                return Err(NccoError("a websocket's uri must begin with wss://".into()));
            }
            if ![8_000, 16_000, 24_000].contains(sample_rate_hz) {
                let problem = "a websocket's rate must be 8000, 16000 or 24000 Hz";
                return Err(NccoError(problem.into()));
            }
            let headers: serde_json::Map<String, Value> =
                headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({
                "type": "websocket",
                "uri": uri,
                "content-type": format!("audio/l16;rate={sample_rate_hz}"),
                "headers": headers,
            })
        }
        Endpoint::Phone { number, dtmf_answer } => {
            let mut phone = json!({"type": "phone", "number": digits(number)});
            put(&mut phone, "dtmfAnswer", dtmf_answer.as_ref());
            phone
        }
        Endpoint::Sip { uri, headers } => {
            let mut sip = json!({"type": "sip", "uri": uri});
            if !headers.is_empty() {
                let headers = headers.iter().map(|(name, value)| (name.clone(), json!(value)));
                sip["headers"] = headers.collect::<serde_json::Map<_, _>>().into();
            }
            sip
        }
    })
}

/// Vonage writes E.164 without its plus.
pub(super) fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

fn put(object: &mut Value, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        object[name] = json!(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn websocket(uri: &str, sample_rate_hz: u32) -> Action {
        Action::Connect {
            endpoint: Endpoint::Websocket {
                uri: uri.into(),
                sample_rate_hz,
                headers: vec![("token".into(), "t".into())],
            },
            from: Some("+14155550100".into()),
            timeout: None,
            event_url: Some("https://a.example/vonage/event".into()),
            is_synchronous: true,
        }
    }

    #[test]
    fn a_websocket_has_its_rate_and_headers() {
        assert_eq!(
            write(&[websocket("wss://a.example/vonage/media", 16_000)]).unwrap(),
            json!([{
                "action": "connect",
                "endpoint": [{
                    "type": "websocket", "uri": "wss://a.example/vonage/media",
                    "content-type": "audio/l16;rate=16000", "headers": {"token": "t"},
                }],
                "from": "14155550100",
                "eventUrl": ["https://a.example/vonage/event"],
                "eventType": "synchronous",
            }])
        );
        assert!(write(&[websocket("https://a.example", 16_000)]).is_err());
        assert!(write(&[websocket("wss://a.example", 48_000)]).is_err());
    }

    #[test]
    fn other_actions_are_as_short_as_can_be() {
        let phone = Endpoint::Phone { number: "+1415".into(), dtmf_answer: Some("p12".into()) };
        let actions = [
            Action::Talk { text: "One moment".into(), language: None },
            Action::Connect {
                endpoint: phone,
                from: None,
                timeout: Some(Duration::from_secs(20)),
                event_url: None,
                is_synchronous: false,
            },
            Action::Conversation {
                name: "c-1".into(),
                start_on_enter: true,
                end_on_exit: false,
                music_on_hold_url: None,
            },
            Action::Stream { url: "https://a.example/hold.mp3".into(), times: 0 },
        ];
        assert_eq!(
            write(&actions).unwrap(),
            json!([
                {"action": "talk", "text": "One moment"},
                {"action": "connect", "timeout": 20,
                    "endpoint": [{"type": "phone", "number": "1415", "dtmfAnswer": "p12"}]},
                {"action": "conversation", "name": "c-1", "startOnEnter": true, "endOnExit": false},
                {"action": "stream", "streamUrl": ["https://a.example/hold.mp3"], "loop": 0},
            ])
        );
        let long = Action::Talk { text: "x".repeat(1_501), language: None };
        assert!(write(&[long]).is_err());
    }
}
