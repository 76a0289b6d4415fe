//! Requests whose answers are streams.

use std::{error::Error, time::Duration};

use offhook_core::FailureClass;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::{
    address::label,
    refusal::Refusal,
    socket::Peer,
    status::{class_of_status, retry_after},
};
use crate::ProviderError;

/// How much of the body of a refusal is read, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;

/// How long the body of a refusal is waited for: its status is known already.
const BODY_LIMIT: Duration = Duration::from_secs(2);

/// A resource that JSON is posted to.
#[derive(Clone)]
pub(crate) struct Resource {
    pub http: reqwest::Client,
    pub peer: Peer,
    pub url: Url,
    pub headers: HeaderMap,
}

impl Resource {
    /// Posts a body; the answer's head comes within `limit`, or it is given up.
    pub async fn post(
        &self,
        body: &Value,
        limit: Duration,
    ) -> Result<reqwest::Response, ProviderError> {
        let place = label(&self.url);
        let request = self.http.post(self.url.clone()).headers(self.headers.clone()).json(body);
        let answer = match timeout(limit, request.send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let class = match error.is_timeout() {
                    true => FailureClass::Timeout,
                    false => FailureClass::Unavailable,
                };
                let detail = format!("asking {place} failed: {}", causes(&error));
                return Err(self.peer.error(class, detail));
            }
            Err(_) => {
                let detail = format!("asking {place} was not answered within {limit:?}");
                return Err(self.peer.error(FailureClass::Timeout, detail));
            }
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let wait = retry_after(answer.headers(), jiff::Timestamp::now());
        let refusal = Refusal::from_body(&body_of(answer).await);
        let code = refusal.code.as_deref().unwrap_or_default();
        let class = self.peer.class_of(code, class_of_status(status, wait));
        let reason = refusal.describe(class);
        Err(self.peer.error(class, format!("asking {place} was answered with {status} {reason}")))
    }
}

/// As much of a body as comes in time.
async fn body_of(mut answer: reqwest::Response) -> Vec<u8> {
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
    let _ = timeout(BODY_LIMIT, reading).await;
    body
}

/// An error with its causes: reqwest's own text does not say why. The address is left to the
/// caller, for it may hold a password.
pub(crate) fn causes(error: &reqwest::Error) -> String {
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
