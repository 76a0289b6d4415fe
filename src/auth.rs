//! Who may use the API.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_config::Settings;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::signer;

/// The API's keys, hashed, each with the organisation it belongs to.
#[derive(Clone)]
pub struct Keys(Vec<([u8; 32], String)>);

/// File in the data folder that holds the generated key.
const KEY_FILE: &str = "api-key";

impl Keys {
    /// The configured keys; without any, the one generated at first start.
    ///
    /// Returns the generated key when it was made just now: it is to be shown once.
    pub fn open(settings: &Settings) -> Result<(Self, Option<String>), String> {
        let mut keys: Vec<_> = settings
            .auth
            .api_keys
            .iter()
            .map(|key| (hash(key.expose_secret()), org_id("default")))
            .collect();
        for (org, theirs) in &settings.auth.orgs {
            keys.extend(theirs.iter().map(|key| (hash(key.expose_secret()), org_id(org))));
        }
        if !keys.is_empty() {
            return Ok((Self(keys), None));
        }
        let (key, is_new) = generated(&settings.store.path)?;
        let shown = is_new.then(|| key.clone());
        Ok((Self(vec![(hash(&key), org_id("default"))]), shown))
    }

    /// The organisation whose key this is. Every key is compared, in constant time.
    pub fn org_of(&self, key: &str) -> Option<String> {
        if key.is_empty() {
            return None;
        }
        let given = hash(key);
        let mut found = None;
        for (known, org) in &self.0 {
            if bool::from(known.ct_eq(&given)) {
                found = Some(org.clone());
            }
        }
        found
    }
}

/// One organisation as the settings have it.
pub struct Organisation {
    pub id: String,
    /// One of its keys; `None` where the server makes one at its first start.
    pub key: Option<SecretString>,
}

/// The organisations of a server, the default one first.
pub fn organisations(settings: &Settings) -> Vec<Organisation> {
    let auth = &settings.auth;
    let default = generated_key(&settings.store.path).filter(|_| auth.api_keys.is_empty());
    let key = auth.api_keys.first().cloned().or(default.map(SecretString::from));
    let others = auth.orgs.iter().map(|(name, keys)| (name.as_str(), keys.first().cloned()));
    [("default", key)]
        .into_iter()
        .chain(others)
        .map(|(name, key)| Organisation { id: org_id(name), key })
        .collect()
}

/// The key that a server without configured keys generated at its first start.
pub fn generated_key(folder: &Path) -> Option<String> {
    let key = std::fs::read_to_string(folder.join(KEY_FILE)).ok()?;
    Some(key.trim().to_owned()).filter(|key| key.len() >= KEY_CHARS_MIN)
}

/// A shorter key is what a full disk left of one.
const KEY_CHARS_MIN: usize = 32;

fn generated(folder: &Path) -> Result<(String, bool), String> {
    if let Some(key) = generated_key(folder) {
        return Ok((key, false));
    }
    let key = format!("offhook_{}", &signer::hex(&signer::random())[..48]);
    let path = folder.join(KEY_FILE);
    if path.exists() {
        return Err(format!("{} is damaged: delete it, and a new key is made", path.display()));
    }
    signer::write_private(&path, key.as_bytes())
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok((key, true))
}

/// File in the data folder that holds the key that secrets are sealed with.
const SECRET_KEY_FILE: &str = "secret-key";

/// Whether a server made one in this folder.
pub fn has_secret_key(folder: &Path) -> bool {
    folder.join(SECRET_KEY_FILE).exists()
}

/// The key that a server without a configured one seals secrets with, in base64; made when there is
/// none yet.
pub fn generated_secret_key(folder: &Path) -> Result<SecretString, String> {
    let path = folder.join(SECRET_KEY_FILE);
    let fail = |what: &str, error| format!("cannot {what} {}: {error}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(key) if BASE64_STANDARD.decode(key.trim()).is_ok_and(|key| key.len() == 32) => {
            Ok(key.trim().into())
        }
        Ok(_) => Err(format!(
            "{} is damaged: restore it from a backup, or delete it and store every credential again",
            path.display()
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = BASE64_STANDARD.encode(signer::random());
            signer::write_private(&path, key.as_bytes()).map_err(|error| fail("write", error))?;
            Ok(key.into())
        }
        Err(error) => Err(fail("read", error)),
    }
}

/// Keys are random and long: one round of SHA-256 keeps them from whoever reads memory or logs.
fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The organisation's id: a UUID that its name always gives.
fn org_id(name: &str) -> String {
    let digest = Sha256::digest(format!("offhook organisation {name}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// The id of a document that a client named; anything else than a UUID names none.
pub fn parse_id(id: &str) -> Option<Uuid> {
    Uuid::try_parse(id).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_for_secrets_is_made_once_and_is_the_owner_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = generated_secret_key(folder.path()).unwrap();
        let again = generated_secret_key(folder.path()).unwrap();
        assert_eq!(key.expose_secret(), again.expose_secret());
        let path = folder.path().join(SECRET_KEY_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::write(&path, "short").unwrap();
        let error = generated_secret_key(folder.path()).unwrap_err();
        assert!(error.contains("is damaged") && !error.contains("short"), "{error}");
    }
}
