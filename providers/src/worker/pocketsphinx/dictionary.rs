//! How words are pronounced, as the CMU dictionary has it (`word PHONE PHONE ...`, further
//! pronunciations as `word(2)`).

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use offhook_core::FailureClass;

use crate::worker::Failed;

/// The phones of the CMU dictionary (ARPAbet without stress).
const PHONES: &str = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S \
                      SH T TH UH UW V W Y Z ZH";

#[derive(Debug, PartialEq)]
pub(super) struct Dictionary {
    /// Word and phones; other pronunciations of a word follow it.
    pub pronunciations: Vec<(String, String)>,
}

impl Dictionary {
    /// Reads the pronunciations of `words`.
    pub fn read(path: &Path, words: &BTreeSet<String>) -> Result<Self, Failed> {
        let unreadable = |e| {
            let detail = format!("reading the dictionary {}: {e}", path.display());
            Failed::new(FailureClass::Unavailable, detail)
        };
        let file = File::open(path).map_err(unreadable)?;
        Self::pick(BufReader::new(file), words).map_err(unreadable)?.map_err(|unknown| {
            let detail = format!(
                "words of the grammar that the dictionary does not have: {}; spell them as the \
                 words in {} are spelled",
                unknown.join(", "),
                path.display()
            );
            Failed::new(FailureClass::BadRequest, detail)
        })
    }

    fn pick(
        lines: impl BufRead,
        words: &BTreeSet<String>,
    ) -> std::io::Result<Result<Self, Vec<String>>> {
        let mut pronunciations = Vec::new();
        let mut missing = words.clone();
        for line in lines.lines() {
            let line = line?;
            let Some((entry, phones)) = line.split_once(' ') else { continue };
            let word = entry.split_once('(').map_or(entry, |(word, _)| word);
            if words.contains(word) {
                missing.remove(word);
                pronunciations.push((entry.to_owned(), phones.trim().to_owned()));
            }
        }
        // The decoder takes `word(2)` only after `word`.
        pronunciations.sort();
        Ok(if missing.is_empty() {
            Ok(Self { pronunciations })
        } else {
            Err(missing.into_iter().collect())
        })
    }
}

/// Every phone as a word of its own.
pub(super) fn phones() -> Vec<(String, String)> {
    PHONES.split(' ').map(|p| (format!("phone-{}", p.to_lowercase()), p.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "no N OW\nyes(2) Y EH S\nyes Y AE S\nyesterday Y EH S T ER D EY\n";

    fn words(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn all_pronunciations_of_the_words_are_read_in_order() {
        let picked = Dictionary::pick(LINES.as_bytes(), &words(&["yes"])).unwrap().unwrap();

        assert_eq!(
            picked.pronunciations,
            [("yes".into(), "Y AE S".into()), ("yes(2)".into(), "Y EH S".into())]
        );
    }

    #[test]
    fn words_that_are_missing_are_named() {
        let missing = Dictionary::pick(LINES.as_bytes(), &words(&["no", "offhook", "zyzz"]));

        assert_eq!(missing.unwrap(), Err(vec!["offhook".into(), "zyzz".into()]));
    }
}
