//! `/call`.

use axum::{
    Extension,
    extract::{Path, Query, State},
    response::Response,
};
use offhook_actors::CallKeys;
use offhook_api::{
    ApiError, AssistantView, CALL_FILTERS, CallDocument, ListQuery,
    artifact::RecordingUrls,
    call::{CallUrls, SubscriptionLimits},
    contract::Mode,
    patch, resolve_assistant,
};
use offhook_core::{
    EndedReason,
    slots::{SlotRequest, Source},
};
use offhook_store::{Bounds, Document, Kind, ListFilter};
use offhook_supervisors::{SlotLimits, StartCall, Started};
use offhook_transports as transports;
use serde_json::Value;
use uuid::Uuid;

use super::{
    App, Org,
    body::{self, Json},
    call_setup, now_ms,
    phone::outbound,
    phone_calls,
    reply::{self, Reply},
    resources::Pairs,
    scheduled,
};
use crate::{auth::parse_id, signer::Purpose};

/// Fields of `POST /call` that this version does not act on, and what would work.
const NOT_YET: &[(&str, &str)] = &[
    ("squadId", "name one assistant with assistantId or assistant"),
    ("squad", "name one assistant with assistantId or assistant"),
    ("squadOverrides", "name one assistant with assistantId or assistant"),
    ("workflowId", "name one assistant with assistantId or assistant"),
    ("workflow", "name one assistant with assistantId or assistant"),
    ("workflowOverrides", "name one assistant with assistantId or assistant"),
    ("customerId", "give the customer itself in customer"),
    ("assistantVersion", "assistants have one version here"),
];

/// Longest wait for the end of a call that a client deletes.
const DELETE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Create Call
#[utoipa::path(post, path = "/call", tag = "Calls", operation_id = "CallController_create",
    request_body = Object, responses((status = 201, description = "The call"), (status = 400, description = "What is wrong with it"),
        (status = 429, description = "All concurrency slots are taken"), (status = 503, description = "The server is draining")))]
pub async fn create(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Json(body): Json,
) -> Reply {
    to_its_end(create_call(app, org, body)).await
}

/// Runs a request that must not stop half-way: a client that goes away drops its handler.
pub async fn to_its_end(work: impl Future<Output = Reply> + Send + 'static) -> Reply {
    match tokio::spawn(work).await {
        Ok(reply) => reply,
        Err(_) => Err(reply::error(ApiError::internal())),
    }
}

async fn create_call(app: App, org: String, body: Value) -> Reply {
    body::check("CreateCallDTO", &body, Mode::Create)?;
    let not_yet: Vec<_> = NOT_YET
        .iter()
        .filter(|(field, _)| body.get(field).is_some_and(|value| !value.is_null()))
        .map(|(field, instead)| format!("{field} is not supported by this version: {instead}"))
        .collect();
    if !not_yet.is_empty() {
        return Err(reply::bad_request(not_yet));
    }
    let is_websocket = body["transport"]["provider"] == "vapi.websocket";
    let has_phone = ["phoneNumberId", "phoneNumber", "customers", "customer"];
    if !is_websocket && has_phone.iter().any(|field| !body[*field].is_null()) {
        return phone_calls::create(app, org, body).await;
    }
    if !body["schedulePlan"].is_null() {
        let problem = "schedulePlan is for phone calls (phoneNumberId and customer): whoever opens the \
                       media socket of a websocket call decides when it begins";
        return Err(reply::bad_request(vec![problem.into()]));
    }
    let setup = call_setup::gather(&app, &org, body).await?;
    let (id, now) = (Uuid::new_v4(), now_ms());
    // Which addresses a call has depends on its assistant, which depends on the call.
    let bare = CallDocument::create(&setup.request, id, &org, &CallUrls::default(), now)
        .map_err(reply::bad_request)?;
    let transport = bare.as_value().get("transport").cloned().unwrap_or(Value::Null);
    if transports::is_carrier(&transport) {
        return Err(reply::bad_request(vec![
            "transport.provider is a carrier's: phoneNumberId (who calls) and customer (who is \
             called) must be given"
                .into(),
        ]));
    }
    let codec = transports::build(&transport)
        .map_err(|error| reply::bad_request(vec![format!("transport: {error}")]))?;
    let (base, overrides) = (&setup.assistant, Some(&setup.overrides));
    let resolved = resolve_assistant(base, overrides, bare.as_value(), now);
    for warning in &resolved.warnings {
        tracing::warn!(call = %id, warning, "assistant");
    }
    let assistant = AssistantView::new(resolved.document)
        .map_err(|problem| reply::bad_request(vec![problem]))?;
    if app.node.is_draining() {
        let problem = "the server is draining and takes no calls";
        return Err(reply::error(ApiError::unavailable(problem)));
    }
    let slots = app.node.slots();
    let assistant_id = setup.request["assistantId"].as_str();
    if let Some(id) = assistant_id {
        slots.heed_assistant_of(id, &setup.assistant);
    }
    let request = SlotRequest {
        assistant: assistant_id.map(Into::into),
        ..SlotRequest::new(Source::Interactive, org.as_str().into())
    };
    let lease = slots.take_now(request).map_err(|refusal| outbound::no_slot(&refusal))?;
    let leg_token = app.signer.token(Purpose::Leg, id);
    let urls = call_urls(&app, &assistant, id, &leg_token);
    let record =
        CallDocument::create(&setup.request, id, &org, &urls, now).map_err(reply::bad_request)?;
    let stored = Document {
        org: org.clone(),
        kind: Kind::Call,
        id,
        created_at_ms: now,
        updated_at_ms: now,
        body: record.as_value().clone(),
    };
    app.node.store().put(stored).await.map_err(reply::store)?;
    let start = StartCall {
        id,
        org: org.clone(),
        record: record.clone(),
        assistant,
        variable_values: resolved.variable_values,
        credentials: setup.credentials,
        keys: CallKeys::default(),
        line: None,
        server: None,
        format: codec.format(),
        hearing: codec.hearing(),
        leg_token,
        recording_urls: recording_urls(&app, id),
        lease,
        now_ms: now,
    };
    let answer = match app.node.start_call(start).await {
        Started::Running => record,
        // It ended before it began; its stored record says why.
        Started::Ended { .. } => match app.node.store().get(&org, Kind::Call, id).await {
            Ok(Some(document)) => CallDocument::from_value(document.body),
            Ok(None) | Err(_) => record,
        },
    };
    Ok(reply::created(answer.created_answer(limits(app.node.slots().limits_of(&org)))))
}

