//! What the assistant just asked for.

use super::words::has_phrase;
use crate::conversation::phrases;

/// What kind of answer is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A number of this many digits at least.
    Number {
        digits: usize,
    },
    Email,
    /// A name, an address or a word that may be spelled.
    Spelling,
    Date,
    YesNo,
    Anything,
}

/// Digits of a phone number with its area code (North American Numbering Plan; most others have
/// nine to eleven).
const PHONE_DIGITS: usize = 10;

/// Digits of the shorter payment cards (ISO/IEC 7812 numbers have up to 19).
const CARD_DIGITS: usize = 15;

/// Digits of a US postal code.
const ZIP_DIGITS: usize = 5;

/// Digits of whatever else has a number: below that it is surely not all of it.
const SOME_DIGITS: usize = 4;

const EMAIL: &[&str] = &["email", "e mail", "mail address"];
const PHONE: &[&str] = &[
    "phone number",
    "telephone number",
    "mobile number",
    "cell number",
    "callback number",
    "contact number",
    "number to reach",
    "number can we reach",
    "number can i reach",
    "best number",
    "your number",
    "phone",
];
const CARD: &[&str] = &["card number", "credit card", "debit card"];
const ZIP: &[&str] = &["zip", "zip code", "postal code", "postcode"];
const NUMBER: &[&str] = &[
    "account number",
    "order number",
    "policy number",
    "member number",
    "member id",
    "confirmation number",
    "reference number",
    "tracking number",
    "case number",
    "ticket number",
    "social security",
    "routing number",
    "serial number",
    "id number",
    "number",
    "code",
    "digits",
    "pin",
];
const SPELLING: &[&str] = &[
    "spell",
    "your name",
    "full name",
    "first name",
    "last name",
    "surname",
    "your address",
    "street",
    "company name",
    "license plate",
];
const DATE: &[&str] = &[
    "date",
    "birthday",
    "what day",
    "which day",
    "date of birth",
    "when were you born",
    "what time",
    "when would",
    "when do you",
];
const YES_NO: &[&str] = &[
    "is that",
    "are you",
    "do you",
    "did you",
    "would you",
    "can you confirm",
    "is this",
    "have you",
    "shall i",
    "should i",
    "may i",
    "is it",
    "was it",
    "does that",
    "correct",
    "right",
];

impl Asked {
    /// Reads the assistant's last words; where it asked several things, the last counts.
    pub(super) fn of(text: &str) -> Self {
        let Some(question) = last_question(text) else { return Self::Anything };
        let has = |list: &[&str]| list.iter().any(|phrase| has_phrase(&question, phrase));
        if has(EMAIL) {
            Self::Email
        } else if has(CARD) {
            Self::Number { digits: CARD_DIGITS }
        } else if has(ZIP) {
            Self::Number { digits: ZIP_DIGITS }
        } else if has(PHONE) && !has(&["account number", "order number"]) {
            Self::Number { digits: PHONE_DIGITS }
        } else if has(NUMBER) {
            Self::Number { digits: SOME_DIGITS }
        } else if has(SPELLING) {
            Self::Spelling
        } else if has(DATE) {
            Self::Date
        } else if has(YES_NO) {
            Self::YesNo
        } else {
            Self::Anything
        }
    }
}

/// The words of the last sentence that asks or requests something.
fn last_question(text: &str) -> Option<String> {
    const REQUESTS: &[&str] = &["please", "tell me", "give me", "spell", "i need", "may i have"];
    let end = text.trim_end();
    let mut sentences: Vec<&str> = end.split_inclusive(['.', '!', '?']).collect();
    while let Some(sentence) = sentences.pop() {
        let words = phrases::words(sentence).join(" ");
        if sentence.contains('?') || REQUESTS.iter().any(|request| has_phrase(&words, request)) {
            return Some(words);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_answer_is_read_off_the_last_question() {
        let cases = [
            ("What is your phone number?", Asked::Number { digits: 10 }),
            ("Sure. Could you spell your last name?", Asked::Spelling),
            ("May I have your e-mail address, please?", Asked::Email),
            ("Is that correct?", Asked::YesNo),
            ("Please tell me your account number.", Asked::Number { digits: 4 }),
            ("And the number on the credit card?", Asked::Number { digits: 15 }),
            ("What is your date of birth?", Asked::Date),
            ("Your number is five. What can I do for you?", Asked::Anything),
            ("Your phone number was changed.", Asked::Anything),
            ("", Asked::Anything),
        ];
        for (text, want) in cases {
            assert_eq!(Asked::of(text), want, "{text}");
        }
    }
}
