//! Requests to Telnyx. Commands carry an id, so that one that is sent twice is carried out once.
//!
//! Source: Telnyx's documentation, API reference of "Call Commands" and "Phone Numbers".

use std::time::Duration;

use offhook_core::FailureClass;
use offhook_media::{AudioFormat, Encoding};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::carrier::{Api, Carrier, CarrierError};

/// Where Telnyx is.
pub const BASE_URL: &str = "https://api.telnyx.com/v2";

/// What a command is answered whose call is over, and a call that was never there.
const IS_OVER: &[&str] = &["90018", "90015", "10005"];

/// Times that a call may have (seconds).
const RING_SECONDS: std::ops::RangeInclusive<u64> = 5..=600;
const CALL_SECONDS_MAX: u64 = 14_400;

/// An account at Telnyx.
#[derive(Clone)]
pub struct Telnyx {
    api: Api,
    key: SecretString,
}

/// The media of a call, both ways, at one format.
#[derive(Clone, Debug)]
pub struct TelnyxStream {
    pub url: String,
    pub format: AudioFormat,
    /// Handed back in the stream's start.
    pub parameters: Vec<(String, String)>,
}

/// A call to place.
#[derive(Clone, Debug)]
pub struct DialCall {
    /// The application whose webhooks tell of it.
    pub connection_id: String,
    pub to: String,
    pub from: String,
    pub command_id: String,
    pub client_state: Option<String>,
    pub webhook_url: Option<String>,
    pub timeout: Option<Duration>,
    pub time_limit: Option<Duration>,
    pub detection: Option<Detection>,
    /// Its media, from the answer on.
    pub stream: Option<TelnyxStream>,
}

/// How machines are told from people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    Detect,
    /// Up to the beep.
    DetectBeep,
    Premium,
}

/// Whom a call is connected with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transfer<'a> {
    /// A number or a SIP address.
    pub to: &'a str,
    pub from: Option<&'a str>,
    pub timeout: Option<Duration>,
    /// Handed back in what is told of the other leg, base64.
    pub target_state: Option<&'a str>,
    /// Of a SIP call, by name.
    pub headers: &'a [(String, String)],
    /// Dialled once the other party answers; `w` is a pause of half a second.
    pub digits: Option<&'a str>,
}

/// A call as Telnyx knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelnyxCall {
    pub call_control_id: String,
    pub call_session_id: Option<String>,
    pub is_alive: bool,
}

/// A number of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelnyxNumber {
    pub id: String,
    pub connection_id: Option<String>,
}

/// A Call Control application of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelnyxApplication {
    pub id: String,
    pub name: String,
    /// Where its webhooks go.
    pub webhook_url: Option<String>,
}

impl Telnyx {
    /// # Errors
    ///
    /// When the address is none of an API.
    pub fn new(base_url: &str, key: SecretString) -> Result<Self, CarrierError> {
        Ok(Self { api: Api::new(Carrier::Telnyx, base_url)?, key })
    }

    /// Places a call; one with a `command_id` that was used is not placed again.
    pub async fn dial(&self, call: &DialCall) -> Result<TelnyxCall, CarrierError> {
        let body = dial_body(call);
        call_of(&self.send("creating a call", Method::POST, &["calls"], &[], Some(body)).await?)
    }

