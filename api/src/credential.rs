//! Credentials as the runtime reads them: keys of providers, and how servers are convinced.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{lenient::text, server_auth::ServerAuth};

/// What one provider is reached with, as a credential has it.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its id, where it is a stored one.
    pub id: Option<String>,
    /// As documents call it; the same name as the stage's.
    pub provider: String,
    pub api_key: SecretString,
    /// Another address of the provider's: its European one, or one on the user's own premises.
    pub api_url: Option<String>,
}

/// The credentials of one call, opened. They are in no document and in no journal.
#[derive(Clone, Default)]
pub struct Credentials {
    keys: Vec<Credential>,
    servers: BTreeMap<String, ServerAuth>,
}

/// Fields that hold the key of a provider, where it is not `apiKey`.
const KEY_FIELDS: &[(&str, &str)] = &[("azure-openai", "openAIKey")];

impl Credential {
    /// Reads an opened credential; `None` when it holds no key of a provider (a bucket's, a
    /// carrier's without one).
    ///
    /// # Errors
    ///
    /// Says how it wants to be used, where this version cannot do that.
    pub fn read(document: &Value) -> Result<Option<Self>, String> {
        let provider = text(document, "provider").unwrap_or_default();
        let named = KEY_FIELDS.iter().find(|(of, _)| *of == provider);
        let key = text(document, named.map_or("apiKey", |(_, field)| field));
        // Azure's storage and its speech have one name.
        let is_storage = text(document, "service") == Some("blob_storage");
        let Some(key) = key.filter(|_| !is_storage) else { return Ok(None) };
        if provider == "custom-llm"
            && document.get("authenticationPlan").is_some_and(Value::is_object)
        {
            return Err("authenticationPlan of a custom-llm credential is not supported by this \
                        version: give the key in apiKey alone"
                .into());
        }
        Ok(Some(Self {
            id: text(document, "id").map(str::to_owned),
            provider: provider.to_owned(),
            api_key: SecretString::from(key),
            api_url: text(document, "apiUrl").map(whole_url),
        }))
    }
}

impl Credential {
    /// The document that [`Credential::read`] reads the same from, the id apart.
    fn to_document(&self) -> Value {
        let named = KEY_FIELDS.iter().find(|(of, _)| *of == self.provider);
        let field = named.map_or("apiKey", |(_, field)| field);
        let mut document = json!({ "provider": self.provider });
        document[field] = self.api_key.expose_secret().into();
        if let Some(url) = &self.api_url {
            document["apiUrl"] = url.as_str().into();
        }
        document
    }
}

impl Credentials {
    /// Takes credentials in the order in which they count.
    pub fn new(keys: Vec<Credential>, servers: BTreeMap<String, ServerAuth>) -> Self {
        Self { keys, servers }
    }

    /// What a provider is reached with; `None`: with what the settings have.
    pub fn of_provider(&self, provider: &str) -> Option<&Credential> {
        self.keys.iter().find(|credential| credential.provider == provider)
    }

    /// The ids of those that are stored, in the order in which they count.
    pub fn stored_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|credential| credential.id.as_deref())
    }

    /// Those that no store has, as a document in clear: to be sealed.
    pub fn brought(&self) -> Option<Value> {
        let brought = self.keys.iter().filter(|credential| credential.id.is_none());
        let documents: Vec<_> = brought.map(Credential::to_document).collect();
        (!documents.is_empty()).then(|| json!({ "credentials": documents }))
    }

    /// The ids of the credentials that servers name.
    pub fn server_ids(&self) -> impl Iterator<Item = &str> {
        self.servers.keys().map(String::as_str)
    }

    /// How the server is convinced whose `credentialId` this is.
    pub fn of_server(&self, id: &str) -> Option<&ServerAuth> {
        self.servers.get(id)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let providers: Vec<_> = self.keys.iter().map(|key| key.provider.as_str()).collect();
        f.debug_struct("Credentials").field("providers", &providers).finish_non_exhaustive()
    }
}

/// The contract's examples name hosts without a scheme.
fn whole_url(url: &str) -> String {
    match url.contains("://") {
        true => url.to_owned(),
        false => format!("https://{url}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(document: Value) -> Option<(String, Option<String>)> {
        let read = Credential::read(&document).unwrap()?;
        Some((read.api_key.expose_secret().to_owned(), read.api_url))
    }

    #[test]
    fn key_and_address_are_found_where_the_provider_s_credential_has_them() {
        let cartesia =
            json!({"provider": "cartesia", "apiKey": "k", "apiUrl": "api.cartesia.test"});
        assert_eq!(key(cartesia), Some(("k".into(), Some("https://api.cartesia.test".into()))));
        let eu = json!({"provider": "11labs", "apiKey": "k", "apiUrl": null});
        assert_eq!(key(eu), Some(("k".into(), None)));
        let azure = json!({"provider": "azure-openai", "openAIKey": "k", "openAIEndpoint": "e"});
        assert_eq!(key(azure), Some(("k".into(), None)));
        for no_key in [
            json!({"provider": "email", "email": "a@b.c"}),
            json!({"provider": "azure", "service": "blob_storage", "apiKey": "k"}),
            json!({"provider": "openai", "apiKey": ""}),
        ] {
            assert_eq!(key(no_key), None);
        }
    }

    #[test]
    fn the_first_credential_of_a_provider_counts_and_none_is_shown() {
        let read = |provider: &str, key: &str| {
            Credential::read(&json!({"provider": provider, "apiKey": key})).unwrap().unwrap()
        };
        let keys = vec![read("openai", "first-1"), read("groq", "g-1"), read("openai", "last-1")];
        let credentials = Credentials::new(keys, BTreeMap::new());
        let found = credentials.of_provider("openai").unwrap();
        assert_eq!(found.api_key.expose_secret(), "first-1");
        assert!(credentials.of_provider("deepgram").is_none());
        let debug = format!("{credentials:?} {found:?}");
        assert!(!debug.contains("-1"), "{debug}");
    }

    #[test]
    fn a_model_that_wants_oauth2_is_refused_by_name() {
        let plan = json!({"type": "oauth2", "url": "https://a.example", "clientSecret": "s"});
        let document = json!({"provider": "custom-llm", "apiKey": "k", "authenticationPlan": plan});
        let error = Credential::read(&document).unwrap_err();
        assert!(error.starts_with("authenticationPlan of a custom-llm credential"), "{error}");
    }

    #[test]
    fn credentials_that_no_store_has_are_told_from_those_that_are_named() {
        let read = |document: Value| Credential::read(&document).unwrap().unwrap();
        let own = json!({"provider": "azure-openai", "openAIKey": "k", "apiUrl": "https://a.test"});
        let stored = json!({"id": "c-1", "provider": "openai", "apiKey": "s"});
        let both = Credentials::new(vec![read(own.clone()), read(stored)], BTreeMap::new());
        assert_eq!(both.stored_ids().collect::<Vec<_>>(), ["c-1"]);
        assert_eq!(both.brought(), Some(json!({"credentials": [own]})));
        assert_eq!(Credentials::default().brought(), None);
    }
}
