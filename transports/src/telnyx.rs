//! Telnyx's media streaming in `rtp` mode: JSON in text messages, audio as base64, out of order.
//!
//! Source: Telnyx's documentation, page "Media Streaming over WebSockets".
//!
//! Assumption: samples of L16 are little-endian, as the vendor's own clients write them, and not
//! big-endian as in RTP (RFC 3551, section 4.5.11).

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use offhook_media::{AudioFormat, Encoding, Hearing};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    BuildError, LegCodec, LegError, LegEvent, LegStart, Transport, Wire, close_code,
    sequence::Sequence,
    strictness::Strictness,
    wire_json::{
        Keypress, Mark, Media, MediaFormat, key_of, mark_of, media_message, read_json,
    },
};

pub(crate) const TRANSPORT: Transport = Transport { name: NAME, is_carrier: true, build };

const NAME: &str = "telnyx";

/// Frames that wait for one that is missing: 100 ms, which is more than their servers mix them up
/// by, and less than a caller takes for a late answer.
const REORDERED_MAX: usize = 5;

/// Rates of L16 that both directions can have, in Hz.
const L16_RATES_HZ: [u32; 3] = [8_000, 16_000, 24_000];

/// Longest text of a complaint that is passed on, in characters.
const COMPLAINT_CHARS_MAX: usize = 200;

struct Telnyx {
    format: AudioFormat,
    has_started: bool,
    sequence: Sequence,
    strictness: Strictness,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(default)]
    stream_id: Option<String>,
    #[serde(borrow, default)]
    media: Option<Media<'a>>,
    #[serde(default)]
    start: Option<Start>,
    #[serde(default)]
    mark: Option<Mark>,
    #[serde(borrow, default)]
    dtmf: Option<Keypress<'a>>,
    #[serde(default)]
    payload: Option<Complaint>,
}

#[derive(Deserialize)]
struct Start {
    call_control_id: String,
    #[serde(default)]
    custom_parameters: Option<Value>,
    media_format: MediaFormat,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

fn build(options: &Value) -> Result<Box<dyn LegCodec>, BuildError> {
    let asked = &options["audioFormat"];
    let rate = &asked["sampleRate"];
    let rate_hz = if rate.is_null() { None } else { Some(rate.as_f64().unwrap_or(f64::NAN)) };
    let is = |wanted: u32| rate_hz.is_none_or(|rate| rate == f64::from(wanted));
    let format = match asked["format"].as_str() {
        Some("pcm_s16le") => match rate_hz {
            None => Some(AudioFormat::pcm16(16_000)),
            Some(_) => L16_RATES_HZ.into_iter().find(|rate| is(*rate)).map(AudioFormat::pcm16),
        },
        Some("mulaw") => is(8_000).then_some(AudioFormat::mulaw()),
        Some(_) => None,
        None => (asked["format"].is_null() && is(8_000)).then_some(AudioFormat::mulaw()),
    };
    let Some(format) = format else {
        let reason = format!(
            "audioFormat is {asked}, expected mulaw at 8000 Hz, or pcm_s16le at 8000, 16000 or \
             24000 Hz"
        );
        return Err(BuildError::Options { name: NAME, reason });
    };
    Ok(Box::new(Telnyx {
        format,
        has_started: false,
        sequence: Sequence::new(format, REORDERED_MAX),
        strictness: Strictness::default(),
    }))
}

impl LegCodec for Telnyx {
    fn format(&self) -> AudioFormat {
        self.format
    }

    fn hearing(&self) -> Hearing {
        Hearing::Marks
    }

    fn decode(&mut self, message: Wire) -> Result<Vec<LegEvent>, LegError> {
        let read = match &message {
            Wire::Text(text) => match read_json("Telnyx", text) {
                Ok(message) => self.read(message)?,
                Err(reason) => Err(reason),
            },
            Wire::Binary(audio) => Err(format!(
                "binary message of {} bytes dropped: Telnyx's audio comes as JSON",
                audio.len()
            )),
        };
        self.strictness.judge(read)
    }

