//! espeak-ng: one child process for each sentence, WAV on its standard output.

use std::process::ExitStatus;

use bytes::{Bytes, BytesMut};
use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{OUTPUT_LIMIT, Spoken, find_program};
use crate::{ProviderError, worker::child::Child};

pub(super) const PROGRAM: &str = "espeak-ng";
pub(super) const DEFAULT_VOICE: &str = "en-us";

/// What every voice of espeak-ng speaks, but for its MBROLA ones.
pub(super) const FORMAT: AudioFormat = AudioFormat::pcm16(22_050);

/// Words per minute at speed 1, the program's own default.
const WORDS_PER_MINUTE: f32 = 175.0;

/// Bytes of the header before the samples: `RIFF`, `fmt ` of 16 bytes and `data`, as it writes them.
const WAV_HEADER: usize = 44;

/// Most audio in one piece: 0.2 s.
const PIECE: usize = 22_050 / 5 * 2;

#[derive(Clone)]
pub(super) struct Espeak {
    voice: String,
    speed: f32,
    sentence: Sentence,
}

/// The child that speaks the present sentence, and what of its output was not handed on.
#[derive(Default)]
struct Sentence {
    child: Option<Child>,
    header: BytesMut,
    /// The first byte of a sample whose second has not come yet.
    half: Option<u8>,
}

impl Clone for Sentence {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Espeak {
    pub fn new(voice: &str, speed: f32) -> Result<Self, String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "+-_".contains(c);
        if voice.is_empty() || voice.starts_with('-') || !voice.chars().all(is_name) {
            return Err("`voiceId` of espeak must be a voice such as en-us or en-gb+f3".into());
        }
        Ok(Self { voice: voice.into(), speed, sentence: Sentence::default() })
    }

    /// Speaks nothing, which fails as a sentence would if the program or the voice is missing.
    pub async fn prepare(&mut self) -> Result<(), ProviderError> {
        self.start("").await?;
        while self.next().await?.is_some() {}
        Ok(())
    }

    pub async fn start(&mut self, sentence: &str) -> Result<(), ProviderError> {
        let program = find_program(PROGRAM).ok_or_else(|| {
            let detail = format!("no program `{PROGRAM}`; install Debian's espeak-ng");
            ProviderError::new(FailureClass::Unavailable, detail)
        })?;
        let pace = (WORDS_PER_MINUTE * self.speed).round().to_string();
        let args = ["--stdin", "--stdout", "-v", &self.voice, "-s", &pace];
        let mut child = Child::spawn(PROGRAM.into(), &program, args)?;
        let mut stdin = child.stdin.take().expect("its input is taken once");
        self.sentence = Sentence { child: Some(child), ..Default::default() };
        // A voice that is unknown makes it leave before it reads; its exit status says so.
        let _ = timeout(OUTPUT_LIMIT, stdin.write_all(sentence.as_bytes())).await;
        Ok(())
    }

    pub async fn next(&mut self) -> Result<Option<Spoken>, ProviderError> {
        let Sentence { child: running, header, half } = &mut self.sentence;
        let child = running.as_mut().expect("a sentence was started");
        loop {
            let mut piece = BytesMut::with_capacity(PIECE + 1);
            piece.extend(half.take());
            let before = piece.len();
            let length = match (&mut child.stdout).take((PIECE - before) as u64).read_buf(&mut piece).await {
                Ok(length) => length,
                Err(e) => return Err(unavailable(format!("reading from {PROGRAM}: {e}"))),
            };
            if length == 0 {
                let (status, obituary) = child.exited().await?;
                *running = None;
                return ended(status, obituary, header);
            }
            if header.len() < WAV_HEADER {
                header.extend_from_slice(&piece.split_to(piece.len().min(WAV_HEADER - header.len())));
                if header.len() == WAV_HEADER {
                    check(header)?;
                }
            }
            if piece.len() % 2 == 1 {
                *half = piece.split_off(piece.len() - 1).first().copied();
            }
            if !piece.is_empty() {
                return Ok(Some(Spoken::Audio(Bytes::from(piece))));
            }
        }
    }

    pub fn stop(&mut self) {
        self.sentence = Sentence::default();
    }
}

fn ended(
    status: ExitStatus,
    obituary: String,
    header: &BytesMut,
) -> Result<Option<Spoken>, ProviderError> {
    if status.success() && (header.is_empty() || header.len() == WAV_HEADER) {
        return Ok(None);
    }
    let is_voice = status.code().is_some() && obituary.contains("voice does not exist");
    let class = if is_voice { FailureClass::BadRequest } else { FailureClass::Unavailable };
    Err(ProviderError::new(class, obituary))
}

fn check(header: &[u8]) -> Result<(), ProviderError> {
    let field = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (kind_and_channels, rate_hz, bits) = (field(20), field(24), header[34]);
    let is_wav = header.starts_with(b"RIFF") && &header[8..16] == b"WAVEfmt " && &header[36..40] == b"data";
    // PCM (1) of one channel (1).
    if is_wav && kind_and_channels == 0x0001_0001 && rate_hz == FORMAT.sample_rate_hz && bits == 16 {
        return Ok(());
    }
    let detail = format!(
        "{PROGRAM} answered something other than WAV of 16 bits at {} Hz; use a voice that is not \
         of MBROLA",
        FORMAT.sample_rate_hz
    );
    Err(ProviderError::new(FailureClass::Protocol, detail))
}

fn unavailable(detail: String) -> ProviderError {
    ProviderError::new(FailureClass::Unavailable, detail)
}
