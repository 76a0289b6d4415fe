//! A recording that the server made: the caller left, the agent right.

use std::{io::Cursor, time::Duration};

use hound::WavReader;

/// The amplitude from which a sample is taken for sound: comfort noise stays below 30.
const LOUD: u16 = 200;

/// The step in which sound is looked for.
const STEP: Duration = Duration::from_millis(20);

/// Both sides of a call, on one clock.
pub struct Recording {
    pub rate_hz: u32,
    pub caller: Vec<i16>,
    pub agent: Vec<i16>,
}

impl Recording {
    pub fn read(wav: &[u8]) -> Result<Self, String> {
        let failed = |reason: &str| format!("the recording is no stereo WAV file: {reason}");
        let mut reader =
            WavReader::new(Cursor::new(wav)).map_err(|error| failed(&error.to_string()))?;
        let spec = reader.spec();
        if spec.channels != 2 || spec.sample_rate == 0 {
            return Err(failed(&format!("{} channels, {} Hz", spec.channels, spec.sample_rate)));
        }
        let samples: Vec<i16> = reader
            .samples::<i16>()
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&error.to_string()))?;
        let frames = samples.chunks_exact(2);
        let (caller, agent) = frames.map(|frame| (frame[0], frame[1])).unzip();
        Ok(Self { rate_hz: spec.sample_rate, caller, agent })
    }

    pub fn duration(&self) -> Duration {
        time(self.caller.len(), self.rate_hz)
    }
}

/// For how long a track sounds, silences left out.
pub fn sounding(track: &[i16], rate_hz: u32) -> Duration {
    let step = step_samples(rate_hz);
    let loud = track.chunks(step).filter(|chunk| chunk.iter().any(is_loud)).count();
    STEP * loud as u32
}

/// When a track first sounds.
pub fn first_sound(track: &[i16], rate_hz: u32) -> Option<Duration> {
    track.iter().position(is_loud).map(|at| time(at, rate_hz))
}

/// When a track last sounds.
pub fn last_sound(track: &[i16], rate_hz: u32) -> Option<Duration> {
    track.iter().rposition(is_loud).map(|at| time(at + 1, rate_hz))
}

/// The stretches in which a track sounds; pauses shorter than `pause` are part of them.
pub fn stretches(track: &[i16], rate_hz: u32, pause: Duration) -> Vec<(Duration, Duration)> {
    let step = step_samples(rate_hz);
    let mut stretches: Vec<(Duration, Duration)> = Vec::new();
    for (index, chunk) in track.chunks(step).enumerate() {
        if !chunk.iter().any(is_loud) {
            continue;
        }
        let (from, to) = (time(index * step, rate_hz), time((index + 1) * step, rate_hz));
        match stretches.last_mut() {
            Some((_, end)) if from < *end + pause => *end = to,
            Some(_) | None => stretches.push((from, to)),
        }
    }
    stretches
}

/// The loudest sample of each stretch of `step_samples`, in hundredths of full scale.
pub fn peaks(track: &[i16], step_samples: usize) -> Vec<u8> {
    track
        .chunks(step_samples.max(1))
        .map(|chunk| {
            let peak = chunk.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
            (u32::from(peak) * 100 / u32::from(i16::MAX.unsigned_abs())).min(100) as u8
        })
        .collect()
}

fn is_loud(sample: &i16) -> bool {
    sample.unsigned_abs() >= LOUD
}

fn step_samples(rate_hz: u32) -> usize {
    (STEP.as_millis() as usize * rate_hz as usize / 1_000).max(1)
}

fn time(samples: usize, rate_hz: u32) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(rate_hz))
}

#[cfg(test)]
mod tests {
    use hound::{SampleFormat, WavSpec, WavWriter};

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn track(sounds: &[(usize, usize)]) -> Vec<i16> {
        let is_sound = |ms: usize| sounds.iter().any(|(from, to)| (*from..*to).contains(&ms));
        (0..8_000).map(|sample| if is_sound(sample / 8) { 4_000 } else { 3 }).collect()
    }

    #[test]
    fn both_sides_of_a_file_are_read() {
        let mut file = Cursor::new(Vec::new());
        let spec = WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        [1i16, -1, 2, -2].into_iter().for_each(|sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
        let recording = Recording::read(file.get_ref()).unwrap();
        assert_eq!((recording.caller, recording.agent), (vec![1, 2], vec![-1, -2]));
        assert!(Recording::read(b"RIFF").is_err());
    }

    #[test]
    fn sounds_are_found_where_they_are() {
        let track = track(&[(100, 200), (300, 400), (900, 1_000)]);
        assert_eq!(sounding(&track, 8_000), ms(300));
        assert_eq!(first_sound(&track, 8_000), Some(ms(100)));
        assert_eq!(last_sound(&track, 8_000), Some(ms(1_000)));
        assert_eq!((first_sound(&[0; 10], 8_000), last_sound(&[0; 10], 8_000)), (None, None));
        let found = stretches(&track, 8_000, ms(300));
        assert_eq!(found, [(ms(100), ms(400)), (ms(900), ms(1_000))]);
        assert_eq!(peaks(&track, 800), [0, 12, 0, 12, 0, 0, 0, 0, 0, 12]);
    }
}
