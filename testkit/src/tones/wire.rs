//! Words in the bytes of a wire, cheap enough for hundreds of calls on one core: silence costs an
//! addition a sample, a word is decoded once, and what is spoken comes out of a table.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use offhook_media::{AudioFormat, Encoding, g711};

use super::{STEP, SYMBOL, WORD, Word, code_of, speak, word_in};

/// Mean square above which there is sound: that of the other ear's `SOUND_RMS`.
const SOUND_POWER: u64 = 1_500 * 1_500;

/// Audio of each word that was spoken, by format. At most 4096 words of a few kilobytes a format.
static SPOKEN: LazyLock<RwLock<HashMap<(usize, AudioFormat), Bytes>>> =
    LazyLock::new(RwLock::default);

/// Square of each mu-law byte's sample.
static MULAW_POWER: LazyLock<[u32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| i32::from(g711::decode_mulaw(byte as u8)).pow(2) as u32)
});

/// The audio of one word, [`WORD`] long; silence for a word that no code is left for.
pub fn spoken(word: &str, format: AudioFormat) -> Bytes {
    let Some(code) = code_of(word) else { return format.silence(format.samples_in(WORD)) };
    let key = (code, format);
    if let Some(audio) = SPOKEN.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return audio.clone();
    }
    let audio = format.encode(&speak(word, format.sample_rate_hz));
    SPOKEN.write().unwrap_or_else(PoisonError::into_inner).insert(key, audio.clone());
    audio
}

/// Hears words in a stream of bytes.
pub struct WireEar {
    format: AudioFormat,
    step_bytes: usize,
    /// Bytes of a step that is not whole yet.
    rest: Vec<u8>,
    /// Sound since the last silence.
    sound: Vec<u8>,
    /// Samples before it.
    sound_at: u64,
    /// Samples heard in all.
    heard: u64,
    /// Samples up to the end of the last sound.
    voiced_until: u64,
}

impl WireEar {
    pub fn new(format: AudioFormat) -> Self {
        Self {
            format,
            step_bytes: format.bytes_in(STEP),
            rest: Vec::new(),
            sound: Vec::new(),
            sound_at: 0,
            heard: 0,
            voiced_until: 0,
        }
    }

    /// Takes more audio; returns the words that it completed.
    pub fn hear(&mut self, mut audio: &[u8]) -> Vec<Word> {
        let mut words = Vec::new();
        if !self.rest.is_empty() {
            let missing = (self.step_bytes - self.rest.len()).min(audio.len());
            self.rest.extend_from_slice(&audio[..missing]);
            audio = &audio[missing..];
            if self.rest.len() < self.step_bytes {
                return words;
            }
            let step = std::mem::take(&mut self.rest);
            words.extend(self.step(&step));
        }
        let steps = audio.chunks_exact(self.step_bytes);
        self.rest.extend_from_slice(steps.remainder());
        for step in steps {
            words.extend(self.step(step));
        }
        words
    }

    /// Whether there is sound at the end of what was heard.
    pub fn is_voiced(&self) -> bool {
        !self.sound.is_empty()
    }

    /// Position of the end of what was heard.
    pub fn position(&self) -> Duration {
        self.format.duration_of(self.heard)
    }

    /// Position of the end of the last sound.
    pub fn voiced_until(&self) -> Duration {
        self.format.duration_of(self.voiced_until)
    }

    /// How long it has been silent.
    pub fn silence(&self) -> Duration {
        self.position() - self.voiced_until()
    }

    fn step(&mut self, step: &[u8]) -> Option<Word> {
        let before = self.heard;
        self.heard += self.format.samples_in_bytes(step.len());
        if !self.is_sound(step) {
            return if self.sound.is_empty() { None } else { self.word() };
        }
        if self.sound.is_empty() {
            self.sound_at = before;
        }
        self.voiced_until = self.heard;
        self.sound.extend_from_slice(step);
        // Two words ran into each other at a seam.
        let longest = 2 * self.format.bytes_in(SYMBOL) + step.len();
        if self.sound.len() >= longest { self.word() } else { None }
    }

    fn is_sound(&self, step: &[u8]) -> bool {
        let power: u64 = match self.format.encoding {
            Encoding::Mulaw => step.iter().map(|b| u64::from(MULAW_POWER[usize::from(*b)])).sum(),
            Encoding::Pcm16 => step
                .chunks_exact(2)
                .map(|b| u64::from(i16::from_le_bytes([b[0], b[1]]).unsigned_abs()).pow(2))
                .sum(),
        };
        power > SOUND_POWER * self.format.samples_in_bytes(step.len())
    }

    fn word(&mut self) -> Option<Word> {
        let sound = self.format.decode(&self.sound);
        self.sound.clear();
        let text = word_in(&sound, self.format.sample_rate_hz)?;
        Some(Word { text, at: self.format.duration_of(self.sound_at) })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::text_of, *};

    const FORMATS: [AudioFormat; 5] = [
        AudioFormat::mulaw(),
        AudioFormat::pcm16(8_000),
        AudioFormat::pcm16(16_000),
        AudioFormat::pcm16(24_000),
        AudioFormat::pcm16(22_050),
    ];

    #[test]
    fn what_is_spoken_out_of_the_table_is_heard_however_it_is_cut() {
        for format in FORMATS {
            let mut audio: Vec<u8> = format.silence(format.samples_in(WORD)).to_vec();
            for word in ["17", "Hello,", "342", "5."] {
                audio.extend_from_slice(&spoken(word, format));
            }
            for piece in [format.bytes_in(Duration::from_millis(20)), 311, audio.len()] {
                let mut ear = WireEar::new(format);
                let words: Vec<Word> =
                    audio.chunks(piece).flat_map(|piece| ear.hear(piece)).collect();
                assert_eq!(text_of(&words), "17 Hello, 342 5", "{format:?} in pieces of {piece}");
                let at = words[1].at.as_millis();
                assert!((390..=400).contains(&at), "{format:?} {at}");
                let until = ear.voiced_until().as_millis();
                assert!((955..=970).contains(&until), "{format:?} {until}");
                assert!(!ear.is_voiced());
            }
        }
    }

    #[test]
    fn a_table_lookup_gives_the_same_audio_each_time() {
        let format = AudioFormat::mulaw();
        assert_eq!(spoken("99", format).len(), format.bytes_in(WORD));
        assert_eq!(spoken("99", format), spoken("99,", format));
    }
}
