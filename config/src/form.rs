//! The forms that values take in files and variables.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use figment::value::Value;
use secrecy::SecretString;
use url::Url;

/// How a value is written. Variables hold nothing but text, so every form can be read from text.
pub(crate) trait Form {
    type Value;

    /// What works, to complete "expected ...".
    const EXPECTED: &'static str;
    /// Whether TOML needs quotes around it.
    const IS_QUOTED: bool = true;
    /// Whether it may never be shown.
    const IS_SECRET: bool = false;

    fn parse(text: &str) -> Option<Self::Value>;

    fn read(value: &Value) -> Option<Self::Value> {
        Self::parse(&plain_text(value)?)
    }

    /// The value where nobody gives one; `None` where the default always does.
    fn unset() -> Option<Self::Value> {
        None
    }

    /// How much it is, for values that have limits.
    fn amount(_value: &Self::Value) -> Option<u64> {
        None
    }
}

/// A setting that may be left out.
pub(crate) struct Maybe<F>(F);

impl<F: Form> Form for Maybe<F> {
    type Value = Option<F::Value>;
    const EXPECTED: &'static str = F::EXPECTED;
    const IS_QUOTED: bool = F::IS_QUOTED;
    const IS_SECRET: bool = F::IS_SECRET;

    fn parse(text: &str) -> Option<Self::Value> {
        F::parse(text).map(Some)
    }

    fn read(value: &Value) -> Option<Self::Value> {
        F::read(value).map(Some)
    }

    fn unset() -> Option<Self::Value> {
        Some(None)
    }

    fn amount(value: &Self::Value) -> Option<u64> {
        F::amount(value.as_ref()?)
    }
}

pub(crate) struct Address;

impl Form for Address {
    type Value = SocketAddr;
    const EXPECTED: &'static str = "an address and port such as 127.0.0.1:8080";

    fn parse(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }
}

/// The address of a server, kept as it was given.
pub(crate) struct HttpUrl;

impl Form for HttpUrl {
    type Value = String;
    const EXPECTED: &'static str = "an http or https URL such as https://voice.example.com";

    fn parse(text: &str) -> Option<String> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        let is_http = matches!(url.scheme(), "http" | "https");
        (is_http && is_plain && url.has_host()).then(|| text.to_owned())
    }
}

/// An address of a provider, which may be a socket's.
pub(crate) struct WebUrl;

impl Form for WebUrl {
    type Value = String;
    const EXPECTED: &'static str = "a URL such as https://voice.example.com";

    fn parse(text: &str) -> Option<String> {
        let url = Url::parse(text).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https" | "ws" | "wss");
        (is_web && url.has_host()).then(|| text.to_owned())
    }
}

pub(crate) struct Text;

impl Form for Text {
    type Value = String;
    const EXPECTED: &'static str = "some text";

    fn parse(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

pub(crate) struct Folder;

impl Form for Folder {
    type Value = PathBuf;
    const EXPECTED: &'static str = "a path";

    fn parse(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| text.into())
    }
}

pub(crate) struct Span;

impl Form for Span {
    type Value = Duration;
    const EXPECTED: &'static str = "a duration such as 600ms, 30s, 10m or 24h";

    fn parse(text: &str) -> Option<Duration> {
        let (number, unit) = number_and_unit(text)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.checked_mul(milliseconds).map(Duration::from_millis)
    }

    fn amount(value: &Duration) -> Option<u64> {
        u64::try_from(value.as_millis()).ok()
    }
}

pub(crate) struct Bytes;

impl Form for Bytes {
    type Value = u64;
    const EXPECTED: &'static str = "a size such as 512B, 64KiB or 1MiB";

    fn parse(text: &str) -> Option<u64> {
        let (number, unit) = number_and_unit(text)?;
        let bytes = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(bytes)
    }

    fn amount(value: &u64) -> Option<u64> {
        Some(*value)
    }
}

pub(crate) struct Count;

impl Form for Count {
    type Value = u32;
    const EXPECTED: &'static str = "a whole number such as 100";
    const IS_QUOTED: bool = false;

    fn parse(text: &str) -> Option<u32> {
        text.parse().ok()
    }

    fn amount(value: &u32) -> Option<u64> {
        Some((*value).into())
    }
}

pub(crate) struct Switch;

impl Form for Switch {
    type Value = bool;
    const EXPECTED: &'static str = "true or false";
    const IS_QUOTED: bool = false;

    fn parse(text: &str) -> Option<bool> {
        text.parse().ok()
    }
}

pub(crate) struct Secret;

impl Form for Secret {
    type Value = SecretString;
    const EXPECTED: &'static str = "some text";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Option<SecretString> {
        (!text.is_empty()).then(|| text.into())
    }
}

pub(crate) struct Secrets;

impl Form for Secrets {
    type Value = Vec<SecretString>;
    const EXPECTED: &'static str = "a list of texts, separated by commas in a variable";
    const IS_QUOTED: bool = false;
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Option<Vec<SecretString>> {
        text.split(',').map(|part| Secret::parse(part.trim())).collect()
    }

    fn read(value: &Value) -> Option<Vec<SecretString>> {
        match value.as_array() {
            Some(parts) => parts.iter().map(Secret::read).collect(),
            None => Self::parse(&plain_text(value)?),
        }
    }

    fn unset() -> Option<Vec<SecretString>> {
        Some(Vec::new())
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

impl LogFormat {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

pub(crate) struct LogFormatName;

impl Form for LogFormatName {
    type Value = LogFormat;
    const EXPECTED: &'static str = "one of auto, text, json";

    fn parse(text: &str) -> Option<LogFormat> {
        [LogFormat::Auto, LogFormat::Text, LogFormat::Json]
            .into_iter()
            .find(|format| format.as_str() == text)
    }
}

/// A single value as somebody would write it; lists and tables have no such form.
pub(crate) fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, letter) => Some(letter.to_string()),
        Value::Bool(_, switch) => Some(switch.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|number| number.to_string())
            .or_else(|| number.to_u128().map(|number| number.to_string()))
            .or_else(|| number.to_f64().map(|number| number.to_string())),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => None,
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(Span::parse("600ms"), Some(Duration::from_millis(600)));
        assert_eq!(Span::parse("10 m"), Some(Duration::from_secs(600)));
        assert_eq!(Span::parse("1d"), Some(Duration::from_secs(86_400)));
        for wrong in ["", "5", "s", "-5s", "1.5s", "5 parsecs", "99999999999999999999s"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Span::parse(&format!("{}d", u64::MAX)), None);
    }

    #[test]
    fn sizes_are_binary_and_say_so() {
        assert_eq!(Bytes::parse("64KiB"), Some(65_536));
        assert_eq!(Bytes::parse("7B"), Some(7));
        for wrong in ["64", "64KB", "64kb", "KiB"] {
            assert_eq!(Bytes::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn urls_need_a_scheme_of_the_web_and_a_host() {
        assert_eq!(WebUrl::parse("wss://x.example/y").as_deref(), Some("wss://x.example/y"));
        for wrong in ["voice.example.com", "localhost:8080", "ftp://x.example", "https://", ""] {
            assert_eq!(WebUrl::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_come_as_a_list_or_separated_by_commas() {
        assert_eq!(Secrets::read(&Value::from("a, b")).unwrap().len(), 2);
        assert_eq!(Secrets::read(&Value::from(vec!["a", "b", "c"])).unwrap().len(), 3);
        assert_eq!(Secrets::read(&Value::from(12_345)).unwrap().len(), 1);
        assert!(Secrets::read(&Value::from("a,,b")).is_none());
    }
}
