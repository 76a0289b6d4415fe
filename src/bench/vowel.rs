//! A sung vowel: what a voice activity detector takes for speech, and the ear of the tones for
//! silence.
//!
//! Tones alone are no speech to a detector that was trained on voices, or half a second late: callers
//! who spoke in tones would interrupt nobody.

use std::{f32::consts::TAU, time::Duration};

/// Pitch, in Hz: one at which every number of the tones is still understood.
const PITCH_HZ: f32 = 210.0;

/// How far the pitch wavers, and how often, in Hz: a steady one is no voice.
const VIBRATO: f32 = 0.03;
const VIBRATO_HZ: f32 = 5.0;

/// The resonances of an open "ah": frequency and width, in Hz.
const FORMANTS_HZ: [(f32, f32); 3] = [(700.0, 130.0), (1_200.0, 150.0), (2_500.0, 200.0)];

/// What is left of harmonics that no resonance carries.
const REST: f32 = 0.05;

/// The highest harmonic: what a telephone carries.
const HIGHEST_HZ: f32 = 3_600.0;

/// Loudness (root mean square): below what the ear of the tones takes for sound, 1,500, and well
/// above what a detector takes for silence.
const RMS: f32 = 1_200.0;

/// Share of a tone's loudness that is left over the vowel: more drowns it, less drowns the tone.
const TONE: f32 = 0.4;

/// The vowel alone.
pub fn sing(time: Duration, sample_rate_hz: u32) -> Vec<i16> {
    let harmonics = (HIGHEST_HZ / PITCH_HZ) as usize;
    let gains: Vec<f32> = (1..=harmonics)
        .map(|harmonic| {
            let hz = PITCH_HZ * harmonic as f32;
            let resonance = |(at, width): (f32, f32)| (-((hz - at) / width).powi(2)).exp();
            let resonances: f32 = FORMANTS_HZ.into_iter().map(resonance).sum();
            (resonances + REST) / (harmonic as f32).sqrt()
        })
        .collect();
    // Of sines, whatever their phases.
    let loudness = (gains.iter().map(|gain| gain * gain / 2.0).sum::<f32>()).sqrt();
    let rate = sample_rate_hz as f32;
    let mut phase = 0.0;
    (0..(time.as_secs_f32() * rate) as usize)
        .map(|at| {
            let waver = VIBRATO * (TAU * VIBRATO_HZ * at as f32 / rate).sin();
            phase = (phase + PITCH_HZ * (1.0 + waver) / rate).fract();
            let sines = gains.iter().zip(1u16..);
            let sum: f32 =
                sines.map(|(gain, nth)| gain * (TAU * phase * f32::from(nth)).sin()).sum();
            (sum / loudness * RMS) as i16
        })
        .collect()
}

/// A sample of a tone, or of silence, with the vowel under it.
pub fn under(tone: i16, vowel: i16) -> i16 {
    (f32::from(tone) * TONE + f32::from(vowel)) as i16
}
