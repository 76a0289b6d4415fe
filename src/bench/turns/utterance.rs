//! One utterance as audio, of which is known where each word lies: it was put there.

use std::time::Duration;

use offhook_media::AudioFormat;
use serde_json::{Value, json};

use super::{
    super::dice::Dice,
    noise,
    phrases::{Line, Piece},
    voices::Voices,
};

/// A word, as the transcriber writes it, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub start: Duration,
    pub end: Duration,
}

/// What a caller says or does, from its first sound to its last.
#[derive(Clone, Debug, Default)]
pub struct Utterance {
    pub samples: Vec<i16>,
    pub words: Vec<Word>,
}

impl Utterance {
    /// Puts pieces one behind the other.
    pub async fn build(
        line: Line,
        voice: usize,
        voices: &mut Voices,
        dice: &mut Dice,
        format: AudioFormat,
    ) -> Result<Self, String> {
        let mut utterance = Self::default();
        for piece in line {
            let from = utterance.samples.len();
            match piece {
                Piece::Say(text) | Piece::Write { spoken: text, .. } => {
                    utterance.samples.extend(voices.speak(voice, text).await?);
                }
                Piece::Hum(sound) => utterance.samples.extend(voices.speak(voice, sound).await?),
                Piece::Pause(time) => {
                    utterance.samples.resize(from + format.samples_in(*time) as usize, 0);
                }
                Piece::Cough => utterance.samples.extend(noise::cough(dice, format.sample_rate_hz)),
                Piece::Slam => utterance.samples.extend(noise::slam(dice, format.sample_rate_hz)),
            }
            let written = match piece {
                Piece::Say(text) | Piece::Write { written: text, .. } => text,
                Piece::Hum(_) | Piece::Pause(_) | Piece::Cough | Piece::Slam => continue,
            };
            let place = |sample: usize| format.duration_of(sample as u64);
            let (start, end) = (place(from), place(utterance.samples.len()));
            utterance.words.extend(spread(written, start, end));
        }
        Ok(utterance)
    }

    /// The words and their times, in ms.
    pub fn json(&self) -> Value {
        let words = self.words.iter().map(|word| {
            json!({"text": word.text, "start_ms": word.start.as_millis() as u64,
                "end_ms": word.end.as_millis() as u64})
        });
        Value::Array(words.collect())
    }

    /// The words, with the pauses between them in seconds.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut until = Duration::ZERO;
        for word in &self.words {
            let pause = word.start.saturating_sub(until);
            if pause > Duration::from_millis(100) && !text.is_empty() {
                text.push_str(&format!(" ({:.1} s)", pause.as_secs_f64()));
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word.text);
            until = word.end;
        }
        text
    }
}

/// The words of a phrase that was spoken in one breath. Where in it a word ends is estimated by its
/// letters; where the phrase begins and ends is known, and that is what counts.
fn spread(text: &str, start: Duration, end: Duration) -> Vec<Word> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let weight = |word: &str| word.chars().count() as f64 + 1.0;
    let all: f64 = words.iter().map(|word| weight(word)).sum();
    let mut before = 0.0;
    let place = |share: f64| start + (end - start).mul_f64(share / all);
    words
        .into_iter()
        .map(|word| {
            let from = place(before);
            before += weight(word);
            Word { text: word.to_owned(), start: from, end: place(before) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_words_of_a_phrase_fill_it() {
        let words = spread("It's my bill.", MS(100), MS(1_400));
        let ends: Vec<u64> = words.iter().map(|word| word.end.as_millis() as u64).collect();
        assert_eq!(ends, [564, 842, 1_400]);
        assert_eq!(words[1], Word { text: "my".into(), start: words[0].end, end: words[1].end });
    }

    #[test]
    fn a_text_shows_its_pauses() {
        let mut words = spread("I'd like", MS(0), MS(500));
        words.extend(spread("Thursday.", MS(1_500), MS(2_000)));
        let utterance = Utterance { samples: Vec::new(), words };
        assert_eq!(utterance.text(), "I'd like (1.0 s) Thursday.");
        assert_eq!(utterance.json()[2]["start_ms"], 1_500);
    }
}
