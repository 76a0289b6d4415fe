//! One context of a session, which may take several of Cartesia's: those expire.

use std::time::Duration;

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde::Deserialize;
use tokio::time::Instant;

use super::super::{WordTiming, samples::WholeSamples};

/// What is known of a context.
#[derive(Debug)]
pub(super) struct Context {
    /// How many of Cartesia's contexts it has had; part of the id of the present one.
    pub generation: u32,
    pub phase: Phase,
    samples: WholeSamples,
    /// Samples that came, in all of Cartesia's contexts and in those before the present one.
    received: u64,
    received_before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// More text may come.
    Open { last_text: Instant },
    /// Cartesia's context has expired; text that comes needs another.
    Expired,
    /// All text was sent, and the context is closed to more.
    Finishing { since: Instant },
}

/// Words and when they are spoken, in seconds from the start of Cartesia's context.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WordTimestamps {
    words: Vec<String>,
    start: Vec<f64>,
    end: Vec<f64>,
}

impl Context {
    pub fn new(now: Instant) -> Self {
        Self {
            generation: 0,
            phase: Phase::Open { last_text: now },
            samples: WholeSamples::default(),
            received: 0,
            received_before: 0,
        }
    }

    /// Goes on in another context of Cartesia's.
    pub fn reopen(&mut self, now: Instant) {
        self.generation += 1;
        self.phase = Phase::Open { last_text: now };
        self.received_before = self.received;
        self.samples = WholeSamples::default();
    }

    pub fn audio(&mut self, audio: &[u8], format: AudioFormat) -> Bytes {
        let audio = self.samples.join(audio, format);
        self.received += format.samples_in_bytes(audio.len());
        audio
    }

    pub fn words(&self, timestamps: WordTimestamps, format: AudioFormat) -> Vec<WordTiming> {
        let offset = format.duration_of(self.received_before);
        let times = timestamps.start.iter().zip(&timestamps.end);
        let words = timestamps.words.into_iter().zip(times);
        words
            .map(|(word, (start, end))| WordTiming {
                word,
                start: offset + seconds(*start),
                end: offset + seconds(*end),
            })
            .collect()
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
