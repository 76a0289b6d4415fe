use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::g711;

/// How one sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// Signed 16-bit linear, little-endian.
    Pcm16,
    /// G.711 mu-law, one byte a sample (ITU-T G.711).
    Mulaw,
}

/// Mono audio as bytes: encoding and rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AudioFormat {
    pub encoding: Encoding,
    pub sample_rate_hz: u32,
}

impl AudioFormat {
    pub const fn pcm16(sample_rate_hz: u32) -> Self {
        Self { encoding: Encoding::Pcm16, sample_rate_hz }
    }

    pub const fn mulaw() -> Self {
        Self { encoding: Encoding::Mulaw, sample_rate_hz: 8_000 }
    }

    pub const fn bytes_per_sample(self) -> usize {
        match self.encoding {
            Encoding::Pcm16 => 2,
            Encoding::Mulaw => 1,
        }
    }

    /// Whole samples in `bytes` bytes.
    pub const fn samples_in_bytes(self, bytes: usize) -> u64 {
        (bytes / self.bytes_per_sample()) as u64
    }

    /// Whole samples in a stretch of time, rounded down.
    pub const fn samples_in(self, time: Duration) -> u64 {
        (time.as_micros() * self.sample_rate_hz as u128 / 1_000_000) as u64
    }

    pub const fn duration_of(self, samples: u64) -> Duration {
        Duration::from_micros((samples as u128 * 1_000_000 / self.sample_rate_hz as u128) as u64)
    }

    /// Bytes of a stretch of time, a whole number of samples.
    pub const fn bytes_in(self, time: Duration) -> usize {
        self.samples_in(time) as usize * self.bytes_per_sample()
    }

    /// Reads samples; an incomplete one at the end is left out.
    pub fn decode(self, audio: &[u8]) -> Vec<i16> {
        match self.encoding {
            Encoding::Pcm16 => {
                audio.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
            }
            Encoding::Mulaw => audio.iter().map(|&byte| g711::decode_mulaw(byte)).collect(),
        }
    }

    pub fn encode(self, samples: &[i16]) -> Bytes {
        let mut audio = BytesMut::with_capacity(samples.len() * self.bytes_per_sample());
        match self.encoding {
            Encoding::Pcm16 => {
                samples.iter().for_each(|s| audio.extend_from_slice(&s.to_le_bytes()));
            }
            Encoding::Mulaw => {
                audio.extend(samples.iter().map(|&sample| g711::encode_mulaw(sample)));
            }
        }
        audio.freeze()
    }

    pub fn silence(self, samples: u64) -> Bytes {
        let byte = match self.encoding {
            Encoding::Pcm16 => 0,
            Encoding::Mulaw => 0xFF,
        };
        Bytes::from(vec![byte; samples as usize * self.bytes_per_sample()])
    }
}
