//! Vapi's websocket transport: binary messages are audio, text messages are JSON.
//!
//! Source: Vapi's documentation, page `calls/websocket-transport`.

use bytes::Bytes;
use offhook_media::{AudioFormat, Encoding, Hearing};
use serde_json::{Value, json};

use crate::{
    BuildError, LegCodec, LegError, LegEvent, Transport, Wire, strictness::Strictness,
};

pub(crate) const TRANSPORT: Transport = Transport { name: NAME, is_carrier: false, build };

const NAME: &str = "vapi.websocket";

/// Sample rates that are worth carrying: from telephone quality to all that can be heard, in Hz.
const SAMPLE_RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Keys in one message: no number that people type is longer.
const KEYS_MAX: usize = 32;

struct Websocket {
    format: AudioFormat,
    strictness: Strictness,
}

fn build(options: &Value) -> Result<Box<dyn LegCodec>, BuildError> {
    let format = audio_format(options.get("audioFormat").unwrap_or(&Value::Null))
        .map_err(|reason| BuildError::Options { name: NAME, reason })?;
    Ok(Box::new(Websocket { format, strictness: Strictness::default() }))
}

impl LegCodec for Websocket {
    fn format(&self) -> AudioFormat {
        self.format
    }

    /// The protocol reports nothing back: what was sent is heard in real time.
    fn hearing(&self) -> Hearing {
        Hearing::Clock
    }

    fn decode(&mut self, message: Wire) -> Result<Vec<LegEvent>, LegError> {
        let read = match message {
            Wire::Binary(audio) => self.read_audio(audio),
            Wire::Text(text) => read_control(&text),
        };
        self.strictness.judge(read)
    }

    fn audio(&mut self, audio: Bytes) -> Wire {
        Wire::Binary(audio)
    }

    fn mark(&mut self, _name: &str) -> Option<Wire> {
        None
    }

    fn clear(&mut self) -> Option<Wire> {
        None
    }

    fn event(&mut self, message: &Value) -> Option<Wire> {
        Some(Wire::Text(message.to_string()))
    }

    fn error(&mut self, name: &str, message: &str) -> Option<Wire> {
        let error = json!({"type": "error", "error": {"code": name, "message": message}});
        Some(Wire::Text(error.to_string()))
    }
}

impl Websocket {
    /// An empty message means nothing, and does no harm.
    fn read_audio(&self, audio: Bytes) -> Result<Vec<LegEvent>, String> {
        let bytes_per_sample = self.format.bytes_per_sample();
        if !audio.len().is_multiple_of(bytes_per_sample) {
            return Err(format!(
                "audio message of {} bytes dropped: pcm_s16le samples are {bytes_per_sample} bytes \
                 each, send whole samples",
                audio.len()
            ));
        }
        Ok(if audio.is_empty() { Vec::new() } else { vec![LegEvent::Audio(audio)] })
    }
}

/// What works instead, for whoever sent a text message that does not.
const EXPECTED: &str = "audio goes in binary messages, control messages are JSON objects with a \
                        `type`, for example {\"type\":\"hangup\"}";

fn read_control(text: &str) -> Result<Vec<LegEvent>, String> {
    let message: Value = serde_json::from_str(text)
        .map_err(|_| format!("text message of {} bytes is not JSON: {EXPECTED}", text.len()))?;
    let message = unwrapped(message);
    match message.get("type").and_then(Value::as_str) {
        Some("hangup" | "end-call") => Ok(vec![LegEvent::HungUp]),
        Some("dtmf") => read_keys(&message),
        Some(_) => Ok(vec![LegEvent::Client(message)]),
        None => Err(format!("JSON message without a `type`: {EXPECTED}")),
    }
}

/// Keys that the caller pressed, in a message of our own: the documentation has none.
fn read_keys(message: &Value) -> Result<Vec<LegEvent>, String> {
    let keys = message.get("digits").and_then(Value::as_str).unwrap_or_default();
    let is_key = |key: char| matches!(key, '0'..='9' | 'A'..='D' | '*' | '#');
    if keys.is_empty() || keys.chars().count() > KEYS_MAX || !keys.chars().all(is_key) {
        return Err(format!(
            "dtmf message dropped: `digits` must be 1 to {KEYS_MAX} of 0-9, *, # and A-D"
        ));
    }
    Ok(keys.chars().map(LegEvent::Dtmf).collect())
}

/// The contract's `ClientInboundMessage` has the message in an envelope; the documentation sends it
/// bare. Both are read.
fn unwrapped(mut message: Value) -> Value {
    let enveloped = message.get("type").is_none()
        && message.get("message").is_some_and(|inner| inner.get("type").is_some());
    if enveloped { message["message"].take() } else { message }
}

/// Reads `transport.audioFormat`; absent members have the documented defaults.
fn audio_format(options: &Value) -> Result<AudioFormat, String> {
    let container = options.get("container").unwrap_or(&Value::Null);
    if !container.is_null() && container != "raw" {
        return Err(format!("audioFormat.container is {container}, expected \"raw\""));
    }
    let encoding = match options.get("format") {
        None | Some(Value::Null) => Encoding::Pcm16,
        Some(format) if format == "pcm_s16le" => Encoding::Pcm16,
        Some(format) if format == "mulaw" => Encoding::Mulaw,
        Some(format) => {
            return Err(format!(
                "audioFormat.format is {format}, expected \"pcm_s16le\" or \"mulaw\""
            ));
        }
    };
    let rate = match options.get("sampleRate") {
        None | Some(Value::Null) => None,
        Some(rate) => Some(
            whole_number(rate)
                .ok_or_else(|| format!("audioFormat.sampleRate is {rate}, expected whole Hz"))?,
        ),
    };
    match encoding {
        Encoding::Pcm16 => {
            let rate = rate.unwrap_or(16_000);
            if !SAMPLE_RATES_HZ.contains(&rate) {
                return Err(format!(
                    "audioFormat.sampleRate is {rate}, expected {} to {} for pcm_s16le",
                    SAMPLE_RATES_HZ.start(),
                    SAMPLE_RATES_HZ.end()
                ));
            }
            Ok(AudioFormat::pcm16(rate))
        }
        Encoding::Mulaw => match rate {
            None | Some(8_000) => Ok(AudioFormat::mulaw()),
            Some(rate) => {
                Err(format!("audioFormat.sampleRate is {rate}, expected 8000 for mulaw"))
            }
        },
    }
}

/// Clients may write `16000` as `16000.0`.
fn whole_number(value: &Value) -> Option<u32> {
    let number = value.as_f64()?;
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    whole.then_some(number as u32)
}

#[cfg(test)]
mod tests;
