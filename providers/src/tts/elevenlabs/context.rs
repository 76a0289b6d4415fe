//! One context of a session: its audio made whole, its characters made words.

use std::time::Duration;

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde::Deserialize;

use crate::tts::{WordTiming, samples::WholeSamples};

/// The state of what came back of one context.
#[derive(Debug, Default)]
pub(super) struct Voiced {
    /// Bytes of a sample whose rest has not come.
    samples: WholeSamples,
    /// Where the next message's times start: they begin at 0 in each.
    clock: Duration,
    /// A word whose end has not come.
    word: Option<WordTiming>,
}

/// When each character of a message is spoken.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Alignment {
    chars: Vec<String>,
    #[serde(alias = "charsStartTimesMs")]
    char_start_times_ms: Vec<f64>,
    #[serde(alias = "charsDurationsMs")]
    char_durations_ms: Vec<f64>,
}

impl Voiced {
    /// Whole samples out of what came, with what was left over before.
    pub fn whole_samples(&mut self, audio: Vec<u8>, format: AudioFormat) -> Bytes {
        self.samples.join(&audio, format)
    }

    /// The words that end in this message.
    pub fn words(&mut self, alignment: &Alignment) -> Vec<WordTiming> {
        let times = alignment.char_start_times_ms.iter().zip(&alignment.char_durations_ms);
        let offset = self.offset(alignment);
        let mut words = Vec::new();
        for (text, (start, duration)) in alignment.chars.iter().zip(times) {
            let start = offset + milliseconds(*start);
            let end = start + milliseconds(*duration);
            self.clock = self.clock.max(end);
            if text.trim().is_empty() {
                words.extend(self.word.take());
                continue;
            }
            let word =
                self.word.get_or_insert_with(|| WordTiming { word: String::new(), start, end });
            word.word.push_str(text);
            word.end = end;
        }
        words
    }

    /// The last word, at the end of the context.
    pub fn last_word(&mut self) -> Option<WordTiming> {
        self.word.take()
    }

    /// Times of a message restart at 0; those of one that goes on where the last one ended (seen
    /// reported of the single-context socket) count from the context's start already.
    fn offset(&self, alignment: &Alignment) -> Duration {
        let first =
            alignment.char_start_times_ms.first().copied().map_or(Duration::ZERO, milliseconds);
        if !first.is_zero() && first >= self.clock { Duration::ZERO } else { self.clock }
    }
}

fn milliseconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value / 1_000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An alignment with 100 ms for each character.
    fn spoken(text: &str, first_ms: f64) -> Alignment {
        let chars: Vec<String> = text.chars().map(String::from).collect();
        Alignment {
            char_start_times_ms: (0..chars.len()).map(|n| first_ms + n as f64 * 100.0).collect(),
            char_durations_ms: vec![100.0; chars.len()],
            chars,
        }
    }

    fn told(words: impl IntoIterator<Item = WordTiming>) -> Vec<(String, u128, u128)> {
        words.into_iter().map(|w| (w.word, w.start.as_millis(), w.end.as_millis())).collect()
    }

    #[test]
    fn characters_become_words_on_a_running_clock_even_across_messages() {
        let mut voiced = Voiced::default();
        assert_eq!(told(voiced.words(&spoken("Hi the", 0.0))), [("Hi".into(), 0, 200)]);
        assert_eq!(
            told(voiced.words(&spoken("re, you ", 0.0))),
            [("there,".into(), 300, 900), ("you".into(), 1_000, 1_300)]
        );
        assert_eq!(told(voiced.words(&spoken("all", 0.0))), []);
        assert_eq!(told(voiced.last_word()), [("all".into(), 1_400, 1_700)]);
        assert_eq!(voiced.last_word(), None);
    }

    #[test]
    fn times_that_do_not_restart_are_taken_as_they_are() {
        let mut voiced = Voiced::default();
        assert_eq!(told(voiced.words(&spoken("Hi ", 0.0))), [("Hi".into(), 0, 200)]);
        assert_eq!(told(voiced.words(&spoken("you ", 300.0))), [("you".into(), 300, 600)]);
    }

    #[test]
    fn senseless_times_and_missing_lists_do_no_harm() {
        let mut voiced = Voiced::default();
        let mut broken = spoken("ab ", 0.0);
        broken.char_start_times_ms = vec![-5.0, f64::NAN, f64::INFINITY];
        assert_eq!(told(voiced.words(&broken)), [("ab".into(), 0, 100)]);
        broken.char_durations_ms.clear();
        assert_eq!(told(voiced.words(&broken)), []);
    }
}
