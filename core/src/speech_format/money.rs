//! Amounts of money.

use std::borrow::Cow;

use regex::Captures;

use super::{pattern, words};

/// A currency by its sign: one and many of it, one and many of its hundredth.
const CURRENCIES: [(&str, [&str; 4]); 3] = [
    ("$", ["dollar", "dollars", "cent", "cents"]),
    ("€", ["euro", "euros", "cent", "cents"]),
    ("£", ["pound", "pounds", "penny", "pence"]),
];

pub(super) fn amounts(text: &str) -> Cow<'_, str> {
    let amounts = pattern!(
        r"(?<sign>[$€£]) ?(?<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?<part>[0-9]+))?(?:\s?(?<scale>thousand|million|billion|trillion|[kKMB]))?\b"
    );
    amounts.replace_all(text, |found: &Captures<'_>| {
        said(found).unwrap_or_else(|| found[0].to_owned())
    })
}

fn said(found: &Captures<'_>) -> Option<String> {
    let (_, [one, many, one_part, many_parts]) =
        *CURRENCIES.iter().find(|(sign, _)| *sign == &found["sign"])?;
    let whole = &found["whole"];
    let part = found.name("part").map(|part| part.as_str());
    if let Some(scale) = found.name("scale") {
        let scale = match scale.as_str() {
            "k" | "K" => "thousand",
            "M" => "million",
            "B" => "billion",
            scale => scale,
        };
        return Some(format!("{} {scale} {many}", words::written(whole, part)?));
    }
    let (number, of_it) = (words::written(whole, None)?, if whole == "1" { one } else { many });
    let hundredths = match part.map(|part| (part, part.len())) {
        None => 0,
        Some((part, 1)) => part.parse::<u64>().ok()? * 10,
        Some((part, 2)) => part.parse().ok()?,
        // A rate, such as `$0.005` a second.
        Some((part, _)) => return Some(format!("{} {many}", words::written(whole, Some(part))?)),
    };
    let of_parts = if hundredths == 1 { one_part } else { many_parts };
    let parts = format!("{} {of_parts}", words::cardinal(hundredths));
    Some(match (number.as_str(), hundredths) {
        (_, 0) => format!("{number} {of_it}"),
        ("zero", _) => parts,
        _ => format!("{number} {of_it} and {parts}"),
    })
}
