//! Words as audio, and back.
//!
//! A fake caller speaks words as tones, a fake transcriber reads them out of what it was really
//! sent, and the same the other way round for the voice: what was lost or said twice on the way is
//! then counted in words, by what was heard and not by what some counter says.
//!
//! A word is two symbols of 80 ms and 40 ms of silence; a symbol is a pair of tones, one of eight
//! low and one of eight high, which mu-law and resampling leave intact.
//!
//! Decimal numbers below 2048 are coded by themselves, so that other processes understand them;
//! every other word is understood only where it was spoken.

use std::{
    collections::HashMap,
    f32::consts::TAU,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

mod wire;

pub use wire::{WireEar, spoken};

const SYMBOL: Duration = Duration::from_millis(80);
const GAP: Duration = Duration::from_millis(40);

/// How long the sound of one word is.
pub const SOUND: Duration = Duration::from_millis(160);

/// How long one word takes: five words a second, as people speak.
pub const WORD: Duration = Duration::from_millis(200);

const LOW_HZ: [f32; 8] = [420.0, 490.0, 560.0, 630.0, 700.0, 770.0, 840.0, 910.0];
const HIGH_HZ: [f32; 8] = [1_240.0, 1_360.0, 1_480.0, 1_600.0, 1_720.0, 1_840.0, 1_960.0, 2_080.0];

/// Loudness of each of the two tones: a phone call's speech.
const AMPLITUDE: f32 = 6_000.0;

/// Root mean square above which there is sound: the tones' is 6,000.
const SOUND_RMS: f32 = 1_500.0;

const SYMBOLS: usize = LOW_HZ.len() * HIGH_HZ.len();

/// The first code of a number, and how many other words there may be: half of all codes.
const NUMBERS: usize = SYMBOLS * SYMBOLS / 2;

/// Every word but numbers that was ever spoken in this process, in the order of first use, and its
/// place.
static WORDS: LazyLock<Mutex<Words>> = LazyLock::new(Mutex::default);

type Words = (Vec<String>, HashMap<String, usize>);

/// A word that was heard in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Position of its first sample.
    pub at: Duration,
}

/// Speaks a text, one word after the other. Case and punctuation stay with their words, unless those
/// are numbers.
///
/// # Panics
///
/// When the process has spoken more than 2048 different words.
pub fn speak(text: &str, sample_rate_hz: u32) -> Vec<i16> {
    let samples = |time: Duration| (time.as_secs_f32() * sample_rate_hz as f32) as usize;
    let mut audio = Vec::new();
    for word in text.split_whitespace() {
        let code = code_of(word).expect("there are fewer different words than codes");
        for symbol in [code / SYMBOLS, code % SYMBOLS] {
            let (low, high) = (LOW_HZ[symbol / HIGH_HZ.len()], HIGH_HZ[symbol % HIGH_HZ.len()]);
            audio.extend((0..samples(SYMBOL)).map(|at| {
                let time = at as f32 / sample_rate_hz as f32;
                (AMPLITUDE * ((TAU * low * time).sin() + (TAU * high * time).sin())) as i16
            }));
        }
        audio.extend(std::iter::repeat_n(0, samples(GAP)));
    }
    audio
}

/// Hears words in a stream of audio.
pub struct Ear {
    sample_rate_hz: u32,
    /// Samples of 10 ms that are not whole yet.
    rest: Vec<i16>,
    /// Sound since the last silence.
    sound: Vec<i16>,
    /// Position of its first sample.
    sound_at: u64,
    /// Samples heard in all.
    heard: u64,
    silence: Duration,
}

/// What the ear looks at at once.
const STEP: Duration = Duration::from_millis(10);

impl Ear {
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            rest: Vec::new(),
            sound: Vec::new(),
            sound_at: 0,
            heard: 0,
            silence: Duration::ZERO,
        }
    }

    /// Takes more audio; returns the words that it completed.
    pub fn hear(&mut self, samples: &[i16]) -> Vec<Word> {
        self.rest.extend_from_slice(samples);
        let step = (STEP.as_secs_f32() * self.sample_rate_hz as f32) as usize;
        let mut words = Vec::new();
        let mut at = 0;
        while at + step <= self.rest.len() {
            let piece = &self.rest[at..at + step];
            at += step;
            self.heard += step as u64;
            if rms(piece) > SOUND_RMS {
                if self.sound.is_empty() {
                    self.sound_at = self.heard - step as u64;
                }
                self.sound.extend_from_slice(piece);
                self.silence = Duration::ZERO;
                // Cut off the word before: two words ran into each other at a seam.
                if self.sound.len() >= 2 * self.samples(SYMBOL) + step {
                    words.extend(self.word());
                }
            } else {
                self.silence += STEP;
                words.extend(self.word());
            }
        }
        self.rest.drain(..at);
        words
    }

    /// How long it has been silent.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Position of the end of what was heard.
    pub fn position(&self) -> Duration {
        self.time(self.heard)
    }

    fn word(&mut self) -> Option<Word> {
        let sound = std::mem::take(&mut self.sound);
        Some(Word { text: word_in(&sound, self.sample_rate_hz)?, at: self.time(self.sound_at) })
    }

    fn samples(&self, time: Duration) -> usize {
        (time.as_secs_f32() * self.sample_rate_hz as f32) as usize
    }

    fn time(&self, samples: u64) -> Duration {
        Duration::from_micros(samples * 1_000_000 / u64::from(self.sample_rate_hz))
    }
}

