//! What counts as sound. Telephone speech has an RMS of 1,000 to 5,000; comfort noise and what
//! G.711 makes of silence stay below 30.

/// The RMS of a frame from which it is taken for speech (-47 dB of full scale).
const VOICED_RMS: i64 = 150;

/// The amplitude at which a sound begins or ends.
const LOUD: u16 = 200;

/// What is kept of a line after its last loud sample, so that a soft ending is not cut: at least
/// 20 ms at any rate a call can have.
pub const FADE_SAMPLES: usize = 960;

pub fn is_voiced(frame: &[i16]) -> bool {
    let energy: i64 = frame.iter().map(|&sample| i64::from(sample).pow(2)).sum();
    energy >= VOICED_RMS * VOICED_RMS * frame.len().max(1) as i64
}

/// Where the first sound begins, in samples.
pub fn sound_start(samples: &[i16]) -> usize {
    samples.iter().position(|sample| sample.unsigned_abs() >= LOUD).unwrap_or(0)
}

/// Where the last sound ends, in samples.
pub fn sound_end(samples: &[i16]) -> usize {
    samples.iter().rposition(|sample| sample.unsigned_abs() >= LOUD).map_or(0, |last| last + 1)
}
