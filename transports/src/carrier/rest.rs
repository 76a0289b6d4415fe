//! Requests to a carrier's API: bounded, and their failures classified.

use std::{error::Error, sync::Arc, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};
use offhook_core::FailureClass;
use reqwest::{
    Method, RequestBuilder,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;
use tokio::time::timeout;
use url::{Url, form_urlencoded};

use super::{Carrier, CarrierError};

/// How long a carrier may take to answer a request. They answer within a second; a caller that is
/// being transferred waits for it.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may take: less than a request, so that a dead carrier is told from a slow
/// one.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept, so that a hang-up needs no handshake.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// Longest answer that is read, in bytes: a page of a list has some 100 KiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The longest pause that is believed of a `retry-after`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Longest text of a carrier that is carried in an error, in characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// A carrier's API at its address.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    carrier: Carrier,
}

impl Api {
    /// # Errors
    ///
    /// When the address is none of an API.
    pub fn new(carrier: Carrier, base_url: &str) -> Result<Self, CarrierError> {
        let bad = |problem: &str| {
            let detail = format!("{}'s base_url {problem}", carrier.name());
            CarrierError::refused(FailureClass::BadRequest, detail)
        };
        let mut base = Url::parse(base_url).map_err(|_| bad("is no address"))?;
        if !matches!(base.scheme(), "https" | "http") || !base.has_host() {
            return Err(bad("must begin with https:// or http://"));
        }
        // Paths are joined to it.
        let folder = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&folder);
        let http = reqwest::Client::builder()
            .use_preconfigured_tls(tls())
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| bad(&format!("cannot be asked: {error}")))?;
        Ok(Self { http, base, carrier })
    }

    /// A request to `path`, whose parts are escaped.
    pub(super) fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url)
    }

    /// Sends a request, and reads the JSON of its answer; `what` is for errors, as "creating a
    /// call".
    pub(super) async fn send(
        &self,
        what: &str,
        request: RequestBuilder,
    ) -> Result<Value, CarrierError> {
        let name = self.carrier.name();
        let failed = |class, may_have_happened, problem: String| CarrierError {
            class,
            status: None,
            code: None,
            may_have_happened,
            detail: format!("{what} at {name} {problem}"),
        };
        let exchange = async {
            let answer = request.send().await.map_err(|error| {
                let class = match error.is_timeout() {
                    true => FailureClass::Timeout,
                    false => FailureClass::Unavailable,
                };
                let sent = !error.is_connect() && !error.is_builder();
                failed(class, sent, format!("failed: {}", causes(&error)))
            })?;
            let status = answer.status().as_u16();
            let wait = retry_after(&answer);
            let body = read(answer).await;
            Ok((status, wait, body))
        };
        let late = || {
            let problem = format!("was not answered within {REQUEST_LIMIT:?}");
            failed(FailureClass::Timeout, true, problem)
        };
        let (status, wait, body) = timeout(REQUEST_LIMIT, exchange).await.map_err(|_| late())??;
        if (200..300).contains(&status) {
            let body = body.ok_or_else(|| {
                failed(FailureClass::Protocol, true, "was answered with half an answer".into())
            })?;
            if body.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&body).map_err(|_| {
                failed(FailureClass::Protocol, true, "was answered with what is no JSON".into())
            });
        }
        let said = Refusal::read(body.as_deref().unwrap_or_default());
        let class = class_of(status, wait);
        let problem = format!("was refused with {status} {}", said.describe(class));
        // A server that is broken may be so after the deed.
        let unsure = matches!(status, 500 | 502 | 504);
        Err(CarrierError {
            status: Some(status),
            code: said.code,
            ..failed(class, unsure, problem)
        })
    }
}

/// Adds a form to a request.
pub(super) fn with_form(request: RequestBuilder, fields: &[(&str, String)]) -> RequestBuilder {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
}

/// Reads a time as carriers write it, in seconds since the Unix epoch: RFC 2822 or RFC 3339.
pub(super) fn seconds_of(time: &Value) -> Option<i64> {
    let text = time.as_str()?;
    let rfc_3339 = text.parse::<Timestamp>().ok();
    let time = rfc_3339.or_else(|| Some(rfc2822::parse(text).ok()?.timestamp()))?;
    Some(time.as_second())
}