/// List Calls
#[utoipa::path(get, path = "/call", tag = "Calls", operation_id = "CallController_findAll",
    params(("id" = Option<String>, Query), ("assistantId" = Option<String>, Query), ("phoneNumberId" = Option<String>, Query),
        ("limit" = Option<u32>, Query), ("createdAtGt" = Option<String>, Query), ("createdAtLt" = Option<String>, Query),
        ("createdAtGe" = Option<String>, Query), ("createdAtLe" = Option<String>, Query), ("updatedAtGt" = Option<String>, Query),
        ("updatedAtLt" = Option<String>, Query), ("updatedAtGe" = Option<String>, Query), ("updatedAtLe" = Option<String>, Query)),
    responses((status = 200, description = "Newest first")))]
pub async fn list(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Query(pairs): Pairs,
) -> Reply {
    let query = query(&pairs, CALL_FILTERS)?;
    let filter = list_filter(&query);
    let predicate = move |document: &Document| query.matches_fields(&document.body);
    let found = app
        .node
        .store()
        .list(&org, Kind::Call, filter, Some(Box::new(predicate)))
        .await
        .map_err(reply::store)?;
    Ok(reply::ok(found.into_iter().map(|document| live(&app, document)).collect()))
}

/// Get Call
#[utoipa::path(get, path = "/call/{id}", tag = "Calls", operation_id = "CallController_findOne",
    params(("id" = String, Path)), responses((status = 200, description = "The call"), (status = 404, description = "There is none of this id")))]
pub async fn get(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    Ok(reply::ok(live(&app, find(&app, &org, &id).await?)))
}

/// Update Call
#[utoipa::path(patch, path = "/call/{id}", tag = "Calls", operation_id = "CallController_update",
    params(("id" = String, Path)), request_body = Object,
    responses((status = 200, description = "The call as it is now"), (status = 400, description = "What is wrong"), (status = 404, description = "There is none of this id")))]
pub async fn update(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Json(changes): Json,
) -> Reply {
    let uuid = parse_id(&id).ok_or_else(|| reply::not_found("call", &id))?;
    body::check("UpdateCallDTO", &changes, Mode::Update)?;
    find(&app, &org, &id).await?;
    to_its_end(async move {
        let change = update_call(&app, &org, uuid, changes.clone());
        scheduled::update(&app, (&org, uuid), &changes, change).await
    })
    .await
}

async fn update_call(app: &App, org: &str, uuid: Uuid, changes: Value) -> Reply {
    if let Some(context) = app.node.call(uuid).filter(|context| context.spec.org == org) {
        let mut record = context.record();
        if let Ok(patched) = patch::apply(record.as_value(), &changes) {
            *record = CallDocument::from_value(patched);
        }
    }
    let changed = body::patch(app, org, Kind::Call, uuid, changes).await?;
    changed
        .map(|document| reply::ok(live(app, document)))
        .ok_or_else(|| reply::not_found("call", &uuid.to_string()))
}

