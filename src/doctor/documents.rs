//! The stored assistants: out of the store, or, where a server has it to itself, through its API.

use std::{
    collections::BTreeSet, fs, net::SocketAddr, os::unix::fs::MetadataExt, path::Path,
    time::Duration,
};

use offhook_config::Settings;
use offhook_store::{Kind, ListFilter, Store, StoreError, StoreOptions};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::timeout;

use super::Finding;
use crate::{
    auth::{Organisation, organisations},
    client::Client,
};

/// Documents of one organisation that are read, the newest first: what the API gives at once.
const DOCUMENTS_MAX: usize = 1_000;

/// Time for reading them all.
const READ_LIMIT: Duration = Duration::from_secs(30);

const SUBJECT: &str = "documents";

/// A stored assistant.
#[derive(Clone, Debug)]
pub struct Assistant {
    pub id: String,
    pub body: Value,
}

impl Assistant {
    /// What people know it by.
    pub fn title(&self) -> String {
        match self.body["name"].as_str() {
            Some(name) => format!("assistant `{name}`"),
            None => format!("assistant {}", self.id),
        }
    }
}

/// What there is, and how it was read.
pub struct Stored {
    pub finding: Finding,
    pub documents: Vec<Assistant>,
    /// Providers of which a key lies in a credential, of a document's own or of its organisation.
    pub credentials: BTreeSet<String>,
}

/// What an organisation has.
#[derive(Default)]
struct Found {
    assistants: Vec<Assistant>,
    credentials: BTreeSet<String>,
}

/// Reads them; `running_at` is where the server answers, when it runs.
pub async fn read(settings: &Settings, running_at: Option<SocketAddr>) -> Stored {
    let organisations = organisations(settings);
    let reading = async {
        match running_at {
            Some(address) => through_the_api(address, &organisations).await,
            None => from_the_store(&settings.store.path, &organisations).await,
        }
    };
    let read = timeout(READ_LIMIT, reading).await;
    let late = || Err(format!("not read within {} s", READ_LIMIT.as_secs()));
    match read.unwrap_or_else(|_| late()) {
        Ok((found, from)) => {
            let Found { assistants: documents, mut credentials } = found;
            for document in &documents {
                let own = document.body["credentials"].as_array();
                credentials.extend(own.into_iter().flatten().filter_map(provider_of));
            }
            let found = format!("{} assistants, {from}", documents.len());
            Stored { finding: Finding::ok(SUBJECT, found), documents, credentials }
        }
        Err(reason) => {
            let advice = "run it as the server's user, with the server's settings, so that the providers of \
                          the stored assistants are looked at too";
            let finding = Finding::warning(SUBJECT, reason, advice);
            Stored { finding, documents: Vec::new(), credentials: BTreeSet::new() }
        }
    }
}

fn provider_of(credential: &Value) -> Option<String> {
    credential["provider"].as_str().map(str::to_owned)
}

async fn through_the_api(
    address: SocketAddr,
    organisations: &[Organisation],
) -> Result<(Found, String), String> {
    let mut found = Found::default();
    for key in organisations.iter().filter_map(|organisation| organisation.key.as_ref()) {
        let client = Client::new(&format!("http://{address}"), key.expose_secret())?;
        let list = async |what| {
            let list = client.get(&format!("/{what}?limit={DOCUMENTS_MAX}")).await?;
            list.as_array().cloned().ok_or_else(|| format!("/{what} of the server is no list"))
        };
        let assistants = list("assistant").await?.into_iter();
        found.assistants.extend(assistants.map(|body| Assistant {
            id: body["id"].as_str().unwrap_or_default().to_owned(),
            body,
        }));
        found.credentials.extend(list("credential").await?.iter().filter_map(provider_of));
    }
    if organisations.iter().all(|organisation| organisation.key.is_none()) {
        return Err("a server runs, and its API key cannot be read here".into());
    }
    Ok((found, "told by the server that runs".into()))
}

async fn from_the_store(
    path: &Path,
    organisations: &[Organisation],
) -> Result<(Found, String), String> {
    let Some(store) = open(path).await? else {
        return Ok((Found::default(), "the store is made at the first start".into()));
    };
    let listed = list(&store, organisations).await;
    let closed = store.close().await;
    let found = listed.map_err(|error| error.to_string())?;
    closed.map_err(|error| error.to_string())?;
    Ok((found, "read from the store".into()))
}

/// Opens the store; `None` when there is none yet.
///
/// # Errors
///
/// When it is somebody else's, in use, or damaged.
pub async fn open(path: &Path) -> Result<Option<Store>, String> {
    let Ok(folder) = fs::metadata(path) else { return Ok(None) };
    // Files that another user leaves in it would be closed to the server.
    if folder.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("{} belongs to another user and is left alone", path.display()));
    }
    let path = path.to_owned();
    let opened = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || Store::open(&path, StoreOptions::default())).await
    };
    match opened {
        Ok(Ok(store)) => Ok(Some(store)),
        Ok(Err(StoreError::Locked { .. })) => Err(format!(
            "{} is in use by a server that does not answer at server.listen",
            path.display()
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn list(store: &Store, organisations: &[Organisation]) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for Organisation { id, .. } in organisations {
        let filter = ListFilter { limit: DOCUMENTS_MAX, ..ListFilter::default() };
        let assistants = store.list(id, Kind::Assistant, filter, None).await?.into_iter();
        found
            .assistants
            .extend(assistants.map(|it| Assistant { id: it.id.to_string(), body: it.body }));
        let credentials = store.list(id, Kind::Credential, filter, None).await?;
        found.credentials.extend(credentials.iter().filter_map(|it| provider_of(&it.body)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use offhook_store::Document;
    use serde_json::json;

    use super::{super::State, *};

    fn settings(folder: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.store.path = folder.to_owned();
        settings
    }

    #[tokio::test]
    async fn a_store_that_nobody_uses_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let org = organisations(&settings)[0].id.clone();
        let body = json!({"name": "clinic"});
        let document = Document {
            org,
            kind: Kind::Assistant,
            id: uuid::Uuid::nil(),
            created_at_ms: 1,
            updated_at_ms: 1,
            body,
        };
        store.put(document).await.unwrap();

        let stored = read(&settings, None).await;
        assert_eq!(stored.finding.state, State::Warning, "the store is in use");
        store.close().await.unwrap();
        let stored = read(&settings, None).await;
        assert_eq!(stored.finding.found, "1 assistants, read from the store");
        assert_eq!(stored.documents[0].title(), "assistant `clinic`");
    }

    #[tokio::test]
    async fn a_store_that_is_not_there_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let stored = read(&settings(&folder.path().join("none")), None).await;
        assert_eq!(stored.finding.state, State::Ok);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
