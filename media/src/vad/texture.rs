//! Whether a sound is a steady noise: a fan, a vacuum cleaner, a car, rain.

use std::collections::VecDeque;

/// Frames of a steady noise after which it is known as one: 192 ms. No two syllables fit into that
/// without a change of level.
pub(super) const STEADY_FRAMES: usize = 12;

/// Deviation of the level of a steady noise from frame to frame: noises are at 0.2 to 1.4 dB, speech
/// above 2 dB but for held vowels.
const STEADY_DB: f32 = 1.6;

/// How alike one period and the next are, between 0 and 1, in a held vowel at least. Vowels are above
/// 0.69 on a phone line, noises of machines below 0.52.
const VOICED: f32 = 0.6;
const UNVOICED: f32 = 0.55;

/// Frames that [`Texture::is_voiced`] looks at: 64 ms, half a syllable.
const VOICED_FRAMES: usize = 4;

/// Rate at which periods are looked for, in Hz, and the frame at it. Voices are wholly below.
const RATE_HZ: usize = 8_000;
pub(super) const FRAME_SAMPLES: usize = 128;

/// Periods of voices, in samples: 400 Hz down to 62.5 Hz.
const SHORTEST_PERIOD: usize = RATE_HZ / 400;
const LONGEST_PERIOD: usize = FRAME_SAMPLES;

/// Share of the sample before that is taken off a sample. It evens out the slope of a noise, so that
/// rumble has no slow waves that look like a pitch.
const EMPHASIS: f32 = 0.9;

/// The newest frames as a noise would differ in from a voice.
pub(super) struct Texture {
    /// The last two frames at [`RATE_HZ`], emphasised.
    samples: [f32; 2 * FRAME_SAMPLES],
    before: f32,
    /// Newest last; a frame that is not worth looking at begins them anew.
    frames: VecDeque<Grain>,
}

#[derive(Clone, Copy)]
struct Grain {
    level_db: f32,
    periodicity: f32,
}

impl Default for Texture {
    fn default() -> Self {
        Self { samples: [0.0; 2 * FRAME_SAMPLES], before: 0.0, frames: VecDeque::new() }
    }
}

impl Texture {
    /// Takes a frame at 8 kHz. Only what is `audible` is looked at closely.
    pub(super) fn follow(&mut self, frame: &[f32; FRAME_SAMPLES], audible: bool) {
        self.samples.copy_within(FRAME_SAMPLES.., 0);
        for (emphasised, sample) in self.samples[FRAME_SAMPLES..].iter_mut().zip(frame) {
            *emphasised = sample - EMPHASIS * self.before;
            self.before = *sample;
        }
        if !audible {
            self.frames.clear();
            return;
        }
        if self.frames.len() == STEADY_FRAMES {
            self.frames.pop_front();
        }
        let energy = energy_of(&self.samples[FRAME_SAMPLES..]);
        let level_db = 10.0 * (energy / FRAME_SAMPLES as f32).max(1.0).log10();
        self.frames.push_back(Grain { level_db, periodicity: periodicity(&self.samples) });
    }

    /// The newest frames are of one level, and nothing in them has a pitch.
    pub(super) fn is_steady_noise(&self) -> bool {
        if self.frames.len() < STEADY_FRAMES {
            return false;
        }
        let mean = mean_of(self.frames.iter().map(|frame| frame.level_db));
        let variance = mean_of(self.frames.iter().map(|frame| (frame.level_db - mean).powi(2)));
        variance < STEADY_DB.powi(2)
            && mean_of(self.frames.iter().map(|frame| frame.periodicity)) < UNVOICED
    }

    /// The newest frames have a pitch.
    pub(super) fn is_voiced(&self) -> bool {
        let newest = self.frames.iter().rev().take(VOICED_FRAMES);
        self.frames.len() >= VOICED_FRAMES
            && mean_of(newest.map(|frame| frame.periodicity)) >= VOICED
    }
}

/// The best likeness of the newest frame to what was a period before.
fn periodicity(samples: &[f32; 2 * FRAME_SAMPLES]) -> f32 {
    let newest = &samples[FRAME_SAMPLES..];
    let energy = energy_of(newest);
    let mut before = energy_of(&samples[FRAME_SAMPLES - SHORTEST_PERIOD..][..FRAME_SAMPLES]);
    let mut best: f32 = 0.0;
    for period in SHORTEST_PERIOD..=LONGEST_PERIOD {
        let start = FRAME_SAMPLES - period;
        let likeness = dot(newest, &samples[start..start + FRAME_SAMPLES]);
        // A sample of power 1 keeps silence from being like itself.
        best = best.max(likeness / (energy * before).max(1.0).sqrt());
        if start > 0 {
            before += samples[start - 1].powi(2) - samples[start + FRAME_SAMPLES - 1].powi(2);
        }
    }
    best
}

fn energy_of(samples: &[f32]) -> f32 {
    dot(samples, samples)
}

/// Summed up in eight lanes, which the compiler can make one instruction of.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, _), (b, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum()
}

fn mean_of(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = values.len().max(1) as f32;
    values.sum::<f32>() / count
}