    fn audio(&mut self, audio: Bytes) -> Wire {
        Wire::Text(media_message("{\"event\":\"media\",\"media\":{\"payload\":\"", &audio, "\"}}"))
    }

    fn mark(&mut self, name: &str) -> Option<Wire> {
        Some(Wire::Text(json!({"event": "mark", "mark": {"name": name}}).to_string()))
    }

    fn clear(&mut self) -> Option<Wire> {
        Some(Wire::Text("{\"event\":\"clear\"}".into()))
    }

    fn event(&mut self, _message: &Value) -> Option<Wire> {
        None
    }

    fn error(&mut self, _name: &str, _message: &str) -> Option<Wire> {
        None
    }
}

impl Telnyx {
    fn read(&mut self, message: Message<'_>) -> Result<Result<Vec<LegEvent>, String>, LegError> {
        let missing = |what: &str| Err(format!("Telnyx's {what} message has no `{what}`"));
        Ok(match &*message.event {
            "connected" => Ok(Vec::new()),
            "start" => match message.start {
                Some(start) => return self.start(message.stream_id, start),
                None => missing("start"),
            },
            "error" => Ok(vec![LegEvent::Complained(complaint(message.payload))]),
            _ if !self.has_started => Err("message before `start` dropped".into()),
            "media" => match message.media {
                Some(media) => self.hear(&media),
                None => missing("media"),
            },
            "mark" => match message.mark {
                Some(mark) => mark_of(mark.name).map(|name| vec![LegEvent::MarkPlayed(name)]),
                None => missing("mark"),
            },
            "dtmf" => match message.dtmf {
                Some(dtmf) => key_of(&dtmf.digit).map(|key| vec![LegEvent::Dtmf(key)]),
                None => missing("dtmf"),
            },
            "stop" => {
                let rest = self.sequence.flush().into_iter().map(LegEvent::Audio);
                Ok(rest.chain([LegEvent::Stopped]).collect())
            }
            _ => Err("message with an unknown `event` dropped".into()),
        })
    }

    fn start(
        &mut self,
        stream_id: Option<String>,
        start: Start,
    ) -> Result<Result<Vec<LegEvent>, String>, LegError> {
        let format = &start.media_format;
        let encoding = match self.format.encoding {
            Encoding::Mulaw => "PCMU",
            Encoding::Pcm16 => "L16",
        };
        let rate_hz = self.format.sample_rate_hz;
        let is_ours = format.encoding == encoding
            && (format.sample_rate.0, format.channels.0) == (rate_hz.into(), 1);
        if !is_ours {
            return Err(LegError::new(
                close_code::INVALID_PAYLOAD,
                format!(
                    "the stream's media_format is not {encoding} at {rate_hz} Hz in one channel: \
                     set stream_codec and stream_bidirectional_codec"
                ),
            ));
        }
        if self.has_started {
            return Ok(Err("second `start` dropped".into()));
        }
        self.has_started = true;
        Ok(Ok(vec![LegEvent::Started(LegStart {
            carrier_call_id: Some(start.call_control_id),
            stream_id,
            parameters: parameters(start.custom_parameters.as_ref().unwrap_or(&Value::Null)),
        })]))
    }

    fn hear(&mut self, media: &Media<'_>) -> Result<Vec<LegEvent>, String> {
        if !media.is_caller() {
            return Ok(Vec::new());
        }
        let audio = media.audio(self.format)?;
        if audio.is_empty() {
            return Ok(Vec::new());
        }
        let ready = match media.chunk {
            Some(chunk) => self.sequence.push(chunk.0, audio),
            None => vec![audio],
        };
        Ok(ready.into_iter().map(LegEvent::Audio).collect())
    }
}

/// They are given as a list of names and values, and come back as that or as an object.
fn parameters(given: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match given {
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
            .collect(),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| Some((text(&item["name"])?, text(&item["value"])?)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeMap::new(),
    }
}

fn complaint(complaint: Option<Complaint>) -> String {
    let Some(Complaint { code, title, detail }) = complaint else {
        return "an error without a reason".into();
    };
    let code = code.as_str().map_or_else(|| code.to_string(), str::to_owned);
    format!("error {code} {title}: {detail}").chars().take(COMPLAINT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
