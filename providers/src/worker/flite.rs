//! The worker that hosts flite 2.x (Debian `flite`): text in, audio and the time of each word out.
//!
//! The library and not the program, because the program takes text only where everybody can read
//! it (its arguments), or hangs when its output is a pipe; and because the library knows when each
//! word is spoken. Measured: 0.02 s of work for a second of speech.

mod ffi;

use std::{
    io::{Read, Write},
    time::Duration,
};

use bytes::Bytes;
use offhook_core::FailureClass;
use serde::{Deserialize, Serialize};

use super::{
    Failed, Reply,
    frame::{self, Frame},
};

pub(crate) const NAME: &str = "flite";

/// The voices that Debian's package brings, with their sample rates in Hz.
pub(crate) const VOICES: [(&str, u32); 5] =
    [("rms", 16_000), ("slt", 16_000), ("awb", 16_000), ("kal16", 16_000), ("kal", 8_000)];

/// Length of the pieces in which audio is handed over: short, so that what is cancelled has not
/// been copied around for nothing.
const PIECE: Duration = Duration::from_millis(200);

/// What the worker is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// As the dynamic linker finds it; the voice's is named after it.
    pub library: String,
    /// One of [`VOICES`].
    pub voice: String,
    /// Multiple of the voice's own speed.
    pub speed: f32,
}

impl Settings {
    pub fn new(voice: &str, speed: f32) -> Self {
        Self { library: "libflite.so.1".into(), voice: voice.into(), speed }
    }

    pub fn sample_rate_hz(&self) -> Option<u32> {
        VOICES.iter().find(|(name, _)| *name == self.voice).map(|(_, rate)| *rate)
    }
}

/// A piece of text to speak: ASCII, at most a sentence or two.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Speak {
    pub text: String,
}

/// What the worker says beside audio, for each [`Speak`] in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spoken {
    /// Before the audio.
    Words(Vec<Word>),
    /// After the audio.
    Done,
}

/// A word of the text, in seconds from the first sample of its audio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Word {
    pub word: String,
    pub start: f32,
    pub end: f32,
}

pub(super) fn run(input: &mut impl Read, output: &mut impl Write) -> Result<(), Failed> {
    let Some(Frame::Json(settings)) = frame::read(input)? else {
        return Err(Failed::new(FailureClass::Protocol, "expected settings first"));
    };
    let settings: Settings = frame::parse(&settings)?;
    let rate = settings.sample_rate_hz().ok_or_else(|| {
        Failed::new(FailureClass::BadRequest, format!("unknown flite voice `{}`", settings.voice))
    })?;
    let voice = ffi::Voice::load(&settings)?;
    let piece = (rate as usize * PIECE.as_millis() as usize / 1_000) * size_of::<i16>();
    frame::write_json(output, &Reply::<Spoken>::Ready)?;

    while let Some(order) = frame::read(input)? {
        let Frame::Json(order) = order else {
            return Err(Failed::new(FailureClass::Protocol, "audio where text is due"));
        };
        let Speak { text } = frame::parse(&order)?;
        let speech = voice.speak(&text)?;
        frame::write_json(output, &Reply::Event(Spoken::Words(speech.words)))?;
        let audio: Bytes = speech.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        for start in (0..audio.len()).step_by(piece) {
            let end = audio.len().min(start + piece);
            frame::write(output, &Frame::Audio(audio.slice(start..end)))?;
        }
        frame::write_json(output, &Reply::Event(Spoken::Done))?;
    }
    Ok(())
}
