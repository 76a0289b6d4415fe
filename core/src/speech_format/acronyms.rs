//! Words in capitals.

use std::borrow::Cow;

use regex::Captures;

use super::pattern;

/// Acronyms that are said as a word.
const WORDS: [&str; 24] = [
    "AIDS", "ASAP", "CAPTCHA", "COVID", "FEMA", "FIFA", "GIF", "JPEG", "LASER", "NAFTA", "NASA",
    "NASDAQ", "NATO", "NET", "OPEC", "OSHA", "PIN", "RADAR", "RAM", "SCUBA", "SIM", "SWAT",
    "UNESCO", "UNICEF",
];

/// Capitals without a vowel that are no acronyms: titles, streets, hours, measures.
const ABBREVIATIONS: [&str; 30] = [
    "BLVD", "CM", "CT", "DR", "FT", "GB", "HR", "HRS", "HWY", "JR", "KB", "KG", "KM", "LB", "LBS",
    "LN", "MB", "MG", "ML", "MM", "MPH", "MR", "MRS", "MS", "PKWY", "PL", "PM", "RD", "SR", "ST",
];

/// Says known acronyms as words and spells those that nobody could pronounce. Others are left to
/// the voice.
pub(super) fn acronyms(text: &str) -> Cow<'_, str> {
    let capitals = pattern!(r"\b[A-Z]{2,}\b");
    capitals.replace_all(text, |found: &Captures<'_>| {
        let word = &found[0];
        let range = found.get_match().range();
        if is_in_address(&text[..range.start], &text[range.end..]) {
            return word.to_owned();
        }
        if WORDS.contains(&word) {
            return word.to_lowercase();
        }
        if word.contains(['A', 'E', 'I', 'O', 'U', 'Y']) || ABBREVIATIONS.contains(&word) {
            return word.to_owned();
        }
        let letters: Vec<String> = word.chars().map(String::from).collect();
        letters.join(" ")
    })
}

/// Whether what stands around a word makes it a part of an address.
fn is_in_address(before: &str, after: &str) -> bool {
    let mut after = after.chars();
    let mut before = before.chars().rev();
    let joins = |first: Option<char>, second: Option<char>| match first {
        Some('@' | '_') => true,
        Some('.' | '-') => second.is_some_and(char::is_alphanumeric),
        Some(_) | None => false,
    };
    joins(after.next(), after.next()) || joins(before.next(), before.next())
}
