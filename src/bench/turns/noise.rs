//! What is no speech: noise behind the caller, coughs, doors. Made of seeded chance, so that what it
//! is and where it lies is known.

use std::{f32::consts::TAU, time::Duration};

use super::super::dice::Dice;

/// Root mean square of all speech and noise, before noise is turned down: a good telephone line's.
pub const SPEECH_RMS: f32 = 2_500.0;

/// How long a noise is before it comes again.
pub const NOISE: Duration = Duration::from_secs(12);

/// White noise, between -1 and 1.
fn white(dice: &mut Dice) -> f32 {
    (dice.share() * 2.0 - 1.0) as f32
}

/// Brings samples to a loudness.
pub fn levelled(samples: &[f32], rms: f32) -> Vec<i16> {
    let power: f32 = samples.iter().map(|sample| sample * sample).sum();
    let gain = rms / (power / samples.len().max(1) as f32).sqrt().max(f32::MIN_POSITIVE);
    samples.iter().map(|sample| (sample * gain).clamp(-32_000.0, 32_000.0) as i16).collect()
}

/// Pink noise: 3 dB less an octave, as traffic, fans and crowds from afar have it (Paul Kellet's
/// three filters, good to half a decibel).
pub fn pink(dice: &mut Dice, sample_rate_hz: u32) -> Vec<i16> {
    let mut held = [0.0f32; 3];
    let count = (NOISE.as_secs_f32() * sample_rate_hz as f32) as usize;
    let samples: Vec<f32> = (0..count)
        .map(|_| {
            let white = white(dice);
            held[0] = 0.997_65 * held[0] + white * 0.099_046;
            held[1] = 0.963 * held[1] + white * 0.296_516_4;
            held[2] = 0.57 * held[2] + white * 1.052_691_3;
            held.iter().sum::<f32>() + white * 0.184_8
        })
        .collect();
    levelled(&samples, SPEECH_RMS)
}

/// Many people who talk at once, none of whom is understood: lines that begin at any place, each as
/// loud as the others.
pub fn babble(dice: &mut Dice, lines: &[Vec<i16>], sample_rate_hz: u32) -> Vec<i16> {
    let count = (NOISE.as_secs_f32() * sample_rate_hz as f32) as usize;
    let mut mixed = vec![0.0f32; count];
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let mut at = (dice.share() * count as f64) as usize;
        // Talkers pause a little between their lines, and come round to the beginning.
        let turns = count / (line.len() * 2) + 1;
        for _ in 0..turns {
            for (index, sample) in line.iter().enumerate() {
                mixed[(at + index) % count] += f32::from(*sample);
            }
            at += line.len() + (dice.share() * line.len() as f64) as usize;
        }
    }
    levelled(&mixed, SPEECH_RMS)
}

/// A cough: air that bursts out within a few milliseconds, rough with the voice's lowest pitch, and
/// dies away in a quarter of a second.
pub fn cough(dice: &mut Dice, sample_rate_hz: u32) -> Vec<i16> {
    const LENGTH_S: f32 = 0.3;
    const ROUGHNESS_HZ: f32 = 95.0;
    let rate = sample_rate_hz as f32;
    let mut smooth = 0.0;
    let samples: Vec<f32> = (0..(LENGTH_S * rate) as usize)
        .map(|at| {
            let time = at as f32 / rate;
            // What the mouth leaves of white noise: most below 2 kHz.
            smooth += 0.55 * (white(dice) - smooth);
            let rough = 0.6 + 0.4 * (TAU * ROUGHNESS_HZ * time).sin();
            let burst = (time / 0.004).min(1.0) * (-time / 0.08).exp();
            smooth * rough * burst
        })
        .collect();
    levelled(&samples, SPEECH_RMS * 1.5)
}

/// A door that slams: a click, and the thud of wood and air, gone after a third of a second.
pub fn slam(dice: &mut Dice, sample_rate_hz: u32) -> Vec<i16> {
    const LENGTH_S: f32 = 0.35;
    let rate = sample_rate_hz as f32;
    let mut smooth = 0.0;
    let samples: Vec<f32> = (0..(LENGTH_S * rate) as usize)
        .map(|at| {
            let time = at as f32 / rate;
            let click = white(dice) * (-time / 0.006).exp();
            smooth += 0.25 * (white(dice) - smooth);
            let thud: f32 =
                [85.0, 140.0, 230.0].iter().map(|hz| (TAU * hz * time).sin()).sum::<f32>();
            click + (0.5 * thud + 1.5 * smooth) * (-time / 0.07).exp()
        })
        .collect();
    levelled(&samples, SPEECH_RMS * 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rms(samples: &[i16]) -> f32 {
        let power: f32 = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        (power / samples.len() as f32).sqrt()
    }

    #[test]
    fn noise_is_as_loud_as_speech_and_the_same_for_a_seed() {
        let pink_of = |seed| pink(&mut Dice::of(seed, 0), 8_000);
        let noise = pink_of(1);
        assert_eq!(noise, pink_of(1));
        assert_ne!(noise, pink_of(2));
        assert!((rms(&noise) - SPEECH_RMS).abs() < 50.0, "{}", rms(&noise));
        let lines = [vec![1_000; 4_000], vec![-2_000; 9_000]];
        let crowd = babble(&mut Dice::of(1, 0), &lines, 8_000);
        assert_eq!(crowd.len(), noise.len());
        assert!((rms(&crowd) - SPEECH_RMS).abs() < 50.0, "{}", rms(&crowd));
    }

    #[test]
    fn bursts_begin_at_once_and_die_away() {
        for burst in [cough, slam] {
            let samples = burst(&mut Dice::of(3, 0), 8_000);
            let (first, rest) = samples.split_at(800);
            assert!(rms(first) > 4.0 * rms(&rest[rest.len() - 800..]));
            assert!(first[..160].iter().any(|sample| sample.unsigned_abs() > 2_000));
        }
    }
}
