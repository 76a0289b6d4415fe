//! Numbers that stand alone.

use std::borrow::Cow;

use regex::Captures;

use super::{dates::MONTHS, pattern, words};

/// Whole numbers above it are read digit by digit, unless the document says otherwise: the
/// contract's default of `numberToDigitsCutoff`.
const DIGITS_CUTOFF: u64 = 2_025;

/// Whole numbers that are years, which voices know how to say.
const YEARS: std::ops::RangeInclusive<u64> = 1_900..=2_099;

/// Says numbers: small ones and those with commas in words, ids digit by digit, years and days of a
/// month as they are. What is a part of something else (`5th`, `3-5`, `1/2`, `v1.2.3`) is left to
/// the voice.
pub(super) fn numbers(text: &str, digits_cutoff: Option<u64>) -> Cow<'_, str> {
    let numbers = pattern!(r"-?(?<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?<part>[0-9]+))?");
    numbers.replace_all(text, |found: &Captures<'_>| {
        let range = found.get_match().range();
        let (before, after) = (&text[..range.start], &text[range.end..]);
        match is_part_of_more(&found[0], before, after) {
            true => found[0].to_owned(),
            false => {
                said(found, before, after, digits_cutoff).unwrap_or_else(|| found[0].to_owned())
            }
        }
    })
}

fn said(
    found: &Captures<'_>,
    before: &str,
    after: &str,
    digits_cutoff: Option<u64>,
) -> Option<String> {
    let (whole, part) = (&found["whole"], found.name("part").map(|part| part.as_str()));
    let minus = if found[0].starts_with('-') { "minus " } else { "" };
    if part.is_some() || whole.contains(',') {
        return Some(format!("{minus}{}", words::written(whole, part)?));
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Some(format!("{minus}{}", words::spaced(whole)));
    }
    let Some(number) = whole.parse::<u64>().ok() else { return Some(words::spaced(whole)) };
    let is_year = YEARS.contains(&number) && digits_cutoff.is_none_or(|cutoff| number <= cutoff);
    if is_year || is_beside_month(before, after) {
        return None;
    }
    let cutoff = digits_cutoff.unwrap_or(DIGITS_CUTOFF);
    Some(match number > cutoff || number >= words::WORDLESS {
        true => format!("{minus}{}", words::spaced(whole)),
        false => format!("{minus}{}", words::cardinal(number)),
    })
}

fn is_part_of_more(number: &str, before: &str, after: &str) -> bool {
    let (mut before, mut after) = (before.chars().rev(), after.chars());
    let follows = match (before.next(), before.next()) {
        (Some(c), _) if c.is_alphanumeric() => true,
        // Signs that say what kind of a number it is; a minus that follows something is a hyphen.
        (Some('$' | '€' | '£' | '_' | '/' | ':' | '#' | '-' | '+' | '@'), _) => true,
        (Some(')'), _) => number.starts_with('-'),
        (Some('.'), Some(c)) => c.is_alphanumeric(),
        (Some(_) | None, _) => false,
    };
    let is_followed = match (after.next(), after.next()) {
        (Some(c), _) if c.is_alphanumeric() => true,
        (Some('%' | '°' | '_' | '@'), _) => true,
        (Some('.' | '/' | ':' | '-'), Some(c)) => c.is_alphanumeric(),
        (Some(_) | None, _) => false,
    };
    follows || is_followed
}

/// Whether it is the day in `May 10` or `10 May`.
fn is_beside_month(before: &str, after: &str) -> bool {
    let last = before.strip_suffix(' ').and_then(|before| before.rsplit(' ').next());
    let next = after.strip_prefix(' ').and_then(|after| after.split(' ').next());
    [last, next]
        .into_iter()
        .flatten()
        .any(|word| MONTHS.contains(&word.trim_end_matches(|c: char| !c.is_alphabetic())))
}
