//! Cuts the caller's audio into utterances and decides what of each was understood.
//!
//! With a grammar the library fits *any* sound to the nearest sentence. A second decoder, which
//! may hear any sequence of phones, tells how well the sound could be explained at best: what
//! explains it much worse is not what was said. Over 15 sentences and 22 others, in seven voices of
//! flite and espeak-ng, wide-band and after 8 kHz mu-law, 94 of 100 sentences of the grammar passed,
//! all of them right, and 10 of 100 others (most of them one word away from a sentence).
//!
//! An utterance ends after a short silence, so that turns are quick; callers pause longer than
//! that in mid-sentence. What follows a pause soon, and makes no sense alone, is therefore heard
//! again together with what came before it.

use std::{collections::VecDeque, time::Duration};

use super::{
    Heard, SAMPLE_RATE_HZ,
    ffi::{Decoder, Hypothesis},
};
use crate::worker::Failed;

/// Frames of silence (10 ms each) that end an utterance.
pub(super) const VAD_STOP_FRAMES: usize = 25;

/// Speech that starts an utterance: the library's own default of ten frames.
const VAD_START: u64 = in_samples(Duration::from_millis(100));

/// The silence that ended an utterance.
const VAD_STOP: u64 = in_samples(Duration::from_millis(10 * VAD_STOP_FRAMES as u64));

/// How much audio goes to the library at a time: how exactly the edges of speech are seen.
const STEP: usize = in_samples(Duration::from_millis(20)) as usize;

/// How often a partial may change.
const PARTIAL_EVERY: u64 = in_samples(Duration::from_millis(100));

/// How much audio before the speech is kept to hear it again with.
const LEAD: usize = in_samples(Duration::from_millis(400)) as usize;

/// Speech may go on from what was said at most this long before it.
const PAUSE_MAX: u64 = in_samples(Duration::from_millis(1_500));

/// Longest audio that is heard again at once: 0.4 s of work, which delays its final.
const JOINED_MAX: usize = in_samples(Duration::from_secs(8)) as usize;

/// Most utterances that one may go on from: what pauses more often is not one sentence.
const FRAGMENTS_MAX: usize = 3;

/// Longest utterance: nothing that a grammar allows takes longer; it is 640 kB of audio.
const UTTERANCE_MAX: usize = in_samples(Duration::from_secs(20)) as usize;

/// Worst score of a frame, compared to the best sequence of phones, of what was said.
const MARGIN_PER_FRAME: f32 = -6.0;

pub(super) struct Recognizer {
    words: Decoder,
    /// Hears any phones; absent with the open language model, which has no other to compare with.
    noise: Option<Decoder>,
    /// Samples heard so far.
    position: u64,
    /// The audio of the present utterance, or the last of the silence before it.
    utterance: Vec<i16>,
    /// Where the speech of the present utterance began.
    speech: Option<u64>,
    partial: String,
    partial_due: u64,
    fragments: VecDeque<Fragment>,
}

/// An utterance that the next one may go on from.
struct Fragment {
    audio: Vec<i16>,
    /// Where it ended, in samples.
    ended: u64,
    /// What of it was said to be final already.
    said: String,
}

impl Recognizer {
    pub fn new(mut words: Decoder, mut noise: Option<Decoder>) -> Result<Self, Failed> {
        words.start()?;
        noise.as_mut().map_or(Ok(()), Decoder::start)?;
        Ok(Self {
            words,
            noise,
            position: 0,
            utterance: Vec::new(),
            speech: None,
            partial: String::new(),
            partial_due: 0,
            fragments: VecDeque::new(),
        })
    }

    /// Hears whole 16-bit little-endian samples.
    pub fn hear(&mut self, audio: &[u8], heard: &mut Vec<Heard>) -> Result<(), Failed> {
        let samples: Vec<i16> =
            audio.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        samples.chunks(STEP).try_for_each(|step| self.step(step, heard))
    }

    /// Ends the present utterance, if there is one, without waiting for its silence.
    pub fn finalize(&mut self, heard: &mut Vec<Heard>) -> Result<(), Failed> {
        match self.speech {
            Some(began) => self.end_utterance(began, self.position, heard),
            None => Ok(()),
        }
    }

    fn step(&mut self, samples: &[i16], heard: &mut Vec<Heard>) -> Result<(), Failed> {
        self.words.hear(samples)?;
        self.noise.as_mut().map_or(Ok(()), |noise| noise.hear(samples))?;
        self.utterance.extend_from_slice(samples);
        self.position += samples.len() as u64;

        match (self.speech, self.words.is_in_speech()) {
            (None, false) => {
                // Cut in large steps: it moves the rest.
                if self.utterance.len() >= 2 * LEAD {
                    self.utterance.drain(..self.utterance.len() - LEAD);
                }
                Ok(())
            }
            (None, true) => {
                let began = self.position.saturating_sub(VAD_START);
                self.speech = Some(began);
                self.partial_due = self.position + PARTIAL_EVERY;
                heard.push(Heard::SpeechStarted { at_ms: in_ms(began) });
                Ok(())
            }
            (Some(began), true) if self.utterance.len() >= UTTERANCE_MAX => {
                self.end_utterance(began, self.position, heard)
            }
            (Some(_), true) => {
                self.say_partial(heard);
                Ok(())
            }
            (Some(began), false) => {
                self.end_utterance(began, self.position.saturating_sub(VAD_STOP), heard)
            }
        }
    }

