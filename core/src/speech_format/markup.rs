//! Marks that are for the eye.

use std::borrow::Cow;

use regex::Captures;

use super::pattern;

/// `<flush />` in each of its spellings (Vapi's page "Flush syntax").
pub(super) fn flush_tokens(text: &str) -> Cow<'_, str> {
    pattern!(r"(?i)<\s*/?\s*flush\s*/?\s*>").replace_all(text, "")
}

/// Takes out tags, apart from those that voices know and what stands in double brackets. A `<`
/// before a space compares.
pub(super) fn angle_brackets(text: &str) -> Cow<'_, str> {
    let tags = pattern!(r"<<[^<>]*>>|<[^<>\s][^<>]*>");
    let known = pattern!(r"(?i)^<(<|/?\s*(break|spell)\b)");
    tags.replace_all(text, |tag: &Captures<'_>| match known.is_match(&tag[0]) {
        true => tag[0].to_owned(),
        false => String::new(),
    })
}

/// Takes out the marks of headings, code and emphasis but asterisks, and of links all but their
/// text. An underscore inside a word belongs to it.
pub(super) fn markdown(text: &str) -> Cow<'_, str> {
    if !text.contains(['_', '`', '~', '#', '[']) {
        return Cow::Borrowed(text);
    }
    let marks = pattern!(
        r"(?m)^[ \t]*#{1,6}[ \t]+|\[(?<link>[^\[\]]+)\]\([^()\s]+\)|(?<inner>[\p{L}\p{N}]_+[\p{L}\p{N}])|[_`~]"
    );
    marks.replace_all(text, |found: &Captures<'_>| {
        let kept = found.name("link").or_else(|| found.name("inner"));
        kept.map_or_else(String::new, |kept| kept.as_str().to_owned())
    })
}

pub(super) fn phrases_in_asterisks(text: &str) -> Cow<'_, str> {
    pattern!(r"\*\*[^*]+\*\*|\*[^*]+\*").replace_all(text, "")
}

pub(super) fn asterisks(text: &str) -> Cow<'_, str> {
    pattern!(r"\*").replace_all(text, "")
}

/// Double quotes only: a single one may be an apostrophe.
pub(super) fn quotes(text: &str) -> Cow<'_, str> {
    pattern!("[\"“”„«»]").replace_all(text, "")
}

/// A dash between words is a pause; a hyphen inside a word, or before a number, is none.
pub(super) fn dashes(text: &str) -> Cow<'_, str> {
    pattern!(r"\s*[–—]\s*|\s+-+\s+").replace_all(text, ", ")
}

/// A line ends like a sentence, unless it has a sentence's end already.
pub(super) fn new_lines(text: &str) -> Cow<'_, str> {
    pattern!(r"(?<end>[.!?:;,…]?)(?:[ \t\r]*\n)+").replace_all(text, |found: &Captures<'_>| {
        match &found["end"] {
            "" => " . ".to_owned(),
            end => format!("{end} "),
        }
    })
}

/// A colon before a pause is a stop; one inside a time or an address is none.
pub(super) fn colons(text: &str) -> Cow<'_, str> {
    pattern!(r":(?<after>\s|$)").replace_all(text, ".$after")
}
