//! From one format to another, in a stream.

use bytes::Bytes;

use crate::{AudioFormat, Resampler};

/// Turns one stream of audio from one format into another.
pub struct Converter {
    from: AudioFormat,
    to: AudioFormat,
    resampler: Resampler,
}

impl Converter {
    pub fn new(from: AudioFormat, to: AudioFormat) -> Self {
        Self { from, to, resampler: Resampler::new(from.sample_rate_hz, to.sample_rate_hz) }
    }

    /// Takes whole samples and returns what is ready of them.
    pub fn convert(&mut self, audio: &[u8]) -> Bytes {
        if self.from == self.to {
            return Bytes::copy_from_slice(audio);
        }
        let samples = self.from.decode(audio);
        if self.from.sample_rate_hz == self.to.sample_rate_hz {
            return self.to.encode(&samples);
        }
        self.to.encode(&self.resampler.process(&samples))
    }

    /// Like [`Converter::convert`], but does not copy audio that needs no change.
    pub fn convert_bytes(&mut self, audio: Bytes) -> Bytes {
        if self.from == self.to { audio } else { self.convert(&audio) }
    }

    /// Returns the last milliseconds, which a change of rate holds back, and begins a new stream.
    pub fn flush(&mut self) -> Bytes {
        self.to.encode(&self.resampler.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_formats_pass_audio_on_without_a_copy() {
        let mut converter = Converter::new(AudioFormat::mulaw(), AudioFormat::mulaw());
        let audio = Bytes::from_static(&[1, 2, 3]);
        let passed = converter.convert_bytes(audio.clone());
        assert_eq!(passed.as_ptr(), audio.as_ptr());
        assert_eq!(converter.convert(&audio), audio);
        assert!(converter.flush().is_empty());
    }

    #[test]
    fn equal_rates_change_only_how_a_sample_is_written() {
        let mut converter = Converter::new(AudioFormat::mulaw(), AudioFormat::pcm16(8_000));
        assert_eq!(&converter.convert(&[0x80, 0xFF])[..], &[0x7C, 0x7D, 0, 0]);
        assert!(converter.flush().is_empty());
    }

    #[test]
    fn frames_of_a_phone_line_come_out_at_the_other_rate_with_all_their_time() {
        let (from, to) = (AudioFormat::mulaw(), AudioFormat::pcm16(24_000));
        let mut converter = Converter::new(from, to);
        let mut bytes: usize = (0..50).map(|_| converter.convert(&[0x90; 160]).len()).sum();
        assert!(to.samples_in_bytes(bytes) >= 24_000 - 24 * 10, "held back more than 10 ms");
        bytes += converter.flush().len();
        assert_eq!(to.samples_in_bytes(bytes), 24_000);
    }
}
