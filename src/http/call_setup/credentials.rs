//! The credentials of a call, in the order in which they count: those that its assistant brings,
//! then the stored ones that it names, or all of its organisation when it names none.

use std::collections::{BTreeMap, HashSet};

use axum::response::Response;
use offhook_actors::VaultError;
use offhook_api::{Credential, Credentials, ServerAuth};
use offhook_store::{Kind, Place};
use serde_json::{Value, json};

use super::Origins;
use crate::{
    auth::parse_id,
    http::{App, resources},
};

/// Credentials that one call may name. A call has a handful of providers and servers.
const NAMED_MAX: usize = 100;

/// Providers of stages that an assistant does not name, where there is a key for them.
const DEFAULT_PROVIDERS: [&str; 2] = ["deepgram", "openai"];

/// Stages, and so the fields that name providers.
const STAGES: [&str; 3] = ["transcriber", "model", "voice"];

pub(super) async fn gather(
    app: &App,
    org: &str,
    origins: &Origins,
    problems: &mut Vec<String>,
) -> Result<Credentials, Response> {
    let mut providers: HashSet<String> = DEFAULT_PROVIDERS.map(String::from).into();
    for stage in STAGES.iter().filter_map(|stage| origins.field(stage)) {
        note_providers(stage, &mut providers);
    }
    let mut found = brought(app, org, origins)?;
    found.extend(named(app, org, origins, &providers, problems).await?);
    let mut keys = Vec::new();
    for (path, document) in found {
        let provider = document.get("provider").and_then(Value::as_str).unwrap_or_default();
        if !providers.contains(provider) {
            continue;
        }
        match Credential::read(&document) {
            Ok(credential) => keys.extend(credential),
            // What another one stands in for may say what it likes.
            Err(_) if keys.iter().any(|key: &Credential| key.provider == provider) => {}
            Err(problem) => problems.push(format!("{path}: {problem}")),
        }
    }
    Ok(Credentials::new(keys, servers(app, org, origins, problems).await?))
}

/// Every provider that a stage names, its fallbacks' among them.
fn note_providers(value: &Value, providers: &mut HashSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(provider) if name == "provider" => {
                        providers.insert(provider.to_owned());
                    }
                    Some(_) | None => note_providers(field, providers),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| note_providers(item, providers)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `credentials`: opened, each with its path.
fn brought(app: &App, org: &str, origins: &Origins) -> Result<Vec<(String, Value)>, Response> {
    let Some(list) = origins.field("credentials") else { return Ok(Vec::new()) };
    let mut document = json!({"credentials": list});
    let stored = origins.stored.as_deref().filter(|_| !origins.is_overridden("credentials"));
    if let Some(id) = stored.and_then(parse_id) {
        let place = Place { org, kind: Kind::Assistant, id };
        app.node.vault().open(place, &mut document).map_err(resources::vault)?;
    }
    let Value::Array(list) = document["credentials"].take() else { return Ok(Vec::new()) };
    let with_path = |(index, mut credential): (usize, Value)| {
        // An id is that of a stored one.
        if let Value::Object(fields) = &mut credential {
            fields.remove("id");
        }
        (origins.path("credentials", &format!("{index}")), credential)
    };
    Ok(list.into_iter().enumerate().map(with_path).collect())
}

/// The stored credentials: those of `credentialIds`, or the organisation's newest of each provider.
async fn named(
    app: &App,
    org: &str,
    origins: &Origins,
    providers: &HashSet<String>,
    problems: &mut Vec<String>,
) -> Result<Vec<(String, Value)>, Response> {
    let vault = app.node.vault();
    let ids = origins.field("credentialIds").and_then(Value::as_array);
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
        let newest = vault.newest(org, providers.clone()).await.map_err(resources::vault)?;
        let path =
            |found: &Value| format!("credential {}", found["id"].as_str().unwrap_or_default());
        return Ok(newest.into_iter().map(|found| (path(&found), found)).collect());
    };
    if ids.len() > NAMED_MAX {
        let path = origins.path("credentialIds", "");
        problems.push(format!("{path} must contain no more than {NAMED_MAX} elements"));
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let path = origins.path("credentialIds", &index.to_string());
        match vault.credential(org, id.as_str().unwrap_or_default()).await {
            Ok(credential) => found.push((path, credential)),
            Err(error @ VaultError::Unknown { .. }) => problems.push(format!("{path}: {error}")),
            Err(error) => return Err(resources::vault(error)),
        }
    }
    Ok(found)
}

