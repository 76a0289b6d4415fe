//! Replacements of a document's own (`formatPlan.replacements`).

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

/// Memory that one expression of a document may take, in bytes, compiled: some hundred times what
/// reasonable ones need.
const REGEX_BYTES_MAX: usize = 256 << 10;

/// What is said in place of what was written.
#[derive(Clone, Debug)]
pub enum Replacement {
    /// A text, as it stands; its first place unless all of them are asked for.
    Exact { key: String, value: String, replaces_all: bool },
    /// Whatever matches; the value refers to groups as JavaScript's `replace` has it.
    Regex { regex: Regex, value: String },
}

/// Options of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegexFlags {
    pub ignore_case: bool,
    pub whole_word: bool,
    pub multi_line: bool,
}

impl Replacement {
    /// A replacement of what matches an expression.
    ///
    /// # Errors
    ///
    /// Says what the expression has that is not understood. Unlike JavaScript's these look neither
    /// ahead nor behind nor back: each is matched in time that grows with the text alone.
    pub fn regex(pattern: &str, flags: RegexFlags, value: &str) -> Result<Self, String> {
        let pattern = match flags.whole_word {
            true => format!(r"\b(?:{pattern})\b"),
            false => pattern.to_owned(),
        };
        let regex = RegexBuilder::new(&pattern)
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| {
                if let regex::Error::CompiledTooBig(bytes) = error {
                    return format!("it takes more than {bytes} bytes compiled");
                }
                last_line(&error.to_string())
            })?;
        Ok(Self::Regex { regex, value: value.to_owned() })
    }

    pub(super) fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Self::Exact { key, .. } if key.is_empty() || !text.contains(key) => Cow::Borrowed(text),
            Self::Exact { key, value, replaces_all: true } => text.replace(key, value).into(),
            Self::Exact { key, value, replaces_all: false } => text.replacen(key, value, 1).into(),
            Self::Regex { regex, value } => {
                regex.replace_all(text, |found: &Captures<'_>| expand(value, found, text))
            }
        }
    }
}

/// Fills a value in as JavaScript does: `$1`, `$<name>`, `$&`, `` $` ``, `$'`, `$$`.
fn expand(value: &str, found: &Captures<'_>, text: &str) -> String {
    let group = |index: usize| found.get(index).map_or("", |group| group.as_str());
    let whole = found.get_match().range();
    let mut said = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        said.push_str(&rest[..at]);
        let sign = &rest[at + 1..];
        let digits = sign.bytes().take(2).take_while(u8::is_ascii_digit).count();
        // `$12` is the twelfth group where there is one, else the first and a 2.
        let numbered = (1..=digits).rev().find_map(|length| {
            let index: usize = sign[..length].parse().ok()?;
            (1..found.len()).contains(&index).then_some((group(index), length))
        });
        let named = sign
            .strip_prefix('<')
            .and_then(|name| name.split_once('>'))
            .and_then(|(name, _)| Some((found.name(name)?.as_str(), name.len() + 2)));
        let (filled, length) = numbered.or(named).unwrap_or_else(|| match sign.chars().next() {
            Some('$') => ("$", 1),
            Some('&') => (group(0), 1),
            Some('`') => (&text[..whole.start], 1),
            Some('\'') => (&text[whole.end..], 1),
            Some(_) | None => ("$", 0),
        });
        said.push_str(filled);
        rest = &sign[length..];
    }
    said.push_str(rest);
    said
}

/// The expression itself, which errors begin with, is known to whoever wrote it.
fn last_line(error: &str) -> String {
    error.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(key: &str, replaces_all: bool) -> Replacement {
        Replacement::Exact { key: key.into(), value: "hi".into(), replaces_all }
    }

    fn regex(pattern: &str, value: &str, flags: RegexFlags) -> Replacement {
        Replacement::regex(pattern, flags, value).unwrap()
    }

    #[test]
    fn an_exact_replacement_is_of_the_first_place_unless_all_are_asked_for() {
        let text = "hello world, hello universe";
        assert_eq!(exact("hello", false).apply(text), "hi world, hello universe");
        assert_eq!(exact("hello", true).apply(text), "hi world, hi universe");
        assert_eq!(exact("", true).apply(text), text);
    }

    #[test]
    fn an_expression_replaces_wherever_it_matches_and_refers_to_its_groups() {
        let none = RegexFlags::default();
        assert_eq!(regex(r"\b[a-zA-Z]{5}\b", "hi", none).apply("hello big world"), "hi big hi");
        assert_eq!(regex(r"colou?r", "hue", none).apply("color, colour"), "hue, hue");
        let phone = regex(r"(\d{3})(\d{3})(\d{4})", "($1) $2-$3", none);
        assert_eq!(phone.apply("call 1234567890"), "call (123) 456-7890");
        let all = regex(r"(?<word>b)", "[$&$$$<word>$`|$'$9$1x$]", none);
        assert_eq!(all.apply("abc"), "a[b$ba|c$9bx$]c");
    }

    #[test]
    fn options_are_those_of_the_contract() {
        let flags = RegexFlags { ignore_case: true, whole_word: true, multi_line: false };
        assert_eq!(regex("st", "street", flags).apply("5 ST, best"), "5 street, best");
        let lines = RegexFlags { multi_line: true, ..RegexFlags::default() };
        assert_eq!(regex("^a", "b", lines).apply("a\na"), "b\nb");
        assert_eq!(regex("^a", "b", RegexFlags::default()).apply("a\na"), "b\na");
    }

    #[test]
    fn an_expression_that_is_not_understood_is_named() {
        let refuse = |pattern| Replacement::regex(pattern, RegexFlags::default(), "").unwrap_err();
        assert!(refuse("(?<=a)b").contains("look"), "{}", refuse("(?<=a)b"));
        assert!(refuse("(").contains("unclosed"), "{}", refuse("("));
        assert!(refuse(r"(\w{100}){100}").contains("bytes"), "{}", refuse(r"(\w{100}){100}"));
    }
}
