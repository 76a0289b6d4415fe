//! Dates and times of day.

use std::borrow::Cow;

use regex::Captures;

use super::pattern;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Says dates that begin with their year, and those that end with it where only one order makes a
/// date: `03/04/2025` is read differently on either side of an ocean.
pub(super) fn dates(text: &str) -> Cow<'_, str> {
    let dates = pattern!(
        r"\b(?:(?<y>[0-9]{4})(?:-(?<m1>[0-9]{1,2})-(?<d1>[0-9]{1,2})|/(?<m2>[0-9]{1,2})/(?<d2>[0-9]{1,2})| (?<m3>[0-9]{2}) (?<d3>[0-9]{2}))|(?<a>[0-9]{1,2})/(?<b>[0-9]{1,2})/(?<ye>[0-9]{4}))\b"
    );
    dates.replace_all(text, |found: &Captures<'_>| {
        said(found).unwrap_or_else(|| found[0].to_owned())
    })
}

/// `14:00` is `14`, `9:05` is `9 oh 5`. With seconds it is a duration or a log line, and left alone.
pub(super) fn times(text: &str) -> Cow<'_, str> {
    let times = pattern!(r"\b(?<hour>[01]?[0-9]|2[0-3]):(?<minute>[0-5][0-9])(?<more>:[0-9]+)?\b");
    times.replace_all(text, |found: &Captures<'_>| {
        if found.name("more").is_some() {
            return found[0].to_owned();
        }
        let hour = match found["hour"].trim_start_matches('0') {
            "" => "0",
            hour => hour,
        };
        match &found["minute"] {
            "00" => hour.to_owned(),
            minute => match minute.strip_prefix('0') {
                Some(minute) => format!("{hour} oh {minute}"),
                None => format!("{hour} {minute}"),
            },
        }
    })
}

fn said(found: &Captures<'_>) -> Option<String> {
    let number = |names: &[&str]| {
        names.iter().find_map(|name| found.name(name)?.as_str().parse::<usize>().ok())
    };
    let (year, month, day) = match number(&["y"]) {
        Some(year) => (year, number(&["m1", "m2", "m3"])?, number(&["d1", "d2", "d3"])?),
        None => {
            let (a, b) = (number(&["a"])?, number(&["b"])?);
            match (a > 12, b > 12) {
                (false, true) => (number(&["ye"])?, a, b),
                (true, false) => (number(&["ye"])?, b, a),
                (true, true) | (false, false) => return None,
            }
        }
    };
    let name = MONTHS.get(month.checked_sub(1)?)?;
    if !(1..=days_of(year, month)).contains(&day) || !(1_600..3_000).contains(&year) {
        return None;
    }
    let weekday = WEEKDAYS[weekday(year, month, day)];
    Some(format!("{weekday}, {name} {day}, {year}"))
}

fn days_of(year: usize, month: usize) -> usize {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day of the week in the Gregorian calendar, 0 is Sunday (Sakamoto's method).
fn weekday(year: usize, month: usize, day: usize) -> usize {
    const OFFSETS: [usize; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = if month < 3 { year - 1 } else { year };
    (year + year / 4 - year / 100 + year / 400 + OFFSETS[month - 1] + day) % 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_those_of_the_calendar() {
        for ((year, month, day), name) in [
            ((2023, 5, 10), "Wednesday"),
            ((2000, 2, 29), "Tuesday"),
            ((1999, 12, 31), "Friday"),
            ((2026, 1, 1), "Thursday"),
        ] {
            assert_eq!(WEEKDAYS[weekday(year, month, day)], name);
        }
    }
}
