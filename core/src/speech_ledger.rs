//! Which words of a speech were spoken and heard.
//!
//! Text goes to a voice, audio comes back, the leg reports how much of the audio was heard. From
//! the time heard follows a position in the text: exactly where the voice timed its words, by the
//! whole speech's own rate once all of it is there, by a usual rate before that. A word counts
//! as heard when at least half of it was.
//!
//! A voice may be given other words than were written ("forty two dollars" for `$42`): times then
//! belong to what was given, and what was heard is told in what was written. A stretch that was
//! given otherwise counts as one word.

use std::time::Duration;

mod pairs;
mod timed;
mod words;

pub(crate) use words::is_unspaced;
use words::{bare, is_boundary};

pub use timed::TimedWord;

/// How fast a voice speaks, before we know better: 150 to 180 words a minute.
const CHARS_PER_SECOND: f64 = 15.0;

/// What may be missing of a word that was heard to its end, in characters: the fading of its last
/// sound.
const WORD_END_CHARS: f64 = 0.5;

/// How far ahead in the text a timed word is looked for.
///
/// Voices say some words otherwise than they are written ("3" as "three"): those are skipped.
const LOOKAHEAD_CHARS: usize = 80;

/// The ledger of one speech.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeechLedger {
    /// As it was written.
    text: String,
    /// As the voice was given it.
    voiced: String,
    voiced_chars: usize,
    units: Vec<Unit>,
    audio: Duration,
    /// Words whose times are known, in the order of the text and of time.
    anchors: Vec<Anchor>,
    /// Units whose times were told, and the byte of the text behind them.
    told: (usize, usize),
    text_done: bool,
    audio_done: bool,
}

/// A word as it was written, or a stretch that was given otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Unit {
    /// The byte behind it in the text.
    end: usize,
    /// Its characters in what the voice was given.
    from_char: usize,
    to_char: usize,
}

/// A stretch of what the voice was given, and when it sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Anchor {
    from_char: usize,
    to_char: usize,
    to_byte: usize,
    start: Duration,
    end: Duration,
}

impl SpeechLedger {
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes text that was handed to the voice, behind what it had.
    pub fn spoken(&mut self, text: &str) {
        self.spoken_as(text, text);
    }

    /// Notes text that the voice was given in other words, behind what it had.
    pub fn spoken_as(&mut self, text: &str, voiced: &str) {
        let start = self.text.len();
        let continues_word = match (self.text.chars().next_back(), text.chars().next()) {
            (Some(last), Some(first)) => !is_boundary(last, first) && !first.is_whitespace(),
            (_, _) => false,
        };
        for pair in pairs::pairs(text, voiced) {
            let unit = Unit {
                end: start + pair.end,
                from_char: self.voiced_chars + pair.from_char,
                to_char: self.voiced_chars + pair.to_char,
            };
            match self.units.last_mut() {
                Some(last) if continues_word && last.end == start => {
                    (last.end, last.to_char) = (unit.end, unit.to_char);
                }
                Some(_) | None => self.units.push(unit),
            }
        }
        self.text.push_str(text);
        self.voiced.push_str(voiced);
        self.voiced_chars += voiced.chars().count();
    }

    /// Notes audio that came back, behind what had come.
    pub fn audio(&mut self, duration: Duration) {
        self.audio = self.audio.saturating_add(duration);
    }

    /// Notes when words sound, counted from the speech's first sample.
    pub fn words(&mut self, words: impl IntoIterator<Item = (String, Duration, Duration)>) {
        for (word, start, end) in words {
            let last = self.anchors.last();
            let (char_cursor, byte_cursor) = last.map_or((0, 0), |a| (a.to_char, a.to_byte));
            let earliest = last.map_or(Duration::ZERO, |anchor| anchor.end);
            let Some((from, to)) = find_word(&self.voiced[byte_cursor..], &word) else { continue };
            let ahead = &self.voiced[byte_cursor..];
            let start = start.max(earliest);
            self.anchors.push(Anchor {
                from_char: char_cursor + ahead[..from].chars().count(),
                to_char: char_cursor + ahead[..to].chars().count(),
                to_byte: byte_cursor + to,
                start,
                end: end.max(start),
            });
        }
    }

    /// Where the last whole word ends in the audio that came, as far as words are timed: what lies
    /// behind is a part of one.
    pub fn whole_words_end(&self) -> Duration {
        let is_partial = |anchor: &&Anchor| anchor.start < self.audio && self.audio < anchor.end;
        self.anchors.iter().find(is_partial).map_or(self.audio, |anchor| anchor.start)
    }

    /// Only this much of the audio is there: the rest was dropped before anybody heard it.
    pub fn truncate_audio(&mut self, kept: Duration) {
        self.audio = self.audio.min(kept);
    }

