//! What the JSON messages of Twilio's and Telnyx's media streams have in common.

use std::{borrow::Cow, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use offhook_media::AudioFormat;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// Longest name of a mark that is believed to be one of ours, in bytes.
pub(crate) const MARK_BYTES_MAX: usize = 256;

/// A whole number, which these carriers write as a string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a string of digits")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom("a string that is no whole number"))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Reads a message. Its text is not repeated when it cannot be read: it may be somebody's token.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(carrier: &str, text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        format!("{carrier}'s message cannot be read: {kind:?} error at line {line} column {column}")
    })
}

/// The `media` of a message.
#[derive(Deserialize)]
pub(crate) struct Media<'a> {
    #[serde(borrow, default)]
    pub track: Option<Cow<'a, str>>,
    #[serde(default)]
    pub chunk: Option<Number>,
    #[serde(borrow)]
    pub payload: Cow<'a, str>,
}

impl Media<'_> {
    /// Whether it is what the caller said, and not what we did.
    pub fn is_caller(&self) -> bool {
        // Twilio says `inbound_track` in other places.
        self.track.as_deref().is_none_or(|track| track.starts_with("inbound"))
    }

    /// Whole samples.
    pub fn audio(&self, format: AudioFormat) -> Result<Bytes, String> {
        let audio = BASE64_STANDARD
            .decode(self.payload.as_bytes())
            .map_err(|_| "media message dropped: its payload is not base64".to_owned())?;
        let bytes_per_sample = format.bytes_per_sample();
        if !audio.len().is_multiple_of(bytes_per_sample) {
            return Err(format!(
                "media message dropped: {} bytes are no whole samples of {bytes_per_sample} bytes",
                audio.len()
            ));
        }
        Ok(audio.into())
    }
}

#[derive(Deserialize)]
pub(crate) struct Mark {
    pub name: String,
}

#[derive(Deserialize)]
pub(crate) struct Keypress<'a> {
    #[serde(borrow)]
    pub digit: Cow<'a, str>,
}

/// `mediaFormat`, in either carrier's spelling.
#[derive(Deserialize)]
pub(crate) struct MediaFormat {
    pub encoding: String,
    #[serde(alias = "sampleRate")]
    pub sample_rate: Number,
    #[serde(default = "one")]
    pub channels: Number,
}

fn one() -> Number {
    Number(1)
}

/// The key that a digit names.
pub(crate) fn key_of(digit: &str) -> Result<char, String> {
    let mut keys = digit.chars();
    match (keys.next(), keys.next()) {
        (Some(key @ ('0'..='9' | 'A'..='D' | '*' | '#')), None) => Ok(key),
        (Some(key @ 'a'..='d'), None) => Ok(key.to_ascii_uppercase()),
        _ => Err("dtmf message dropped: `digit` must be one of 0-9, *, # and A-D".into()),
    }
}

/// The name of a mark that came back.
pub(crate) fn mark_of(name: String) -> Result<String, String> {
    if name.len() > MARK_BYTES_MAX {
        return Err(format!("mark dropped: its name is longer than {MARK_BYTES_MAX} bytes"));
    }
    Ok(name)
}

/// Base64 of audio inside a message that is otherwise known; nothing in it needs escaping.
pub(crate) fn media_message(before: &str, audio: &[u8], after: &str) -> String {
    let length = before.len() + after.len() + audio.len().div_ceil(3) * 4;
    let mut message = String::with_capacity(length);
    message.push_str(before);
    BASE64_STANDARD.encode_string(audio, &mut message);
    message.push_str(after);
    message
}