/// A place that names the credential of a server.
struct ServerRef<'v> {
    path: String,
    id: &'v str,
    /// The server is talked to in a session: there is no one body to sign.
    is_session: bool,
}

/// How the servers are convinced that the call's documents name.
async fn servers(
    app: &App,
    org: &str,
    origins: &Origins,
    problems: &mut Vec<String>,
) -> Result<BTreeMap<String, ServerAuth>, Response> {
    let mut found: BTreeMap<String, ServerAuth> = BTreeMap::new();
    let refs = server_refs(origins);
    let distinct: HashSet<&str> = refs.iter().map(|server| server.id).collect();
    if distinct.len() > NAMED_MAX {
        problems.push(format!("servers must not name more than {NAMED_MAX} credentials"));
        return Ok(found);
    }
    for ServerRef { path, id, is_session } in refs {
        if !found.contains_key(id) {
            match app.node.vault().server_auth(org, id).await {
                Ok(auth) => drop(found.insert(id.to_owned(), auth)),
                Err(error @ VaultError::Unknown { .. }) => {
                    problems.push(format!("{path}: {error}"));
                }
                Err(error @ VaultError::Unfit(_)) => problems.push(format!("{path} {error}")),
                Err(error) => return Err(resources::vault(error)),
            }
        }
        if is_session && matches!(found.get(id), Some(ServerAuth::Hmac(_))) {
            problems.push(format!(
                "{path} names a credential with authenticationPlan.type `hmac`, which is not \
                 supported for voices and transcribers: use bearer"
            ));
        }
    }
    Ok(found)
}

fn server_refs<'v>(origins: &'v Origins) -> Vec<ServerRef<'v>> {
    let mut refs = Vec::new();
    let mut add = |server: Option<&'v Value>, path: String| {
        refs.extend(credential_id(server).map(|id| ServerRef { path, id, is_session: false }));
    };
    add(origins.field("server"), origins.path("server", "credentialId"));
    let tools = origins.field("model").and_then(|model| model.get("tools"));
    for (index, tool) in list(tools) {
        let path = origins.path("model", &format!("tools.{index}.server.credentialId"));
        add(tool.get("server"), path);
    }
    for (index, tool) in list(origins.overrides.get("tools:append")) {
        let path = match tool.get("id").and_then(Value::as_str) {
            Some(id) => format!("server.credentialId of tool {id}"),
            None => format!("assistantOverrides.tools:append.{index}.server.credentialId"),
        };
        add(tool.get("server"), path);
    }
    for stage in ["transcriber", "voice"] {
        let Some(value) = origins.field(stage) else { continue };
        let mut sessions = Vec::new();
        session_servers(value, String::new(), &mut sessions);
        refs.extend(sessions.into_iter().map(|(below, id)| ServerRef {
            path: origins.path(stage, &below),
            id,
            is_session: true,
        }));
    }
    refs
}

/// The servers of a stage and of its fallbacks.
fn session_servers<'v>(value: &'v Value, path: String, found: &mut Vec<(String, &'v str)>) {
    let below = |name: &str| match path.as_str() {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let id = credential_id(Some(field)).filter(|_| name == "server");
                match id {
                    Some(id) => found.push((below("server.credentialId"), id)),
                    None => session_servers(field, below(name), found),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                session_servers(item, below(&index.to_string()), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn credential_id(server: Option<&Value>) -> Option<&str> {
    server?.get("credentialId")?.as_str().filter(|id| !id.is_empty())
}

fn list(value: Option<&Value>) -> impl Iterator<Item = (usize, &Value)> {
    value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice).iter().enumerate()
}
