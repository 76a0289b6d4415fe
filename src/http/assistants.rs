//! `/assistant`.

use axum::{
    Extension,
    extract::{Path, Query, State},
};
use offhook_api::{contract::Mode, server_fields};
use offhook_store::{Document, Kind};
use serde_json::Value;
use uuid::Uuid;

use super::{
    App, Org,
    body::{self, Json},
    reply::{self, Reply},
};
use crate::auth::parse_id;

const CREATE: &str = "CreateAssistantDTO";
const UPDATE: &str = "UpdateAssistantDTO";

/// Query of a list, as it came.
pub type Pairs = Query<Vec<(String, String)>>;

/// Create Assistant
#[utoipa::path(post, path = "/assistant", tag = "Assistants", operation_id = "AssistantController_create",
    request_body = Object, responses((status = 201, description = "The assistant"), (status = 400, description = "What is wrong with it")))]
pub async fn create(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Json(body): Json,
) -> Reply {
    body::check(CREATE, &body, Mode::Create)?;
    let (id, now) = (Uuid::new_v4(), super::now_ms());
    let body = server_fields::stamp_new(body, id, &org, now);
    let document = Document {
        org,
        kind: Kind::Assistant,
        id,
        created_at_ms: now,
        updated_at_ms: now,
        body: body.clone(),
    };
    app.node.store().put(document).await.map_err(reply::store)?;
    Ok(reply::created(body))
}

/// List Assistants
#[utoipa::path(get, path = "/assistant", tag = "Assistants", operation_id = "AssistantController_findAll",
    params(("limit" = Option<u32>, Query), ("createdAtGt" = Option<String>, Query), ("createdAtLt" = Option<String>, Query),
        ("createdAtGe" = Option<String>, Query), ("createdAtLe" = Option<String>, Query), ("updatedAtGt" = Option<String>, Query),
        ("updatedAtLt" = Option<String>, Query), ("updatedAtGe" = Option<String>, Query), ("updatedAtLe" = Option<String>, Query)),
    responses((status = 200, description = "Newest first")))]
pub async fn list(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Query(pairs): Pairs,
) -> Reply {
    let query = super::calls::query(&pairs, &[])?;
    let filter = super::calls::list_filter(&query);
    let found =
        app.node.store().list(&org, Kind::Assistant, filter, None).await.map_err(reply::store)?;
    Ok(reply::ok(found.into_iter().map(|document| document.body).collect()))
}

/// Get Assistant
#[utoipa::path(get, path = "/assistant/{id}", tag = "Assistants", operation_id = "AssistantController_findOne",
    params(("id" = String, Path)), responses((status = 200, description = "The assistant"), (status = 404, description = "There is none of this id")))]
pub async fn get(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    let uuid = parse_id(&id).ok_or_else(|| reply::not_found("assistant", &id))?;
    let found = app.node.store().get(&org, Kind::Assistant, uuid).await.map_err(reply::store)?;
    found.map(|document| reply::ok(document.body)).ok_or_else(|| reply::not_found("assistant", &id))
}

/// Update Assistant
#[utoipa::path(patch, path = "/assistant/{id}", tag = "Assistants", operation_id = "AssistantController_update",
    params(("id" = String, Path)), request_body = Object,
    responses((status = 200, description = "The assistant as it is now"), (status = 400, description = "What is wrong"), (status = 404, description = "There is none of this id")))]
pub async fn update(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Json(changes): Json,
) -> Reply {
    let uuid = parse_id(&id).ok_or_else(|| reply::not_found("assistant", &id))?;
    body::check(UPDATE, &changes, Mode::Update)?;
    let changed = body::patch(&app, &org, Kind::Assistant, uuid, changes).await?;
    changed
        .map(|document| reply::ok(document.body))
        .ok_or_else(|| reply::not_found("assistant", &id))
}

/// Delete Assistant
#[utoipa::path(delete, path = "/assistant/{id}", tag = "Assistants", operation_id = "AssistantController_remove",
    params(("id" = String, Path)), responses((status = 200, description = "The assistant that is gone"), (status = 404, description = "There is none of this id")))]
pub async fn remove(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    let uuid = parse_id(&id).ok_or_else(|| reply::not_found("assistant", &id))?;
    let gone = app.node.store().delete(&org, Kind::Assistant, uuid).await.map_err(reply::store)?;
    gone.map(|document| reply::ok(document.body)).ok_or_else(|| reply::not_found("assistant", &id))
}

/// Reads an assistant by the id that another document names.
pub async fn find(
    app: &App,
    org: &str,
    id: &str,
) -> Result<Option<Value>, axum::response::Response> {
    let Some(uuid) = parse_id(id) else { return Ok(None) };
    let found = app.node.store().get(org, Kind::Assistant, uuid).await.map_err(reply::store)?;
    Ok(found.map(|document| document.body))
}
