//! What a caller hears who is on hold.

use std::f32::consts::TAU;

use super::{LOOP_MAX, SEAM, levelled, samples_in, seamless};
use crate::samples_of_wav;

/// Level of what is heard on hold, relative to the loudest square wave: below speech (-20 dB), so that
/// nobody starts when it gives way to it, and well above a backdrop, since there is nothing else.
const LEVEL_DB: f32 = -30.0;

/// How far above its level a file may peak.
const PEAK_DB: f32 = 12.0;

/// The notes, in Hz. Low and plain: a telephone passes them as they are.
const NOTES_HZ: [f32; 8] = [262.0, 330.0, 262.0, 220.0, 262.0, 330.0, 220.0, 196.0];

/// How long each of them is, in seconds.
const NOTE_SECONDS: f32 = 0.9;

/// How long a note swells, as a share of it, and from which share of its loudness: it never falls
/// silent, so that nobody takes a rest for the end of the call.
const ATTACK: f32 = 0.3;
const LEAST: f32 = 0.4;

/// Our own music: soft notes, again and again.
pub fn hold_music(sample_rate_hz: u32) -> Vec<i16> {
    let rate = sample_rate_hz as f32;
    let samples = (NOTE_SECONDS * rate) as usize;
    let mut sound = Vec::with_capacity(samples * NOTES_HZ.len());
    let mut phase = 0.0_f32;
    for hz in NOTES_HZ {
        for at in 0..samples {
            let share = at as f32 / samples as f32;
            let swell = (share / ATTACK).min((1.0 - share) / (1.0 - ATTACK)).clamp(0.0, 1.0);
            sound.push((LEAST + (1.0 - LEAST) * swell) * phase.sin());
            // One note runs into the next without a click.
            phase = (phase + TAU * hz / rate) % TAU;
        }
    }
    levelled(&sound, LEVEL_DB, PEAK_DB)
}

/// Makes what is heard on hold of a WAV file of 8 to 32 bits.
///
/// # Errors
///
/// Says what is wrong with the file.
pub fn hold_of_wav(file: &[u8], sample_rate_hz: u32) -> Result<Vec<i16>, String> {
    let sound = samples_of_wav(file, sample_rate_hz, LOOP_MAX)?;
    if sound.len() < 2 * samples_in(SEAM, sample_rate_hz) {
        return Err(format!("it is shorter than {:?}", 2 * SEAM));
    }
    let sound = seamless(sound.into_iter().map(f32::from).collect(), sample_rate_hz);
    Ok(levelled(&sound, LEVEL_DB, PEAK_DB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn music_is_there_without_a_rest_and_is_softer_than_speech() {
        for rate in [8_000, 16_000] {
            let music = hold_music(rate);
            let seconds = music.len() as f32 / rate as f32;
            assert!((7.0..8.0).contains(&seconds), "{seconds}");
            let loudest = music.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!((1_000..4_000).contains(&loudest), "{loudest}");
            assert!(music[0].abs() < 100, "a click");
            let quietest = music
                .chunks(rate as usize / 50)
                .map(|frame| frame.iter().map(|s| s.unsigned_abs()).max());
            assert!(quietest.min().flatten().unwrap() > 200, "a rest");
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        assert!(hold_of_wav(b"ID3 is no WAV", 8_000).is_err());
    }
}
