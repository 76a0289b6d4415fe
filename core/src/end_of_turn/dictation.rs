//! Numbers, spelled words and addresses that are read out in pieces.

use super::{
    question::Asked,
    words::{self, MONTHS, TOP_LEVEL_DOMAINS},
};

/// Digits from which on a number that nobody asked for may well be whole: a local phone number.
const WHOLE_UNASKED: usize = 7;

/// How likely a dictation is over; `None`: nothing is being dictated.
pub(super) fn estimate(words: &[String], said: &str, asked: Asked) -> Option<f64> {
    email(words, said, asked)
        .or_else(|| number(words, asked))
        .or_else(|| spelling(words, asked))
        .or_else(|| date(words, asked))
}

fn email(words: &[String], said: &str, asked: Asked) -> Option<f64> {
    let last = words.last()?.as_str();
    let is_address = said.split_whitespace().any(|token| {
        token.split_once('@').is_some_and(|(_, host)| host.trim_end_matches('.').contains('.'))
    });
    let has_dot = words.iter().any(|word| word == "dot");
    let at_domain = (has_dot || is_address) && TOP_LEVEL_DOMAINS.contains(&last);
    let is_joint = matches!(last, "at" | "dot" | "underscore" | "dash" | "hyphen");
    if at_domain {
        return Some(0.95);
    }
    let is_dictated = has_dot || said.contains('@') || words.iter().any(|w| w == "underscore");
    if is_joint && (asked == Asked::Email || is_dictated) {
        return Some(0.02);
    }
    if asked == Asked::Email && !declines(words) {
        return Some(if is_address { 0.95 } else { 0.05 });
    }
    is_dictated.then_some(0.15)
}

/// An answer that is about the question, and none of what it asks for.
fn declines(words: &[String]) -> bool {
    const SIGNS: &[&str] =
        &["no", "not", "dont", "cant", "wont", "yes", "sure", "why", "what", "sorry", "pardon"];
    words.iter().any(|word| SIGNS.contains(&word.as_str()))
}

fn number(words: &[String], asked: Asked) -> Option<f64> {
    let groups: Vec<usize> = words.iter().rev().map_while(|word| words::digits_of(word)).collect();
    let last = words.last()?.as_str();
    // "I have one", "oh": words more than digits, where no digit is beside them.
    if groups.is_empty() || (groups.len() == 1 && words.len() > 1 && matches!(last, "one" | "oh")) {
        return None;
    }
    let digits: usize = groups.iter().sum();
    // A country code, or a group further up, is counted with the rest of what was said.
    let in_all: usize = words.iter().filter_map(|word| words::digits_of(word)).sum();
    Some(match asked {
        Asked::Number { digits: wanted } if wanted > 5 => match in_all {
            got if got >= wanted => 0.93,
            got if got + 3 >= wanted => 0.25,
            _ => 0.02,
        },
        Asked::Number { digits: wanted } => match in_all {
            got if got < wanted => 0.05,
            got if got == wanted && wanted == 5 => 0.93,
            // Nobody knows how long it is.
            _ => 0.4,
        },
        Asked::Email | Asked::Spelling => 0.15,
        Asked::Date | Asked::YesNo | Asked::Anything if digits >= WHOLE_UNASKED => match digits {
            7 | 10 | 11 | 15 | 16 => 0.8,
            _ => 0.3,
        },
        // Digit by digit: somebody reads out a number.
        Asked::Date | Asked::YesNo | Asked::Anything if groups.len() >= 3 => 0.15,
        Asked::Date | Asked::YesNo | Asked::Anything if digits >= 3 && groups.len() >= 2 => 0.25,
        // A date, a time, an amount.
        Asked::Date | Asked::YesNo | Asked::Anything => 0.7,
    })
}

fn spelling(words: &[String], asked: Asked) -> Option<f64> {
    let is_letter =
        |word: &&String| word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    let letters = words.iter().rev().take_while(is_letter).count();
    // "B as in boy".
    if let [.., letter, as_word, in_word, _] = words
        && (as_word, in_word) == (&"as".to_owned(), &"in".to_owned())
        && is_letter(&letter)
    {
        return Some(0.2);
    }
    let alone = words.last().is_some_and(|word| matches!(word.as_str(), "a" | "i"));
    match (letters, asked) {
        (0, _) => None,
        (1, Asked::Spelling) if !alone => Some(0.1),
        (1, _) => None,
        // However long the name is, somebody who spells pauses, for about a second.
        (2..=3, Asked::Spelling) => Some(0.15),
        (4.., Asked::Spelling) => Some(0.3),
        (2.., _) => Some(0.2),
    }
}

fn date(words: &[String], asked: Asked) -> Option<f64> {
    let last = words.last()?.as_str();
    (asked == Asked::Date && MONTHS.contains(&last)).then_some(0.25)
}
