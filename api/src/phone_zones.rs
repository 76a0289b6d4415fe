//! Where a phone number is at home, as far as its first digits tell.
//!
//! The table is made by `api/tools/phone_zones.py`; each line is a list of zones and the prefixes that
//! mean it, the longest prefix of a number counts, and `-` means that nobody knows.

use std::{collections::HashMap, sync::OnceLock};

const TABLE: &str = include_str!("../contract/phone_zones.txt");

/// The longest prefix in the table.
const PREFIX_MAX: usize = 8;

/// The IANA names of the time zones that an E.164 number may be in; empty: its digits do not tell. Mobile
/// numbers may be in any zone of their country, and people take their numbers along.
pub fn phone_zones(number: &str) -> Vec<&'static str> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let longest = digits.len().min(PREFIX_MAX);
    let zones = (1..=longest).rev().find_map(|end| table().get(&digits[..end]));
    zones.filter(|&&zones| zones != "-").map(|zones| zones.split(' ').collect()).unwrap_or_default()
}

fn table() -> &'static HashMap<&'static str, &'static str> {
    static BY_PREFIX: OnceLock<HashMap<&str, &str>> = OnceLock::new();
    BY_PREFIX.get_or_init(|| {
        let lines = TABLE.lines().filter_map(|line| line.split_once(": "));
        lines
            .flat_map(|(zones, prefixes)| prefixes.split(' ').map(move |prefix| (prefix, zones)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn numbers_are_where_their_first_digits_say() {
        for (number, expected) in [
            ("+12065550100", vec!["America/Los_Angeles"]),
            ("+12125550100", vec!["America/New_York"]),
            ("+493012345678", vec!["Europe/Berlin"]),
            ("+442079460000", vec!["Europe/London"]),
            ("+351912345678", vec!["Atlantic/Azores", "Europe/Lisbon"]),
            ("+819012345678", vec!["Asia/Tokyo"]),
        ] {
            assert_eq!(phone_zones(number), expected, "{number}");
        }
    }

    #[test]
    fn nobody_knows_where_toll_free_numbers_and_addresses_are() {
        for number in ["+18005550100", "+80012345678", "sip:anna@example.com", "", "+"] {
            assert_eq!(phone_zones(number), Vec::<&str>::new(), "{number}");
        }
    }

    #[test]
    fn every_zone_is_one_that_we_know_the_clocks_of() {
        for (prefix, zones) in table() {
            assert!(prefix.len() <= PREFIX_MAX, "{prefix}");
            for zone in zones.split(' ').filter(|&zone| zone != "-") {
                assert!(TimeZone::get(zone).is_ok(), "{prefix}: {zone}");
            }
        }
    }
}
