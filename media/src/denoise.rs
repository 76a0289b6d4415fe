//! Takes noise out of what a caller says.

use nnnoiseless::DenoiseState;

use crate::Resampler;

/// What the network was trained on: frames of 10 ms at 48 kHz (RNNoise).
const RATE_HZ: u32 = 48_000;
const FRAME_SAMPLES: usize = DenoiseState::FRAME_SIZE;

/// RNNoise on one stream of samples. The output is in time with the input, and up to 30 ms of it are
/// still within. Costs 5 ms of CPU for a second of audio.
pub struct Denoise {
    to_network: Resampler,
    from_network: Resampler,
    network: Box<DenoiseState<'static>>,
    /// Samples at the network's rate that do not make a whole frame yet.
    pending: Vec<f32>,
    /// The first frame that comes out belongs to the time before the first that went in.
    has_begun: bool,
}

impl Denoise {
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            to_network: Resampler::new(sample_rate_hz, RATE_HZ),
            from_network: Resampler::new(RATE_HZ, sample_rate_hz),
            network: DenoiseState::new(),
            pending: Vec::with_capacity(FRAME_SAMPLES),
            has_begun: false,
        }
    }

    /// Takes samples, any number of them, and returns what is ready.
    pub fn process(&mut self, samples: &[i16]) -> Vec<i16> {
        let mut ready = Vec::new();
        let mut frame = [0.0; FRAME_SAMPLES];
        for sample in self.to_network.process(samples) {
            self.pending.push(f32::from(sample));
            if self.pending.len() == FRAME_SAMPLES {
                self.network.process_frame(&mut frame, &self.pending);
                self.pending.clear();
                if self.has_begun {
                    // A float outside of the range is taken to its end.
                    ready.extend(frame.iter().map(|sample| sample.round() as i16));
                }
                self.has_begun = true;
            }
        }
        self.from_network.process(&ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Vad, VadEdge, VadOptions};

    const SENTENCES: &[u8] = include_bytes!("../testdata/two-sentences-8khz.wav");

    fn sentences() -> Vec<i16> {
        hound::WavReader::new(SENTENCES).unwrap().into_samples().map(|s| s.unwrap()).collect()
    }

    fn noise(samples: usize, peak: f32) -> Vec<i16> {
        let mut state = 0x2545_F491u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state as f32 / u32::MAX as f32 * 2.0 - 1.0) * peak
        };
        (0..samples).map(|_| next() as i16).collect()
    }

    fn energy(samples: &[i16]) -> f64 {
        samples.iter().map(|&s| f64::from(s).powi(2)).sum()
    }

    #[test]
    fn the_output_is_in_time_with_the_input_and_hardly_behind() {
        let speech = sentences();
        for rate in [8_000, 16_000] {
            let speech = Resampler::new(8_000, rate).process(&speech);
            let mut denoise = Denoise::new(rate);
            let clean: Vec<i16> = speech
                .chunks(rate as usize / 50)
                .flat_map(|piece| denoise.process(piece))
                .collect();
            let behind_ms = (speech.len() - clean.len()) * 1_000 / rate as usize;
            assert!(behind_ms <= 30, "{behind_ms} ms behind");
            let likeness = |shift: usize| -> f64 {
                let pairs = clean[shift..].iter().zip(&speech);
                pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let best = (0..rate as usize / 50).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)));
            assert!(best.unwrap() <= rate as usize / 1_000, "shifted by {best:?} samples");
        }
    }

    #[test]
    fn noise_goes_and_speech_stays() {
        let speech = [vec![0; 8_000], sentences(), vec![0; 8_000]].concat();
        let noisy: Vec<i16> = speech
            .iter()
            .zip(noise(speech.len(), 700.0))
            .map(|(speech, noise)| speech.saturating_add(noise))
            .collect();
        let mut denoise = Denoise::new(8_000);
        let clean = denoise.process(&noisy);
        let (before, spoken) = (4_000..7_500, 8_800..20_000);
        assert!(energy(&clean[before.clone()]) < energy(&noisy[before]) / 20.0);
        assert!(energy(&clean[spoken.clone()]) > energy(&speech[spoken]) / 3.0);
        let mut vad = Vad::new(8_000, VadOptions::default());
        let starts = vad.push(&clean).into_iter().filter(|e| matches!(e, VadEdge::Started { .. }));
        assert!((2..=4).contains(&starts.count()));
    }
}
