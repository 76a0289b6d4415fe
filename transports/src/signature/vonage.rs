//! Vonage: a JSON Web Token (RFC 7519), HS256, with a digest of the body.
//!
//! Source: Vonage's documentation, page "Webhooks", "Decoding signed webhooks".

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL};
use ring::hmac;
use serde::Deserialize;

use super::{SignatureError, are_equal, check_time, sha256_hex};

/// The header of the token.
pub const AUTHORIZATION: &str = "authorization";

/// Longest token that is looked at, in bytes; Vonage's have about 600.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// What a token says that was believed.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Claims {
    /// When it was made, in seconds since the Unix epoch.
    pub iat: i64,
    /// Past this nobody is to believe it, in seconds since the Unix epoch.
    #[serde(default)]
    pub exp: Option<i64>,
    /// Before this nobody is to believe it, in seconds since the Unix epoch.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// The token's own id.
    #[serde(default)]
    pub jti: Option<String>,
    #[serde(default)]
    pub api_key: Option<String>,
    #[serde(default)]
    pub application_id: Option<String>,
    #[serde(default)]
    payload_hash: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// Checks that Vonage sent `body` (empty for a GET); `now` is in seconds since the Unix epoch.
pub fn verify(
    secret: &str,
    authorization: Option<&str>,
    body: &[u8],
    now: i64,
) -> Result<Claims, SignatureError> {
    let malformed = || SignatureError::Malformed(AUTHORIZATION);
    let header = authorization.ok_or(SignatureError::Missing(AUTHORIZATION))?;
    let (scheme, token) = header.trim().split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.len() > TOKEN_BYTES_MAX {
        return Err(malformed());
    }
    let (signed, signature) = token.trim().rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
    let decode = |part: &str| BASE64_URL.decode(part).map_err(|_| malformed());
    // The token must not choose how it is checked.
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
    if header.alg != "HS256" || secret.is_empty() {
        return Err(SignatureError::UnknownKey);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, signed.as_bytes(), &decode(signature)?)
        .map_err(|_| SignatureError::Mismatch)?;
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| malformed())?;
    check_time(claims.iat, now)?;
    if claims.exp.is_some_and(|exp| exp <= now) || claims.nbf.is_some_and(|nbf| nbf > now) {
        return Err(SignatureError::Stale(now.saturating_sub(claims.iat).saturating_abs()));
    }
    let hash = claims.payload_hash.as_deref();
    let fits = match hash {
        Some(hash) => are_equal(hash.to_ascii_lowercase().as_bytes(), sha256_hex(body).as_bytes()),
        None => body.is_empty(),
    };
    if fits { Ok(claims) } else { Err(SignatureError::Body) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn token(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| BASE64_URL.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = BASE64_URL.encode(hmac::sign(&key, signed.as_bytes()));
        format!("Bearer {signed}.{signature}")
    }

    fn hs256() -> Value {
        json!({"alg": "HS256", "typ": "JWT"})
    }

    fn claims(body: &[u8]) -> Value {
        json!({"iat": NOW, "jti": "j", "iss": "Vonage", "api_key": "k", "application_id": "a",
            "payload_hash": sha256_hex(body)})
    }

    fn check(header: &Value, claims: &Value, body: &[u8]) -> Result<Claims, SignatureError> {
        verify("hush", Some(&token(header, claims, "hush")), body, NOW)
    }

    #[test]
    fn a_fresh_token_for_this_body_is_believed() {
        let believed = check(&hs256(), &claims(b"{}"), b"{}").unwrap();
        assert_eq!(believed.application_id.as_deref(), Some("a"));
        assert_eq!(check(&hs256(), &claims(b"{}"), b"{ }"), Err(SignatureError::Body));
        let bare = json!({"iat": NOW});
        assert!(check(&hs256(), &bare, b"").is_ok(), "a GET has no body");
        assert_eq!(check(&hs256(), &bare, b"{}"), Err(SignatureError::Body));
    }

    #[test]
    fn a_token_cannot_choose_how_it_is_checked() {
        for alg in ["none", "HS512", "RS256", "hs256"] {
            let refused = check(&json!({"alg": alg}), &claims(b""), b"");
            assert_eq!(refused, Err(SignatureError::UnknownKey), "{alg}");
        }
        let other = token(&hs256(), &claims(b""), "another");
        assert_eq!(verify("hush", Some(&other), b"", NOW), Err(SignatureError::Mismatch));
        let empty = token(&hs256(), &claims(b""), "");
        assert_eq!(verify("", Some(&empty), b"", NOW), Err(SignatureError::UnknownKey));
    }

    #[test]
    fn stale_and_premature_tokens_are_not_believed() {
        for (name, value) in [
            ("iat", NOW - 301),
            ("iat", NOW + 301),
            ("exp", NOW),
            ("exp", NOW - 5),
            ("nbf", NOW + 5),
        ] {
            let mut claims = claims(b"");
            claims[name] = json!(value);
            let refused = check(&hs256(), &claims, b"");
            assert!(matches!(refused, Err(SignatureError::Stale(_))), "{name} {value}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        for header in ["", "Bearer", "Bearer a.b", "Basic a.b.c", "Bearer %.%.%", "Bearer a.b.c.d"]
        {
            let refused = verify("hush", Some(header), b"", NOW);
            assert_eq!(refused, Err(SignatureError::Malformed(AUTHORIZATION)), "{header}");
        }
        assert_eq!(verify("hush", None, b"", NOW), Err(SignatureError::Missing(AUTHORIZATION)));
    }
}