    /// Another voice goes on where the audio ends, behind a pause: it begins with the first word that is
    /// not there. Half a word is heard as none, where words are timed. What the one before said of
    /// words that never came is forgotten.
    pub fn resume(&mut self, pause: Duration) {
        let seam = self.seam(self.whole_words_end());
        let unit = self.units.iter().take_while(|unit| unit.end <= seam).last();
        let char = unit.map_or(0, |unit| unit.to_char);
        let byte = self.voiced.char_indices().nth(char).map_or(self.voiced.len(), |(at, _)| at);
        self.anchors.retain(|anchor| anchor.to_char <= char && anchor.start <= self.audio);
        for anchor in &mut self.anchors {
            anchor.end = anchor.end.min(self.audio);
        }
        self.anchors.push(Anchor {
            from_char: char,
            to_char: char,
            to_byte: byte,
            start: self.audio,
            end: self.audio + pause,
        });
        self.audio += pause;
    }

    /// No more text will come.
    pub fn text_done(&mut self) {
        self.text_done = true;
    }

    /// All audio of the text has come.
    pub fn audio_done(&mut self) {
        self.audio_done = true;
    }

    /// The words that were heard in the first `heard` of the audio.
    pub fn heard(&self, heard: Duration) -> &str {
        self.text[..self.seam(heard)].trim_end()
    }

    /// The words that were heard to their end: where the leg was lost, half a word is none.
    pub fn heard_whole(&self, heard: Duration) -> &str {
        if self.is_complete() && heard >= self.audio {
            return &self.text;
        }
        let reached = self.chars_reached(heard) + WORD_END_CHARS;
        let is_heard = |unit: &&Unit| reached >= unit.to_char as f64;
        let end = self.units.iter().take_while(is_heard).last().map_or(0, |unit| unit.end);
        self.text[..end].trim_end()
    }

    /// The words that were not, from the first one on: what another voice would go on with.
    pub fn remaining(&self, heard: Duration) -> &str {
        self.text[self.seam(heard)..].trim_start()
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text as the voice was given it.
    pub fn voiced(&self) -> &str {
        &self.voiced
    }

    pub fn audio_duration(&self) -> Duration {
        self.audio
    }

    /// The byte behind the last word heard.
    fn seam(&self, heard: Duration) -> usize {
        if self.is_complete() && heard >= self.audio {
            return self.text.len();
        }
        let reached = self.chars_reached(heard);
        let is_heard = |unit: &&Unit| reached >= (unit.from_char + unit.to_char) as f64 / 2.0;
        self.units.iter().take_while(is_heard).last().map_or(0, |unit| unit.end)
    }

    fn is_complete(&self) -> bool {
        self.text_done && self.audio_done
    }

    /// The position in what the voice was given after `heard` of audio, in characters.
    fn chars_reached(&self, heard: Duration) -> f64 {
        let heard = heard.min(self.audio).as_secs_f64();
        let (mut time, mut chars) = (0.0, 0.0);
        let anchors = self
            .anchors
            .iter()
            .flat_map(|anchor| [(anchor.start, anchor.from_char), (anchor.end, anchor.to_char)]);
        for (at, char) in anchors {
            let (at, char) = (at.as_secs_f64(), char as f64);
            if heard < at {
                return chars + (char - chars) * (heard - time) / (at - time);
            }
            (time, chars) = (at, char);
        }
        let total = self.voiced_chars as f64;
        let audio = self.audio.as_secs_f64();
        let rate = if self.is_complete() && audio > time {
            (total - chars) / (audio - time)
        } else {
            CHARS_PER_SECOND
        };
        (chars + (heard - time) * rate).min(total)
    }
}

/// Finds a timed word near the beginning of `text`; returns its bytes.
///
/// The voice may leave out punctuation and spaces and has its own view of upper case. Right at
/// the beginning a word may be a part of one (`twenty` of `twenty-one`), further on it begins
/// where a word of the text does.
fn find_word(text: &str, word: &str) -> Option<(usize, usize)> {
    let wanted: Vec<char> = bare(word).map(|(_, _, c)| c).collect();
    if wanted.is_empty() {
        return None;
    }
    let ahead: Vec<_> = bare(text).take(LOOKAHEAD_CHARS + wanted.len()).collect();
    let index = ahead.windows(wanted.len()).enumerate().position(|(index, window)| {
        let begins_a_word = index == 0 || ahead[index - 1].1 != ahead[index].0;
        begins_a_word && window.iter().map(|(_, _, c)| c).eq(&wanted)
    })?;
    Some((ahead[index].0, ahead[index + wanted.len() - 1].1))
}

#[cfg(test)]
mod tests;
