use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use offhook_core::FailureClass;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest pause that is believed of a `retry-after`; a provider that asks for more is as
/// good as gone for a call.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What an HTTP status other than success says (RFC 9110, section 15, and the providers' sheets).
pub(crate) fn class_of_status(status: u16, retry_after: Option<Duration>) -> FailureClass {
    match status {
        401 | 403 => FailureClass::Unauthorized,
        402 => FailureClass::Quota,
        408 => FailureClass::Timeout,
        409 | 425 | 500.. => FailureClass::Unavailable,
        429 => FailureClass::RateLimited { retry_after },
        400..=499 => FailureClass::BadRequest,
        _ => FailureClass::Protocol,
    }
}

/// The class that a reason in words states, or `otherwise`: the first of the known ones in it.
pub(crate) fn class_of_reason(
    known: &[(&str, FailureClass)],
    reason: &str,
    otherwise: FailureClass,
) -> FailureClass {
    known.iter().find(|(name, _)| reason.contains(name)).map_or(otherwise, |(_, class)| *class)
}

/// What the close code of a websocket in use says (RFC 6455, section 7.4.1).
pub(crate) fn class_of_close(code: u16) -> FailureClass {
    match code {
        1002 | 1003 | 1007 | 1009 | 1010 => FailureClass::Protocol,
        1008 => FailureClass::BadRequest,
        1011..=1014 => FailureClass::Unavailable,
        _ => FailureClass::Closed,
    }
}

/// How long the provider asks us to wait: `retry-after-ms`, or `retry-after` in seconds or as a
/// date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = header("retry-after-ms")
        .and_then(|value| value.parse::<f64>().ok())
        .and_then(|value| Duration::try_from_secs_f64(value / 1_000.0).ok());
    let wait = milliseconds.or_else(|| {
        let value = header(RETRY_AFTER.as_str())?;
        match value.parse::<f64>() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => {
                let date = rfc2822::parse(value).ok()?.timestamp();
                Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
            }
        }
    });
    wait.map(|wait| wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &'static str, value: &'static str) -> Option<Duration> {
        let now: Timestamp = "2026-11-21T08:49:00Z".parse().unwrap();
        retry_after(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]), now)
    }

    #[test]
    fn retry_after_is_read_in_each_of_its_forms() {
        assert_eq!(asked("retry-after-ms", "1500"), Some(Duration::from_millis(1_500)));
        assert_eq!(asked("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(asked("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(
            asked("retry-after", "Sat, 21 Nov 2026 08:49:37 GMT"),
            Some(Duration::from_secs(37))
        );
    }

    #[test]
    fn a_senseless_retry_after_is_none_or_bounded() {
        assert_eq!(asked("retry-after", "soon"), None);
        assert_eq!(asked("retry-after", "-4"), None);
        assert_eq!(asked("retry-after", "NaN"), None);
        assert_eq!(asked("retry-after", "1e300"), None);
        assert_eq!(asked("retry-after", "999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(
            asked("retry-after", "Fri, 20 Nov 2026 08:49:37 GMT"),
            Some(Duration::ZERO),
            "a date in the past"
        );
    }

    #[test]
    fn every_status_and_close_code_has_a_class() {
        let class = |status| class_of_status(status, None).name();
        let statuses = [302, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503];
        assert_eq!(
            statuses.map(class),
            [
                "protocol",
                "bad-request",
                "unauthorized",
                "quota",
                "unauthorized",
                "bad-request",
                "timeout",
                "unavailable",
                "bad-request",
                "rate-limited",
                "unavailable",
                "unavailable",
            ]
        );
        let closed = [1000, 1001, 1002, 1006, 1008, 1009, 1011, 1013, 4000];
        assert_eq!(
            closed.map(|code| class_of_close(code).name()),
            [
                "closed",
                "closed",
                "protocol",
                "closed",
                "bad-request",
                "protocol",
                "unavailable",
                "unavailable",
                "closed",
            ]
        );
    }
}
