//! Secrets as they lie on disk: sealed with a key that is not in the store.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use thiserror::Error;
use uuid::Uuid;

use crate::Kind;

/// Bytes of the key (RFC 8439: ChaCha20-Poly1305).
pub const SEAL_KEY_BYTES: usize = 32;

/// What every sealed form of this making begins with.
const MAKING: &str = "1:";

/// Where a secret belongs. Sealed for one place, it cannot be opened in another: a row that somebody
/// moves on disk gives nothing away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub org: &'a str,
    pub kind: Kind,
    pub id: Uuid,
}

/// Seals secrets and opens them; clones share the key.
#[derive(Clone)]
pub struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    #[error("it was sealed with another key than the server has, or is damaged")]
    Unopenable,
    #[error("it is sealed in a way that this version does not know")]
    UnknownMaking,
    #[error("the system has no randomness to seal it with")]
    NoRandomness,
}

impl Sealer {
    pub fn new(key: &[u8; SEAL_KEY_BYTES]) -> Self {
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length");
        Self { key: LessSafeKey::new(key), random: SystemRandom::new() }
    }

    /// Seals a secret for one place.
    ///
    /// The nonce is random: 96 bits do not repeat in any number of secrets that a server may see.
    pub fn seal(&self, place: Place<'_>, secret: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let mut sealed = secret.to_vec();
        let associated = Aad::from(place.associated());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated, &mut sealed)
            .expect("a secret is shorter than the cipher's 256 GiB");
        let mut bytes = nonce.to_vec();
        bytes.append(&mut sealed);
        Ok(format!("{MAKING}{}", BASE64_STANDARD.encode(bytes)))
    }

    /// What was sealed for this place.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Vec<u8>, SealError> {
        let encoded = sealed.strip_prefix(MAKING).ok_or(SealError::UnknownMaking)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| SealError::Unopenable)?;
        let (nonce, sealed) = bytes.split_first_chunk().ok_or(SealError::Unopenable)?;
        let mut secret = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(place.associated()), &mut secret);
        let length = opened.map_err(|_| SealError::Unopenable)?.len();
        secret.truncate(length);
        Ok(secret)
    }
}

impl Place<'_> {
    /// Neither a kind's name nor an id has a zero in it, so no two places read alike.
    fn associated(&self) -> Vec<u8> {
        [self.kind.name(), "\0", &self.id.to_string(), "\0", self.org].concat().into_bytes()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(org: &str, kind: Kind, id: u128) -> Place<'_> {
        Place { org, kind, id: Uuid::from_u128(id) }
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_opened_where_it_belongs(
            key: [u8; SEAL_KEY_BYTES], secret: Vec<u8>, org in "[a-z]{1,8}", id: u128,
        ) {
            let sealer = Sealer::new(&key);
            let place = place(&org, Kind::Credential, id);
            let sealed = sealer.seal(place, &secret).unwrap();
            prop_assert_eq!(sealer.open(place, &sealed), Ok(secret.clone()));
            prop_assert_ne!(sealer.seal(place, &secret).unwrap(), sealed);
        }
    }

    #[test]
    fn elsewhere_with_another_key_or_changed_it_stays_closed() {
        let sealer = Sealer::new(&[1; SEAL_KEY_BYTES]);
        let home = place("org", Kind::Credential, 1);
        let sealed = sealer.seal(home, b"hush").unwrap();
        for away in [
            place("other", Kind::Credential, 1),
            place("org", Kind::Assistant, 1),
            place("org", Kind::Credential, 2),
        ] {
            assert_eq!(sealer.open(away, &sealed), Err(SealError::Unopenable));
        }
        let other = Sealer::new(&[2; SEAL_KEY_BYTES]);
        assert_eq!(other.open(home, &sealed), Err(SealError::Unopenable));
        for changed in [sealed.replacen(&sealed[5..6], "!", 1), "1:".into(), "1:AAAA".into()] {
            assert_eq!(sealer.open(home, &changed), Err(SealError::Unopenable), "{changed}");
        }
        assert_eq!(sealer.open(home, "2:AAAA"), Err(SealError::UnknownMaking));
        assert!(!format!("{sealer:?}").contains('1'));
    }
}
