//! Tones of a telephone's keys (ITU-T Q.23): they are no speech.

use std::f32::consts::TAU;

/// One of each is in every key, in Hz.
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// Share of the power that both tones have at least. A frame of 16 ms that is off by the 1.8 % that
/// Q.24 allows still finds more than half of each.
const BOTH: f32 = 0.5;

/// Share of the weaker one: lines let one be 8 dB weaker than the other (Q.24).
const EITHER: f32 = 0.08;

/// Whether a frame at 8 kHz, 10 to 20 ms long, is the tone of a key and nothing else.
pub(crate) fn is_key_tone(frame: &[f32]) -> bool {
    let energy: f32 = frame.iter().map(|sample| sample * sample).sum();
    let share = |tones: [f32; 4]| {
        let strongest =
            tones.into_iter().map(|hz| power_at(frame, hz / 8_000.0)).fold(0.0, f32::max);
        strongest / energy.max(1.0)
    };
    let (row, column) = (share(ROWS), share(COLUMNS));
    row.min(column) >= EITHER && row + column >= BOTH
}

/// Energy of a frame at one frequency, in cycles per sample (Goertzel); that of a pure tone is the
/// energy of the frame.
pub(crate) fn power_at(frame: &[f32], frequency: f32) -> f32 {
    let coefficient = 2.0 * (TAU * frequency).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in frame {
        (before, last) = (last, sample + coefficient * last - before);
    }
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power / frame.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tones(tones: &[(f32, f32)]) -> Vec<f32> {
        let at = |n: usize| n as f32 / 8_000.0;
        let sample = |n| tones.iter().map(|(hz, peak)| peak * (TAU * hz * at(n)).sin()).sum();
        (0..128).map(sample).collect()
    }

    #[test]
    fn every_key_is_known_within_the_tolerance_of_its_tones() {
        for row in ROWS {
            for column in COLUMNS {
                for off in [0.982, 1.0, 1.018] {
                    let key = tones(&[(row * off, 3_000.0), (column * off, 4_000.0)]);
                    assert!(is_key_tone(&key), "{row} + {column} Hz, off by {off}");
                }
            }
        }
    }

    #[test]
    fn one_tone_alone_and_tones_of_the_network_are_no_keys() {
        for other in [
            &[(1_000.0, 4_000.0)][..],
            &[(770.0, 4_000.0)],
            &[(440.0, 4_000.0), (480.0, 4_000.0)],
            &[(350.0, 4_000.0), (440.0, 4_000.0)],
            &[],
        ] {
            assert!(!is_key_tone(&tones(other)), "{other:?}");
        }
    }
}
