//! `/do-not-call`: numbers that no campaign calls, from the next dial on.
//!
//! Its documents are named after their numbers, so that a number is on the list once.

use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use offhook_api::{campaign::number_key, contract::Mode, server_fields};
use offhook_core::campaign::NumberKey;
use offhook_store::{Document, Kind, StoreError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    App, Org,
    body::{self, Json},
    now_ms,
    reply::{self, Reply},
    resources::{self, Pairs},
};
use crate::auth::parse_id;

/// Operations as the reference page lists them: path, method, summary, id, body.
pub const OPERATIONS: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("/do-not-call", "post", "Add a Number", "create", Some("CreateDoNotCallDTO")),
    ("/do-not-call", "get", "List Numbers", "findAll", None),
    ("/do-not-call/{id}", "get", "Get a Number", "findOne", None),
    ("/do-not-call/{id}", "delete", "Remove a Number", "remove", None),
];

pub fn routes() -> Router<App> {
    Router::new()
        .route("/do-not-call", post(create).get(list))
        .route("/do-not-call/{id}", get(read).delete(remove))
}

async fn create(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Json(body): Json,
) -> Reply {
    body::check("CreateDoNotCallDTO", &body, Mode::Create)?;
    let number = body["number"].as_str().unwrap_or_default();
    let key = number_key(number).ok_or_else(|| {
        reply::bad_request(vec!["number must be in E.164 format, for example +14155550100".into()])
    })?;
    let reason = body.get("reason").cloned();
    add(&app, &org, number, key, reason).await.map(reply::created).map_err(reply::store)
}

/// Puts a number on the list; `Ok`: it is on disk, and no campaign dials it from here on.
pub async fn add(
    app: &App,
    org: &str,
    number: &str,
    key: NumberKey,
    reason: Option<Value>,
) -> Result<Value, StoreError> {
    let (kind, id, now) = (Kind::DoNotCall, id_of(org, number), now_ms());
    let mut body = json!({ "number": number });
    if let Some(reason) = reason {
        body["reason"] = reason;
    }
    let body = server_fields::stamp_new(body, id, org, now);
    let shown = body.clone();
    let document =
        Document { org: org.into(), kind, id, created_at_ms: now, updated_at_ms: now, body };
    app.node.store().put(document).await?;
    app.node.campaigns().bar(org, key);
    Ok(shown)
}

async fn list(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Query(pairs): Pairs,
) -> Reply {
    let query = super::calls::query(&pairs, &["number"])?;
    let filter = super::calls::list_filter(&query);
    let is_it = move |document: &Document| query.matches_fields(&document.body);
    let store = app.node.store();
    let found = store.list(&org, Kind::DoNotCall, filter, Some(Box::new(is_it))).await;
    let found = found.map_err(reply::store)?;
    Ok(reply::ok(found.into_iter().map(|document| document.body).collect()))
}

async fn read(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    let found = resources::find(&app, &org, Kind::DoNotCall, &id).await?;
    found.map(reply::ok).ok_or_else(|| reply::not_found("do-not-call", &id))
}

async fn remove(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    let uuid = parse_id(&id).ok_or_else(|| reply::not_found("do-not-call", &id))?;
    let gone = app.node.store().delete(&org, Kind::DoNotCall, uuid).await.map_err(reply::store)?;
    let gone = gone.ok_or_else(|| reply::not_found("do-not-call", &id))?;
    if let Some(key) = gone.body["number"].as_str().and_then(number_key) {
        app.node.campaigns().unbar(&org, key);
    }
    Ok(reply::ok(gone.body))
}

fn id_of(org: &str, number: &str) -> Uuid {
    let digest = Sha256::digest(format!("{org} {number}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
