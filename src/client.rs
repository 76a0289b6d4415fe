//! A client of a server's HTTP API: what any user's program would do, and no more.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Time for an answer; a recording of an hour takes some seconds on a slow line.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a call is looked at while its end is awaited.
const POLL: Duration = Duration::from_millis(100);

/// The API of one server, used with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    key: String,
}

impl Client {
    /// `server` is the address that the API's paths are appended to.
    pub fn new(server: &str, key: &str) -> Result<Self, String> {
        let wrong = |reason: &str| {
            format!(
                "`{server}` is no address of a server ({reason}), expected http://127.0.0.1:8080"
            )
        };
        let url = Url::parse(server).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("neither http nor https"));
        }
        let mut builder = reqwest::Client::builder();
        if url.scheme() == "http" {
            builder = without_roots(builder);
        } else {
            // The system's certificates hold for a server with one of its owner's. The provider of
            // TLS is for the process; a second installation is refused, and does no harm.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        if is_local(&url) {
            // A proxy would look for the address on its own machine.
            builder = builder.no_proxy();
        }
        let http = builder
            .timeout(TIMEOUT)
            .user_agent(concat!("offhook/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| cannot_set_up(&error))?;
        Ok(Self { http, server: server.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.send(Method::GET, path, None).await
    }

    /// Waits for the end of a call and returns it; a call that goes on is returned as it is.
    pub async fn ended_call(&self, id: &str, limit: Duration) -> Result<Value, String> {
        let deadline = Instant::now() + limit;
        loop {
            let call = self.get(&format!("/call/{id}")).await?;
            if call["status"] == "ended" || Instant::now() > deadline {
                return Ok(call);
            }
            sleep(POLL).await;
        }
    }

    /// Downloads a file of which the API gave the address.
    pub async fn download(&self, url: &str) -> Result<Bytes, String> {
        let failed =
            |reason: String| format!("downloading {} failed: {reason}", without_query(url));
        let response = self.http.get(url).send().await.map_err(|error| failed(cause(&error)))?;
        if !response.status().is_success() {
            return Err(failed(response.status().to_string()));
        }
        response.bytes().await.map_err(|error| failed(cause(&error)))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let what = format!("{method} {}{path}", self.server);
        let mut request =
            self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let text = response
            .text()
            .await
            .map_err(|error| format!("{what}: the answer broke off: {}", cause(&error)))?;
        match status {
            StatusCode::UNAUTHORIZED => Err(format!(
                "{what}: the server does not know this API key; give another with --key or OFFHOOK_API_KEY \
                 (the key that a server made for itself is in its data folder, in the file api-key)"
            )),
            status if !status.is_success() => {
                Err(format!("{what}: {status}: {}", complaint(&text)))
            }
            _ => serde_json::from_str(&text).map_err(|error| {
                format!("{what}: the answer is not JSON ({error}); is this an Offhook server?")
            }),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer from {} within {} s", self.server, TIMEOUT.as_secs());
        }
        format!(
            "cannot reach a server at {}: {}; start one with `offhook serve` or `make demo`, or name another \
             with --server",
            self.server,
            cause(error)
        )
    }
}

/// A client of servers on this machine.
pub fn local_http(timeout: Duration) -> Result<reqwest::Client, String> {
    let builder = without_roots(reqwest::Client::builder()).no_proxy().timeout(timeout);
    builder.build().map_err(|error| cannot_set_up(&error))
}

/// Without the system's certificates, which a small machine may not have and plain HTTP does not
/// need.
fn without_roots(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder.tls_backend_preconfigured(offhook_providers::tls::http_client())
}

fn cannot_set_up(error: &reqwest::Error) -> String {
    format!("cannot set up the HTTP client: {}", cause(error))
}

/// Whether an address is on this machine.
pub fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The first cause of a failed request: the words around it say nothing.
pub fn cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// An address without what may be a token.
pub fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// What the API's error document says: `message` is a text or a list of them.
fn complaint(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    match &document["message"] {
        Value::String(message) => message.clone(),
        Value::Array(messages) => {
            messages.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            body.chars().take(200).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_what_would_help() {
        let client = Client::new("http://127.0.0.1:1/", "key").unwrap();
        let error = client.get("/call/1").await.unwrap_err();
        assert!(error.starts_with("cannot reach a server at http://127.0.0.1:1: "), "{error}");
        assert!(error.contains("`offhook serve` or `make demo`"), "{error}");
    }

    #[tokio::test]
    async fn a_server_with_tls_is_called_with_the_certificates_of_the_system() {
        let client = Client::new("https://127.0.0.1:1", "key").unwrap();
        let error = client.get("/call/1").await.unwrap_err();
        assert!(error.starts_with("cannot reach a server at https://127.0.0.1:1: "), "{error}");
    }

    #[test]
    fn an_address_that_cannot_be_a_server_is_refused() {
        for address in ["127.0.0.1:8080", "ftp://127.0.0.1", ""] {
            let error = Client::new(address, "key").err().unwrap();
            assert!(error.contains("expected http://127.0.0.1:8080"), "{error}");
        }
    }

    #[test]
    fn every_complaint_of_the_api_is_passed_on() {
        assert_eq!(
            complaint(r#"{"message":["a must be b","c should not exist"]}"#),
            "a must be b; c should not exist"
        );
        assert_eq!(complaint(r#"{"message":"Not Found"}"#), "Not Found");
        assert_eq!(complaint("<html>"), "<html>");
    }

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        let local = |url: &str| is_local(&Url::parse(url).unwrap());
        assert!(
            local("http://127.0.0.1:80") && local("http://[::1]:80") && local("http://localhost")
        );
        assert!(!local("http://10.0.0.1") && !local("https://localhost.example.com"));
    }
}
