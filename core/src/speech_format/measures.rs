//! Numbers with a unit.

use std::borrow::Cow;

use regex::Captures;

use super::{pattern, words};

/// One and many of what an abbreviation, in small letters, stands for.
const NAMES: &[(&str, &str, &str)] = &[
    ("km", "kilometer", "kilometers"),
    ("m", "meter", "meters"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("mi", "mile", "miles"),
    ("ft", "foot", "feet"),
    ("yd", "yard", "yards"),
    ("km/h", "kilometer per hour", "kilometers per hour"),
    ("kmh", "kilometer per hour", "kilometers per hour"),
    ("mph", "mile per hour", "miles per hour"),
    ("lb", "pound", "pounds"),
    ("lbs", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("mg", "milligram", "milligrams"),
    ("ml", "milliliter", "milliliters"),
    ("l", "liter", "liters"),
    ("kb", "kilobyte", "kilobytes"),
    ("mb", "megabyte", "megabytes"),
    ("gb", "gigabyte", "gigabytes"),
    ("tb", "terabyte", "terabytes"),
    ("hr", "hour", "hours"),
    ("hrs", "hour", "hours"),
    ("min", "minute", "minutes"),
    ("mins", "minute", "minutes"),
    ("sec", "second", "seconds"),
    ("secs", "second", "seconds"),
    ("°c", "degree Celsius", "degrees Celsius"),
    ("°f", "degree Fahrenheit", "degrees Fahrenheit"),
];

/// Weights, volumes, speeds, data, durations, temperatures, the number in words.
///
/// A single letter counts only right behind its number, where it cannot be a word.
pub(super) fn units(text: &str) -> Cow<'_, str> {
    let units = pattern!(
        r"\b(?<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?<part>[0-9]+))?(?:\s?(?<unit>(?i:km/h|kmh|mph|lbs?|oz|kg|mg|ml|kb|mb|gb|tb|hrs?|mins?|secs?|°[cf]))|(?<letter>[gl]))\b"
    );
    units.replace_all(text, |found: &Captures<'_>| {
        let part = found.name("part").map(|part| part.as_str());
        let number = words::written(&found["whole"], part);
        number.map_or_else(|| found[0].to_owned(), |number| said(found, &number))
    })
}

/// Distances, the number as it is.
pub(super) fn distances(text: &str) -> Cow<'_, str> {
    let distances = pattern!(
        r"\b(?<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?<part>[0-9]+))?(?:\s?(?<unit>(?i:km|cm|mm|mi|ft|yd))|(?<letter>m))\b"
    );
    distances.replace_all(text, |found: &Captures<'_>| {
        let part =
            found.name("part").map_or_else(String::new, |part| format!(".{}", part.as_str()));
        said(found, &format!("{}{part}", &found["whole"]))
    })
}

pub(super) fn percentages(text: &str) -> Cow<'_, str> {
    pattern!(r"(?<number>[0-9]) ?%").replace_all(text, "$number percent")
}

/// The number with the unit's name.
fn said(found: &Captures<'_>, number: &str) -> String {
    let unit = found.name("unit").or_else(|| found.name("letter"));
    let unit = unit.map(|unit| unit.as_str().to_lowercase()).unwrap_or_default();
    let Some((_, one, many)) = NAMES.iter().find(|(abbreviation, ..)| *abbreviation == unit) else {
        return found[0].to_owned();
    };
    let is_one = &found["whole"] == "1" && found.name("part").is_none();
    format!("{number} {}", if is_one { one } else { many })
}
