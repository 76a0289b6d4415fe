//! Audio that arrives in pieces of any length, made whole.

use bytes::{BufMut, Bytes, BytesMut};
use offhook_media::AudioFormat;

/// Keeps the half of a sample whose rest has not come.
#[derive(Debug, Default)]
pub(super) struct WholeSamples {
    half: Bytes,
}

impl WholeSamples {
    /// Whole samples out of what came, with what was left over before.
    pub fn join(&mut self, audio: &[u8], format: AudioFormat) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.half.len() + audio.len());
        bytes.put(std::mem::take(&mut self.half));
        bytes.put(audio);
        let whole = bytes.len() / format.bytes_per_sample() * format.bytes_per_sample();
        self.half = bytes.split_off(whole).freeze();
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_cut_in_two_is_put_together() {
        let (mut samples, format) = (WholeSamples::default(), AudioFormat::pcm16(8_000));
        assert_eq!(samples.join(&[1, 2, 3], format), &[1, 2][..]);
        assert_eq!(samples.join(&[], format), &[][..]);
        assert_eq!(samples.join(&[4, 5, 6], format), &[3, 4, 5, 6][..]);
        assert_eq!(samples.join(&[7], AudioFormat::mulaw()), &[7][..]);
    }
}
