//! The clock of templates: the default variables, and the `date` filter.

use jiff::{
    Timestamp,
    fmt::strtime,
    tz::{Offset, TimeZone},
};
use liquid_core::{Result, Runtime, Value, ValueView};

use super::scope::complain;
use crate::time;

/// How `{{now}}` reads, for example `Jan 1, 2024 12:00 PM`.
const NOW_FORMAT: &str = "%b %-d, %Y %-I:%M %p";
/// The `date` filter's format when it is given none.
const DATE_FORMAT_DEFAULT: &str = "%A, %B %-d, %Y at %-I:%M %P %z";
/// Longest format, in bytes.
const FORMAT_BYTES_MAX: usize = 1_000;

/// The time at which a document is rendered.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    now: Timestamp,
    /// The value of the variable `now`, so that `now | date: ...` knows it again.
    now_text: String,
}

impl Clock {
    pub fn at(now_ms: i64) -> Self {
        let now = time::timestamp(now_ms);
        Self { now, now_text: utc(now, NOW_FORMAT) }
    }
}

/// The variables of Vapi's page "Dynamic variables" that tell the time; all of them in UTC.
pub fn default_variables(now_ms: i64) -> serde_json::Map<String, serde_json::Value> {
    let now = time::timestamp(now_ms);
    [
        ("now", NOW_FORMAT),
        ("currentDateTime", NOW_FORMAT),
        ("date", "%b %-d, %Y"),
        ("time", "%-I:%M %p"),
        ("month", "%B"),
        ("day", "%-d"),
        ("year", "%Y"),
    ]
    .into_iter()
    .map(|(name, format)| (name.to_owned(), utc(now, format).into()))
    .collect()
}

/// `"now" | date: "%H:%M", "Europe/London"`: format and time zone (a name, or minutes west of
/// UTC as LiquidJS has it), both optional. What is no date comes back as it was.
pub fn date(input: &dyn ValueView, arguments: &[Value], runtime: &dyn Runtime) -> Result<Value> {
    let clock = runtime.registers().get_mut::<Clock>().clone();
    let Some(at) = read(input, &clock) else { return Ok(input.to_value()) };
    let zone = match arguments.get(1) {
        None | Some(Value::Nil) => TimeZone::UTC,
        Some(zone) => read_zone(zone)?,
    };
    let format = match arguments.first() {
        Some(format) if !format.is_nil() => format.to_kstr().into_owned().to_string(),
        _ => DATE_FORMAT_DEFAULT.into(),
    };
    if format.len() > FORMAT_BYTES_MAX {
        return complain(format!("a date format is longer than {FORMAT_BYTES_MAX} bytes"));
    }
    match strtime::format(&format, &at.to_zoned(zone)) {
        Ok(text) => Ok(Value::scalar(text)),
        Err(_) => complain(format!("`{format}` is no date format")),
    }
}

fn utc(at: Timestamp, format: &str) -> String {
    at.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

fn read(input: &dyn ValueView, clock: &Clock) -> Option<Timestamp> {
    let scalar = input.as_scalar()?;
    if let Some(seconds) = scalar.to_integer() {
        return Timestamp::from_second(seconds).ok();
    }
    let text = scalar.to_kstr();
    if text == "now" || text == "today" || text == clock.now_text.as_str() {
        return Some(clock.now);
    }
    time::parse(&text)
}

fn read_zone(zone: &Value) -> Result<TimeZone> {
    let minutes_west = zone.as_scalar().and_then(|scalar| scalar.to_integer());
    if let Some(minutes_west) = minutes_west {
        let offset = minutes_west
            .checked_mul(-60)
            .and_then(|seconds| i32::try_from(seconds).ok())
            .and_then(|seconds| Offset::from_seconds(seconds).ok());
        return match offset {
            Some(offset) => Ok(offset.to_time_zone()),
            None => complain(format!("{minutes_west} is no offset in minutes")),
        };
    }
    let name = zone.to_kstr();
    TimeZone::get(&name).or_else(|_| {
        complain(format!("unknown time zone `{name}`, expected one like `Europe/London`"))
    })
}
