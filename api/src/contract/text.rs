//! What a text must look like: length, pattern, format.

use offhook_core::{PatternOptions, TextPattern, WaitFunction};
use regex::RegexBuilder;

use super::shape::{Format, Text};

/// Bytes that a client's regular expression may compile to.
///
/// Phrases and word lists need a tenth of it; compiling up to it takes one to two milliseconds.
const MAX_REGEX_BYTES: usize = 1 << 18;

/// Tells `fault` everything that is wrong with `string`.
pub(super) fn check(text: &Text, string: &str, mut fault: impl FnMut(&str)) {
    if text.size.min.is_some() || text.size.max.is_some() {
        let length = string.chars().count() as f64;
        if let Some(min) = text.size.min.filter(|min| length < *min) {
            fault(&format!("must be longer than or equal to {min} characters"));
        }
        if let Some(max) = text.size.max.filter(|max| length > *max) {
            fault(&format!("must be shorter than or equal to {max} characters"));
        }
    }
    if let Some(pattern) = text.pattern.as_ref().filter(|pattern| !pattern.matches(string)) {
        fault(&format!("must match /{}/ regular expression", pattern.source));
    }
    match text.format {
        Some(Format::Uuid) if uuid::Uuid::try_parse(string).is_err() => fault("must be a UUID"),
        Some(Format::DateTime) if !is_date_time(string) => {
            fault("must be a valid ISO 8601 date string")
        }
        Some(Format::Uri) if !is_uri(string) => fault("must be a URL address"),
        Some(Format::Regex) if !is_regex(string) => {
            fault("must be * or a valid regular expression")
        }
        Some(Format::Pattern) => {
            if let Some(problem) = pattern_problem(string) {
                fault(&format!("must be a valid regular expression: {problem}"));
            }
        }
        Some(Format::WaitFunction) => {
            if let Err(problem) = WaitFunction::parse(string) {
                fault(&format!("must be an arithmetic expression in x: {problem}"));
            }
        }
        Some(Format::Uuid | Format::DateTime | Format::Uri | Format::Regex) | None => {}
    }
}

/// A date, with or without a time, with or without an offset: clients write all of them.
fn is_date_time(string: &str) -> bool {
    string.parse::<jiff::Timestamp>().is_ok() || string.parse::<jiff::civil::DateTime>().is_ok()
}

/// An absolute URI (RFC 3986, section 3.1: a scheme and a colon), or a template that becomes one during the call.
fn is_uri(string: &str) -> bool {
    let scheme = string.split_once(':').map_or("", |(scheme, _)| scheme);
    let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let scheme =
        starts && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    (scheme && !string.contains(char::is_whitespace)) || string.contains("{{")
}

/// Options stand in another field: with any of them it must still compile.
fn pattern_problem(string: &str) -> Option<String> {
    let all = PatternOptions { ignore_case: true, whole_word: true, multi_line: true };
    let compile = |options| TextPattern::new(string, options).err();
    compile(PatternOptions::default()).or_else(|| compile(all)).map(|problem| problem.to_string())
}

fn is_regex(string: &str) -> bool {
    let builder =
        || RegexBuilder::new(string).case_insensitive(true).size_limit(MAX_REGEX_BYTES).build();
    string == "*" || builder().is_ok()
}