    fn say_partial(&mut self, heard: &mut Vec<Heard>) {
        if self.position < self.partial_due {
            return;
        }
        self.partial_due = self.position + PARTIAL_EVERY;
        if let Some(text) = self.understood()
            && text != self.partial
        {
            heard.push(Heard::Partial { text: text.clone() });
            self.partial = text;
        }
    }

    fn end_utterance(
        &mut self,
        began: u64,
        until: u64,
        heard: &mut Vec<Heard>,
    ) -> Result<(), Failed> {
        self.end()?;
        let audio = std::mem::take(&mut self.utterance);
        if self.fragments.back().is_some_and(|last| last.ended + PAUSE_MAX < began) {
            self.fragments.clear();
        }
        let (new, whole) = match self.understood() {
            Some(text) => (Some(text.clone()), Some(Fragment { audio, ended: until, said: text })),
            None => self.understand_with_earlier(audio, until)?,
        };
        if let Some(fragment) = whole {
            self.fragments.clear();
            self.fragments.push_back(fragment);
        }
        if let Some(text) = new {
            heard.push(Heard::Final { text, until_ms: in_ms(until) });
        }
        self.speech = None;
        self.partial.clear();
        self.start()
    }

    /// Hears an utterance that made no sense alone together with the last one before it, with the
    /// last two, and so on: what is new in it, and the whole.
    fn understand_with_earlier(
        &mut self,
        audio: Vec<i16>,
        ended: u64,
    ) -> Result<(Option<String>, Option<Fragment>), Failed> {
        let mut joined = audio.clone();
        let mut said = String::new();
        for index in (0..self.fragments.len()).rev() {
            let fragment = &self.fragments[index];
            if fragment.audio.len() + joined.len() > JOINED_MAX {
                break;
            }
            joined = [fragment.audio.as_slice(), &joined].concat();
            said = format!("{} {said}", fragment.said).trim().to_owned();
            let Some(whole) = self.hear_again(&joined)? else { continue };
            if let Some(new) = added(&said, &whole) {
                let new = new.to_owned();
                return Ok((Some(new), Some(Fragment { audio: joined, ended, said: whole })));
            }
        }
        if self.fragments.len() == FRAGMENTS_MAX {
            self.fragments.pop_front();
        }
        self.fragments.push_back(Fragment { audio, ended, said: String::new() });
        Ok((None, None))
    }

    fn hear_again(&mut self, samples: &[i16]) -> Result<Option<String>, Failed> {
        self.start()?;
        self.words.hear(samples)?;
        self.noise.as_mut().map_or(Ok(()), |noise| noise.hear(samples))?;
        self.end()?;
        Ok(self.understood())
    }

    /// The present hypothesis, unless the sound is explained much better by mere phones.
    fn understood(&mut self) -> Option<String> {
        let Hypothesis { text, score } = self.words.hypothesis()?;
        if let Some(noise) = &mut self.noise {
            let best = noise.hypothesis()?.score;
            let frames = noise.frames().max(1);
            if ((score - best) as f32) < MARGIN_PER_FRAME * frames as f32 {
                return None;
            }
        }
        Some(text)
    }

    fn start(&mut self) -> Result<(), Failed> {
        self.words.start()?;
        self.noise.as_mut().map_or(Ok(()), Decoder::start)
    }

    fn end(&mut self) -> Result<(), Failed> {
        self.words.end()?;
        self.noise.as_mut().map_or(Ok(()), Decoder::end)
    }
}

/// What `whole` says after what was said already; nothing if it does not go on from there.
fn added<'a>(said: &str, whole: &'a str) -> Option<&'a str> {
    let rest = whole.strip_prefix(said)?;
    if said.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }.filter(|r| !r.is_empty())
}

const fn in_samples(time: Duration) -> u64 {
    time.as_millis() as u64 * SAMPLE_RATE_HZ as u64 / 1_000
}

const fn in_ms(samples: u64) -> u64 {
    samples * 1_000 / SAMPLE_RATE_HZ as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_go_on_from_what_was_said_are_added() {
        assert_eq!(added("", "yes please"), Some("yes please"));
        assert_eq!(added("yes", "yes please"), Some("please"));
        assert_eq!(added("yes", "yesterday"), None);
        assert_eq!(added("yes", "yes"), None);
        assert_eq!(added("no", "yes please"), None);
    }
}