/// The words of a whole recording, in order.
pub fn words_of(samples: &[i16], sample_rate_hz: u32) -> Vec<Word> {
    let mut ear = Ear::new(sample_rate_hz);
    let mut words = ear.hear(samples);
    words.extend(ear.hear(&vec![0; sample_rate_hz as usize / 10]));
    words
}

/// The text of words, joined by spaces.
pub fn text_of(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// The word that a sound between two silences is.
fn word_in(sound: &[i16], sample_rate_hz: u32) -> Option<String> {
    let samples = |time: Duration| (time.as_secs_f32() * sample_rate_hz as f32) as usize;
    let symbol = samples(SYMBOL);
    // A word that was cut off is no word.
    if sound.len() + samples(STEP) < 2 * symbol {
        return None;
    }
    let middle = |at: usize| &sound[at + symbol / 4..(at + symbol * 3 / 4).min(sound.len())];
    let symbol_at = |at: usize| symbol_in(middle(at), sample_rate_hz as f32);
    let code = symbol_at(0) * SYMBOLS + symbol_at(symbol);
    match code.checked_sub(NUMBERS) {
        Some(number) => Some(number.to_string()),
        None => WORDS.lock().unwrap_or_else(PoisonError::into_inner).0.get(code).cloned(),
    }
}

fn symbol_in(samples: &[i16], sample_rate_hz: f32) -> usize {
    let loudest = |tones: &[f32]| {
        let levels = tones.iter().map(|hz| goertzel(samples, *hz, sample_rate_hz)).enumerate();
        levels.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
    };
    loudest(&LOW_HZ) * HIGH_HZ.len() + loudest(&HIGH_HZ)
}

/// The code of a word; none when all codes for words are taken.
fn code_of(word: &str) -> Option<usize> {
    if let Some(number) = number(word) {
        return Some(NUMBERS + number);
    }
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = words.1.get(word) {
        return Some(*code);
    }
    let code = words.0.len();
    if code == NUMBERS {
        return None;
    }
    words.0.push(word.to_owned());
    words.1.insert(word.to_owned(), code);
    Some(code)
}

/// The number that a word is, whatever punctuation follows it.
fn number(word: &str) -> Option<usize> {
    let digits = word.trim_end_matches(['.', ',', ';', ':', '!', '?']);
    let number: usize = digits.parse().ok()?;
    // `007` and `+7` are words like others.
    (number < SYMBOLS * SYMBOLS - NUMBERS && number.to_string() == digits).then_some(number)
}

fn rms(samples: &[i16]) -> f32 {
    let power: f32 = samples.iter().map(|s| f32::from(*s).powi(2)).sum();
    (power / samples.len().max(1) as f32).sqrt()
}

/// Power of one frequency (the Goertzel algorithm).
fn goertzel(samples: &[i16], hz: f32, sample_rate_hz: f32) -> f32 {
    let factor = 2.0 * (TAU * hz / sample_rate_hz).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let next = f32::from(*sample) + factor * last - before;
        before = last;
        last = next;
    }
    last * last + before * before - factor * last * before
}

#[cfg(test)]
mod tests {
    use offhook_media::{AudioFormat, Converter};

    use super::*;

    #[test]
    fn what_is_spoken_is_heard_again_at_any_rate_and_through_mu_law() {
        let text = "I would like, an appointment on Thursday at ten, would that be fine?";
        let spoken = AudioFormat::pcm16(16_000).encode(&speak(text, 16_000));
        for format in [
            AudioFormat::pcm16(8_000),
            AudioFormat::mulaw(),
            AudioFormat::pcm16(24_000),
            AudioFormat::pcm16(48_000),
        ] {
            let mut there = Converter::new(AudioFormat::pcm16(16_000), format);
            let mut heard = format.decode(&there.convert(&spoken));
            heard.extend(format.decode(&there.flush()));
            assert_eq!(text_of(&words_of(&heard, format.sample_rate_hz)), text, "{format:?}");
        }
    }

    #[test]
    fn a_word_that_was_cut_off_is_not_heard() {
        let whole = speak("one two three", 8_000);
        let cut = &whole[..whole.len() * 2 / 3 - 600];
        assert_eq!(text_of(&words_of(cut, 8_000)), "one");
    }

    #[test]
    fn numbers_are_coded_by_themselves_without_punctuation() {
        assert_eq!(text_of(&words_of(&speak("17, 342 0 2047.", 8_000), 8_000)), "17 342 0 2047");
        assert_eq!(code_of("5."), Some(2_053));
        assert_eq!([number("007"), number("2048"), number("+7"), number(".")], [None; 4]);
    }

    #[test]
    fn words_come_with_their_time() {
        let mut audio = vec![0; 8_000];
        audio.extend(speak("late words", 8_000));
        let words = words_of(&audio, 8_000);
        assert_eq!(words[0].at, Duration::from_secs(1));
        assert_eq!(words[1].at, Duration::from_millis(1_200));
    }
}
