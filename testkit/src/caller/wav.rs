use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use offhook_media::Resampler;

use super::{CallerError, Heard};

/// The longest file that is read, in seconds of audio: longer than any line of a caller.
const MAX_SECONDS: u32 = 3_600;

/// Reads a WAV file as mono at `sample_rate_hz`.
pub fn read_wav(path: &Path, sample_rate_hz: u32) -> Result<Vec<i16>, CallerError> {
    let failed = |reason: String| CallerError::Wav { path: path.display().to_string(), reason };
    let mut reader = WavReader::open(path).map_err(|error| failed(error.to_string()))?;
    let spec = reader.spec();
    if spec.sample_rate == 0 || spec.channels == 0 {
        return Err(failed("its header has no sample rate or no channels".into()));
    }
    if reader.duration() / spec.sample_rate > MAX_SECONDS {
        return Err(failed(format!("longer than {MAX_SECONDS} s")));
    }
    let samples = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Int, bits @ 1..=32) => reader
            .samples::<i32>()
            .map(|sample| sample.map(|sample| (i64::from(sample) << 16 >> bits) as i16))
            .collect::<Result<Vec<i16>, _>>(),
        (SampleFormat::Float, _) => reader
            .samples::<f32>()
            .map(|sample| sample.map(|sample| (sample * 32_767.0) as i16))
            .collect(),
        (SampleFormat::Int, bits) => return Err(failed(format!("{bits} bits a sample"))),
    }
    .map_err(|error| failed(error.to_string()))?;
    let mono: Vec<i16> = samples
        .chunks_exact(usize::from(spec.channels))
        .map(|frame| {
            let sum: i32 = frame.iter().map(|&sample| i32::from(sample)).sum();
            (sum / i32::from(spec.channels)) as i16
        })
        .collect();
    if spec.sample_rate == sample_rate_hz {
        return Ok(mono);
    }
    let mut resampler = Resampler::new(spec.sample_rate, sample_rate_hz);
    let mut resampled = resampler.process(&mono);
    resampled.extend(resampler.flush());
    Ok(resampled)
}

impl Heard {
    /// Writes what was said and heard as a stereo file: the caller left, the agent right.
    pub fn write_wav(&self, path: &Path) -> Result<(), hound::Error> {
        let spec = WavSpec {
            channels: 2,
            sample_rate: self.sample_rate_hz,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(path, spec)?;
        for (&caller, &agent) in self.caller.iter().zip(&self.agent) {
            writer.write_sample(caller)?;
            writer.write_sample(agent)?;
        }
        writer.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write<T: hound::Sample + Copy>(spec: WavSpec, samples: &[T]) -> tempfile::TempPath {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut writer = WavWriter::create(&path, spec).unwrap();
        samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        path
    }

    fn spec(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec { channels, sample_rate: 8_000, bits_per_sample, sample_format }
    }

    #[test]
    fn files_of_any_width_are_read_as_16_bit_mono() {
        let int = SampleFormat::Int;
        let path = write(spec(2, 16, int), &[100i16, 300, -20, -40]);
        assert_eq!(read_wav(&path, 8_000), Ok(vec![200, -30]));
        let path = write(spec(1, 24, int), &[256i32, -512]);
        assert_eq!(read_wav(&path, 8_000), Ok(vec![1, -2]));
        let path = write(spec(1, 8, int), &[1i8, -1]);
        assert_eq!(read_wav(&path, 8_000), Ok(vec![256, -256]));
        let path = write(spec(1, 32, SampleFormat::Float), &[1.0f32, -0.5, 9.0]);
        assert_eq!(read_wav(&path, 8_000), Ok(vec![32_767, -16_383, 32_767]));
    }

    #[test]
    fn a_file_at_another_rate_keeps_its_length_in_time() {
        let path = write(spec(1, 16, SampleFormat::Int), &[1_000i16; 8_000]);
        let samples = read_wav(&path, 16_000).unwrap();
        assert!((15_500..16_500).contains(&samples.len()), "{}", samples.len());
    }

    #[test]
    fn what_is_not_a_wav_file_is_refused_by_name() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, "hello").unwrap();
        let error = read_wav(&path, 8_000).unwrap_err().to_string();
        assert!(error.starts_with(&format!("reading {} as WAV failed", path.display())));
    }
}
