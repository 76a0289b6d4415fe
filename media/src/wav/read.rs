//! WAV files that somebody else made.

use std::{io::Cursor, time::Duration};

use hound::{SampleFormat, WavReader};

use crate::{AudioFormat, Resampler};

/// Most channels of a file that is mixed down.
const CHANNELS_MAX: u16 = 8;

/// Reads a WAV file of 8 to 32 bits, mixed down and in this sample rate, up to `longest` of it.
///
/// # Errors
///
/// Says what is wrong with the file.
pub fn samples_of_wav(
    file: &[u8],
    sample_rate_hz: u32,
    longest: Duration,
) -> Result<Vec<i16>, String> {
    let mut wav = WavReader::new(Cursor::new(file))
        .map_err(|error| format!("it is no WAV file that can be read: {error}"))?;
    let spec = wav.spec();
    if spec.channels == 0
        || spec.channels > CHANNELS_MAX
        || !(4_000..=192_000).contains(&spec.sample_rate)
    {
        return Err(format!(
            "it has {} channels at {} Hz, expected 1 to {CHANNELS_MAX} at 4000 to 192000",
            spec.channels, spec.sample_rate
        ));
    }
    let channels = usize::from(spec.channels);
    let wanted = AudioFormat::pcm16(spec.sample_rate).samples_in(longest) as usize * channels;
    let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        SampleFormat::Float => wav.samples::<f32>().take(wanted).collect(),
        SampleFormat::Int => {
            let full = (1u64 << (spec.bits_per_sample - 1)) as f32;
            wav.samples::<i32>().take(wanted).map(|sample| Ok(sample? as f32 / full)).collect()
        }
    };
    let samples = samples.map_err(|error| format!("its samples cannot be read: {error}"))?;
    let mono: Vec<i16> = samples
        .chunks_exact(channels)
        .map(|frame| (frame.iter().sum::<f32>() / channels as f32 * 32_767.0) as i16)
        .collect();
    let mut resampler = Resampler::new(spec.sample_rate, sample_rate_hz);
    let mut sound = resampler.process(&mono);
    sound.extend(resampler.flush());
    Ok(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stereo_of(seconds: u32) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        (0..seconds * 8_000).for_each(|_| {
            writer.write_sample(1_000_i16).unwrap();
            writer.write_sample(3_000_i16).unwrap();
        });
        writer.finalize().unwrap();
        file.into_inner()
    }

    #[test]
    fn a_file_is_mixed_down_and_keeps_its_level() {
        let read = samples_of_wav(&stereo_of(2), 8_000, Duration::from_secs(60)).unwrap();
        assert_eq!(read.len(), 16_000);
        assert!(read.iter().all(|sample| (1_990..=2_010).contains(sample)));
        let faster = samples_of_wav(&stereo_of(2), 16_000, Duration::from_secs(60)).unwrap();
        assert!((31_500..=32_500).contains(&faster.len()), "{}", faster.len());
    }

    #[test]
    fn what_is_longer_is_cut() {
        let read = samples_of_wav(&stereo_of(3), 8_000, Duration::from_secs(1)).unwrap();
        assert_eq!(read.len(), 8_000);
    }

    #[test]
    fn what_is_no_wav_file_is_named() {
        let error = samples_of_wav(b"<html>", 8_000, Duration::from_secs(1)).unwrap_err();
        assert!(error.contains("no WAV file"), "{error}");
    }
}
