use std::{collections::BTreeMap, time::Duration};

use reqwest::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{address, socket::key_header};
use crate::Access;

/// The contract's default of `timeoutSeconds`, and its bounds.
const TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// Headers that frame a request, and are not a document's to set.
const RESERVED: [HeaderName; 6] =
    [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, UPGRADE];

/// The header that carries a server's `secret` in the contract.
const SECRET: HeaderName = HeaderName::from_static("x-vapi-secret");

/// The server that a document names for a custom provider.
///
/// A `base_url` of the operator stands for all of them, and only there goes the operator's key: a
/// document may name any address.
pub(crate) struct CustomServer {
    pub url: Url,
    pub headers: HeaderMap,
    pub timeout: Duration,
}

/// The document's `server` object.
///
/// Not acted on here: `credentialId` (whoever starts the call makes headers of it). Nor are
/// `encryptedPaths` (no credential encrypts), `staticIpAddressesEnabled` (a server has the addresses it has), and `backoffPlan` (a stage has a
/// rule of its own for what failed).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Server {
    url: Option<String>,
    secret: Option<String>,
    headers: BTreeMap<String, String>,
    timeout_seconds: Option<f64>,
}

impl CustomServer {
    pub fn from_document(document: &Value, access: &Access) -> Result<Self, String> {
        let server = document.get("server").filter(|server| !server.is_null());
        let server = server.map(Server::deserialize).transpose();
        let server = server.map_err(|error| format!("server: {error}"))?.unwrap_or_default();
        let mut headers = server.headers()?;
        let url = match &access.base_url {
            None => server.url()?,
            Some(_) => {
                headers.extend(key_header(AUTHORIZATION, "Bearer ", access.api_key.as_ref())?);
                // An address without a path has no prefix to take over.
                address::endpoint("https://localhost", access, &[])?
            }
        };
        Ok(Self { url, headers, timeout: server.timeout() })
    }
}

impl Server {
    fn url(&self) -> Result<Url, String> {
        let expected = "expected an address such as https://speech.example/path";
        let url = self.url.as_deref().unwrap_or_default();
        let url =
            Url::parse(url).map_err(|e| format!("server.url is no address ({e}), {expected}"))?;
        match url.scheme() {
            "http" | "https" | "ws" | "wss" if url.has_host() => Ok(url),
            scheme => Err(format!("server.url has scheme `{scheme}`, {expected}")),
        }
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        if let Some(secret) = self.secret.as_deref().filter(|secret| !secret.is_empty()) {
            let unfit = "server.secret has characters that no header can hold";
            headers.insert(SECRET, sensitive(secret).ok_or(unfit)?);
        }
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name).map_err(|_| {
                format!("server.headers has `{name}`, which is no name of a header")
            })?;
            if RESERVED.contains(&parsed) || parsed.as_str().starts_with("sec-websocket-") {
                tracing::debug!(header = name, "header of a custom server left out");
                continue;
            }
            let unfit = || format!("server.headers.{name} has characters that no header can hold");
            headers.insert(parsed, sensitive(value).ok_or_else(unfit)?);
        }
        Ok(headers)
    }

    fn timeout(&self) -> Duration {
        self.timeout_seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map_or(TIMEOUT, |timeout| timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX))
    }
}

/// A value that stays out of debug output.
fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;

    fn read(server: Value, base_url: Option<&str>) -> Result<CustomServer, String> {
        let api_key = Some(SecretString::from("key-1"));
        let access = Access { api_key, base_url: base_url.map(Into::into) };
        CustomServer::from_document(&json!({ "server": server }), &access)
    }

    #[test]
    fn address_secret_headers_and_timeout_are_the_document_s() {
        let server = json!({
            "url": "https://a.example/speak/?x=1", "secret": "hush", "timeoutSeconds": 45,
            "headers": {"X-Client": "c", "Authorization": "Bearer t", "Host": "elsewhere",
                        "Content-Type": "text/html", "Sec-WebSocket-Key": "k"},
            "credentialId": "c", "backoffPlan": {"type": "fixed"},
        });
        let server = read(server, None).unwrap();
        assert_eq!(server.url.as_str(), "https://a.example/speak/?x=1");
        assert_eq!(server.timeout, Duration::from_secs(45));
        let mut headers: Vec<_> =
            server.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        headers.sort_unstable();
        let expected =
            [("authorization", "Bearer t"), ("x-client", "c"), ("x-vapi-secret", "hush")];
        assert_eq!(headers, expected);
        assert!(server.headers.values().all(HeaderValue::is_sensitive));
    }

    #[test]
    fn the_operator_s_key_goes_to_the_operator_s_address_only() {
        let server = || json!({"url": "https://a.example/speak"});
        let own = read(server(), None).unwrap();
        assert!(own.headers.is_empty());
        let gateway = read(server(), Some("http://gw:8/voices?zone=eu")).unwrap();
        assert_eq!(gateway.url.as_str(), "http://gw:8/voices?zone=eu");
        assert_eq!(gateway.headers[AUTHORIZATION], "Bearer key-1");
        assert!(read(Value::Null, Some("http://gw:8")).is_ok());
    }

    #[test]
    fn a_timeout_out_of_bounds_is_brought_into_them() {
        let timeout = |seconds: Value| {
            let server = json!({"url": "http://a.example", "timeoutSeconds": seconds});
            read(server, None).unwrap().timeout.as_secs()
        };
        let given = [json!(0.01), json!(1e9), json!(-1), Value::Null];
        assert_eq!(given.map(timeout), [1, 300, 20, 20]);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let refuse = |server: Value| read(server, None).err().unwrap();
        assert!(refuse(Value::Null).contains("server.url is no address"));
        assert!(refuse(json!({"url": "ftp://a.example"})).contains("`ftp`"));
        assert!(refuse(json!({"url": 7})).starts_with("server: "));
        let url = "https://a.example";
        assert!(refuse(json!({"url": url, "secret": "a\nb"})).contains("server.secret"));
        let header = refuse(json!({"url": url, "headers": {"x-a": "a\nb"}}));
        assert!(header.contains("server.headers.x-a") && !header.contains("a\nb"), "{header}");
        assert!(refuse(json!({"url": url, "headers": {"a b": "c"}})).contains("`a b`"));
    }
}
