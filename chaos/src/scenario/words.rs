//! Words that should have come and words that came, compared.

use std::collections::HashSet;

/// A stretch of words that is to be heard whole, unless the caller may have cut its end off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub text: String,
    /// Its end may be missing.
    pub may_be_cut: bool,
}

/// What became of the words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Expected and not there.
    pub lost: Vec<String>,
    /// There once more than expected.
    pub repeated: Vec<String>,
    /// There, and never expected.
    pub foreign: Vec<String>,
    /// For each word that came: the stretch it belongs to, and its place there.
    pub places: Vec<Option<(usize, usize)>>,
}

impl Stretch {
    pub fn whole(text: &str) -> Self {
        Self { text: text.into(), may_be_cut: false }
    }
}

/// Compares what came with what should have come, by the longest common order of both. Words of
/// `allowed` may come on top.
pub fn compare(expected: &[Stretch], came: &[&str], allowed: &[&str]) -> Compared {
    let wanted: Vec<(usize, usize, &str)> = expected
        .iter()
        .enumerate()
        .flat_map(|(nth, stretch)| {
            stretch.text.split_whitespace().enumerate().map(move |(at, word)| (nth, at, word))
        })
        .collect();
    let pairs = common(&wanted, came);
    let mut compared = Compared { places: vec![None; came.len()], ..Compared::default() };
    let mut found = vec![false; wanted.len()];
    for (wanted_at, came_at) in pairs {
        found[wanted_at] = true;
        let (stretch, at, _) = wanted[wanted_at];
        compared.places[came_at] = Some((stretch, at));
    }
    for (at, (stretch, _, word)) in wanted.iter().enumerate() {
        let is_end = || {
            let rest = wanted[at..].iter().zip(&found[at..]);
            rest.take_while(|((nth, ..), _)| nth == stretch).all(|(_, found)| !found)
        };
        if !(found[at] || expected[*stretch].may_be_cut && is_end()) {
            compared.lost.push((*word).to_owned());
        }
    }
    let known: HashSet<&str> = wanted.iter().map(|(_, _, word)| *word).collect();
    for (word, _) in came.iter().zip(&compared.places).filter(|(_, place)| place.is_none()) {
        let into = match (allowed.contains(word), known.contains(word)) {
            (true, _) => continue,
            (false, true) => &mut compared.repeated,
            (false, false) => &mut compared.foreign,
        };
        into.push((*word).to_owned());
    }
    compared
}

/// The longest common subsequence, as pairs of places.
fn common(wanted: &[(usize, usize, &str)], came: &[&str]) -> Vec<(usize, usize)> {
    let (rows, columns) = (wanted.len(), came.len());
    let mut longest = vec![0_u16; (rows + 1) * (columns + 1)];
    let at = |row: usize, column: usize| row * (columns + 1) + column;
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            longest[at(row, column)] = match wanted[row].2 == came[column] {
                true => longest[at(row + 1, column + 1)] + 1,
                false => longest[at(row + 1, column)].max(longest[at(row, column + 1)]),
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut pairs = Vec::new();
    while row < rows && column < columns {
        if wanted[row].2 == came[column] {
            pairs.push((row, column));
            (row, column) = (row + 1, column + 1);
        } else if longest[at(row + 1, column)] >= longest[at(row, column + 1)] {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(expected: &[(&str, bool)], came: &str) -> Compared {
        let expected: Vec<_> = expected
            .iter()
            .map(|(text, may_be_cut)| Stretch { text: (*text).into(), may_be_cut: *may_be_cut })
            .collect();
        let came: Vec<_> = came.split_whitespace().collect();
        compare(&expected, &came, &["moment"])
    }

    #[test]
    fn all_words_in_order_are_nothing_lost_and_nothing_twice() {
        let found = compared(&[("one two three", false), ("four", false)], "one two three four");
        assert_eq!((found.lost.len(), found.repeated.len(), found.foreign.len()), (0, 0, 0));
        assert_eq!(found.places[3], Some((1, 0)));
    }

    #[test]
    fn a_missing_word_is_lost_and_a_second_one_is_repeated() {
        let found = compared(&[("one two three", false)], "one one three");
        assert_eq!((found.lost, found.repeated), (vec!["two".to_owned()], vec!["one".to_owned()]));
    }

    #[test]
    fn only_the_end_of_what_was_interrupted_may_be_missing() {
        let found = compared(&[("one two three", true), ("four", false)], "one two four");
        assert!(found.lost.is_empty());
        let found = compared(&[("one two three", true), ("four", false)], "one three four");
        assert_eq!(found.lost, ["two"]);
    }

    #[test]
    fn words_that_may_come_on_top_are_not_counted_and_strange_ones_are() {
        let found = compared(&[("one two", false)], "one moment two what");
        assert_eq!((found.repeated.len(), found.foreign), (0, vec!["what".to_owned()]));
    }
}
