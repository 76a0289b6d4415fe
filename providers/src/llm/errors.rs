//! The errors of a model's endpoint, however its answers say them.

use std::time::Duration;

use offhook_core::FailureClass;
use serde_json::Value;

use crate::{
    ProviderError,
    net::{
        refusal::{Refusal, unreadable},
        status::{class_of_reason, class_of_status, retry_after},
    },
};

/// How much of a body that is no stream is read, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;

/// How long the body of a refusal is waited for: its status is known already.
const BODY_LIMIT: Duration = Duration::from_secs(2);

/// What a reason of one's own means: a code or status as it stands, or a part of a code or of a
/// message. The first that fits counts.
pub(super) type Reasons = &'static [(&'static str, FailureClass)];

/// Codes and types that say more than a status (OpenAI's guide to error codes).
const REASONS: Reasons = &[
    ("insufficient_quota", FailureClass::Quota),
    ("billing", FailureClass::Quota),
    ("invalid_api_key", FailureClass::Unauthorized),
    ("model_not_found", FailureClass::BadRequest),
];

/// Codes and types of an error in mid-stream, where no status comes with it.
const STREAM_REASONS: Reasons = &[
    ("rate_limit", FailureClass::RateLimited { retry_after: None }),
    ("invalid_request", FailureClass::BadRequest),
];

/// Codes that name a parameter which the request can be repeated without.
const UNSUPPORTED: [&str; 2] = ["unsupported_parameter", "unsupported_value"];

/// Codes of a filter: Azure's, OpenAI's for images and prompts, MiniMax's for what it is told and
/// for what it says. The conversation can go on without such a reply.
const FILTERED: [&str; 6] = [
    "content_filter",
    "content_policy_violation",
    "ResponsibleAIPolicyViolation",
    "invalid_prompt",
    "1026",
    "1027",
];

/// Makes the errors of one vendor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errors {
    pub provider: &'static str,
    /// What it says that others do not, before [`REASONS`].
    pub reasons: Reasons,
}

/// A request that was answered with a status other than success.
pub(super) struct Refused {
    pub error: ProviderError,
    /// The parameter that the model does not support, where the answer has a field for it.
    pub param: Option<String>,
    /// Why the request cannot be taken as it stands, in words; nothing for refusals of other kinds.
    pub complaint: Option<String>,
    /// A filter does not let the conversation through.
    pub is_filtered: bool,
}

impl Errors {
    pub fn error(&self, class: FailureClass, detail: impl std::fmt::Display) -> ProviderError {
        ProviderError::new(class, format!("{}: {detail}", self.provider))
    }

    /// A chunk that cannot be read.
    pub fn unreadable(&self, error: &serde_json::Error) -> ProviderError {
        self.error(FailureClass::Protocol, unreadable(error))
    }

    /// Reads a refusal.
    pub async fn refused(&self, place: &str, answer: reqwest::Response) -> Refused {
        let status = answer.status().as_u16();
        let wait = retry_after(answer.headers(), jiff::Timestamp::now());
        let refusal = from_body(&body(answer).await);
        let code = refusal.code.as_deref().unwrap_or_default();
        let by_code = class_of_reason(REASONS, code, class_of_status(status, wait));
        let mut class = self.own_class(Some(status), &refusal).unwrap_or(by_code);
        if let FailureClass::RateLimited { retry_after } = &mut class {
            *retry_after = wait;
        }
        let reason = refusal.describe(class);
        let error =
            self.error(class, format!("asking {place} was answered with {status} {reason}"));
        let is_filtered = class == FailureClass::BadRequest && FILTERED.contains(&code);
        let unsupported = UNSUPPORTED.contains(&code);
        Refused {
            error,
            param: refusal.param.filter(|_| unsupported),
            complaint: refusal.message.filter(|_| class == FailureClass::BadRequest),
            is_filtered,
        }
    }

    /// Whether what a stream reported is that a filter stopped it.
    pub fn is_filtered(&self, event: &Value) -> bool {
        from_json(event).code.is_some_and(|code| FILTERED.contains(&code.as_str()))
    }

    /// The error that a stream reported instead of going on.
    pub fn in_stream(&self, event: &Value) -> ProviderError {
        let (class, reason) = self.reported(event, FailureClass::Unavailable);
        self.error(class, format!("broke off the reply: {reason}"))
    }

    /// The error of an answer that was accepted and is no stream.
    pub fn instead_of_stream(&self, answer: &Value) -> ProviderError {
        let (class, reason) = self.reported(answer, FailureClass::Protocol);
        self.error(class, format!("answered with JSON where a stream was due: {reason}"))
    }

    fn reported(&self, event: &Value, otherwise: FailureClass) -> (FailureClass, String) {
        let refusal = from_json(event);
        let code = refusal.code.as_deref().unwrap_or_default();
        let by_code = || match code.parse() {
            Ok(status) => class_of_status(status, None),
            Err(_) => {
                class_of_reason(REASONS, code, class_of_reason(STREAM_REASONS, code, otherwise))
            }
        };
        let class = self.own_class(None, &refusal).unwrap_or_else(by_code);
        (class, refusal.describe(class))
    }

    fn own_class(&self, status: Option<u16>, refusal: &Refusal) -> Option<FailureClass> {
        let status = status.map(|status| status.to_string());
        let [code, message] =
            [&refusal.code, &refusal.message].map(|text| text.as_deref().unwrap_or_default());
        let fits = |name: &str| match name.bytes().all(|byte| byte.is_ascii_digit()) {
            true => code == name || status.as_deref() == Some(name),
            false => code.contains(name) || message.contains(name),
        };
        self.reasons.iter().find(|(name, _)| fits(name)).map(|(_, class)| *class)
    }
}

fn from_body(body: &[u8]) -> Refusal {
    match serde_json::from_slice(body) {
        Ok(value) => from_json(&value),
        Err(_) => Refusal::from_body(body),
    }
}

/// Reads an error, also in the places where only one vendor puts it.
fn from_json(value: &Value) -> Refusal {
    // MiniMax: `{"base_resp": {"status_code": 1004, "status_msg": ".."}}`.
    if let Some(base) = value.get("base_resp").filter(|base| base["status_code"] != 0) {
        return Refusal {
            code: base["status_code"].as_i64().map(|code| code.to_string()),
            message: base["status_msg"].as_str().map(Into::into),
            param: None,
        };
    }
    // Groq: `{"x_groq": {"error": ".."}}` in a chunk.
    if let Some(groq) = value.get("x_groq") {
        return Refusal::from_json(groq);
    }
    let mut refusal = Refusal::from_json(value);
    // Anthropic: `{"error": {"type": "..", "details": {"error_code": ".."}}}`.
    if let Some(detail) = value.pointer("/error/details/error_code").and_then(Value::as_str) {
        let code = refusal.code.take().unwrap_or_default();
        refusal.code = Some(format!("{code}/{detail}"));
    }
    refusal
}

/// As much of a body as comes in time.
async fn body(mut answer: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(part)) = answer.chunk().await {
            body.extend_from_slice(&part);
            if body.len() >= BODY_BYTES_MAX {
                break;
            }
        }
    };
    // What has come by then is enough to tell.
    let _ = tokio::time::timeout(BODY_LIMIT, reading).await;
    body
}
