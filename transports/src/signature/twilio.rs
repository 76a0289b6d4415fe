//! Twilio: HMAC of the address and the form, or of the address alone with a digest of the body.
//!
//! Source: Twilio's documentation, page "Webhooks Security".

use std::{borrow::Cow, collections::BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;
use url::form_urlencoded;

use super::{SignatureError, are_equal, sha256_hex};

/// The header of the signature.
pub const SIGNATURE: &str = "x-twilio-signature";

/// The header that names key and algorithm when they are not the usual ones.
pub const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// Most fields of a form that are read; a call's have about thirty.
const FIELDS_MAX: usize = 1_000;

/// What a request may be signed with.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    pub auth_token: &'a str,
    /// Id and secret of each shared key.
    pub shared: &'a [(String, String)],
}

/// A request as it came, and where we are known to the world.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The address that was given to Twilio, as `https://voice.example.org`. It is trusted, and no
    /// header that a proxy or an attacker may have set.
    pub public_url: &'a str,
    /// As it stands in the request.
    pub path_and_query: &'a str,
    /// [`SIGNATURE`].
    pub signature: Option<&'a str>,
    /// [`SETTINGS`].
    pub settings: Option<&'a str>,
    pub body: Body<'a>,
}

#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// A GET, or the upgrade to a websocket.
    None,
    /// Names and values, decoded.
    Form(&'a [(String, String)]),
    /// Anything else: the address then bears its digest.
    Raw(&'a [u8]),
}

/// Reads a form.
///
/// # Errors
///
/// When it has more fields than any of Twilio's.
pub fn parse_form(body: &[u8]) -> Result<Vec<(String, String)>, String> {
    let fields: Vec<_> = form_urlencoded::parse(body).into_owned().take(FIELDS_MAX + 1).collect();
    if fields.len() > FIELDS_MAX {
        return Err(format!("the form has more than {FIELDS_MAX} fields"));
    }
    Ok(fields)
}

/// Checks that Twilio sent this request.
pub fn verify(keys: Keys<'_>, request: &Request<'_>) -> Result<(), SignatureError> {
    let (algorithm, secret) = chosen(keys, request.settings)?;
    let given = request.signature.ok_or(SignatureError::Missing(SIGNATURE))?;
    let given =
        BASE64_STANDARD.decode(given.trim()).map_err(|_| SignatureError::Malformed(SIGNATURE))?;
    let fields = match request.body {
        Body::None => Vec::new(),
        Body::Form(fields) => signed_fields(fields),
        Body::Raw(body) => {
            check_digest(request.path_and_query, body)?;
            Vec::new()
        }
    };
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let url = format!("{}{}", request.public_url.trim_end_matches('/'), request.path_and_query);
    // Every variant is looked at, whichever fits.
    let mut urls = variants(&url);
    if matches!(request.body, Body::None)
        && let Some(rest) = url.strip_prefix("http")
    {
        // The upgrade to a websocket.
        urls.extend(variants(&format!("ws{rest}")));
    }
    let fits = urls.iter().fold(false, |fits, url| {
        let mut signed = hmac::Context::with_key(&key);
        signed.update(url.as_bytes());
        for (name, value) in &fields {
            signed.update(name.as_bytes());
            signed.update(value.as_bytes());
        }
        are_equal(signed.sign().as_ref(), &given) | fits
    });
    if fits { Ok(()) } else { Err(SignatureError::Mismatch) }
}

/// Key and algorithm that the settings name: the account's token and SHA-1 without them.
fn chosen<'a>(
    keys: Keys<'a>,
    settings: Option<&str>,
) -> Result<(hmac::Algorithm, &'a str), SignatureError> {
    let setting = |wanted: &str| {
        settings.unwrap_or_default().split(',').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim();
            (name.trim() == wanted && !value.is_empty()).then_some(value)
        })
    };
    let algorithm = match setting("algorithm").map(str::to_ascii_uppercase).as_deref() {
        None | Some("HMAC_SHA1") => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Some("HMAC_SHA256") => hmac::HMAC_SHA256,
        Some(_) => return Err(SignatureError::UnknownKey),
    };
    let secret = match setting("key") {
        None => keys.auth_token,
        Some(id) => {
            let found = keys.shared.iter().find(|(known, _)| known == id);
            &found.ok_or(SignatureError::UnknownKey)?.1
        }
    };
    // An HMAC with an empty key is one that anybody can make.
    if secret.is_empty() { Err(SignatureError::UnknownKey) } else { Ok((algorithm, secret)) }
}

/// Sorted by name, then value; what is there twice counts once.
fn signed_fields(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    let sorted: BTreeSet<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sorted.into_iter().collect()
}

fn check_digest(path_and_query: &str, body: &[u8]) -> Result<(), SignatureError> {
    let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
    let digest = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "bodySHA256")
        .map(|(_, digest)| digest);
    let given = digest.as_deref().unwrap_or_default();
    match are_equal(given.as_bytes(), sha256_hex(body).as_bytes()) {
        true => Ok(()),
        false => Err(SignatureError::Body),
    }
}

