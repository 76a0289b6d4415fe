//! `dialingPlan`, which is ours: when people are called, how often, how fast.

use std::time::Duration;

use jiff::civil::{Date, Time};
use offhook_core::campaign::{Caps, LocalDay, Plan, Retries, RetryRule, Weekdays, Window};
use serde_json::Value;

use crate::lenient;

/// Days as the contract of `dialingPlan.windows` names them, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The first wait of a retry where the plan does not say.
const BACKOFF_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// The longest wait of a retry where the plan does not say.
const BACKOFF_MAX_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads what a plan says over what it has by default.
pub fn read(dialing: &Value, plan: &mut Plan, problems: &mut Vec<String>) {
    let windows = items(dialing, "windows").enumerate();
    plan.calendar.windows = windows
        .filter_map(|(index, window)| {
            window_of(window)
                .map_err(|problem| {
                    problems.push(format!("dialingPlan.windows.{index}.{problem}"));
                })
                .ok()
        })
        .collect();
    for (index, day) in items(dialing, "holidays").enumerate() {
        match day.as_str().and_then(|day| day.parse::<Date>().ok()) {
            Some(date) => {
                plan.calendar.holidays.insert(local_day(date));
            }
            None => problems
                .push(format!("dialingPlan.holidays.{index} must be a date like 2026-12-25")),
        }
    }
    if let Some(rate) = number(dialing, "callsPerSecond") {
        plan.calls_per_second_max = rate;
    }
    plan.answered_min = number(dialing, "answeredShareMin");
    caps(lenient::get(dialing, "attempts").unwrap_or(&Value::Null), &mut plan.caps);
    let retries = lenient::get(dialing, "retries").unwrap_or(&Value::Null);
    plan.retries = Retries {
        busy: rule(retries, "busy"),
        no_answer: rule(retries, "noAnswer"),
        voicemail: rule(retries, "voicemail"),
        failed: rule(retries, "failed"),
    };
}

fn window_of(window: &Value) -> Result<Window, String> {
    let minute = |field: &str| {
        let text = lenient::text(window, field).unwrap_or_default();
        minute_of(text)
            .ok_or_else(|| format!("{field} must be a time of day like 09:00, at most 24:00"))
    };
    let mut days = Weekdays::ALL;
    if let Some(named) = lenient::get(window, "days").and_then(Value::as_array) {
        days = Weekdays(DAYS.map(|day| named.iter().any(|other| other == day)));
    }
    Ok(Window { days, from_minute: minute("from")?, to_minute: minute("to")? })
}

/// Minutes since midnight; 24:00 is the end of the day.
fn minute_of(text: &str) -> Option<u16> {
    if text == "24:00" {
        return Some(24 * 60);
    }
    let time = Time::strptime("%H:%M", text).ok()?;
    Some(time.hour() as u16 * 60 + time.minute() as u16)
}

fn local_day(date: Date) -> LocalDay {
    let days = date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
    LocalDay(i32::try_from(days).unwrap_or_default())
}

fn caps(attempts: &Value, caps: &mut Caps) {
    let count = |field| number(attempts, field).map(lenient::count);
    let small = |field| count(field).map(|count| u8::try_from(count).unwrap_or(u8::MAX));
    if let Some(all) = small("perContact") {
        caps.attempts = all;
    }
    caps.per_day = small("perContactPerDay");
    caps.per_week = small("perContactPerWeek");
    caps.number_per_day = count("perNumberPerDay");
    caps.number_per_week = count("perNumberPerWeek");
}

fn rule(retries: &Value, outcome: &str) -> RetryRule {
    let Some(rule) = lenient::get(retries, outcome) else { return RetryRule::default() };
    let wait = |field, default| number(rule, field).map_or(default, lenient::seconds);
    let retries = number(rule, "retries").map_or(0, lenient::count);
    RetryRule {
        retries: u8::try_from(retries).unwrap_or(u8::MAX),
        backoff: wait("backoffSeconds", BACKOFF_DEFAULT),
        backoff_max: wait("backoffMaxSeconds", BACKOFF_MAX_DEFAULT),
    }
}

fn number(value: &Value, field: &str) -> Option<f64> {
    value.get(field).and_then(Value::as_f64)
}

fn items<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}
