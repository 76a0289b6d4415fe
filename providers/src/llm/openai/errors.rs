use std::{error::Error, time::Duration};

use offhook_core::FailureClass;
use serde_json::Value;

use crate::{
    ProviderError,
    net::{
        refusal::{Refusal, unreadable},
        status::{class_of_reason, class_of_status, retry_after},
    },
};

/// How much of the body of a refusal is read, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;

/// How long the body of a refusal is waited for: its status is known already.
const BODY_LIMIT: Duration = Duration::from_secs(2);

/// Codes and types that say more than a status (OpenAI's guide to error codes).
const REASONS: &[(&str, FailureClass)] = &[
    ("insufficient_quota", FailureClass::Quota),
    ("billing", FailureClass::Quota),
    ("invalid_api_key", FailureClass::Unauthorized),
    ("model_not_found", FailureClass::BadRequest),
];

/// Codes and types of an error in mid-stream, where no status comes with it.
const STREAM_REASONS: &[(&str, FailureClass)] = &[
    ("rate_limit", FailureClass::RateLimited { retry_after: None }),
    ("invalid_request", FailureClass::BadRequest),
];

/// Codes that name a parameter which the request can be repeated without.
const UNSUPPORTED: [&str; 2] = ["unsupported_parameter", "unsupported_value"];

/// Makes the errors of one vendor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errors {
    pub provider: &'static str,
}

impl Errors {
    pub fn error(&self, class: FailureClass, detail: impl std::fmt::Display) -> ProviderError {
        ProviderError::new(class, format!("{}: {detail}", self.provider))
    }

    /// A chunk that cannot be read.
    pub fn unreadable(&self, error: &serde_json::Error) -> ProviderError {
        self.error(FailureClass::Protocol, unreadable(error))
    }

    /// The error of a refused request, and the parameter that the model does not support.
    pub async fn refused(
        &self,
        place: &str,
        answer: reqwest::Response,
    ) -> (ProviderError, Option<String>) {
        let status = answer.status().as_u16();
        let wait = retry_after(answer.headers(), jiff::Timestamp::now());
        let refusal = Refusal::from_body(&body(answer).await);
        let code = refusal.code.as_deref().unwrap_or_default();
        let class = class_of_reason(REASONS, code, class_of_status(status, wait));
        let reason = refusal.describe(class);
        let error = self.error(class, format!("asking {place} was answered with {status} {reason}"));
        (error, refusal.param.filter(|_| UNSUPPORTED.contains(&code)))
    }

    /// The error that a stream reported instead of going on.
    pub fn in_stream(&self, event: &Value) -> ProviderError {
        let refusal = Refusal::from_json(event);
        let code = refusal.code.as_deref().unwrap_or_default();
        let by_status = code.parse().map(|status| class_of_status(status, None));
        let class = by_status.unwrap_or_else(|_| {
            class_of_reason(REASONS, code, class_of_reason(STREAM_REASONS, code, FailureClass::Unavailable))
        });
        self.error(class, format!("broke off the reply: {}", refusal.describe(class)))
    }
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

/// An error with its causes: reqwest's own text does not say why. The address is left to the
/// caller, for it may hold a password.
pub(super) fn causes(error: &reqwest::Error) -> String {
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
