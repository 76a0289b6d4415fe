//! Numbers in words.

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];

const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

const SCALES: [(u64, &str); 4] = [
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];

/// The first number that has no words here: a thousand trillions.
pub(super) const WORDLESS: u64 = 1_000_000_000_000_000;

/// A number below [`WORDLESS`] in words: `forty two`, `twelve hundred`, `three thousand five`.
pub(super) fn cardinal(number: u64) -> String {
    // "twelve hundred", but "two thousand".
    if (1_100..10_000).contains(&number)
        && number.is_multiple_of(100)
        && !number.is_multiple_of(1_000)
    {
        return format!("{} hundred", cardinal(number / 100));
    }
    if let Some((scale, name)) = SCALES.iter().find(|(scale, _)| number >= *scale) {
        return joined(format!("{} {name}", cardinal(number / scale)), number % scale);
    }
    if number >= 100 {
        return joined(format!("{} hundred", cardinal(number / 100)), number % 100);
    }
    let number = number as usize;
    match SMALL.get(number) {
        Some(word) => (*word).to_owned(),
        None => joined(TENS[number / 10].to_owned(), (number % 10) as u64),
    }
}

/// Each digit with a space between: `1 2 3`.
pub(super) fn spaced(digits: &str) -> String {
    let mut spaced = String::with_capacity(digits.len() * 2);
    for digit in digits.chars().filter(char::is_ascii_digit) {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push(digit);
    }
    spaced
}

/// Each digit as a word: `one two three`.
pub(super) fn digit_words(digits: &str) -> String {
    let words: Vec<&str> = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|digit| SMALL[usize::from(digit - b'0')])
        .collect();
    words.join(" ")
}

/// A number as it is written, with or without commas between its thousands and with a fraction.
pub(super) fn written(whole: &str, fraction: Option<&str>) -> Option<String> {
    let number: u64 = whole.replace(',', "").parse().ok().filter(|number| *number < WORDLESS)?;
    Some(match fraction {
        Some(fraction) => format!("{} point {}", cardinal(number), digit_words(fraction)),
        None => cardinal(number),
    })
}

fn joined(words: String, rest: u64) -> String {
    match rest {
        0 => words,
        rest => format!("{words} {}", cardinal(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_words_that_people_use() {
        for (number, words) in [
            (0, "zero"),
            (13, "thirteen"),
            (42, "forty two"),
            (100, "one hundred"),
            (305, "three hundred five"),
            (1_000, "one thousand"),
            (1_200, "twelve hundred"),
            (2_000, "two thousand"),
            (1_234, "one thousand two hundred thirty four"),
            (10_100, "ten thousand one hundred"),
            (2_000_001, "two million one"),
            (
                999_999_999_999_999,
                "nine hundred ninety nine trillion nine hundred ninety nine \
                billion nine hundred ninety nine million nine hundred ninety nine thousand nine \
                hundred ninety nine",
            ),
        ] {
            assert_eq!(cardinal(number), words);
        }
        assert_eq!(spaced("12-3"), "1 2 3");
        assert_eq!(digit_words("050"), "zero five zero");
        assert_eq!(
            written("1,234", Some("5")).unwrap(),
            "one thousand two hundred thirty four point five"
        );
        assert_eq!(written("1000000000000000", None), None);
    }
}
