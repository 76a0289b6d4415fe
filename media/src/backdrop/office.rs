//! An office, made of noise: the air conditioning, people who talk further off, keyboards.

use std::{f32::consts::TAU, time::Duration};

use super::{LEVEL_DB, PEAK_DB, levelled, samples_in, seamless};

/// Length of the loop; long enough that nobody notices it.
const LENGTH: Duration = Duration::from_secs(20);

/// The same office every time.
const SEED: u32 = 0x0FF1_CE01;

/// Loudness of the parts relative to one another.
const AIR: f32 = 1.0;
const MURMUR: f32 = 0.9;
const KEYS: f32 = 1.2;

/// Resonances of those who talk, in Hz: the first two of a vowel, each.
const TALKERS: [[f32; 2]; 3] = [[480.0, 1_150.0], [610.0, 1_700.0], [390.0, 900.0]];

/// Makes the loop in a sample rate, in Hz.
pub fn office(sample_rate_hz: u32) -> Vec<i16> {
    let mut random = Random(SEED);
    let length = samples_in(LENGTH, sample_rate_hz);
    let mut sound = air(length, sample_rate_hz, &mut random);
    for formants in TALKERS {
        add(&mut sound, &murmur(length, sample_rate_hz, formants, &mut random), MURMUR);
    }
    add(&mut sound, &keyboards(length, sample_rate_hz, &mut random), KEYS);
    levelled(&seamless(sound, sample_rate_hz), LEVEL_DB, PEAK_DB)
}

/// A steady noise below some 300 Hz and a little of everything above.
fn air(length: usize, rate_hz: u32, random: &mut Random) -> Vec<f32> {
    let pole = (-TAU * 300.0 / rate_hz as f32).exp();
    let mut state = 0.0;
    let mut low = move |white: f32| {
        state = pole * state + (1.0 - pole) * white;
        state
    };
    let noise = (0..length).map(|_| random.sample()).map(|white| AIR * (low(white) + 0.02 * white));
    unit_power(noise.collect())
}

/// Somebody whose words cannot be made out: noise in the shape of vowels, syllable by syllable.
fn murmur(length: usize, rate_hz: u32, formants: [f32; 2], random: &mut Random) -> Vec<f32> {
    let mut filters = formants.map(|hz| Resonance::new(hz, 110.0, rate_hz));
    let mut sound = vec![0.0; length];
    let seconds = |time: f32| (time * rate_hz as f32) as usize;
    let mut at = seconds(random.between(0.0, 2.0));
    while at < length {
        let phrase_end = at + seconds(random.between(0.8, 2.5));
        while at < phrase_end.min(length) {
            let syllable = seconds(random.between(0.12, 0.26)).max(1);
            let loudness = random.between(0.4, 1.0);
            let end = (at + syllable).min(length);
            for (index, sample) in sound[at..end].iter_mut().enumerate() {
                let shape = (TAU / 2.0 * index as f32 / syllable as f32).sin();
                let white = random.sample();
                let voiced: f32 = filters.iter_mut().map(|filter| filter.pass(white)).sum();
                *sample = voiced * shape * loudness;
            }
            at += syllable + seconds(random.between(0.0, 0.05));
        }
        at += seconds(random.between(0.7, 3.5));
    }
    unit_power(sound)
}

/// Runs of soft clicks.
fn keyboards(length: usize, rate_hz: u32, random: &mut Random) -> Vec<f32> {
    let mut sound = vec![0.0; length];
    let seconds = |time: f32| (time * rate_hz as f32) as usize;
    let mut at = seconds(random.between(0.5, 2.0));
    while at < length {
        for _ in 0..4 + (random.between(0.0, 14.0) as usize) {
            let loudness = random.between(0.3, 1.0);
            let fades_in = random.between(0.002, 0.005) * rate_hz as f32;
            let mut before = 0.0;
            for (index, sample) in sound.iter_mut().skip(at).take(seconds(0.02)).enumerate() {
                let white = random.sample();
                // The difference of two samples has no low tones.
                *sample += (white - before) * loudness * (-(index as f32) / fades_in).exp();
                before = white;
            }
            at += seconds(random.between(0.09, 0.28));
        }
        at += seconds(random.between(1.0, 4.0));
    }
    unit_power(sound)
}

fn add(sound: &mut [f32], other: &[f32], gain: f32) {
    for (sample, other) in sound.iter_mut().zip(other) {
        *sample += other * gain;
    }
}

fn unit_power(mut sound: Vec<f32>) -> Vec<f32> {
    let power = sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len().max(1) as f32;
    let gain = 1.0 / power.sqrt().max(1e-6);
    sound.iter_mut().for_each(|sample| *sample *= gain);
    sound
}

/// A resonance of two poles.
struct Resonance {
    feedback: [f32; 2],
    state: [f32; 2],
}

impl Resonance {
    fn new(hz: f32, width_hz: f32, rate_hz: u32) -> Self {
        let radius = (-TAU / 2.0 * width_hz / rate_hz as f32).exp();
        let angle = TAU * hz / rate_hz as f32;
        Self { feedback: [2.0 * radius * angle.cos(), -radius * radius], state: [0.0; 2] }
    }

    fn pass(&mut self, sample: f32) -> f32 {
        let [near, far] = self.state;
        let out = sample + self.feedback[0] * near + self.feedback[1] * far;
        self.state = [out, near];
        out
    }
}

/// Xorshift: the same numbers from the same seed.
struct Random(u32);

impl Random {
    /// Between -1 and 1.
    fn sample(&mut self) -> f32 {
        self.between(-1.0, 1.0)
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        low + (high - low) * (self.0 as f32 / u32::MAX as f32)
    }
}
