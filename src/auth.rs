//! Who may use the API.

use std::path::Path;

use offhook_config::Settings;
use secrecy::ExposeSecret;
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
