//! When the words of a speech sound, in the words that were written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SpeechLedger, Unit};

/// A word as it was written, or a stretch that the voice was given otherwise, with the white space
/// before it. Times are from the first sample of its speech.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedWord {
    pub text: String,
    pub start: Duration,
    pub end: Duration,
}

impl SpeechLedger {
    /// The words whose times have become known since this was asked last, in order.
    pub fn newly_timed(&mut self) -> Vec<TimedWord> {
        let (mut index, mut byte) = self.told;
        let mut timed = Vec::new();
        while let Some(unit) = self.units.get(index).filter(|unit| self.is_timed(unit)) {
            let (start, end) = self.times_of(unit);
            timed.push(TimedWord { text: self.text[byte..unit.end].to_owned(), start, end });
            (index, byte) = (index + 1, unit.end);
        }
        self.told = (index, byte);
        timed
    }

    /// Whether nothing of it is left to be timed. Punctuation never is.
    fn is_timed(&self, unit: &Unit) -> bool {
        let Some(last) = self.anchors.last() else { return false };
        let rest = unit.to_char.saturating_sub(last.to_char.max(unit.from_char));
        let mut rest = self.voiced.chars().skip(last.to_char.max(unit.from_char)).take(rest);
        last.to_char > unit.from_char && !rest.any(char::is_alphanumeric)
    }

    /// From the first of its timed words to the last; where the voice skipped it, the moment between
    /// those around it.
    fn times_of(&self, unit: &Unit) -> (Duration, Duration) {
        let mut own = self
            .anchors
            .iter()
            .filter(|one| one.to_char > unit.from_char && one.from_char < unit.to_char);
        if let Some(first) = own.next() {
            return (first.start, own.next_back().unwrap_or(first).end);
        }
        let before = self.anchors.iter().take_while(|one| one.to_char <= unit.from_char).last();
        let at = before.map(|one| one.end).unwrap_or_default();
        (at, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn words(ledger: &mut SpeechLedger, words: &[(&str, u64, u64)]) -> Vec<(String, u128, u128)> {
        let words = words.iter().map(|(word, start, end)| ((*word).into(), ms(*start), ms(*end)));
        ledger.words(words);
        let timed = ledger.newly_timed().into_iter();
        timed.map(|one| (one.text, one.start.as_millis(), one.end.as_millis())).collect()
    }

    fn of(timed: &[(&str, u128, u128)]) -> Vec<(String, u128, u128)> {
        timed.iter().map(|(text, start, end)| ((*text).to_owned(), *start, *end)).collect()
    }

    #[test]
    fn words_are_told_once_and_join_to_the_text() {
        let mut ledger = SpeechLedger::new();
        ledger.spoken("Hello, you  there.");
        assert_eq!(words(&mut ledger, &[("Hello", 0, 300)]), of(&[("Hello,", 0, 300)]));
        assert_eq!(
            words(&mut ledger, &[("you", 400, 600), ("there", 600, 900)]),
            of(&[(" you", 400, 600), ("  there.", 600, 900)])
        );
        assert_eq!(words(&mut ledger, &[]), []);
        ledger.spoken(" Bye.");
        assert_eq!(words(&mut ledger, &[("bye", 1_000, 1_200)]), of(&[(" Bye.", 1_000, 1_200)]));
    }

    #[test]
    fn what_was_given_in_other_words_is_told_as_it_was_written() {
        let mut ledger = SpeechLedger::new();
        ledger.spoken_as("It is $42 now.", "It is forty two dollars now.");
        let first = words(&mut ledger, &[("It", 0, 100), ("is", 100, 200), ("forty", 200, 500)]);
        assert_eq!(first, of(&[("It", 0, 100), (" is", 100, 200)]));
        let rest = words(&mut ledger, &[("two", 500, 700), ("dollars", 700, 1_000)]);
        assert_eq!(rest, of(&[(" $42", 200, 1_000)]));
    }

    #[test]
    fn a_word_that_the_voice_skipped_has_its_place_and_no_length() {
        let mut ledger = SpeechLedger::new();
        ledger.spoken("One -- 3 two.");
        let timed = words(&mut ledger, &[("One", 0, 300), ("two", 500, 800)]);
        let texts: String = timed.iter().map(|(text, _, _)| text.as_str()).collect();
        assert_eq!(texts, "One -- 3 two.");
        assert_eq!(timed.last(), Some(&(" two.".to_owned(), 500, 800)));
        assert!(
            timed[1..timed.len() - 1].iter().all(|(_, start, end)| (*start, *end) == (300, 300))
        );
    }
}
