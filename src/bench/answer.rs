//! What was said in an answer, against what should have been.

/// How much of the answers was not as it should have been, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// Never heard, though a later word was, or though the answer was heard out.
    pub missing: u64,
    /// Heard again.
    pub doubled: u64,
    /// Heard, and in no answer.
    pub foreign: u64,
}

impl Wrong {
    pub fn add(&mut self, other: Self) {
        self.missing += other.missing;
        self.doubled += other.doubled;
        self.foreign += other.foreign;
    }
}

/// An answer that is being heard.
#[derive(Clone, Debug)]
pub struct Answer {
    expected: Vec<u32>,
    /// Place of the word that should come next.
    next: usize,
    wrong: Wrong,
}

impl Answer {
    /// The fake model's answer to a turn: caller and turn, then it counts.
    pub fn to(caller: u32, turn: u32, words: u32) -> Self {
        let expected = [caller, turn].into_iter().chain(1..=words).collect();
        Self { expected, next: 0, wrong: Wrong::default() }
    }

    /// Takes the next word; what is no number is in no answer.
    pub fn hear(&mut self, word: Option<u32>) {
        let Some(word) = word else {
            self.wrong.foreign += 1;
            return;
        };
        let (before, after) = self.expected.split_at(self.next);
        if let Some(skipped) = after.iter().position(|expected| *expected == word) {
            self.wrong.missing += skipped as u64;
            self.next += skipped + 1;
        } else if before.contains(&word) {
            self.wrong.doubled += 1;
        } else {
            self.wrong.foreign += 1;
        }
    }

    pub fn is_complete(&self) -> bool {
        self.next == self.expected.len()
    }

    /// What was wrong with an answer that nobody interrupted.
    pub fn heard_out(mut self) -> Wrong {
        self.wrong.missing += (self.expected.len() - self.next) as u64;
        self.wrong
    }

    /// What was wrong with an answer up to where it was cut off.
    pub fn cut_off(self) -> Wrong {
        self.wrong
    }
}

/// The number that a word is, whatever stands behind it.
pub fn number(word: &str) -> Option<u32> {
    word.trim_end_matches(|c: char| c.is_ascii_punctuation()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(words: &[u32]) -> Answer {
        let mut answer = Answer::to(117, 21, 4);
        words.iter().for_each(|word| answer.hear(Some(*word)));
        answer
    }

    #[test]
    fn an_answer_in_full_is_right() {
        let answer = heard(&[117, 21, 1, 2, 3, 4]);
        assert!(answer.is_complete());
        assert_eq!(answer.heard_out(), Wrong::default());
    }

    #[test]
    fn words_left_out_in_the_middle_or_at_the_end_are_missing() {
        assert_eq!(heard(&[117, 21, 1, 4]).heard_out().missing, 2);
        assert_eq!(heard(&[117, 21, 1, 2]).heard_out().missing, 2);
        assert_eq!(heard(&[117, 21, 1, 2]).cut_off(), Wrong::default());
    }

    #[test]
    fn a_word_heard_again_is_doubled() {
        let wrong = heard(&[117, 21, 1, 2, 1, 2, 3, 4]).heard_out();
        assert_eq!(wrong, Wrong { doubled: 2, ..Wrong::default() });
    }

    #[test]
    fn a_word_of_somebody_elses_answer_is_foreign() {
        let mut answer = heard(&[117, 21, 1, 2, 450, 3, 4]);
        answer.hear(None);
        assert_eq!(answer.heard_out(), Wrong { foreign: 2, ..Wrong::default() });
    }

    #[test]
    fn a_number_is_read_with_what_stands_behind_it() {
        assert_eq!((number("17"), number("8."), number("eight")), (Some(17), Some(8), None));
    }
}
