//! Telnyx: Ed25519 over the time and the body.
//!
//! Source: Telnyx's documentation, page "Webhook Fundamentals", "Webhook signing".

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, UnparsedPublicKey};

use super::{SignatureError, check_time};

/// The header of the signature, base64.
pub const SIGNATURE: &str = "telnyx-signature-ed25519";

/// The header of the time at which it was made, in seconds since the Unix epoch.
pub const TIMESTAMP: &str = "telnyx-timestamp";

/// The public key of a Telnyx account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads a key as the portal shows it.
    ///
    /// # Errors
    ///
    /// When it is not 32 bytes of base64.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD.decode(text.trim()).ok();
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or_else(|| {
            "Telnyx's public key is not 32 bytes of base64: copy it from the portal, Keys & \
             Credentials, Public Key"
                .into()
        })
    }
}

/// Checks that Telnyx sent `body`; `now` is in seconds since the Unix epoch.
pub fn verify(
    key: &PublicKey,
    signature: Option<&str>,
    timestamp: Option<&str>,
    body: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    let signature = signature.ok_or(SignatureError::Missing(SIGNATURE))?;
    let timestamp = timestamp.ok_or(SignatureError::Missing(TIMESTAMP))?;
    let signature = BASE64_STANDARD
        .decode(signature.trim())
        .map_err(|_| SignatureError::Malformed(SIGNATURE))?;
    let signed_at = timestamp.trim().parse().map_err(|_| SignatureError::Malformed(TIMESTAMP))?;
    check_time(signed_at, now)?;
    let mut signed = Vec::with_capacity(timestamp.len() + 1 + body.len());
    signed.extend_from_slice(timestamp.as_bytes());
    signed.push(b'|');
    signed.extend_from_slice(body);
    UnparsedPublicKey::new(&ED25519, key.0)
        .verify(&signed, &signature)
        .map_err(|_| SignatureError::Mismatch)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn key() -> (Ed25519KeyPair, PublicKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = PublicKey::parse(&BASE64_STANDARD.encode(pair.public_key())).unwrap();
        (pair, public)
    }

    fn sign(at: i64, body: &str) -> String {
        BASE64_STANDARD.encode(key().0.sign(format!("{at}|{body}").as_bytes()))
    }

    fn check(at: &str, signature: &str, body: &str) -> Result<(), SignatureError> {
        verify(&key().1, Some(signature), Some(at), body.as_bytes(), NOW)
    }

    #[test]
    fn a_fresh_request_is_believed_and_a_changed_one_is_not() {
        let at = NOW.to_string();
        assert_eq!(check(&at, &sign(NOW, "{}"), "{}"), Ok(()));
        assert_eq!(check(&at, &sign(NOW, "{}"), "{ }"), Err(SignatureError::Mismatch));
        let later = (NOW + 1).to_string();
        assert_eq!(check(&later, &sign(NOW, "{}"), "{}"), Err(SignatureError::Mismatch));
        let short = BASE64_STANDARD.encode([0; 63]);
        assert_eq!(check(&at, &short, "{}"), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_request_is_good_for_five_minutes_either_way() {
        for (apart, expected) in [
            (300, Ok(())),
            (-300, Ok(())),
            (301, Err(SignatureError::Stale(301))),
            (-301, Err(SignatureError::Stale(301))),
        ] {
            let at = NOW - apart;
            assert_eq!(check(&at.to_string(), &sign(at, "x"), "x"), expected);
        }
        let at = i64::MIN;
        let stale = check(&at.to_string(), &sign(at, "x"), "x");
        assert!(matches!(stale, Err(SignatureError::Stale(_))));
    }

    #[test]
    fn headers_that_are_missing_or_senseless_are_named() {
        let (_, public) = key();
        let check = |signature, at| verify(&public, signature, at, b"", NOW).unwrap_err();
        assert_eq!(check(None, Some("1")), SignatureError::Missing(SIGNATURE));
        assert_eq!(check(Some("aa=="), None), SignatureError::Missing(TIMESTAMP));
        assert_eq!(check(Some("%"), Some("1")), SignatureError::Malformed(SIGNATURE));
        assert_eq!(check(Some("aaaa"), Some("noon")), SignatureError::Malformed(TIMESTAMP));
        assert!(PublicKey::parse("c2hvcnQ=").unwrap_err().contains("Public Key"));
    }
}
