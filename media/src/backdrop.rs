//! Sound behind the agent's words: an office, or a loop of the document's own.
//!
//! It is laid over what is sent when it is sent, and fills what would be silence; the playout knows
//! nothing of it, so that what was heard of a speech, marks and clearing stay what they are.

mod hold;
mod office;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{AudioFormat, samples_of_wav};

pub use hold::{hold_music, hold_of_wav};
pub use office::office;

/// Level of every backdrop, relative to the loudest square wave. Speech on a phone line is at -20 dB:
/// this neither drowns it nor comes back as an echo that a speech detector would hear.
const LEVEL_DB: f32 = -46.0;

/// How far above its level a backdrop may peak: a door that slams in a recording stays a sound behind.
const PEAK_DB: f32 = 12.0;

/// How far ahead of real time silence is filled: a transport that looks after its leg every 60 ms at
/// worst leaves no gap when it is two frames late.
const FILL_AHEAD: Duration = Duration::from_millis(100);

/// What is sent at once.
const FRAME: Duration = Duration::from_millis(20);

/// The end of a loop is faded into its beginning for this long.
const SEAM: Duration = Duration::from_millis(250);

/// Longest loop; what is longer is cut. A minute at 8 kHz is 1 MB a call.
const LOOP_MAX: Duration = Duration::from_secs(60);

/// A loop of sound on its way to one leg.
pub struct Backdrop {
    format: AudioFormat,
    sound: Arc<[i16]>,
    /// The next sample of the loop.
    next: usize,
    /// Up to here the leg has something to play, in samples since it connected.
    sent: u64,
}

impl Backdrop {
    /// A loop in the leg's sample rate, as [`office`] and [`loop_of_wav`] make it.
    pub fn new(format: AudioFormat, sound: Arc<[i16]>) -> Self {
        Self { format, sound, next: 0, sent: 0 }
    }

    /// Lays the sound over audio that is sent at this time since the leg connected.
    pub fn mix(&mut self, now: Duration, audio: &[u8]) -> Bytes {
        let mut samples = self.format.decode(audio);
        for sample in &mut samples {
            *sample = sample.saturating_add(self.next_sample());
        }
        self.sent = self.sent.max(self.format.samples_in(now)) + samples.len() as u64;
        self.format.encode(&samples)
    }

    /// What to send where nothing else is.
    pub fn fill(&mut self, now: Duration) -> Vec<Bytes> {
        let mut frames = Vec::new();
        self.sent = self.sent.max(self.format.samples_in(now));
        while self.sent < self.format.samples_in(now + FILL_AHEAD) {
            let samples: Vec<i16> =
                (0..self.format.samples_in(FRAME).max(1)).map(|_| self.next_sample()).collect();
            self.sent += samples.len() as u64;
            frames.push(self.format.encode(&samples));
        }
        frames
    }

    /// The leg forgot what it had not played.
    pub fn cleared(&mut self, now: Duration) {
        self.sent = self.format.samples_in(now);
    }

    fn next_sample(&mut self) -> i16 {
        let Some(sample) = self.sound.get(self.next) else { return 0 };
        self.next = (self.next + 1) % self.sound.len();
        *sample
    }
}

/// Makes a loop of a WAV file of 8 to 32 bits.
///
/// # Errors
///
/// Says what is wrong with the file.
pub fn loop_of_wav(file: &[u8], sample_rate_hz: u32) -> Result<Vec<i16>, String> {
    let sound = samples_of_wav(file, sample_rate_hz, LOOP_MAX)?;
    if sound.len() < 2 * samples_in(SEAM, sample_rate_hz) {
        return Err(format!("it is shorter than {:?}", 2 * SEAM));
    }
    let sound = seamless(sound.into_iter().map(f32::from).collect(), sample_rate_hz);
    Ok(levelled(&sound, LEVEL_DB, PEAK_DB))
}

/// Fades the end of a sound into its beginning.
fn seamless(mut sound: Vec<f32>, sample_rate_hz: u32) -> Vec<f32> {
    let seam = samples_in(SEAM, sample_rate_hz).min(sound.len() / 2);
    let tail = sound.split_off(sound.len() - seam);
    for (index, (begin, end)) in sound.iter_mut().zip(tail).enumerate() {
        let share = (index as f32 + 0.5) / seam as f32;
        // Two noises that are not alike add up in power.
        *begin = *begin * share.sqrt() + end * (1.0 - share).sqrt();
    }
    sound
}

/// Brings a sound to a level, with peaks of so much above it.
fn levelled(sound: &[f32], level_db: f32, peak_db: f32) -> Vec<i16> {
    let power = sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len().max(1) as f32;
    let level = 32_768.0 * amplitude(level_db);
    let peak = level * amplitude(peak_db);
    let gain = level / power.sqrt().max(1e-3);
    sound.iter().map(|sample| (sample * gain).clamp(-peak, peak) as i16).collect()
}

fn amplitude(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

fn samples_in(time: Duration, sample_rate_hz: u32) -> usize {
    AudioFormat::pcm16(sample_rate_hz).samples_in(time) as usize
}

#[cfg(test)]
mod tests;
