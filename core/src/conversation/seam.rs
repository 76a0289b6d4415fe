//! Words that were answered before their final text came.
//!
//! When a turn begins on a partial, the final of the same words is still to come, and a partial
//! that goes on begins with them again. The seam takes them out, so that nothing is said twice.

use std::time::Duration;

use super::{history::Key, phrases};
use crate::CallTime;

/// How long the final of words already taken may take to come without resembling them.
///
/// A transcriber that failed in the meantime is replaced and caught up within that.
const FINAL_DUE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seam {
    /// Words of the unfinished partial that were taken, over all turns since the last final.
    words: Vec<String>,
    /// How many of them belong to turns before the last one.
    earlier: usize,
    /// When the last of them were taken.
    at: CallTime,
    /// The caller's entry that holds the rest of them.
    entry: Key,
    /// What that entry holds before them.
    prefix: String,
}

/// What a transcript says beyond the words that were taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parted<'a> {
    /// The words that were taken, as the transcript has them.
    pub taken: &'a str,
    /// The caller's words of the last turn among them.
    pub last_turn: &'a str,
    pub new: &'a str,
}

impl Seam {
    /// Marks `partial`, just recorded at the end of `entry`, as taken.
    pub(super) fn new(
        before: Option<Self>,
        entry: Key,
        prefix: String,
        partial: &str,
        now: CallTime,
    ) -> Self {
        let mut words = before.map(|seam| seam.words).unwrap_or_default();
        let earlier = words.len();
        words.extend(tokens(partial).map(str::to_owned));
        Self { words, earlier, at: now, entry, prefix }
    }

    pub(super) const fn entry(&self) -> Key {
        self.entry
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Parts a transcript at the seam; `None` where it has nothing to do with the words taken.
    ///
    /// `same_breath` says that no new speech was noticed since: then, for a while, it can be
    /// nothing else, even where the transcriber changed its mind about every word.
    pub(super) fn part<'a>(
        &self,
        transcript: &'a str,
        same_breath: bool,
        now: CallTime,
    ) -> Option<Parted<'a>> {
        let alike = tokens(transcript)
            .zip(&self.words)
            .filter(|(new, old)| phrases::words(new) == phrases::words(old))
            .count();
        let compared = tokens(transcript).count().min(self.words.len());
        let is_due = same_breath && now <= self.at + FINAL_DUE;
        if !is_due && alike * 2 < compared.max(1) {
            return None;
        }
        let (taken, new) = split_after(transcript, self.words.len());
        let (_, last_turn) = split_after(taken, self.earlier);
        Some(Parted { taken, last_turn, new })
    }
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// Splits behind the first `count` words.
fn split_after(text: &str, count: usize) -> (&str, &str) {
    let mut rest = text.trim_start();
    for _ in 0..count {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        rest = rest[end..].trim_start();
    }
    let (taken, new) = text.split_at(text.len() - rest.len());
    (taken.trim(), new.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::history::History;

    fn seam(partial: &str) -> Seam {
        Seam::new(None, History::default().reserve(), String::new(), partial, CallTime::ZERO)
    }

    #[test]
    fn a_longer_final_is_parted_behind_the_words_taken() {
        let parted = seam("i want to").part("I want to cancel it.", false, CallTime::ZERO).unwrap();
        assert_eq!((parted.taken, parted.new), ("I want to", "cancel it."));
    }

    #[test]
    fn a_partial_that_starts_anew_is_part_of_the_words_taken() {
        let parted = seam("i want to").part("I", false, CallTime::ZERO).unwrap();
        assert_eq!((parted.taken, parted.new), ("I", ""));
    }

    #[test]
    fn other_words_of_another_breath_have_nothing_to_do_with_it() {
        assert_eq!(seam("i want to").part("thank you very much", false, CallTime::ZERO), None);
        let parted = seam("four").part("For", true, CallTime::ZERO).unwrap();
        assert_eq!((parted.taken, parted.new), ("For", ""));
    }

    #[test]
    fn a_second_turn_on_the_same_partial_owns_only_its_own_words() {
        let mut history = History::default();
        let first = Seam::new(None, history.reserve(), String::new(), "one two", CallTime::ZERO);
        let second =
            Seam::new(Some(first), history.reserve(), String::new(), "three", CallTime::ZERO);
        let parted = second.part("One two three four", false, CallTime::ZERO).unwrap();
        assert_eq!((parted.last_turn, parted.new), ("three", "four"));
    }
}
