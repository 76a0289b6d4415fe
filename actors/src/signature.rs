//! The headers that convince a server, made from its credential.

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_api::{HmacAlgorithm, HmacPlan, ServerAuth, SignatureEncoding};
use reqwest::header::{HeaderName, HeaderValue};
use ring::hmac;
use secrecy::ExposeSecret;

/// A request that is about to leave.
pub(crate) struct Outbound<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub body: &'a str,
    /// The same for every attempt at it.
    pub id: &'a str,
    /// Seconds since the Unix epoch.
    pub timestamp: i64,
}

/// The headers that a credential asks for.
///
/// # Errors
///
/// Names the part of the plan that no header can be made of.
pub(crate) fn headers(
    auth: &ServerAuth,
    outbound: &Outbound<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    match auth {
        ServerAuth::Bearer { header: name, value } => {
            Ok(vec![header("headerName", name, value.expose_secret())?])
        }
        ServerAuth::Hmac(plan) => {
            let timestamp = outbound.timestamp.to_string();
            let signature =
                format!("{}{}", plan.signature_prefix, sign(plan, outbound, &timestamp)?);
            let mut headers = vec![header("signatureHeader", &plan.signature_header, &signature)?];
            if let Some(name) = &plan.timestamp_header {
                headers.push(header("timestampHeader", name, &timestamp)?);
            }
            if let Some(name) = &plan.message_id_header {
                headers.push(header("messageIdHeader", name, outbound.id)?);
            }
            Ok(headers)
        }
    }
}

fn header(field: &str, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parsed = HeaderName::try_from(name)
        .map_err(|_| format!("authenticationPlan.{field} `{name}` is no name of a header"))?;
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| format!("what goes into `{name}` has characters that no header can hold"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn sign(plan: &HmacPlan, outbound: &Outbound<'_>, timestamp: &str) -> Result<String, String> {
    let secret = plan.secret.expose_secret();
    let secret = match plan.secret_is_base64 {
        true => BASE64_STANDARD
            .decode(secret)
            .map_err(|_| "authenticationPlan.secretKey is not base64, as secretIsBase64 says")?,
        false => secret.as_bytes().to_vec(),
    };
    let algorithm = match plan.algorithm {
        HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    let payload = payload(&plan.payload_format, outbound, timestamp);
    let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), payload.as_bytes());
    Ok(match plan.signature_encoding {
        SignatureEncoding::Hex => tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        SignatureEncoding::Base64 => BASE64_STANDARD.encode(tag.as_ref()),
    })
}

/// Fills the format in one pass: what is put in is not looked at again.
fn payload(format: &str, outbound: &Outbound<'_>, timestamp: &str) -> String {
    let parts = [
        ("{body}", outbound.body),
        ("{timestamp}", timestamp),
        ("{method}", outbound.method),
        ("{url}", outbound.url),
        ("{svix-id}", outbound.id),
    ];
    let mut filled = String::with_capacity(format.len() + outbound.body.len());
    let mut rest = format;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let (taken, text) = parts
            .iter()
            .find(|(name, _)| rest.starts_with(name))
            .map_or((1, "{"), |(name, text)| (name.len(), *text));
        filled.push_str(text);
        rest = &rest[taken..];
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OUTBOUND: Outbound<'_> = Outbound {
        method: "POST",
        url: "https://a.example/hook",
        body: r#"{"a":"{timestamp}"}"#,
        id: "msg_1",
        timestamp: 1_700_000_000,
    };

    fn headers_of(plan: Value) -> Result<Vec<(String, String)>, String> {
        let credential = json!({"provider": "webhook", "authenticationPlan": plan});
        let auth = ServerAuth::read(&credential).unwrap();
        let headers = headers(&auth, &OUTBOUND)?;
        assert!(headers.iter().all(|(_, value)| value.is_sensitive()));
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        Ok(headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    #[test]
    fn the_payload_is_filled_in_once() {
        let filled = payload("{svix-id}.{timestamp}.{body}{x}", &OUTBOUND, "17");
        assert_eq!(filled, r#"msg_1.17.{"a":"{timestamp}"}{x}"#);
        assert_eq!(payload("{method} {url}", &OUTBOUND, "17"), "POST https://a.example/hook");
    }

    #[test]
    fn signatures_are_those_of_the_published_vectors() {
        // RFC 4231 and RFC 2202, test case 2: their text as the format, which has nothing to fill in.
        let text = "what do ya want for nothing?";
        let signature = |algorithm: &str| {
            let plan = json!({"type": "hmac", "secretKey": "Jefe", "algorithm": algorithm,
                "includeTimestamp": false, "payloadFormat": text, "signaturePrefix": "v="});
            headers_of(plan).unwrap()
        };
        let sha256 = "v=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("sha256"), [("x-signature".to_owned(), sha256.to_owned())]);
        assert_eq!(signature("sha1")[0].1, "v=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert!(
            signature("sha512")[0].1.starts_with("v=164b7a7bfcf819e2e395fbe73b56e0a387bd64222e")
        );
    }

    #[test]
    fn svix_style_webhooks_carry_id_time_and_signature() {
        let plan = json!({"type": "hmac", "secretKey": "SmVmZQ==", "secretIsBase64": true,
            "algorithm": "sha256", "signatureHeader": "svix-signature", "signaturePrefix": "v1,",
            "timestampHeader": "svix-timestamp", "messageIdHeader": "svix-id",
            "payloadFormat": "{svix-id}.{timestamp}.{body}", "signatureEncoding": "base64"});
        let headers = headers_of(plan).unwrap();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["svix-signature", "svix-timestamp", "svix-id"]);
        assert!(headers[0].1.starts_with("v1,") && headers[0].1.ends_with('='));
        assert_eq!((headers[1].1.as_str(), headers[2].1.as_str()), ("1700000000", "msg_1"));
    }

    #[test]
    fn what_no_header_can_hold_is_refused_without_repeating_it() {
        let error = headers_of(json!({"type": "bearer", "token": "hu\nsh"})).unwrap_err();
        assert!(error.contains("`Authorization`") && !error.contains("hu\nsh"), "{error}");
        let plan = json!({"type": "bearer", "token": "t", "headerName": "no name"});
        assert!(headers_of(plan).unwrap_err().contains("headerName `no name`"));
        let plan = json!({"type": "hmac", "secretKey": "%", "algorithm": "sha1",
            "secretIsBase64": true});
        assert!(headers_of(plan).unwrap_err().contains("secretKey is not base64"));
    }
}
