//! What a fake transcriber hears: utterances of words, and when their sound ended.

use std::time::Duration;

use offhook_media::{AudioFormat, Encoding};
use offhook_testkit::tones::{SOUND, WireEar, Word, text_of};
use tokio::time::Instant;

use super::report::{Mark, TurnKey, monotonic_ns};

/// Hears one channel.
pub struct Hearing {
    ear: WireEar,
    /// Words since the last utterance was taken.
    words: Vec<Word>,
    /// Where the sound of this utterance began.
    began: Option<Duration>,
    /// When the last sound arrived, by both clocks.
    sound_came: Instant,
    sound_came_ns: u64,
}

/// What a piece of audio brought.
pub struct News {
    /// The first sound of an utterance.
    pub began: bool,
    /// Words ended in it.
    pub words: bool,
}

/// Words between two longer silences.
pub struct Utterance {
    pub words: Vec<Word>,
    pub began: Duration,
    /// When its last sound arrived.
    pub sound_came: Instant,
    sound_came_ns: u64,
}

impl Hearing {
    pub fn new(format: AudioFormat, now: Instant) -> Self {
        Self {
            ear: WireEar::new(format),
            words: Vec::new(),
            began: None,
            sound_came: now,
            sound_came_ns: 0,
        }
    }

    pub fn hear(&mut self, now: Instant, audio: &[u8]) -> News {
        let (position, voiced_until) = (self.ear.position(), self.ear.voiced_until());
        let words = self.ear.hear(audio);
        let voiced = self.ear.voiced_until() > voiced_until;
        let news = News { began: voiced && self.began.is_none(), words: !words.is_empty() };
        if voiced {
            self.began.get_or_insert(position);
            self.sound_came = now;
            self.sound_came_ns = monotonic_ns();
        }
        self.words.extend(words);
        news
    }

    /// Words of the utterance so far.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// How long it has been silent since the utterance, if there is one.
    pub fn silence(&self) -> Option<Duration> {
        (self.began.is_some() && !self.ear.is_voiced()).then(|| self.ear.silence())
    }

    pub fn began(&self) -> Option<Duration> {
        self.began
    }

    pub fn position(&self) -> Duration {
        self.ear.position()
    }

    /// Ends the utterance; nothing of it comes again.
    pub fn take(&mut self) -> Utterance {
        Utterance {
            words: std::mem::take(&mut self.words),
            began: self.began.take().unwrap_or(self.ear.position()),
            sound_came: self.sound_came,
            sound_came_ns: self.sound_came_ns,
        }
    }
}

impl Utterance {
    pub fn mark(&self) -> Option<Mark> {
        let turn = turn_of(self.words.iter().map(|word| word.text.as_str()))?;
        Some(Mark::Final { turn, speech_end: self.sound_came_ns })
    }
}

/// Words as a sentence.
pub fn sentence(words: &[Word]) -> String {
    let mut text = text_of(words);
    if !text.is_empty() && !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

/// Start and end of a word, in seconds.
pub fn seconds_of(word: &Word) -> (f64, f64) {
    (word.at.as_secs_f64(), (word.at + SOUND).as_secs_f64())
}

/// The turn that words belong to: their first two numbers, if there are two.
pub fn turn_of<'a>(words: impl Iterator<Item = &'a str>) -> Option<TurnKey> {
    let mut numbers = words.filter_map(number_of);
    Some(TurnKey(numbers.next()?, numbers.next()?))
}

/// The number that a word is.
pub fn number_of(word: &str) -> Option<u32> {
    word.trim_matches(|c: char| c.is_ascii_punctuation()).parse().ok()
}

/// The raw format that a provider's words for it name; other encodings are beyond the fakes.
pub fn raw_format(encoding: &str, sample_rate_hz: u32) -> Option<AudioFormat> {
    match (encoding, sample_rate_hz) {
        ("mulaw" | "ulaw" | "pcm_mulaw", 8_000) => Some(AudioFormat::mulaw()),
        ("linear16" | "pcm" | "pcm_s16le", 8_000..=48_000) => {
            Some(AudioFormat { encoding: Encoding::Pcm16, sample_rate_hz })
        }
        _ => None,
    }
}