    /// A call, unless Telnyx knows none of this id.
    pub async fn call(&self, id: &str) -> Result<Option<TelnyxCall>, CarrierError> {
        match self.send("looking for a call", Method::GET, &["calls", id], &[], None).await {
            Ok(answer) => call_of(&answer).map(Some),
            Err(error) if error.has_code(IS_OVER) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls of an application that are up.
    pub async fn active_calls(&self, connection: &str) -> Result<Vec<TelnyxCall>, CarrierError> {
        let path = ["connections", connection, "active_calls"];
        let query = [("page[limit]", "250")];
        let answer = self.send("listing calls", Method::GET, &path, &query, None).await?;
        let calls = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
        calls.iter().map(|call| call_of(&json!({"data": call}))).collect()
    }

    /// Answers an incoming call; `false` when it is over, as with every command. Its media is connected
    /// by [`Self::start_stream`] once Telnyx says that it is up: `answer` knows neither parameters
    /// of a stream nor its rate.
    pub async fn answer(&self, call: &str, command_id: &str) -> Result<bool, CarrierError> {
        self.command(call, "answer", command_id, json!({})).await
    }

    pub async fn reject(
        &self,
        call: &str,
        command_id: &str,
        is_busy: bool,
    ) -> Result<bool, CarrierError> {
        let cause = if is_busy { "USER_BUSY" } else { "CALL_REJECTED" };
        self.command(call, "reject", command_id, json!({"cause": cause})).await
    }

    /// Ends a call; one that is over is a success.
    pub async fn hang_up(&self, call: &str, command_id: &str) -> Result<(), CarrierError> {
        self.command(call, "hangup", command_id, json!({})).await.map(drop)
    }

    /// Connects the media of a call, for the first time or anew.
    pub async fn start_stream(
        &self,
        call: &str,
        command_id: &str,
        stream: &TelnyxStream,
    ) -> Result<bool, CarrierError> {
        let mut body = json!({});
        put_stream(&mut body, stream);
        self.command(call, "streaming_start", command_id, body).await
    }

    pub async fn stop_stream(&self, call: &str, command_id: &str) -> Result<bool, CarrierError> {
        self.command(call, "streaming_stop", command_id, json!({})).await
    }

    /// Says a text in a voice of Telnyx's, as `female` with `en-US`.
    pub async fn speak(
        &self,
        call: &str,
        command_id: &str,
        text: &str,
        (voice, language): (&str, &str),
    ) -> Result<bool, CarrierError> {
        let body = json!({"payload": text, "voice": voice, "language": language});
        self.command(call, "speak", command_id, body).await
    }

    /// Plays a sound file, for ever with `is_repeated`.
    pub async fn play(
        &self,
        call: &str,
        command_id: &str,
        url: &str,
        is_repeated: bool,
    ) -> Result<bool, CarrierError> {
        let times = if is_repeated { json!("infinity") } else { json!(1) };
        let body = json!({"audio_url": url, "loop": times});
        self.command(call, "playback_start", command_id, body).await
    }

    pub async fn stop_playing(&self, call: &str, command_id: &str) -> Result<bool, CarrierError> {
        self.command(call, "playback_stop", command_id, json!({})).await
    }

    /// Sends keys; `w` is a pause of half a second.
    pub async fn send_dtmf(
        &self,
        call: &str,
        command_id: &str,
        digits: &str,
    ) -> Result<bool, CarrierError> {
        self.command(call, "send_dtmf", command_id, json!({"digits": digits})).await
    }

    /// Connects a call with a number or a SIP address, and leaves it there.
    pub async fn transfer(
        &self,
        call: &str,
        command_id: &str,
        transfer: &Transfer<'_>,
    ) -> Result<bool, CarrierError> {
        let mut body = json!({"to": transfer.to});
        if let Some(from) = transfer.from {
            body["from"] = json!(from);
        }
        if let Some(timeout) = transfer.timeout {
            body["timeout_secs"] = json!(ring_seconds(timeout));
        }
        if let Some(state) = transfer.target_state {
            body["target_leg_client_state"] = json!(state);
        }
        if !transfer.headers.is_empty() {
            let header = |(name, value): &(String, String)| json!({"name": name, "value": value});
            body["custom_headers"] = transfer.headers.iter().map(header).collect();
        }
        if let Some(digits) = transfer.digits {
            body["send_digits_on_answer"] = json!(digits);
        }
        self.command(call, "transfer", command_id, body).await
    }

    /// Connects two calls.
    pub async fn bridge(
        &self,
        call: &str,
        command_id: &str,
        other: &str,
    ) -> Result<bool, CarrierError> {
        self.command(call, "bridge", command_id, json!({"call_control_id": other})).await
    }

    /// A number of the account, by its E.164.
    pub async fn number(&self, number: &str) -> Result<Option<TelnyxNumber>, CarrierError> {
        let query = [("filter[phone_number]", number)];
        let path = ["phone_numbers"];
        let answer = self.send("looking for a number", Method::GET, &path, &query, None).await?;
        Ok(answer.pointer("/data/0").and_then(number_of))
    }

    /// Sends the calls of a number to an application.
    pub async fn configure_number(&self, id: &str, connection: &str) -> Result<(), CarrierError> {
        let body = json!({"connection_id": connection});
        let path = ["phone_numbers", id];
        self.send("configuring a number", Method::PATCH, &path, &[], Some(body)).await.map(drop)
    }

    /// Takes a number out of its application: its calls go nowhere then.
    pub async fn release_number(&self, id: &str) -> Result<(), CarrierError> {
        let body = json!({"connection_id": ""});
        let path = ["phone_numbers", id];
        self.send("releasing a number", Method::PATCH, &path, &[], Some(body)).await.map(drop)
    }

    /// An application, unless Telnyx knows none of this id.
    pub async fn application(&self, id: &str) -> Result<Option<TelnyxApplication>, CarrierError> {
        let path = ["call_control_applications", id];
        let what = "looking for an application";
        match self.send(what, Method::GET, &path, &[], None).await {
            Ok(answer) => application_of(&answer).map(Some),
            Err(error) if error.status == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an application; without an outbound voice profile it places no calls.
    pub async fn create_application(
        &self,
        name: &str,
        webhook_url: &str,
        outbound_voice_profile_id: Option<&str>,
    ) -> Result<TelnyxApplication, CarrierError> {
        let mut body = json!({
            "application_name": name,
            "webhook_event_url": webhook_url,
            "webhook_api_version": "2",
        });
        if let Some(profile) = outbound_voice_profile_id {
            body["outbound"] = json!({"outbound_voice_profile_id": profile});
        }
        let path = ["call_control_applications"];
        let what = "creating an application";
        application_of(&self.send(what, Method::POST, &path, &[], Some(body)).await?)
    }

    /// Sends the webhooks of an application here.
    pub async fn configure_application(
        &self,
        connection: &str,
        name: &str,
        webhook_url: &str,
    ) -> Result<(), CarrierError> {
        let body = json!({
            "application_name": name,
            "webhook_event_url": webhook_url,
            "webhook_api_version": "2",
        });
        let path = ["call_control_applications", connection];
        let what = "configuring an application";
        self.send(what, Method::PATCH, &path, &[], Some(body)).await.map(drop)
    }

    /// Removes an application; one that is gone is a success.
    pub async fn delete_application(&self, id: &str) -> Result<(), CarrierError> {
        let path = ["call_control_applications", id];
        match self.send("deleting an application", Method::DELETE, &path, &[], None).await {
            Err(error) if error.status != Some(404) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn command(
        &self,
        call: &str,
        command: &str,
        command_id: &str,
        mut body: Value,
    ) -> Result<bool, CarrierError> {
        body["command_id"] = json!(command_id);
        let path = ["calls", call, "actions", command];
        let what = format!("the command {command}");
        match self.send(&what, Method::POST, &path, &[], Some(body)).await {
            Ok(_) => Ok(true),
            Err(error) if error.has_code(IS_OVER) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        what: &str,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Value, CarrierError> {
        let request = self.api.request(method, path, query);
        let request = request.bearer_auth(self.key.expose_secret());
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        self.api.send(what, request).await
    }
}

fn ring_seconds(time: Duration) -> u64 {
    time.as_secs().clamp(*RING_SECONDS.start(), *RING_SECONDS.end())
}

fn dial_body(call: &DialCall) -> Value {
    let mut body = json!({
        "connection_id": call.connection_id,
        "to": call.to,
        "from": call.from,
        "command_id": call.command_id,
    });
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    put("client_state", call.client_state.as_ref().map(|state| json!(state)));
    put("webhook_url", call.webhook_url.as_ref().map(|url| json!(url)));
    put("timeout_secs", call.timeout.map(|time| json!(ring_seconds(time))));
    let limit = call.time_limit.map(|time| json!(time.as_secs().clamp(30, CALL_SECONDS_MAX)));
    put("time_limit_secs", limit);
    put(
        "answering_machine_detection",
        call.detection.map(|detection| {
            json!(match detection {
                Detection::Detect => "detect",
                Detection::DetectBeep => "detect_beep",
                Detection::Premium => "premium",
            })
        }),
    );
    if let Some(stream) = &call.stream {
        put_stream(&mut body, stream);
    }
    body
}

/// Without `rtp` they drop what we send, and without the codecs they choose others.
fn put_stream(body: &mut Value, stream: &TelnyxStream) {
    let codec = match stream.format.encoding {
        Encoding::Mulaw => "PCMU",
        Encoding::Pcm16 => "L16",
    };
    let parameters: Vec<Value> = stream
        .parameters
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    body["stream_url"] = json!(stream.url);
    body["stream_track"] = json!("inbound_track");
    body["stream_codec"] = json!(codec);
    body["stream_bidirectional_mode"] = json!("rtp");
    body["stream_bidirectional_codec"] = json!(codec);
    body["stream_bidirectional_sampling_rate"] = json!(stream.format.sample_rate_hz);
    body["custom_parameters"] = json!(parameters);
}

fn call_of(answer: &Value) -> Result<TelnyxCall, CarrierError> {
    let data = &answer["data"];
    let Some(id) = data["call_control_id"].as_str() else {
        let detail = "Telnyx answered with a call that has no call_control_id";
        return Err(CarrierError {
            may_have_happened: true,
            ..CarrierError::refused(FailureClass::Protocol, detail)
        });
    };
    Ok(TelnyxCall {
        call_control_id: id.to_owned(),
        call_session_id: data["call_session_id"].as_str().map(str::to_owned),
        is_alive: data["is_alive"].as_bool().unwrap_or(true),
    })
}

fn number_of(value: &Value) -> Option<TelnyxNumber> {
    let connection = value["connection_id"].as_str().filter(|id| !id.is_empty());
    Some(TelnyxNumber {
        id: value["id"].as_str()?.to_owned(),
        connection_id: connection.map(str::to_owned),
    })
}

fn application_of(answer: &Value) -> Result<TelnyxApplication, CarrierError> {
    let data = &answer["data"];
    let text = |name: &str| data[name].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    let Some(id) = text("id") else {
        let detail = "Telnyx answered with an application that has no id";
        return Err(CarrierError::refused(FailureClass::Protocol, detail));
    };
    let name = text("application_name").unwrap_or_default();
    Ok(TelnyxApplication { id, name, webhook_url: text("webhook_event_url") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialled_call_asks_for_media_both_ways_at_one_format() {
        let stream = TelnyxStream {
            url: "wss://a.example/telnyx/media".into(),
            format: AudioFormat::pcm16(16_000),
            parameters: vec![("token".into(), "t".into())],
        };
        let body = dial_body(&DialCall {
            connection_id: "1".into(),
            to: "+1".into(),
            from: "+2".into(),
            command_id: "c".into(),
            client_state: None,
            webhook_url: None,
            timeout: Some(Duration::from_secs(1)),
            time_limit: Some(Duration::from_secs(100_000)),
            detection: Some(Detection::Premium),
            stream: Some(stream),
        });
        assert_eq!(
            body,
            json!({
                "connection_id": "1", "to": "+1", "from": "+2", "command_id": "c",
                "timeout_secs": 5, "time_limit_secs": 14_400,
                "answering_machine_detection": "premium",
                "stream_url": "wss://a.example/telnyx/media", "stream_track": "inbound_track",
                "stream_codec": "L16", "stream_bidirectional_mode": "rtp",
                "stream_bidirectional_codec": "L16",
                "stream_bidirectional_sampling_rate": 16_000,
                "custom_parameters": [{"name": "token", "value": "t"}],
            })
        );
    }
}
