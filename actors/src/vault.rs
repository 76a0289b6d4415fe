//! Credentials: sealed wherever they are stored, opened for a call and for a request.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_api::{
    ServerAuth,
    secrets::{self, Scope},
};
use offhook_store::{
    Kind, ListFilter, Place, SEAL_KEY_BYTES, SealError, Sealer, Store, StoreError,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::Uuid;

/// Seals and opens the secrets of documents; cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault {
    store: Store,
    sealer: Option<Sealer>,
}

/// Credentials looked at for one call: the newest of its providers. More of them is a mistake of
/// whoever stores them, not a reason to read them all.
const CREDENTIALS_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("this server has no key to seal secrets with: set store.secret_key")]
    NoKey,
    #[error(
        "the secrets of {kind} {id} cannot be opened: {reason}; set store.secret_key to the key \
         they were sealed with, or store them again"
    )]
    Closed { kind: &'static str, id: Uuid, reason: SealError },
    #[error("the secrets of {kind} {id} cannot be sealed: {reason}")]
    Unsealed { kind: &'static str, id: Uuid, reason: SealError },
    #[error("{what} does not name a credential")]
    Unknown { what: String },
    #[error("names {0}")]
    Unfit(String),
    #[error("the store does not answer: {0}")]
    Store(#[from] StoreError),
}

impl Vault {
    /// A vault whose key is given in base64; without one it seals and opens nothing.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the key.
    pub fn new(store: Store, key: Option<&SecretString>) -> Result<Self, String> {
        Ok(Self { store, sealer: key.map(read_key).transpose()?.as_ref().map(Sealer::new) })
    }

    /// Seals the secrets of a document of this place, those that are not sealed yet.
    pub fn seal(&self, place: Place<'_>, document: &mut Value) -> Result<(), VaultError> {
        secrets::change(document, scope(place.kind), |secret| {
            if secrets::token(secret).is_some() {
                return Ok(());
            }
            let sealer = self.sealer.as_ref().ok_or(VaultError::NoKey)?;
            let token = sealer.seal(place, secret.to_string().as_bytes()).map_err(|reason| {
                VaultError::Unsealed { kind: place.kind.name(), id: place.id, reason }
            })?;
            *secret = secrets::sealed(token);
            Ok(())
        })
    }

    /// Opens the secrets of a document of this place.
    pub fn open(&self, place: Place<'_>, document: &mut Value) -> Result<(), VaultError> {
        let closed = |reason| VaultError::Closed { kind: place.kind.name(), id: place.id, reason };
        secrets::change(document, scope(place.kind), |secret| {
            let Some(token) = secrets::token(secret) else { return Ok(()) };
            let sealer = self.sealer.as_ref().ok_or(VaultError::NoKey)?;
            let opened = sealer.open(place, token).map_err(closed)?;
            *secret = serde_json::from_slice(&opened).map_err(|_| closed(SealError::Unopenable))?;
            Ok(())
        })
    }

    /// The credential of this id, opened.
    pub async fn credential(&self, org: &str, id: &str) -> Result<Value, VaultError> {
        let unknown = || VaultError::Unknown { what: id.to_owned() };
        let uuid = Uuid::try_parse(id).map_err(|_| unknown())?;
        let found = self.store.get(org, Kind::Credential, uuid).await?;
        let mut body = found.ok_or_else(unknown)?.body;
        self.open(Place { org, kind: Kind::Credential, id: uuid }, &mut body)?;
        Ok(body)
    }

    /// The organisation's credentials of these providers, opened, newest first.
    pub async fn newest(
        &self,
        org: &str,
        providers: HashSet<String>,
    ) -> Result<Vec<Value>, VaultError> {
        let filter = ListFilter { limit: CREDENTIALS_MAX, ..ListFilter::default() };
        let is_of_one = move |document: &offhook_store::Document| {
            let provider = document.body.get("provider").and_then(Value::as_str);
            provider.is_some_and(|provider| providers.contains(provider))
        };
        let found =
            self.store.list(org, Kind::Credential, filter, Some(Box::new(is_of_one))).await?;
        let mut opened = Vec::with_capacity(found.len());
        for mut document in found {
            let place = Place { org, kind: Kind::Credential, id: document.id };
            self.open(place, &mut document.body)?;
            opened.push(document.body);
        }
        Ok(opened)
    }

    /// How a server is convinced that names this credential.
    pub async fn server_auth(&self, org: &str, id: &str) -> Result<ServerAuth, VaultError> {
        ServerAuth::read(&self.credential(org, id).await?).map_err(VaultError::Unfit)
    }
}

/// Which parts of a document of this kind are secrets.
pub fn scope(kind: Kind) -> Scope {
    match kind {
        Kind::Credential => Scope::Whole,
        Kind::PhoneNumber => Scope::Own,
        Kind::Assistant
        | Kind::Call
        | Kind::Campaign
        | Kind::DoNotCall
        | Kind::ProviderHealth
        | Kind::ScheduledCall
        | Kind::Tool => Scope::Lists,
    }
}

fn read_key(key: &SecretString) -> Result<[u8; SEAL_KEY_BYTES], String> {
    let bytes = BASE64_STANDARD.decode(key.expose_secret().trim()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        format!(
            "store.secret_key must be {SEAL_KEY_BYTES} bytes in base64, as \
             `openssl rand -base64 {SEAL_KEY_BYTES}` prints them"
        )
    })
}

#[cfg(test)]
mod tests {
    use offhook_store::{Document, Faults};
    use serde_json::json;

    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn vault(key: &str) -> Vault {
        Vault::new(Store::in_memory(Faults::default()), Some(&key.into())).unwrap()
    }

    async fn put(vault: &Vault, id: u128, created_at_ms: i64, mut body: Value) {
        let (org, kind, id) = ("org".to_owned(), Kind::Credential, Uuid::from_u128(id));
        vault.seal(Place { org: &org, kind, id }, &mut body).unwrap();
        assert!(!body.to_string().contains("hush"), "{body}");
        let document =
            Document { org, kind, id, created_at_ms, updated_at_ms: created_at_ms, body };
        vault.store.put(document).await.unwrap();
    }

    #[tokio::test]
    async fn credentials_lie_sealed_and_come_opened_the_newest_first() {
        let vault = vault(KEY);
        put(&vault, 1, 10, json!({"provider": "openai", "apiKey": "hush-1"})).await;
        put(&vault, 2, 20, json!({"provider": "groq", "apiKey": "hush-2"})).await;
        put(&vault, 3, 30, json!({"provider": "openai", "apiKey": "hush-3"})).await;
        let found = vault.newest("org", HashSet::from(["openai".to_owned()])).await.unwrap();
        let keys: Vec<_> = found.iter().map(|found| found["apiKey"].as_str().unwrap()).collect();
        assert_eq!(keys, ["hush-3", "hush-1"]);
        let id = Uuid::from_u128(2).to_string();
        assert_eq!(vault.credential("org", &id).await.unwrap()["apiKey"], "hush-2");
        let stranger = vault.credential("other", &id).await.unwrap_err();
        assert_eq!(stranger.to_string(), format!("{id} does not name a credential"));
    }

    #[tokio::test]
    async fn another_key_opens_nothing_and_the_error_says_what_would() {
        let first = vault(KEY);
        put(&first, 1, 10, json!({"provider": "openai", "apiKey": "hush"})).await;
        let other = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
        let second = Vault::new(first.store.clone(), Some(&other.into())).unwrap();
        let id = Uuid::from_u128(1);
        let error = second.credential("org", &id.to_string()).await.unwrap_err().to_string();
        let expected = format!("the secrets of credential {id} cannot be opened");
        assert!(error.starts_with(&expected) && error.contains("store.secret_key"), "{error}");
    }

    #[test]
    fn a_vault_without_a_key_takes_documents_that_have_no_secrets() {
        let vault = Vault::new(Store::in_memory(Faults::default()), None).unwrap();
        let place = Place { org: "org", kind: Kind::Assistant, id: Uuid::nil() };
        assert_eq!(vault.seal(place, &mut json!({"name": "a"})), Ok(()));
        let mut with_secret = json!({"credentials": [{"apiKey": "hush"}]});
        assert_eq!(vault.seal(place, &mut with_secret), Err(VaultError::NoKey));
        let error = Vault::new(vault.store, Some(&"c2hvcnQ=".into())).unwrap_err();
        assert!(error.starts_with("store.secret_key must be 32 bytes in base64"), "{error}");
    }
}
