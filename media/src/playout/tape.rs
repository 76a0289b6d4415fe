use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::AudioFormat;

/// Kept for a reader that is late. Readers come several times a second; where none does, this is
/// all that a call pays: 32 kB at 8 kHz.
const KEPT: Duration = Duration::from_secs(2);

/// What was heard, laid out on the time line in samples since the leg connected.
pub(super) struct Tape {
    format: AudioFormat,
    /// Where the next read begins.
    read_to: u64,
    /// Position of the first sample of `audio`, at or behind `read_to`.
    at: u64,
    audio: BytesMut,
}

impl Tape {
    pub(super) fn new(format: AudioFormat) -> Self {
        Self { format, read_to: 0, at: 0, audio: BytesMut::new() }
    }

    /// Begins at a later time than zero.
    pub(super) fn begin_at(&mut self, at: u64) {
        (self.read_to, self.at) = (at, at);
    }

    /// Lays down audio that was heard from this time on, or behind what is there already.
    pub(super) fn push(&mut self, at: u64, audio: &[u8]) {
        if self.audio.is_empty() {
            self.at = at.max(self.read_to);
        }
        let kept = self.format.samples_in(KEPT);
        let gap = at.saturating_sub(self.end());
        if gap > kept {
            // All of the old would fall out.
            self.audio.clear();
            self.at = at;
        } else {
            self.audio.extend_from_slice(&self.format.silence(gap));
        }
        self.audio.extend_from_slice(audio);
        let too_much = self.samples(self.audio.len()).saturating_sub(kept);
        self.audio.advance(self.bytes(too_much));
        self.at += too_much;
    }

    /// Takes everything up to a time; what is not known was silence.
    pub(super) fn read(&mut self, until: u64) -> Bytes {
        if until <= self.read_to {
            return Bytes::new();
        }
        let before = self.at.clamp(self.read_to, until) - self.read_to;
        let heard = self.audio.split_to(self.bytes(self.end().min(until).saturating_sub(self.at)));
        let heard_samples = self.samples(heard.len());
        let after = until - self.read_to - before - heard_samples;
        self.at += heard_samples;
        self.read_to = until;
        if before == 0 && after == 0 {
            return heard.freeze();
        }
        let mut tape = BytesMut::with_capacity(self.bytes(before + heard_samples + after));
        tape.extend_from_slice(&self.format.silence(before));
        tape.extend_from_slice(&heard);
        tape.extend_from_slice(&self.format.silence(after));
        tape.freeze()
    }

    fn end(&self) -> u64 {
        self.at + self.samples(self.audio.len())
    }

    fn samples(&self, bytes: usize) -> u64 {
        self.format.samples_in_bytes(bytes)
    }

    fn bytes(&self, samples: u64) -> usize {
        samples as usize * self.format.bytes_per_sample()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: AudioFormat = AudioFormat::mulaw();

    #[test]
    fn what_was_heard_lies_at_its_time_with_silence_around_it() {
        let mut tape = Tape::new(FORMAT);
        tape.push(3, &[1, 2]);
        tape.push(6, &[3]);
        assert_eq!(&tape.read(8)[..], &[255, 255, 255, 1, 2, 255, 3, 255]);
        assert_eq!(&tape.read(9)[..], &[255]);
        assert!(tape.read(9).is_empty());
    }

    #[test]
    fn audio_that_comes_faster_than_time_waits_for_its_time() {
        let mut tape = Tape::new(FORMAT);
        tape.push(0, &[1, 2, 3]);
        assert_eq!(&tape.read(1)[..], &[1]);
        tape.push(1, &[4]);
        assert_eq!(&tape.read(5)[..], &[2, 3, 4, 255]);
    }

    #[test]
    fn audio_later_than_a_read_follows_it() {
        let mut tape = Tape::new(FORMAT);
        assert_eq!(tape.read(4).len(), 4);
        tape.push(2, &[1]);
        assert_eq!(&tape.read(6)[..], &[1, 255]);
    }

    #[test]
    fn without_a_reader_only_the_newest_is_kept() {
        let mut tape = Tape::new(FORMAT);
        for frame in 0..500 {
            tape.push(frame * 160, &[frame as u8; 160]);
        }
        tape.push(200_000, &[7; 160]);
        assert!(tape.audio.len() <= 16_000);
        let heard = tape.read(200_160);
        assert_eq!(heard.len(), 200_160);
        assert_eq!(&heard[200_000..], &[7; 160]);
        assert!(heard[..200_000].iter().all(|&byte| byte == 255));
    }
}
