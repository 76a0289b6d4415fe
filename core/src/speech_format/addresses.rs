//! Where somebody is reached.

use std::borrow::Cow;

use regex::Captures;

use super::{pattern, words};

/// Names the signs of an email address (Vapi's page "Email address reading").
pub(super) fn emails(text: &str) -> Cow<'_, str> {
    let emails = pattern!(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+");
    emails.replace_all(text, |email: &Captures<'_>| {
        let mut said = String::with_capacity(email[0].len() * 2);
        for c in email[0].chars() {
            match c {
                '@' => said.push_str(" at "),
                '.' => said.push_str(" dot "),
                '_' => said.push_str(" underscore "),
                '-' => said.push_str(" dash "),
                '+' => said.push_str(" plus "),
                c => said.push(c),
            }
        }
        said
    })
}

/// Spaces out the digits of telephone numbers: with a country code, or as ten digits in the
/// groups of North America.
pub(super) fn phone_numbers(text: &str) -> Cow<'_, str> {
    let numbers = pattern!(
        r"(?<plus>\+)[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,4}\)?){2,6}\b|(?:\b1[-. ])?(?:\([0-9]{3}\)[-. ]?|\b[0-9]{3}[-. ])[0-9]{3}[-. ][0-9]{4}\b"
    );
    numbers.replace_all(text, |number: &Captures<'_>| {
        let digits = words::spaced(&number[0]);
        match number.name("plus") {
            Some(_) => format!("+{digits}"),
            None => digits,
        }
    })
}
