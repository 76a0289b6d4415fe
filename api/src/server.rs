//! Where a webhook goes: the contract's `Server`.

use std::{collections::BTreeMap, fmt, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use crate::lenient;

/// Wait for an answer when the document does not say (`Server.timeoutSeconds`).
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(20);
/// The longest wait that the contract lets a document ask for.
const TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// The most retries that the contract lets a document ask for.
const RETRIES_MAX: u32 = 10;

/// A server that webhooks and tool calls are sent to.
#[derive(Clone)]
pub struct ServerTarget {
    pub url: String,
    /// Headers to send along; they may hold secrets.
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    /// Sent as `X-Vapi-Secret`.
    pub secret: Option<SecretString>,
    pub credential_id: Option<String>,
    /// How to retry; none: as the runtime does by itself.
    pub backoff: Option<Backoff>,
}

/// How a request that failed is retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub kind: BackoffKind,
    pub max_retries: u32,
    pub base_delay: Duration,
    /// Answers with these statuses are final.
    pub excluded_status_codes: Vec<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffKind {
    #[default]
    Fixed,
    Exponential,
}

impl Backoff {
    /// The wait before retry number `retry` (from 1), or nothing when that is one too many.
    pub fn delay(&self, retry: u32) -> Option<Duration> {
        if retry == 0 || retry > self.max_retries {
            return None;
        }
        Some(match self.kind {
            BackoffKind::Fixed => self.base_delay,
            BackoffKind::Exponential => self.base_delay * 2_u32.saturating_pow(retry - 1),
        })
    }
}

impl ServerTarget {
    /// Reads a `server` object; one without a URL is no server.
    pub fn read(server: &Value) -> Option<Self> {
        let fields = Fields::deserialize(server).ok()?;
        let url = fields.url.filter(|url| !url.trim().is_empty())?;
        Some(Self {
            url,
            headers: fields.headers.unwrap_or_default().into_iter().filter_map(header).collect(),
            timeout: fields
                .timeout_seconds
                .map_or(TIMEOUT_DEFAULT, lenient::seconds)
                .clamp(Duration::from_secs(1), TIMEOUT_MAX),
            secret: fields.secret.filter(|secret| !secret.is_empty()).map(SecretString::from),
            credential_id: fields.credential_id,
            backoff: fields.backoff_plan.map(BackoffFields::read),
        })
    }

    /// A server known by its URL alone (`serverUrl`, a setting).
    pub fn from_url(url: impl Into<String>, secret: Option<SecretString>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            timeout: TIMEOUT_DEFAULT,
            secret,
            credential_id: None,
            backoff: None,
        }
    }
}

impl fmt::Debug for ServerTarget {
    /// Leaves out what may be secret: header values and the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ServerTarget")
            .field("url", &self.url)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("credential_id", &self.credential_id)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    url: Option<String>,
    headers: Option<BTreeMap<String, Value>>,
    timeout_seconds: Option<f64>,
    secret: Option<String>,
    credential_id: Option<String>,
    backoff_plan: Option<BackoffFields>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackoffFields {
    #[serde(rename = "type")]
    kind: Option<BackoffKind>,
    max_retries: Option<f64>,
    base_delay_seconds: Option<f64>,
    excluded_status_codes: Option<Vec<Value>>,
}

impl BackoffFields {
    fn read(self) -> Backoff {
        let status = |value: &Value| match value.as_str() {
            Some(text) => text.parse().ok(),
            None => value.as_f64().map(|number| number as u16),
        };
        Backoff {
            kind: self.kind.unwrap_or_default(),
            max_retries: self.max_retries.map_or(0, lenient::count).min(RETRIES_MAX),
            base_delay: self.base_delay_seconds.map_or(Duration::from_secs(1), lenient::seconds),
            excluded_status_codes: self
                .excluded_status_codes
                .unwrap_or_default()
                .iter()
                .filter_map(status)
                .collect(),
        }
    }
}

fn header((name, value): (String, Value)) -> Option<(String, String)> {
    match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        Value::Bool(truth) => Some((name, truth.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_needs_only_its_url() {
        let server = ServerTarget::read(&json!({"url": "https://a.example/hook"})).unwrap();
        assert_eq!(server.timeout, Duration::from_secs(20));
        assert!(server.backoff.is_none() && server.headers.is_empty() && server.secret.is_none());
        assert!(ServerTarget::read(&json!({"timeoutSeconds": 5})).is_none());
        assert!(ServerTarget::read(&json!({"url": " "})).is_none());
    }

    #[test]
    fn every_field_of_a_server_is_read() {
        let server = ServerTarget::read(&json!({
            "url": "https://a.example/hook",
            "headers": {"X-Tenant": "a", "X-Number": 7},
            "timeoutSeconds": 2.5,
            "secret": "hush",
            "credentialId": "c1",
            "backoffPlan": {"type": "exponential", "maxRetries": 3.0, "baseDelaySeconds": 1,
                "excludedStatusCodes": [400, "401"]},
        }))
        .unwrap();
        assert_eq!(
            server.headers,
            [("X-Number", "7"), ("X-Tenant", "a")].map(|(a, b)| (a.into(), b.into()))
        );
        assert_eq!(server.timeout, Duration::from_millis(2_500));
        assert_eq!(server.secret.as_ref().unwrap().expose_secret(), "hush");
        let backoff = server.backoff.clone().unwrap();
        assert_eq!(backoff.excluded_status_codes, [400, 401]);
        let delays: Vec<_> =
            (0..5).map(|retry| backoff.delay(retry).map(|d| d.as_secs())).collect();
        assert_eq!(delays, [None, Some(1), Some(2), Some(4), None]);
        let debug = format!("{server:?}");
        assert!(!debug.contains("hush") && !debug.contains("\"7\""), "{debug}");
    }

    #[test]
    fn a_wait_stays_within_the_contracts_limits() {
        let timeout = |seconds: f64| {
            ServerTarget::read(&json!({"url": "https://a", "timeoutSeconds": seconds}))
                .unwrap()
                .timeout
        };
        assert_eq!(timeout(-4.0), Duration::from_secs(1));
        assert_eq!(timeout(1e300), Duration::from_secs(300));
    }
}
