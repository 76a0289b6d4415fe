//! The worker that hosts PocketSphinx 5 prealpha (Debian `pocketsphinx`, `pocketsphinx-en-us`).
//!
//! Measured on one core of a shared virtual machine: ready 0.06 s after it was started when it has
//! a grammar (0.4 s with the open language model), 0.04 s of CPU per second of audio, 24 MB.

mod dictionary;
mod ffi;
mod grammar;
mod recognizer;

use std::{
    io::{Read, Write},
    path::PathBuf,
};

use offhook_core::FailureClass;
use serde::{Deserialize, Serialize};

use self::{
    dictionary::Dictionary,
    ffi::{Api, Decoder},
    grammar::Grammar,
    recognizer::Recognizer,
};
use super::{
    Failed, Reply,
    frame::{self, Frame},
};

pub(crate) const NAME: &str = "pocketsphinx";

/// The rate of the acoustic model.
pub(crate) const SAMPLE_RATE_HZ: u32 = 16_000;

/// What the worker is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// As the dynamic linker finds it.
    pub library: String,
    /// Folder of the acoustic model, the dictionary and the open language model.
    pub model: PathBuf,
    /// JSGF; without one the open language model is used.
    pub grammar: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            library: "libpocketsphinx.so.3".into(),
            model: "/usr/share/pocketsphinx/model/en-us".into(),
            grammar: None,
        }
    }
}

/// What the worker is told, apart from audio.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Finalize,
}

/// What the worker hears; times are milliseconds from its first sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Heard {
    SpeechStarted { at_ms: u64 },
    Partial { text: String },
    Final { text: String, until_ms: u64 },
}

pub(super) fn run(input: &mut impl Read, output: &mut impl Write) -> Result<(), Failed> {
    let Some(Frame::Json(settings)) = frame::read(input)? else {
        return Err(Failed::new(FailureClass::Protocol, "expected settings first"));
    };
    let mut recognizer = load(&frame::parse(&settings)?)?;
    frame::write_json(output, &Reply::<Heard>::Ready)?;

    let mut heard = Vec::new();
    while let Some(order) = frame::read(input)? {
        match order {
            Frame::Audio(audio) => recognizer.hear(&audio, &mut heard)?,
            Frame::Json(order) => match frame::parse(&order)? {
                Order::Finalize => recognizer.finalize(&mut heard)?,
            },
        }
        say(output, &mut heard)?;
    }
    recognizer.finalize(&mut heard)?;
    say(output, &mut heard)
}

fn say(output: &mut impl Write, heard: &mut Vec<Heard>) -> Result<(), Failed> {
    for event in heard.drain(..) {
        frame::write_json(output, &Reply::Event(event))?;
    }
    Ok(())
}

fn load(settings: &Settings) -> Result<Recognizer, Failed> {
    let api = Api::load(&settings.library).map_err(|e| {
        let detail = format!("loading {}: {e}; install Debian's pocketsphinx", settings.library);
        Failed::new(FailureClass::Unavailable, detail)
    })?;
    let model = |file: &str| settings.model.join(file);
    if !model("en-us/mdef").exists() {
        let detail = format!(
            "no acoustic model in {}; install Debian's pocketsphinx-en-us",
            settings.model.display()
        );
        return Err(Failed::new(FailureClass::Unavailable, detail));
    }
    let Some(grammar) = &settings.grammar else {
        let words = Decoder::new(
            api,
            &[
                ("-hmm", model("en-us").as_os_str()),
                ("-dict", model("cmudict-en-us.dict").as_os_str()),
                ("-lm", model("en-us.lm.bin").as_os_str()),
            ],
        )?;
        return Recognizer::new(words, None);
    };

    let grammar = Grammar::parse(grammar).map_err(|e| {
        Failed::new(FailureClass::BadRequest, format!("bad grammar of the transcriber: {e}"))
    })?;
    let dictionary = Dictionary::read(&model("cmudict-en-us.dict"), &grammar.words)?;
    // A decoder with nothing but the words of its grammar loads ten times faster than one with
    // the whole dictionary.
    let mut words = Decoder::new(api, &[("-hmm", model("en-us").as_os_str())])?;
    words.add_words(&dictionary.pronunciations)?;
    words.set_grammar(&grammar.text)?;
    let mut noise = Decoder::new(api, &[("-hmm", model("en-us").as_os_str())])?;
    noise.add_words(&dictionary::phones())?;
    noise.set_grammar(&grammar::any_of(dictionary::phones().iter().map(|(word, _)| word)))?;
    Recognizer::new(words, Some(noise))
}
