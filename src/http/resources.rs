//! Documents that clients create, list, read, change and delete: `/assistant`, `/tool`, `/credential`.
//!
//! A resource is one line of [`PLAIN`], unless something is done about its documents (`phone_numbers`). Its secrets are sealed on their way to the store, and no answer
//! has them.

use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use offhook_actors::{VaultError, secrets_of};
use offhook_api::{ApiError, contract::Mode, secrets, server_fields};
use offhook_store::{Document, Kind, Place};
use serde_json::Value;
use uuid::Uuid;

use super::{
    App, Org,
    body::{self, Json},
    reply::{self, Reply},
};
use crate::auth::parse_id;

/// Query of a list, as it came.
pub type Pairs = Query<Vec<(String, String)>>;

/// One kind of documents.
pub struct Resource {
    /// As paths and errors call it.
    pub name: &'static str,
    /// As the API reference calls it.
    pub title: &'static str,
    pub kind: Kind,
    /// Shapes of the contract for new documents, and for changes of them.
    pub create: &'static str,
    pub update: &'static str,
    /// The field that tells the variants of those shapes apart; it never changes.
    pub tag: Option<&'static str>,
}

/// Those that are no more than documents.
pub const PLAIN: &[Resource] = &[
    Resource {
        name: "assistant",
        title: "Assistant",
        kind: Kind::Assistant,
        create: "CreateAssistantDTO",
        update: "UpdateAssistantDTO",
        tag: None,
    },
    Resource {
        name: "tool",
        title: "Tool",
        kind: Kind::Tool,
        create: "CreateToolDTO",
        update: "UpdateToolDTO",
        tag: Some("type"),
    },
    Resource {
        name: "credential",
        title: "Credential",
        kind: Kind::Credential,
        create: "AnyCredential",
        update: "AnyCredential",
        tag: Some("provider"),
    },
];

/// All resources.
pub fn all() -> impl Iterator<Item = &'static Resource> {
    PLAIN.iter().chain([&super::phone_numbers::RESOURCE])
}

/// The routes of those that are no more than documents.
pub fn routes() -> Router<App> {
    PLAIN.iter().fold(Router::new(), |router, resource| {
        let create = move |State(app): State<App>, Extension(Org(org)), Json(body): Json| async move {
            resource.create(&app, org, body).await
        };
        let list = move |State(app): State<App>, Extension(Org(org)), Query(pairs): Pairs| async move {
            resource.list(&app, &org, &pairs).await
        };
        let read = move |State(app): State<App>, Extension(Org(org)), Path(id): Path<String>| async move {
            resource.read(&app, &org, &id).await
        };
        let update = move |State(app): State<App>,
                           Extension(Org(org)),
                           Path(id): Path<String>,
                           Json(body): Json| async move {
            resource.update(&app, &org, &id, body).await
        };
        let remove = move |State(app): State<App>, Extension(Org(org)), Path(id): Path<String>| async move {
            resource.remove(&app, &org, &id).await
        };
        router
            .route(&format!("/{}", resource.name), post(create).get(list))
            .route(&format!("/{}/{{id}}", resource.name), get(read).patch(update).delete(remove))
    })
}

impl Resource {
    async fn create(&self, app: &App, org: String, body: Value) -> Reply {
        body::check(self.create, &body, Mode::Create)?;
        let (kind, id, now) = (self.kind, Uuid::new_v4(), super::now_ms());
        let mut body = server_fields::stamp_new(body, id, &org, now);
        app.node.vault().seal(Place { org: &org, kind, id }, &mut body).map_err(vault)?;
        let shown = self.shown(body.clone());
        let document = Document { org, kind, id, created_at_ms: now, updated_at_ms: now, body };
        app.node.store().put(document).await.map_err(reply::store)?;
        Ok(reply::created(shown))
    }

    pub async fn list(&self, app: &App, org: &str, pairs: &[(String, String)]) -> Reply {
        let query = super::calls::query(pairs, &[])?;
        let filter = super::calls::list_filter(&query);
        let found =
            app.node.store().list(org, self.kind, filter, None).await.map_err(reply::store)?;
        Ok(reply::ok(found.into_iter().map(|document| self.shown(document.body)).collect()))
    }

    pub async fn read(&self, app: &App, org: &str, id: &str) -> Reply {
        self.answer(find(app, org, self.kind, id).await?, id)
    }

    async fn update(&self, app: &App, org: &str, id: &str, mut changes: Value) -> Reply {
        let uuid = parse_id(id).ok_or_else(|| reply::not_found(self.name, id))?;
        if let Some(tag) = self.tag {
            let found = find(app, org, self.kind, id).await?;
            let found = found.ok_or_else(|| reply::not_found(self.name, id))?;
            keep(tag, &found, &mut changes)?;
        }
        body::check(self.update, &changes, Mode::Update)?;
        let place = Place { org, kind: self.kind, id: uuid };
        app.node.vault().seal(place, &mut changes).map_err(vault)?;
        let changed = body::patch(app, org, self.kind, uuid, changes).await?;
        self.answer(changed.map(|document| document.body), id)
    }

    async fn remove(&self, app: &App, org: &str, id: &str) -> Reply {
        let uuid = parse_id(id).ok_or_else(|| reply::not_found(self.name, id))?;
        let gone = app.node.store().delete(org, self.kind, uuid).await.map_err(reply::store)?;
        self.answer(gone.map(|document| document.body), id)
    }

    fn answer(&self, found: Option<Value>, id: &str) -> Reply {
        let found = found.ok_or_else(|| reply::not_found(self.name, id))?;
        Ok(reply::ok(self.shown(found)))
    }

    /// A stored document as clients see it.
    pub fn shown(&self, mut document: Value) -> Value {
        secrets::redact(&mut document, secrets_of(self.kind));
        document
    }
}

/// Reads a document by the id that a client or another document names; its secrets are sealed.
pub async fn find(app: &App, org: &str, kind: Kind, id: &str) -> Result<Option<Value>, Response> {
    let Some(uuid) = parse_id(id) else { return Ok(None) };
    let found = app.node.store().get(org, kind, uuid).await.map_err(reply::store)?;
    Ok(found.map(|document| document.body))
}

/// Answers what the vault could not do: the operator's or the client's to put right.
pub fn vault(error: VaultError) -> Response {
    match error {
        VaultError::Store(error) => reply::store(error),
        VaultError::NoKey
        | VaultError::Closed { .. }
        | VaultError::Unsealed { .. }
        | VaultError::Unknown { .. }
        | VaultError::Unfit(_) => reply::error(ApiError::conflict(error.to_string())),
    }
}

/// Gives a change the document's own tag, by which it is checked.
pub fn keep(tag: &str, document: &Value, changes: &mut Value) -> Result<(), Response> {
    let Value::Object(changes) = changes else { return Ok(()) };
    let own = document.get(tag).cloned().unwrap_or_default();
    match changes.get(tag) {
        Some(other) if *other != own => {
            let own = own.as_str().unwrap_or_default();
            Err(reply::bad_request(vec![format!("{tag} must be {own}: it cannot be changed")]))
        }
        Some(_) => Ok(()),
        None => {
            changes.insert(tag.into(), own);
            Ok(())
        }
    }
}
