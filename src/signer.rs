//! Tokens in the addresses that a call is reached by.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Leg,
    Control,
    Listen,
    Recording,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Leg => "leg",
            Self::Control => "control",
            Self::Listen => "listen",
            Self::Recording => "recording",
        }
    }
}

/// Makes and checks tokens; each is good for one call and one purpose.
#[derive(Clone)]
pub struct Signer {
    secret: [u8; 32],
}

/// Bytes of a token: 128 bits cannot be guessed.
const TOKEN_BYTES: usize = 16;

impl Signer {
    /// Reads the data folder's secret, or makes one.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join("url-secret");
        let fail = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        match fs::read(&path) {
            Ok(bytes) => match bytes.try_into() {
                Ok(secret) => Ok(Self { secret }),
                Err(_) => Err(format!(
                    "{} is damaged: delete it, links in circulation become void",
                    path.display()
                )),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret = random();
                write_private(&path, &secret).map_err(fail)?;
                Ok(Self { secret })
            }
            Err(error) => Err(fail(error)),
        }
    }

    pub fn token(&self, purpose: Purpose, call: Uuid) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(purpose.name().as_bytes());
        mac.update(call.as_bytes());
        hex(&mac.finalize().into_bytes()[..TOKEN_BYTES])
    }

    pub fn admits(&self, purpose: Purpose, call: Uuid, token: &str) -> bool {
        same(token, &self.token(purpose, call))
    }
}

/// Compares in a time that does not depend on where the difference is.
pub fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 random bytes from the system, by way of two version 4 UUIDs and a hash.
pub fn random() -> [u8; 32] {
    use sha2::Digest;

    let mut hash = Sha256::new();
    for _ in 0..4 {
        hash.update(Uuid::new_v4().as_bytes());
    }
    hash.finalize().into()
}

/// Writes a new file that only its owner may read: whole, or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension(format!("{}.tmp", Uuid::new_v4()));
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        // Unlike a rename, a link never takes the place of a file that is there.
        .and_then(|()| fs::hard_link(&unfinished, path));
    let removed = fs::remove_file(&unfinished);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_one_call_for_one_purpose_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let call = Uuid::new_v4();
        let token = Signer::open(folder.path()).unwrap().token(Purpose::Leg, call);

        let again = Signer::open(folder.path()).unwrap();
        assert!(again.admits(Purpose::Leg, call, &token));
        assert!(!again.admits(Purpose::Control, call, &token));
        assert!(!again.admits(Purpose::Leg, Uuid::new_v4(), &token));
        assert!(!again.admits(Purpose::Leg, call, ""));
    }
}
