//! Which words of a text became which words of what the voice was given.

use super::words::{bare, words_of};

/// Words of a piece that are compared; a longer piece counts as one stretch. A chunk has some
/// fifty.
const WORDS_MAX: usize = 400;

/// A word that is the same in both, or a stretch that differs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// The byte behind it in the text.
    pub end: usize,
    /// Its characters in what the voice was given.
    pub from_char: usize,
    pub to_char: usize,
}

/// A word with the byte behind it and the characters that it stands at.
struct Word<'t> {
    text: &'t str,
    end: usize,
    from_char: usize,
    to_char: usize,
}

/// Pairs the words of a text with those that the voice was given in its place, in order. Words
/// that were left out belong to the pair behind them.
pub(super) fn pairs(text: &str, voiced: &str) -> Vec<Pair> {
    let (written, given) = (words(text), words(voiced));
    let pair = |written: &Word<'_>, given: &[Word<'_>]| {
        let (first, last) = (given.first()?, given.last()?);
        Some(Pair { end: written.end, from_char: first.from_char, to_char: last.to_char })
    };
    if text == voiced {
        return given
            .iter()
            .map(|word| (word.end, word.from_char, word.to_char))
            .map(|(end, from_char, to_char)| Pair { end, from_char, to_char })
            .collect();
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    let end = (written.len(), given.len());
    for (same_i, same_j) in common(&written, &given).into_iter().chain([end]) {
        if same_i > i {
            pairs.extend(pair(&written[same_i - 1], &given[j..same_j]));
        }
        if (same_i, same_j) != end {
            pairs.extend(pair(&written[same_i], &given[same_j..=same_j]));
        }
        (i, j) = (same_i + 1, same_j + 1);
    }
    pairs
}

/// The longest common sequence of words, as places in both.
fn common(written: &[Word<'_>], given: &[Word<'_>]) -> Vec<(usize, usize)> {
    if written.len() > WORDS_MAX || given.len() > WORDS_MAX {
        return Vec::new();
    }
    let width = given.len() + 1;
    let mut lengths = vec![0_u16; (written.len() + 1) * width];
    for i in (0..written.len()).rev() {
        for j in (0..given.len()).rev() {
            lengths[i * width + j] = match is_same(&written[i], &given[j]) {
                true => lengths[(i + 1) * width + j + 1] + 1,
                false => lengths[(i + 1) * width + j].max(lengths[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut places = Vec::new();
    while i < written.len() && j < given.len() {
        if is_same(&written[i], &given[j]) {
            places.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}

/// Marks around a word and capitals in it do not make it another.
fn is_same(written: &Word<'_>, given: &Word<'_>) -> bool {
    written.text == given.text
        || bare(written.text).map(|(_, _, c)| c).eq(bare(given.text).map(|(_, _, c)| c))
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut chars = 0;
    let mut words = Vec::new();
    for (end, text) in words_of(text) {
        let from_char = chars;
        chars += text.chars().count();
        if !text.trim().is_empty() {
            words.push(Word { text, end, from_char, to_char: chars });
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair as the text up to its end, since the pair before, and what the voice was given.
    fn paired<'t>(text: &'t str, voiced: &'t str) -> Vec<(&'t str, String)> {
        let mut start = 0;
        pairs(text, voiced)
            .into_iter()
            .map(|pair| {
                let written = text[start..pair.end].trim();
                start = pair.end;
                let given = voiced.chars().skip(pair.from_char).take(pair.to_char - pair.from_char);
                (written, given.collect())
            })
            .collect()
    }

    fn expect(text: &str, voiced: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(a, b)| (*a, (*b).to_owned())).collect();
        assert_eq!(paired(text, voiced), expected);
    }

    #[test]
    fn words_that_stay_are_paired_and_what_differs_is_one_stretch() {
        expect(
            "It is **$42** now, Ann:",
            "It is forty two dollars now, Ann.",
            &[
                ("It", "It"),
                ("is", "is"),
                ("**$42**", "forty two dollars"),
                ("now,", "now,"),
                ("Ann:", "Ann."),
            ],
        );
        expect(
            "on 2023 05 10 at",
            "on May 10 at",
            &[("on", "on"), ("2023 05", "May"), ("10", "10"), ("at", "at")],
        );
    }

    #[test]
    fn words_that_are_left_out_belong_to_the_next_and_words_put_in_to_none() {
        expect("<a> one <b> two <c>", " one  two ", &[("<a> one", "one"), ("<b> two", "two")]);
        expect("one\ntwo", "one . two", &[("one", "one"), ("two", "two")]);
        expect("<a>", "", &[]);
        expect("", "one", &[]);
    }

    #[test]
    fn a_piece_that_is_too_long_to_compare_is_one_stretch() {
        let (text, voiced) = ("a ".repeat(500), "b ".repeat(500));
        assert_eq!(pairs(&text, &voiced), [Pair { end: 999, from_char: 0, to_char: 999 }]);
    }
}
