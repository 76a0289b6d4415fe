//! Reading stored documents without insisting: numbers come as `2` or `2.0`, null means absent.

use std::time::Duration;

use serde_json::Value;

/// Longest time that a document may set; longer ones are cut to it.
const SECONDS_MAX: f64 = 365.0 * 24.0 * 3_600.0;

/// A time from a document's seconds; negative ones and non-numbers are zero.
pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(if seconds > 0.0 { seconds.min(SECONDS_MAX) } else { 0.0 })
}

/// A whole number, however it is written; negative ones are zero.
pub fn count(number: f64) -> u32 {
    // `as` saturates, and makes zero of what is no number.
    number as u32
}

/// How many calls at the same time an assistant or a phone number has.
pub fn concurrency_limit(document: &Value) -> Option<u32> {
    get(document, "concurrencyLimit").and_then(Value::as_f64).map(count)
}

/// A field that is there and not null.
pub fn get<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    value.get(field).filter(|value| !value.is_null())
}

/// A field that is a string, and not empty.
pub fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}
