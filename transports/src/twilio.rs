//! Twilio's Media Streams, bidirectional: JSON in text messages, audio as base64 mu-law.
//!
//! Source: Twilio's documentation, page "Media Streams - WebSocket Messages".

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use offhook_media::{AudioFormat, Hearing};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    BuildError, LegCodec, LegError, LegEvent, LegStart, Transport, Wire, close_code,
    sequence::Sequence,
    strictness::Strictness,
    wire_json::{Keypress, Mark, Media, MediaFormat, key_of, mark_of, media_message, read_json},
};

pub(crate) const TRANSPORT: Transport = Transport { name: NAME, is_carrier: true, build };

const NAME: &str = "twilio";

/// The only one there is, both ways.
const FORMAT: AudioFormat = AudioFormat::mulaw();

/// Longest id of a stream, in bytes; they have 34.
const STREAM_ID_BYTES_MAX: usize = 64;

struct Twilio {
    /// The stream's id once it has begun: JSON, with quotation marks.
    stream: Option<String>,
    sequence: Sequence,
    strictness: Strictness,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    media: Option<Media<'a>>,
    #[serde(default)]
    start: Option<Start>,
    #[serde(default)]
    mark: Option<Mark>,
    #[serde(borrow, default)]
    dtmf: Option<Keypress<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    stream_sid: String,
    call_sid: String,
    #[serde(default)]
    custom_parameters: BTreeMap<String, String>,
    media_format: MediaFormat,
}

fn build(options: &Value) -> Result<Box<dyn LegCodec>, BuildError> {
    let format = &options["audioFormat"];
    let wanted = (&format["format"], &format["sampleRate"]);
    let fits = (wanted.0.is_null() || wanted.0 == "mulaw")
        && (wanted.1.is_null() || wanted.1.as_f64() == Some(8_000.0));
    if !fits {
        let reason = format!("audioFormat is {format}, Twilio carries mulaw at 8000 Hz alone");
        return Err(BuildError::Options { name: NAME, reason });
    }
    Ok(Box::new(Twilio {
        stream: None,
        sequence: Sequence::new(FORMAT, 0),
        strictness: Strictness::default(),
    }))
}

impl LegCodec for Twilio {
    fn format(&self) -> AudioFormat {
        FORMAT
    }

    fn hearing(&self) -> Hearing {
        Hearing::Marks
    }

    fn decode(&mut self, message: Wire) -> Result<Vec<LegEvent>, LegError> {
        let read = match &message {
            Wire::Text(text) => match read_json("Twilio", text) {
                Ok(message) => self.read(message)?,
                Err(reason) => Err(reason),
            },
            Wire::Binary(audio) => Err(format!(
                "binary message of {} bytes dropped: Twilio's audio comes as JSON",
                audio.len()
            )),
        };
        self.strictness.judge(read)
    }

    fn audio(&mut self, audio: Bytes) -> Wire {
        let before = format!(
            "{{\"event\":\"media\",\"streamSid\":{},\"media\":{{\"payload\":\"",
            self.stream()
        );
        Wire::Text(media_message(&before, &audio, "\"}}"))
    }

    fn mark(&mut self, name: &str) -> Option<Wire> {
        let name = json!(name);
        let stream = self.stream();
        Some(Wire::Text(format!(
            "{{\"event\":\"mark\",\"streamSid\":{stream},\"mark\":{{\"name\":{name}}}}}"
        )))
    }

    fn clear(&mut self) -> Option<Wire> {
        Some(Wire::Text(format!("{{\"event\":\"clear\",\"streamSid\":{}}}", self.stream())))
    }

    fn event(&mut self, _message: &Value) -> Option<Wire> {
        None
    }

    fn error(&mut self, _name: &str, _message: &str) -> Option<Wire> {
        None
    }
}

impl Twilio {
    /// The stream's id as JSON; a leg that is written to has begun.
    fn stream(&self) -> &str {
        self.stream.as_deref().unwrap_or("\"\"")
    }

    fn read(&mut self, message: Message<'_>) -> Result<Result<Vec<LegEvent>, String>, LegError> {
        let missing = |what: &str| Err(format!("Twilio's {what} message has no `{what}`"));
        Ok(match &*message.event {
            "connected" => Ok(Vec::new()),
            "start" => match message.start {
                Some(start) => return self.start(start),
                None => missing("start"),
            },
            _ if self.stream.is_none() => Err("message before `start` dropped".into()),
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
            "stop" => Ok(vec![LegEvent::Stopped]),
            _ => Err("message with an unknown `event` dropped".into()),
        })
    }

    /// A stream whose audio is none that we can read ends the leg: nothing would be understood.
    fn start(&mut self, start: Start) -> Result<Result<Vec<LegEvent>, String>, LegError> {
        let format = start.media_format;
        let is_ours = format.encoding == "audio/x-mulaw"
            && (format.sample_rate.0, format.channels.0) == (8_000, 1);
        if !is_ours {
            return Err(LegError::new(
                close_code::INVALID_PAYLOAD,
                "the stream's mediaFormat is not audio/x-mulaw at 8000 Hz in one channel: remove \
                 audioFormat and sampleRate from <Stream>",
            ));
        }
        if self.stream.is_some() {
            return Ok(Err("second `start` dropped".into()));
        }
        if start.stream_sid.len() > STREAM_ID_BYTES_MAX {
            return Ok(Err("`start` with a senseless streamSid dropped".into()));
        }
        self.stream = Some(json!(start.stream_sid).to_string());
        Ok(Ok(vec![LegEvent::Started(LegStart {
            carrier_call_id: Some(start.call_sid),
            stream_id: Some(start.stream_sid),
            parameters: start.custom_parameters,
        })]))
    }

    fn hear(&mut self, media: &Media<'_>) -> Result<Vec<LegEvent>, String> {
        if !media.is_caller() {
            return Ok(Vec::new());
        }
        let audio = media.audio(FORMAT)?;
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

#[cfg(test)]
mod tests;