/// Delete Call
#[utoipa::path(delete, path = "/call/{id}", tag = "Calls", operation_id = "CallController_deleteCallData",
    params(("id" = String, Path)), request_body = Object,
    responses((status = 200, description = "The call that is gone"), (status = 404, description = "There is none of this id"), (status = 503, description = "It runs and does not end")))]
pub async fn remove(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Reply {
    to_its_end(delete_calls(app, org, id, body)).await
}

async fn delete_calls(app: App, org: String, id: String, body: Value) -> Reply {
    body::check("DeleteCallDTO", &body, Mode::Create)?;
    // As the contract has it, ids of the body replace the one of the path. All are looked up before
    // the first is deleted, so that a wrong one changes nothing.
    let many: Option<Vec<&str>> = body
        .get("ids")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_str).collect());
    let ids = many.filter(|ids| !ids.is_empty()).unwrap_or_else(|| vec![&*id]);
    let mut documents = Vec::new();
    for id in ids {
        documents.push(find(&app, &org, id).await?);
    }
    for document in &documents {
        scheduled::delete(&app, &org, document.id).await?;
    }
    // They end side by side.
    for document in &documents {
        app.node.end_call(document.id, EndedReason::CallDeleted);
    }
    let over = futures_util::future::join_all(documents.iter().map(|d| app.node.wait_ended(d.id)));
    if tokio::time::timeout(DELETE_TIMEOUT, over).await.is_err() {
        let problem = "the call runs and does not end; nothing is deleted, try again";
        return Err(reply::error(ApiError::unavailable(problem)));
    }
    let mut first = None;
    for document in documents {
        let gone =
            app.node.store().delete(&org, Kind::Call, document.id).await.map_err(reply::store)?;
        super::recordings::remove(&app, document.id).await;
        first = first.or(gone.map(|document| document.body));
    }
    first.map(reply::ok).ok_or_else(|| reply::not_found("call", &id))
}

/// The stored call of this id, of this organisation.
pub async fn find(app: &App, org: &str, id: &str) -> Result<Document, Response> {
    let uuid = parse_id(id).ok_or_else(|| reply::not_found("call", id))?;
    let found = app.node.store().get(org, Kind::Call, uuid).await.map_err(reply::store)?;
    found.ok_or_else(|| reply::not_found("call", id))
}

/// Reads the query of a list.
pub fn query(
    pairs: &[(String, String)],
    filters: &'static [&'static str],
) -> Result<ListQuery, Response> {
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ListQuery::parse(pairs, filters).map_err(reply::bad_request)
}

pub fn list_filter(query: &ListQuery) -> ListFilter {
    let bounds = |range: &offhook_api::Bounds| Bounds {
        gt: range.gt,
        lt: range.lt,
        ge: range.ge,
        le: range.le,
    };
    ListFilter {
        limit: query.limit,
        created: bounds(&query.created),
        updated: bounds(&query.updated),
    }
}

/// A running call's document is more recent in memory than on disk.
fn live(app: &App, document: Document) -> Value {
    match app.node.call(document.id) {
        Some(context) => context.record().as_value().clone(),
        None => document.body,
    }
}

/// Where a call is reached: its media socket, and what its assistant lets others do with it.
pub fn call_urls(app: &App, assistant: &AssistantView, id: Uuid, leg_token: &str) -> CallUrls {
    let http = &app.public_url;
    let sockets = http.replacen("http", "ws", 1);
    let monitor = assistant.monitor_plan();
    let listen = app.signer.token(Purpose::Listen, id);
    let control = app.signer.token(Purpose::Control, id);
    CallUrls {
        websocket: Some(format!("{sockets}/{id}/transport?token={leg_token}")),
        listen: monitor.listen_enabled.then(|| format!("{sockets}/{id}/listen?token={listen}")),
        control: monitor.control_enabled.then(|| format!("{http}/{id}/control?token={control}")),
    }
}

pub fn recording_urls(app: &App, id: Uuid) -> RecordingUrls {
    let token = app.signer.token(Purpose::Recording, id);
    let url = |kind| format!("{}/recordings/{id}/{kind}.wav?token={token}", app.public_url);
    RecordingUrls { mono: url("mono"), stereo: url("stereo"), assistant: None, customer: None }
}

pub fn limits(limits: SlotLimits) -> SubscriptionLimits {
    SubscriptionLimits {
        concurrency_blocked: false,
        concurrency_limit: limits.limit as usize,
        remaining_concurrent_calls: limits.limit.saturating_sub(limits.in_use) as usize,
    }
}
