//! Regular expressions out of documents.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Bytes that a client's expression may compile to: some ten times what phrases and word lists
/// need. Matching is linear in the text whatever the expression is.
const COMPILED_BYTES_MAX: usize = 1 << 18;

/// The options that the contract knows (`RegexOption`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatternOptions {
    pub ignore_case: bool,
    /// The match must begin and end at a word's edge.
    pub whole_word: bool,
    /// `^` and `$` match at line breaks too.
    pub multi_line: bool,
}

/// A regular expression that is searched for in a text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Source", into = "Source")]
pub struct TextPattern {
    source: Source,
    regex: Regex,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    pattern: String,
    options: PatternOptions,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern(String);

impl TextPattern {
    /// Compiles an expression of the `regex` crate, which knows no look-around and no
    /// back-references.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn new(pattern: &str, options: PatternOptions) -> Result<Self, BadPattern> {
        let source = Source { pattern: pattern.to_owned(), options };
        let whole = match options.whole_word {
            true => format!(r"\b(?:{pattern})\b"),
            false => pattern.to_owned(),
        };
        let built = RegexBuilder::new(&whole)
            .case_insensitive(options.ignore_case)
            .multi_line(options.multi_line)
            .size_limit(COMPILED_BYTES_MAX)
            .build();
        // A parser's message shows the expression; its last line says what is wrong.
        let regex = built.map_err(|error| {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default();
            BadPattern(last.trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self { source, regex })
    }

    pub fn is_found_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl TryFrom<Source> for TextPattern {
    type Error = BadPattern;

    fn try_from(source: Source) -> Result<Self, BadPattern> {
        Self::new(&source.pattern, source.options)
    }
}

impl From<TextPattern> for Source {
    fn from(pattern: TextPattern) -> Self {
        pattern.source
    }
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(pattern: &str, options: PatternOptions) -> TextPattern {
        TextPattern::new(pattern, options).unwrap()
    }

    #[test]
    fn a_pattern_is_found_anywhere_and_by_its_options_alone() {
        let plain = PatternOptions::default();
        assert!(pattern("cat", plain).is_found_in("concatenate"));
        assert!(!pattern("cat", plain).is_found_in("Cat"));
        let ignoring = PatternOptions { ignore_case: true, ..plain };
        assert!(pattern("cat", ignoring).is_found_in("CATS"));
        let whole = PatternOptions { whole_word: true, ..plain };
        assert!(!pattern("cat|dog", whole).is_found_in("cats and hotdogs"));
        assert!(pattern("cat|dog", whole).is_found_in("a dog"));
        let lines = PatternOptions { multi_line: true, ..plain };
        assert!(pattern("^two$", lines).is_found_in("one\ntwo"));
        assert!(!pattern("^two$", plain).is_found_in("one\ntwo"));
    }

    #[test]
    fn a_pattern_that_cannot_be_compiled_says_why() {
        let bad = |source| TextPattern::new(source, PatternOptions::default()).unwrap_err();
        assert_eq!(bad("(").to_string(), "unclosed group");
        assert!(bad("(?=a)").to_string().contains("look-around"));
        assert!(bad("(a{1000}){1000}").to_string().contains("size limit"));
    }
}