fn tls() -> ClientConfig {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn class_of(status: u16, retry_after: Option<Duration>) -> FailureClass {
    match status {
        401 | 403 => FailureClass::Unauthorized,
        402 => FailureClass::Quota,
        408 => FailureClass::Timeout,
        429 => FailureClass::RateLimited { retry_after },
        425 | 500.. => FailureClass::Unavailable,
        400..=499 => FailureClass::BadRequest,
        _ => FailureClass::Protocol,
    }
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds: f64 = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).ok()?.min(RETRY_AFTER_MAX))
}

/// The whole body, if it comes and is not too long.
async fn read(mut answer: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(part)) if body.len() + part.len() <= ANSWER_BYTES_MAX => {
                body.extend_from_slice(&part);
            }
            Ok(None) => return Some(body),
            Ok(Some(_)) | Err(_) => return None,
        }
    }
}

/// Why a carrier refused.
struct Refusal {
    code: Option<String>,
    message: Option<String>,
}

impl Refusal {
    /// Reads `{code, message}` (Twilio), `{errors: [{code, title, detail}]}` (Telnyx), or
    /// `{type, title, detail}` (Vonage).
    fn read(body: &[u8]) -> Self {
        let whole: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = whole.pointer("/errors/0").unwrap_or(&whole);
        let text = |name: &str| match &said[name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let message = text("title").or_else(|| text("message")).or_else(|| text("error_title"));
        Self { code: text("code").or_else(|| text("error-code")), message }
    }

    /// The texts of refused keys and numbers may quote them: digits are left out.
    fn describe(&self, class: FailureClass) -> String {
        let message = match class {
            FailureClass::Unauthorized => None,
            FailureClass::Quota
            | FailureClass::RateLimited { .. }
            | FailureClass::BadRequest
            | FailureClass::Unavailable
            | FailureClass::Timeout
            | FailureClass::Closed
            | FailureClass::Stalled
            | FailureClass::Protocol
            | FailureClass::Unsupported => self.message.as_deref(),
        };
        let message = message.map(|message| {
            let digits = |c: char| if c.is_ascii_digit() { 'x' } else { c };
            message.chars().take(MESSAGE_CHARS_MAX).map(digits).collect::<String>()
        });
        [self.code.clone(), message].into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

/// An error with its causes. The address is left out, it may hold a key or a number.
fn causes(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    match causes.is_empty() {
        true => "the request could not be made".into(),
        false => causes.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_each_carriers_shape_without_the_numbers_in_them() {
        for (body, code) in [
            (r#"{"code":20404,"message":"no +14155550100 here","status":404}"#, "20404"),
            (r#"{"errors":[{"code":"90018","title":"no +14155550100 here"}]}"#, "90018"),
            (r#"{"type":"https://x","title":"no +14155550100 here","detail":"d"}"#, ""),
        ] {
            let refusal = Refusal::read(body.as_bytes());
            assert_eq!(refusal.code.as_deref().unwrap_or_default(), code);
            let text = refusal.describe(FailureClass::BadRequest);
            assert!(text.ends_with("no +xxxxxxxxxxx here"), "{text}");
            assert!(!refusal.describe(FailureClass::Unauthorized).contains("here"));
        }
    }

    #[test]
    fn times_are_read_as_carriers_write_them() {
        for text in ["Sat, 21 Nov 2026 17:00:00 +0000", "2026-11-21T17:00:00.000Z"] {
            assert_eq!(seconds_of(&text.into()), Some(1_795_280_400), "{text}");
        }
        assert_eq!(seconds_of(&"yesterday".into()), None);
    }

    #[test]
    fn an_address_that_is_none_is_refused_by_name() {
        for (bad, expected) in [("twilio", "no address"), ("ftp://a", "https://"), ("data:a", "h")]
        {
            let error = Api::new(Carrier::Twilio, bad).err().unwrap();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
