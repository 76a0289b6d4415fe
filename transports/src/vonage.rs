//! Vonage's websocket endpoint: binary messages are linear audio, text messages are JSON events.
//!
//! Source: Vonage's documentation, page "WebSockets" of the Voice API.

use std::collections::BTreeMap;

use bytes::Bytes;
use offhook_media::{AudioFormat, Hearing};
use serde_json::{Value, json};

use crate::{
    BuildError, LegCodec, LegError, LegEvent, LegStart, Transport, Wire, close_code,
    strictness::Strictness,
    wire_json::{key_of, mark_of, read_json},
};

pub(crate) const TRANSPORT: Transport = Transport { name: NAME, is_carrier: true, build };

const NAME: &str = "vonage";

/// Rates that a websocket endpoint can have, in Hz.
const RATES_HZ: [u32; 3] = [8_000, 16_000, 24_000];

struct Vonage {
    format: AudioFormat,
    has_started: bool,
    strictness: Strictness,
}

fn build(options: &Value) -> Result<Box<dyn LegCodec>, BuildError> {
    let asked = &options["audioFormat"];
    let is_linear = asked["format"].is_null() || asked["format"] == "pcm_s16le";
    let rate = &asked["sampleRate"];
    let rate_hz = match rate.is_null() {
        true => Some(16_000),
        false => RATES_HZ.into_iter().find(|known| rate.as_f64() == Some(f64::from(*known))),
    };
    match rate_hz {
        Some(rate_hz) if is_linear => Ok(Box::new(Vonage {
            format: AudioFormat::pcm16(rate_hz),
            has_started: false,
            strictness: Strictness::default(),
        })),
        Some(_) | None => {
            let reason = format!(
                "audioFormat is {asked}, expected pcm_s16le at 8000, 16000 or 24000 Hz"
            );
            Err(BuildError::Options { name: NAME, reason })
        }
    }
}

impl LegCodec for Vonage {
    fn format(&self) -> AudioFormat {
        self.format
    }

    fn hearing(&self) -> Hearing {
        Hearing::Marks
    }

    fn decode(&mut self, message: Wire) -> Result<Vec<LegEvent>, LegError> {
        let read = match message {
            Wire::Binary(audio) => self.hear(audio),
            Wire::Text(text) => match read_json("Vonage", &text) {
                Ok(message) => self.read(&message)?,
                Err(reason) => Err(reason),
            },
        };
        self.strictness.judge(read)
    }

    fn audio(&mut self, audio: Bytes) -> Wire {
        Wire::Binary(audio)
    }

    /// A notification comes back when what was sent before it has been played.
    fn mark(&mut self, name: &str) -> Option<Wire> {
        Some(Wire::Text(json!({"action": "notify", "payload": {"mark": name}}).to_string()))
    }

    fn clear(&mut self) -> Option<Wire> {
        Some(Wire::Text("{\"action\":\"clear\"}".into()))
    }

    fn event(&mut self, _message: &Value) -> Option<Wire> {
        None
    }

    fn error(&mut self, _name: &str, _message: &str) -> Option<Wire> {
        None
    }
}

impl Vonage {
    fn hear(&self, audio: Bytes) -> Result<Vec<LegEvent>, String> {
        if !self.has_started {
            return Err("audio before `websocket:connected` dropped".into());
        }
        if !audio.len().is_multiple_of(self.format.bytes_per_sample()) {
            return Err(format!(
                "audio message of {} bytes dropped: its samples are 2 bytes each",
                audio.len()
            ));
        }
        Ok(if audio.is_empty() { Vec::new() } else { vec![LegEvent::Audio(audio)] })
    }

    fn read(&mut self, message: &Value) -> Result<Result<Vec<LegEvent>, String>, LegError> {
        Ok(match message["event"].as_str().unwrap_or_default() {
            "websocket:connected" => return self.start(message),
            _ if !self.has_started => Err("message before `websocket:connected` dropped".into()),
            "websocket:dtmf" => {
                // Older events have it nested.
                let digit = [&message["digit"], &message["dtmf"]["digit"]];
                let digit = digit.into_iter().find_map(Value::as_str).unwrap_or_default();
                key_of(digit).map(|key| vec![LegEvent::Dtmf(key)])
            }
            "websocket:notify" => match message["payload"]["mark"].as_str() {
                Some(name) => {
                    mark_of(name.to_owned()).map(|name| vec![LegEvent::MarkPlayed(name)])
                }
                None => Err("notification dropped: it is none of ours".into()),
            },
            "websocket:cleared" => Ok(Vec::new()),
            "" => Err("message without an `event` dropped".into()),
            _ => Err("message with an unknown `event` dropped".into()),
        })
    }

    fn start(&mut self, message: &Value) -> Result<Result<Vec<LegEvent>, String>, LegError> {
        let rate_hz = self.format.sample_rate_hz;
        let content = message["content-type"].as_str().unwrap_or_default();
        if content.replace(' ', "") != format!("audio/l16;rate={rate_hz}") {
            return Err(LegError::new(
                close_code::INVALID_PAYLOAD,
                format!(
                    "the endpoint's content-type is not audio/l16;rate={rate_hz}: set it in the \
                     NCCO"
                ),
            ));
        }
        if self.has_started {
            return Ok(Err("second `websocket:connected` dropped".into()));
        }
        self.has_started = true;
        Ok(Ok(vec![LegEvent::Started(LegStart {
            carrier_call_id: message["uuid"].as_str().map(str::to_owned),
            stream_id: None,
            parameters: headers(message),
        })]))
    }
}

/// The endpoint's `headers`, which lie among the event's own fields.
fn headers(message: &Value) -> BTreeMap<String, String> {
    let fields = message.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !matches!(name.as_str(), "event" | "content-type"))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests;
