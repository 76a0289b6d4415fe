//! flite, in a worker that is kept from sentence to sentence.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;

use super::{super::WordTiming, Spoken, text};
use crate::{
    ProviderError,
    worker::{
        Reply,
        child::{self, Worker},
        flite::{self, Settings, Speak, VOICES},
        frame::Frame,
    },
};

/// Recognised best by the local transcriber after a telephone's band.
pub(super) const DEFAULT_VOICE: &str = "rms";

pub(super) struct Flite {
    program: PathBuf,
    settings: Settings,
    rate_hz: u32,
    worker: Option<Worker>,
    /// The words of the present sentence as they were written.
    words: Vec<String>,
    /// The worker has more to say of the present sentence.
    is_speaking: bool,
}

impl Clone for Flite {
    fn clone(&self) -> Self {
        Self {
            program: self.program.clone(),
            settings: self.settings.clone(),
            rate_hz: self.rate_hz,
            worker: None,
            words: Vec::new(),
            is_speaking: false,
        }
    }
}

pub(super) fn is_voice(name: &str) -> bool {
    VOICES.iter().any(|(voice, _)| *voice == name)
}

impl Flite {
    pub fn new(program: &Path, voice: &str, speed: f32) -> Result<Self, String> {
        let settings = Settings::new(voice, speed);
        let rate_hz = settings.sample_rate_hz().ok_or_else(|| {
            let known: Vec<&str> = VOICES.iter().map(|(name, _)| *name).collect();
            format!(
                "unknown voice `{voice}` of flite, expected one of: {} (or set `engine` to espeak)",
                known.join(", ")
            )
        })?;
        Ok(Self { program: program.into(), settings, rate_hz, worker: None, words: Vec::new(), is_speaking: false })
    }

    pub fn format(&self) -> AudioFormat {
        AudioFormat::pcm16(self.rate_hz)
    }

    pub async fn prepare(&mut self) -> Result<(), ProviderError> {
        if self.worker.is_none() {
            self.worker = Some(Worker::start(&self.program, flite::NAME, &self.settings).await?);
        }
        Ok(())
    }

    pub async fn start(&mut self, sentence: &str) -> Result<(), ProviderError> {
        self.prepare().await?;
        let (words, ascii): (Vec<_>, Vec<_>) = text::ascii_words(sentence).into_iter().unzip();
        self.words = words;
        self.is_speaking = !self.words.is_empty();
        if !self.is_speaking {
            return Ok(());
        }
        let worker = self.worker.as_mut().expect("prepared above");
        worker.send(&Frame::json(&Speak { text: ascii.join(" ") })).await
    }

    pub async fn next(&mut self) -> Result<Option<Spoken>, ProviderError> {
        if !self.is_speaking {
            return Ok(None);
        }
        let worker = self.worker.as_mut().expect("a sentence was started");
        let frame = worker.receive().await?;
        if let Frame::Audio(audio) = frame {
            return Ok(Some(Spoken::Audio(audio)));
        }
        match child::reply(worker.child(), &frame)? {
            Reply::Event(flite::Spoken::Words(timed)) => {
                Ok(Some(Spoken::Words(timings(std::mem::take(&mut self.words), timed))))
            }
            Reply::Event(flite::Spoken::Done) => {
                self.is_speaking = false;
                Ok(None)
            }
            Reply::Failed(failed) => Err(ProviderError::new(failed.class, failed.detail)),
            Reply::Ready => {
                let detail = "worker flite was ready twice";
                Err(ProviderError::new(FailureClass::Protocol, detail))
            }
        }
    }

    pub async fn restart(&mut self) -> Result<(), ProviderError> {
        self.worker = None;
        self.prepare().await
    }
}

/// Gives the words back as they were written: flite leaves out punctuation, and spells in ASCII.
fn timings(words: Vec<String>, timed: Vec<flite::Word>) -> Vec<WordTiming> {
    let is_same = words.len() == timed.len();
    timed
        .into_iter()
        .enumerate()
        .filter(|(_, timed)| timed.end > timed.start)
        .map(|(index, timed)| WordTiming {
            start: Duration::from_secs_f32(timed.start.max(0.0)),
            end: Duration::from_secs_f32(timed.end.max(0.0)),
            word: if is_same { words[index].clone() } else { timed.word },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(word: &str, start: f32, end: f32) -> flite::Word {
        flite::Word { word: word.into(), start, end }
    }

    #[test]
    fn words_are_spelled_as_they_were_written_where_flite_counts_as_we_do() {
        let written = vec!["Zoë,".to_owned(), "hello.".to_owned()];

        let same = timings(written.clone(), vec![timed("Zoe", 0.1, 0.5), timed("hello", 0.5, 1.0)]);
        let other = timings(written, vec![timed("Zoe", 0.1, 0.5)]);

        let words = |timings: &[WordTiming]| {
            timings.iter().map(|timing| timing.word.clone()).collect::<Vec<_>>()
        };
        assert_eq!(words(&same), ["Zoë,", "hello."]);
        assert_eq!(words(&other), ["Zoe"]);
    }
}
