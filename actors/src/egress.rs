//! Requests to addresses that documents name: webhooks and tools.
//!
//! A document may come from somebody who must not reach what the server can reach. Private,
//! loopback and link-local addresses are refused unless the operator allows them, whether they are
//! written out or come from a name, and redirects are not followed.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use offhook_api::ServerTarget;
use offhook_providers::guard;
pub use reqwest::Request;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::{
    Vault,
    signature::{self, Outbound},
};

/// Where requests of documents go out.
#[derive(Clone)]
pub struct Egress {
    http: reqwest::Client,
    in_process: Option<Arc<dyn Receiver>>,
    allow_private: bool,
    /// Signs what has no secret of its own.
    signing_secret: Option<SecretString>,
    vault: Vault,
}

/// A request to a server that a document names.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    pub target: &'a ServerTarget,
    /// The organisation whose document it is, and whose credentials it may name.
    pub org: &'a str,
    pub body: &'a Value,
    /// Makes a repeat recognisable.
    pub event_id: &'a str,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Takes posts in the place of the network: where time is virtual, nobody may wait for a socket.
pub trait Receiver: Send + Sync {
    /// Answers a request with its URL, headers and body; the wait is bounded by whoever posts.
    fn receive(&self, request: Request) -> BoxFuture<'static, Result<Answer, String>>;
}

/// An answer longer than this is not read: a tool's result is meant for a prompt.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Longest wait for a connection; the request's own limit starts with it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a credential to be read from the store.
const CREDENTIAL_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("`{0}` is not an http or https address")]
    BadUrl(String),
    #[error(
        "`{0}` is a private address; set webhooks.allow_private_addresses = true to allow such"
    )]
    Private(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Failed(String),
    #[error("its credentialId {0}")]
    Credential(String),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("it answered with status {0}, expected 200")]
    Status(u16),
}

impl Egress {
    pub fn new(
        allow_private: bool,
        signing_secret: Option<SecretString>,
        vault: Vault,
    ) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(offhook_providers::tls::http_client())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(Arc::new(guard::GuardedDns { allow_private }))
            .user_agent(concat!("offhook/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .map_err(|error| format!("cannot set up the HTTP client: {error}"))?;
        Ok(Self { http, in_process: None, allow_private, signing_secret, vault })
    }

    /// Posts go to `receiver` and not to the network.
    #[must_use]
    pub fn posting_to(self, receiver: Option<Arc<dyn Receiver>>) -> Self {
        Self { in_process: receiver, ..self }
    }

    /// Posts a JSON body as the target asks.
    pub async fn post(&self, post: Post<'_>) -> Result<Answer, EgressError> {
        let Post { target, org, body, event_id } = post;
        let url = self.check(&target.url)?;
        let bytes = body.to_string();
        let outbound = Outbound {
            method: "POST",
            url: &target.url,
            body: &bytes,
            id: event_id,
            timestamp: Timestamp::now().as_second(),
        };
        let mut headers = self.convincing(org, target, &outbound).await?;
        for (name, value) in &target.headers {
            // Validated with the document; a header that HTTP cannot carry is left out.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
            {
                // The contract has the document's headers override the credential's.
                headers.insert(name, value);
            }
        }
        let mut request = self
            .http
            .post(url)
            .timeout(target.timeout)
            .header("content-type", "application/json")
            .header("x-offhook-event-id", event_id)
            .header("idempotency-key", event_id);
        if let Some(secret) = &target.secret {
            request = request.header("x-vapi-secret", secret.expose_secret());
        }
        if let Some(secret) = &self.signing_secret {
            request = request.header("x-vapi-signature", sign(secret, bytes.as_bytes()));
        }
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| match error.is_timeout() {
            true => EgressError::Timeout(target.timeout),
            false => EgressError::Failed(describe(&error)),
        };
        let request = request.body(bytes).build().map_err(failed)?;
        if let Some(receiver) = &self.in_process {
            let answered = tokio::time::timeout(target.timeout, receiver.receive(request)).await;
            return answered
                .map_err(|_| EgressError::Timeout(target.timeout))?
                .map_err(EgressError::Failed);
        }
        let response = self.http.execute(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = read(response, ANSWER_BYTES_MAX, failed).await?;
        Ok(Answer { status, body })
    }

    /// Gets a file from an address that a document names.
    pub async fn fetch(
        &self,
        url: &str,
        bytes_max: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, EgressError> {
        let failed = |error: reqwest::Error| match error.is_timeout() {
            true => EgressError::Timeout(limit),
            false => EgressError::Failed(describe(&error)),
        };
        let request = self.http.get(self.check(url)?).timeout(limit);
        let response = request.send().await.map_err(failed)?;
        match response.status().as_u16() {
            200 => read(response, bytes_max, failed).await,
            status => Err(EgressError::Status(status)),
        }
    }

    /// The headers that the target's credential asks for.
    async fn convincing(
        &self,
        org: &str,
        target: &ServerTarget,
        outbound: &Outbound<'_>,
    ) -> Result<HeaderMap, EgressError> {
        let Some(id) = &target.credential_id else { return Ok(HeaderMap::new()) };
        let looked_up = tokio::time::timeout(CREDENTIAL_TIMEOUT, self.vault.server_auth(org, id));
        let auth = looked_up
            .await
            .map_err(|_| EgressError::Timeout(CREDENTIAL_TIMEOUT))?
            .map_err(|error| EgressError::Credential(error.to_string()))?;
        let headers = signature::headers(&auth, outbound).map_err(EgressError::Credential)?;
        Ok(headers.into_iter().collect())
    }

    fn check(&self, url: &str) -> Result<Url, EgressError> {
        let parsed = Url::parse(url).map_err(|_| EgressError::BadUrl(url.into()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(EgressError::BadUrl(url.into()));
        }
        if !parsed.has_host() {
            return Err(EgressError::BadUrl(url.into()));
        }
        match guard::private_literal(&parsed) {
            Some(address) if !self.allow_private => Err(EgressError::Private(address)),
            Some(_) | None => Ok(parsed),
        }
    }
}

/// Reads an answer to its end, as far as it is not too long.
async fn read(
    mut response: reqwest::Response,
    bytes_max: usize,
    failed: impl Fn(reqwest::Error) -> EgressError,
) -> Result<Vec<u8>, EgressError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(&failed)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(EgressError::TooLong(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// HMAC-SHA256 of the body, in hex.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};

    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The innermost cause says most: "connection refused", "private address".
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("request failed: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_hmac_sha256_in_hex() {
        // RFC 4231, test case 2.
        let signature = sign(&SecretString::from("Jefe"), b"what do ya want for nothing?");
        assert_eq!(signature, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