/// The address with and without its port: Twilio signs either.
fn variants(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(at);
    let (host, port) = match authority.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, Cow::Borrowed(port)),
        Some(_) | None => {
            let secure = matches!(scheme, "https" | "wss");
            (authority, Cow::Borrowed(if secure { "443" } else { "80" }))
        }
    };
    vec![format!("{scheme}://{host}{tail}"), format!("{scheme}://{host}:{port}{tail}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys<'static> = Keys { auth_token: "12345", shared: &[] };

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn sign(algorithm: hmac::Algorithm, secret: &str, data: &str) -> String {
        let key = hmac::Key::new(algorithm, secret.as_bytes());
        BASE64_STANDARD.encode(hmac::sign(&key, data.as_bytes()))
    }

    fn sha1(data: &str) -> String {
        sign(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, "12345", data)
    }

    fn request<'a>(url: &'a str, signature: &'a str, body: Body<'a>) -> Request<'a> {
        let path_and_query = "/twilio/status?call=1";
        Request {
            public_url: url,
            path_and_query,
            signature: Some(signature),
            settings: None,
            body,
        }
    }

    /// Made with Twilio's own client for Python.
    #[test]
    fn a_signature_of_twilios_own_making_is_believed() {
        let form = fields(&[
            ("Digits", "1234"),
            ("To", "+18005551212"),
            ("From", "+14158675310"),
            ("Caller", "+14158675310"),
            ("CallSid", "CA1234567890ABCDE"),
        ]);
        let mut request = Request {
            public_url: "https://mycompany.com",
            path_and_query: "/myapp.php?foo=1&bar=2",
            signature: Some("GvWf1cFY/Q7PnoempGyD5oXAezc="),
            settings: None,
            body: Body::Form(&form),
        };
        assert_eq!(verify(KEYS, &request), Ok(()));
        request.path_and_query = "/myapp.php?foo=1&bar=3";
        assert_eq!(verify(KEYS, &request), Err(SignatureError::Mismatch));
    }

    #[test]
    fn names_are_sorted_and_values_that_repeat_count_once() {
        let signature = sha1("https://a.example/twilio/status?call=1A1A2B0");
        let form = fields(&[("B", "0"), ("A", "2"), ("A", "1"), ("A", "2")]);
        let request = request("https://a.example", &signature, Body::Form(&form));
        assert_eq!(verify(KEYS, &request), Ok(()));
    }

    #[test]
    fn the_port_may_be_signed_or_not_wherever_it_stands() {
        for (public_url, signed) in [
            ("https://a.example", "https://a.example:443"),
            ("https://a.example:443", "https://a.example"),
            ("https://a.example:8443/", "https://a.example"),
            ("https://a.example:8443", "https://a.example:8443"),
            ("http://[::1]:8080", "http://[::1]"),
            ("http://[::1]", "http://[::1]:80"),
            ("wss://a.example", "wss://a.example:443"),
            ("https://a.example", "wss://a.example"),
        ] {
            let signature = sha1(&format!("{signed}/twilio/status?call=1"));
            let request = request(public_url, &signature, Body::None);
            assert_eq!(verify(KEYS, &request), Ok(()), "{public_url} {signed}");
        }
        let other = sha1("https://a.example:9443/twilio/status?call=1");
        let request = request("https://a.example", &other, Body::None);
        assert_eq!(verify(KEYS, &request), Err(SignatureError::Mismatch));
    }

    #[test]
    fn another_body_than_the_one_that_was_digested_is_not_believed() {
        let path = format!("/twilio/status?bodySHA256={}", sha256_hex(b"{}"));
        let signature = sha1(&format!("https://a.example{path}"));
        let mut request = request("https://a.example", &signature, Body::Raw(b"{}"));
        request.path_and_query = &path;
        assert_eq!(verify(KEYS, &request), Ok(()));
        request.body = Body::Raw(b"{ }");
        assert_eq!(verify(KEYS, &request), Err(SignatureError::Body));
        request.path_and_query = "/twilio/status";
        assert_eq!(verify(KEYS, &request), Err(SignatureError::Body), "no digest at all");
    }

    #[test]
    fn shared_keys_and_their_algorithm_are_named_by_the_settings() {
        let shared = [("k1".to_owned(), "s3cret".to_owned())];
        let keys = Keys { auth_token: "12345", shared: &shared };
        let url = "https://a.example/twilio/status?call=1";
        let signature = sign(hmac::HMAC_SHA256, "s3cret", url);
        let mut request = request("https://a.example", &signature, Body::None);
        request.settings = Some("key=k1, algorithm=hmac_sha256");
        assert_eq!(verify(keys, &request), Ok(()));
        for (settings, refused) in [
            ("key=k2,algorithm=HMAC_SHA256", SignatureError::UnknownKey),
            ("key=k1,algorithm=HMAC_MD5", SignatureError::UnknownKey),
            ("key=k1,algorithm=HMAC_SHA1", SignatureError::Mismatch),
            ("algorithm=HMAC_SHA256", SignatureError::Mismatch),
        ] {
            request.settings = Some(settings);
            assert_eq!(verify(keys, &request), Err(refused), "{settings}");
        }
    }

    #[test]
    fn what_is_unsigned_or_signed_with_nothing_is_not_believed() {
        let mut request = request("https://a.example", "", Body::None);
        assert_eq!(verify(KEYS, &request), Err(SignatureError::Mismatch));
        request.signature = Some("%");
        assert_eq!(verify(KEYS, &request), Err(SignatureError::Malformed(SIGNATURE)));
        request.signature = None;
        assert_eq!(verify(KEYS, &request), Err(SignatureError::Missing(SIGNATURE)));
        let nothing = Keys { auth_token: "", shared: &[] };
        assert_eq!(verify(nothing, &request), Err(SignatureError::UnknownKey));
    }

    #[test]
    fn forms_are_decoded_and_bounded() {
        let form = parse_form(b"From=%2B1555&Body=a+b%26c&X=").unwrap();
        assert_eq!(form, fields(&[("From", "+1555"), ("Body", "a b&c"), ("X", "")]));
        assert!(parse_form("a=1&".repeat(1_001).as_bytes()).is_err());
    }
}
