//! Whether a call can go on in another process, and what that takes.

use offhook_actors::{CallKeys, Vault, VaultError};
use offhook_api::{CallDocument, Credential, Credentials};
use offhook_media::{AudioFormat, Hearing};
use offhook_store::{Kind, Place};
use offhook_transports as transports;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

/// How the leg of a call finds the process that took the call up.
///
/// Each kind of leg has its own way; a call whose leg has none is ended instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// The client connects again to the address that it has, and shows the same token.
    ClientReturns { token: String, format: AudioFormat, hearing: Hearing },
    /// The carrier has the caller, and asks or is asked to connect the audio again.
    CarrierReturns { format: AudioFormat, hearing: Hearing },
    /// It cannot, for this reason.
    Never(String),
}

impl Resumption {
    /// What the call's document says of its leg.
    pub fn of(record: &CallDocument) -> Self {
        let transport = &record.as_value()["transport"];
        let codec = match transports::build(transport) {
            Ok(codec) => codec,
            Err(error) => return Self::Never(error.to_string()),
        };
        if transports::is_carrier(transport) {
            let (format, hearing) = (codec.format(), codec.hearing());
            return Self::CarrierReturns { format, hearing };
        }
        let url = transport["websocketCallUrl"].as_str().and_then(|url| Url::parse(url).ok());
        let token = url.and_then(|url| {
            let (_, token) = url.query_pairs().find(|(name, _)| name == "token")?;
            Some(token.into_owned())
        });
        match token {
            Some(token) => {
                let (format, hearing) = (codec.format(), codec.hearing());
                Self::ClientReturns { token, format, hearing }
            }
            None => Self::Never("its document has no address that a client could return to".into()),
        }
    }
}

/// Where the keys of a call come from, for its journal: by id, and sealed where the call brought
/// them itself. Those that cannot be sealed are left out.
pub(crate) fn keys_of(credentials: &Credentials, vault: &Vault, org: &str, call: Uuid) -> CallKeys {
    let mut sealed = credentials.brought();
    if let Some(document) = &mut sealed
        && let Err(error) = vault.seal(Place { org, kind: Kind::Call, id: call }, document)
    {
        tracing::warn!(%call, %error, "keys that the call brought do not outlive the process");
        sealed = None;
    }
    CallKeys {
        sealed,
        stored: credentials.stored_ids().map(str::to_owned).collect(),
        servers: credentials.server_ids().map(str::to_owned).collect(),
        phone_number: None,
    }
}

/// The keys themselves, as they are by now.
pub(crate) async fn open_keys(
    keys: &CallKeys,
    vault: &Vault,
    org: &str,
    call: Uuid,
) -> Result<Credentials, VaultError> {
    let mut documents = Vec::new();
    if let Some(mut sealed) = keys.sealed.clone() {
        vault.open(Place { org, kind: Kind::Call, id: call }, &mut sealed)?;
        if let Value::Array(brought) = sealed["credentials"].take() {
            documents.extend(brought);
        }
    }
    for id in &keys.stored {
        documents.push(vault.credential(org, id).await?);
    }
    let read = documents.iter().filter_map(|document| Credential::read(document).ok().flatten());
    let read = read.collect();
    let mut servers = std::collections::BTreeMap::new();
    for id in &keys.servers {
        servers.insert(id.clone(), vault.server_auth(org, id).await?);
    }
    Ok(Credentials::new(read, servers))
}

#[cfg(test)]
mod tests {
    use offhook_api::call::CallUrls;
    use offhook_store::{Faults, Store};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_returns_with_the_token_of_the_address_it_has() {
        let request = json!({"transport": {"provider": "vapi.websocket",
            "audioFormat": {"format": "mulaw", "container": "raw", "sampleRate": 8_000}}});
        let create = |urls: &CallUrls| {
            let record = CallDocument::create(&request, Uuid::nil(), "org", urls, 0).unwrap();
            Resumption::of(&record)
        };
        let websocket = Some("wss://voice.example/x/transport?token=abc".into());
        let expected = Resumption::ClientReturns {
            token: "abc".into(),
            format: AudioFormat::mulaw(),
            hearing: Hearing::Clock,
        };
        assert_eq!(create(&CallUrls { websocket, ..CallUrls::default() }), expected);
        assert!(matches!(create(&CallUrls::default()), Resumption::Never(_)));
    }

    #[tokio::test]
    async fn keys_that_a_call_brought_are_sealed_for_it_and_opened_again() {
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into();
        let vault = Vault::new(Store::in_memory(Faults::default()), Some(&key)).unwrap();
        let own = json!({"provider": "deepgram", "apiKey": "hush", "apiUrl": "https://dg.test"});
        let read = Credential::read(&own).unwrap().unwrap();
        let credentials = Credentials::new(vec![read], Default::default());

        let keys = keys_of(&credentials, &vault, "org", Uuid::nil());
        assert!(!serde_json::to_string(&keys).unwrap().contains("hush"));
        let opened = open_keys(&keys, &vault, "org", Uuid::nil()).await.unwrap();
        assert_eq!(opened.brought(), credentials.brought());
        assert!(open_keys(&keys, &vault, "org", Uuid::max()).await.is_err());
    }
}
