//! Times on the wire: ISO 8601 with milliseconds and `Z`; epoch milliseconds inside.

use jiff::{Timestamp, civil, tz::TimeZone};

/// Writes a time as the contract does, for example `2024-09-10T11:14:12.339Z`.
///
/// Times outside the years -9999 to 9999 are clamped to their ends.
pub fn iso8601(epoch_ms: i64) -> String {
    format!("{:.3}", timestamp(epoch_ms))
}

/// Reads a time of a query or a document: RFC 3339 with any offset and any fraction of a second.
///
/// Without an offset it is UTC, and a date alone is its midnight.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| in_utc(text.parse::<civil::DateTime>().ok()?))
        .or_else(|| in_utc(text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0)))
}

/// A time as jiff has it, clamped to what jiff can express.
pub(crate) fn timestamp(epoch_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(epoch_ms).unwrap_or(if epoch_ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn in_utc(time: civil::DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_z() {
        assert_eq!(iso8601(1_725_966_852_339), "2024-09-10T11:14:12.339Z");
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(1_700_000_000_050), "2023-11-14T22:13:20.050Z");
    }

    #[test]
    fn a_time_that_no_calendar_holds_is_clamped() {
        assert!(iso8601(i64::MAX).starts_with("9999-"));
        assert!(iso8601(i64::MIN).starts_with("-009999-"));
    }

    #[test]
    fn offsets_microseconds_and_bare_dates_are_read() {
        let ms = |text: &str| parse(text).unwrap().as_millisecond();
        assert_eq!(ms("2024-09-10T11:14:12.339Z"), 1_725_966_852_339);
        assert_eq!(ms("2024-09-10T13:14:12.339+02:00"), 1_725_966_852_339);
        assert_eq!(ms("2024-09-10T11:14:12.339123+00:00"), 1_725_966_852_339);
        assert_eq!(ms("2024-09-10T11:14:12"), 1_725_966_852_000);
        assert_eq!(ms("2024-09-10"), 1_725_926_400_000);
        assert_eq!(parse("yesterday"), None);
        assert_eq!(parse(""), None);
    }
}
