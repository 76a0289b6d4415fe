//! `/phone-number`: documents as others, which also tell their carriers where calls go.
//!
//! A number is on disk before its carrier points here, so that its first call finds it. What the
//! carrier refuses is left to be done by hand, and the document says how.

mod rules;

use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use offhook_api::{
    ApiError, NumberProvider, PageQuery, PhoneNumberView, contract::Mode, patch, server_fields,
};
use offhook_store::{Document, Kind, ListFilter, Place};
use offhook_supervisors::numbers::{
    AccountError, CarrierSetup, Exchange, NUMBERS_MAX, SetupError, StoredNumber, carrier_account_of,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    App, Org,
    body::{self, Json},
    calls::to_its_end,
    reply::{self, Reply},
    resources::{self, Pairs, Resource},
};
use crate::auth::parse_id;

pub const RESOURCE: Resource = Resource {
    name: "phone-number",
    title: "Phone Number",
    kind: Kind::PhoneNumber,
    create: "CreatePhoneNumberDTO",
    update: "UpdatePhoneNumberDTO",
    tag: Some("provider"),
};

/// Fields that say which number at which carrier's account it is.
const CARRIER_FIELDS: [&str; 6] = [
    "number",
    "credentialId",
    "twilioAccountSid",
    "twilioAuthToken",
    "twilioApiKey",
    "twilioApiSecret",
];

/// `carrierSetup.status` while the carrier is being asked for the first time.
const UNDER_WAY: &str = "under-way";

/// What a search looks at.
const SEARCHED: &[&str] = &["name", "number"];

pub fn routes() -> Router<App> {
    Router::new()
        .route("/phone-number", post(create).get(list))
        .route("/phone-number/{id}", get(read).patch(update).delete(remove))
        .route("/v2/phone-number", get(pages))
}

async fn create(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Json(body): Json,
) -> Reply {
    to_its_end(create_number(app, org, body)).await
}

async fn create_number(app: App, org: String, body: Value) -> Reply {
    rules::refuse_provider(&body).map_err(|problem| reply::bad_request(vec![problem]))?;
    body::check(RESOURCE.create, &body, Mode::Create)?;
    let view = check(&app, &org, &body, &body, true).await?;
    let (kind, id, now) = (RESOURCE.kind, Uuid::new_v4(), super::now_ms());
    let mut body = server_fields::stamp_new(body, id, &org, now);
    put_setup(&mut body, "activating", json!({"status": UNDER_WAY, "instructions": []}));
    app.node.vault().seal(Place { org: &org, kind, id }, &mut body).map_err(resources::vault)?;
    {
        let _one_at_a_time = app.number_changes.lock().await;
        refuse_twin(&app, &org, &view, None).await?;
        let document = Document {
            org: org.clone(),
            kind,
            id,
            created_at_ms: now,
            updated_at_ms: now,
            body: body.clone(),
        };
        app.node.store().put(document).await.map_err(reply::store)?;
    }
    let number = StoredNumber { org, id, view, document: body };
    let shown = set_up(&app, &number, Vec::new()).await?;
    Ok(reply::created(shown))
}

async fn list(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Query(pairs): Pairs,
) -> Reply {
    RESOURCE.list(&app, &org, &pairs).await
}

async fn read(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    RESOURCE.read(&app, &org, &id).await
}

/// Pages of numbers.
async fn pages(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Query(pairs): Pairs,
) -> Reply {
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = PageQuery::parse(pairs).map_err(reply::bad_request)?;
    let filter = ListFilter { limit: NUMBERS_MAX, ..super::calls::list_filter(&query.list) };
    let searched = query.clone();
    let predicate = move |document: &Document| searched.is_in(&document.body, SEARCHED);
    let store = app.node.store();
    let found = store.list(&org, RESOURCE.kind, filter, Some(Box::new(predicate))).await;
    let all = found.map_err(reply::store)?.into_iter();
    Ok(reply::ok(query.cut(all.map(|document| RESOURCE.shown(document.body)).collect())))
}

async fn update(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Json(changes): Json,
) -> Reply {
    to_its_end(update_number(app, org, id, changes)).await
}

async fn update_number(app: App, org: String, id: String, mut changes: Value) -> Reply {
    let not_found = || reply::not_found(RESOURCE.name, &id);
    let uuid = parse_id(&id).ok_or_else(not_found)?;
    let before = resources::find(&app, &org, RESOURCE.kind, &id).await?.ok_or_else(not_found)?;
    resources::keep("provider", &before, &mut changes)?;
    body::check(RESOURCE.update, &changes, Mode::Update)?;
    let is_moved = CARRIER_FIELDS.iter().any(|field| changes.get(field).is_some());
    // A change of nothing is how clients ask to try again.
    let is_bare =
        changes.as_object().is_some_and(|fields| fields.keys().all(|it| it == "provider"));
    let merged = patch::apply(&before, &changes).map_err(reply::bad_request)?;
    let place = Place { org: &org, kind: RESOURCE.kind, id: uuid };
    let mut opened = merged.clone();
    app.node.vault().open(place, &mut opened).map_err(resources::vault)?;
    let view = check(&app, &org, &opened, &changes, is_moved).await?;
    app.node.vault().seal(place, &mut changes).map_err(resources::vault)?;
    let changed = {
        let _one_at_a_time = app.number_changes.lock().await;
        refuse_twin(&app, &org, &view, Some(uuid)).await?;
        body::patch(&app, &org, RESOURCE.kind, uuid, changes).await?
    };
    let changed = changed.ok_or_else(not_found)?;
    let is_set_up = changed.body["status"] == "active";
    if is_set_up && !is_moved && !is_bare {
        return Ok(reply::ok(RESOURCE.shown(changed.body)));
    }
    let mut notes = Vec::new();
    let is_another = ["number", "credentialId", "twilioAccountSid"]
        .iter()
        .any(|field| before.get(field) != changed.body.get(field));
    if is_another && let Some(former) = StoredNumber::read(&org, uuid, before) {
        notes.extend(release(&app, &former).await);
    }
    let number = StoredNumber { org, id: uuid, view, document: changed.body };
    Ok(reply::ok(set_up(&app, &number, notes).await?))
}

async fn remove(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    to_its_end(remove_number(app, org, id)).await
}

async fn remove_number(app: App, org: String, id: String) -> Reply {
    let not_found = || reply::not_found(RESOURCE.name, &id);
    let uuid = parse_id(&id).ok_or_else(not_found)?;
    let gone = app.node.store().delete(&org, RESOURCE.kind, uuid).await.map_err(reply::store)?;
    let mut shown = gone.ok_or_else(not_found)?.body;
    if let Some(number) = StoredNumber::read(&org, uuid, shown.clone())
        && let Some(note) = release(&app, &number).await
    {
        shown["carrierSetup"] = json!({"status": "by-hand", "instructions": [note]});
    }
    Ok(reply::ok(RESOURCE.shown(shown)))
}

/// Get Carrier State
#[utoipa::path(get, path = "/phone-number/{id}/carrier", tag = "Phone Numbers", operation_id = "PhoneNumberController_findCarrier",
    params(("id" = String, Path)),
    responses((status = 200, description = "What the carrier says now about where calls of the number go"), (status = 404, description = "There is none of this id")))]
pub async fn carrier(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    let not_found = || reply::not_found(RESOURCE.name, &id);
    let uuid = parse_id(&id).ok_or_else(not_found)?;
    let found = resources::find(&app, &org, RESOURCE.kind, &id).await?.ok_or_else(not_found)?;
    let number = StoredNumber::read(&org, uuid, found).ok_or_else(not_found)?;
    Ok(reply::ok(exchange(&app).report(&number).await))
}

/// Refuses what the contract's shapes allow and a number cannot have; `changes` are what the client
/// sent of the document, and `is_moved` says that its carrier is among them: a credential that was
/// deleted since does not keep a number from getting another name.
async fn check(
    app: &App,
    org: &str,
    document: &Value,
    changes: &Value,
    is_moved: bool,
) -> Result<PhoneNumberView, Response> {
    let mut problems = rules::problems(document);
    let view = PhoneNumberView::read(document)
        .ok_or_else(|| reply::bad_request(vec![rules::PROVIDERS_EXPECTED.to_owned()]))?;
    let is_given = |field: &str| changes.get(field).is_some_and(|value| !value.is_null());
    if let Some(id) = view.assistant_id.as_deref().filter(|_| is_given("assistantId"))
        && resources::find(app, org, Kind::Assistant, id).await?.is_none()
    {
        problems.push(format!("assistantId {id} does not name an assistant"));
    }
    if is_moved {
        problems.extend(credential_problem(app, org, &view).await?);
    }
    if is_moved && problems.is_empty() && view.provider != NumberProvider::Byo {
        let (vault, carriers) = (app.node.vault(), &app.node.settings().carriers);
        match carrier_account_of(vault, carriers, org, document).await {
            Ok(_) => {}
            Err(AccountError::Vault(error)) => return Err(resources::vault(error)),
            Err(error @ (AccountError::Missing { .. } | AccountError::Sip)) => {
                problems.push(error.to_string());
            }
        }
    }
    if problems.is_empty() { Ok(view) } else { Err(reply::bad_request(problems)) }
}

/// The credential must be there, and be the carrier's: its keys are needed at once.
async fn credential_problem(
    app: &App,
    org: &str,
    view: &PhoneNumberView,
) -> Result<Option<String>, Response> {
    let Some(id) = &view.credential_id else { return Ok(None) };
    let Some(found) = resources::find(app, org, Kind::Credential, id).await? else {
        return Ok(Some(format!("credentialId {id} does not name a credential")));
    };
    let expected = view.provider.credential();
    let is_fit = found["provider"] == expected;
    Ok((!is_fit).then(|| {
        let provider = found["provider"].as_str().unwrap_or_default();
        format!(
            "credentialId {id} names a credential of `{provider}`, expected one of `{expected}`"
        )
    }))
}

/// A carrier's number is one document of an organisation's, so that it is clear who answers.
async fn refuse_twin(
    app: &App,
    org: &str,
    view: &PhoneNumberView,
    id: Option<Uuid>,
) -> Result<(), Response> {
    if view.number.is_empty() {
        return Ok(());
    }
    let store = app.node.store();
    let twin = StoredNumber::named(store, org, view.provider, &view.number, id).await;
    match twin.map_err(reply::store)? {
        None => Ok(()),
        Some(twin) => Err(reply::error(ApiError::conflict(format!(
            "number is that of phone number {} already: change that one, or delete it first",
            twin.id
        )))),
    }
}

/// Goes on with the setups that a process left which died in between.
pub async fn finish_setups(app: App, orgs: Vec<String>) {
    let is_left = |document: &Document| document.body["carrierSetup"]["status"] == UNDER_WAY;
    for org in orgs {
        let filter = ListFilter { limit: NUMBERS_MAX, ..ListFilter::default() };
        let left = app.node.store().list(&org, RESOURCE.kind, filter, Some(Box::new(is_left)));
        let left = match left.await {
            Ok(left) => left,
            Err(problem) => {
                tracing::error!(%problem, "phone numbers that were left half set up stay so");
                continue;
            }
        };
        for document in left {
            if let Some(number) = StoredNumber::read(&org, document.id, document.body) {
                // What the carrier refuses is in the document; a number that is gone needs nothing.
                let _ = set_up(&app, &number, Vec::new()).await;
            }
        }
    }
}

fn exchange(app: &App) -> Exchange<'_> {
    Exchange { store: app.node.store(), vault: app.node.vault(), settings: app.node.settings() }
}

/// Points the carrier here, and notes in the document how that went.
async fn set_up(app: &App, number: &StoredNumber, notes: Vec<String>) -> Result<Value, Response> {
    let mut setup = exchange(app).set_up(number).await;
    log(number.id, &setup);
    setup.instructions.extend(notes);
    let (status, value) = (setup.status(), setup.to_value());
    let note = move |document: &mut Document| put_setup(&mut document.body, status, value);
    let noted = app.node.store().update(&number.org, RESOURCE.kind, number.id, note).await;
    match noted.map_err(reply::store)? {
        Some(document) => Ok(RESOURCE.shown(document.body)),
        None => {
            // It was deleted meanwhile: nothing may point at it.
            release(app, number).await;
            Err(reply::not_found(RESOURCE.name, &number.id.to_string()))
        }
    }
}

fn put_setup(body: &mut Value, status: &str, setup: Value) {
    body["status"] = status.into();
    body["carrierSetup"] = setup;
}

/// Takes a number away from this server; what is left to be done by hand when that fails.
async fn release(app: &App, number: &StoredNumber) -> Option<String> {
    let problem = match exchange(app).release(number).await {
        // There is nothing to take away.
        Ok(()) | Err(SetupError::Account(AccountError::Sip) | SetupError::NoPublicUrl) => {
            return None;
        }
        Err(problem) => problem,
    };
    tracing::warn!(number = %number.id, %problem, "a carrier may still point at a number that is gone");
    Some(format!(
        "{} could not be told that {} is gone from here ({problem}): if its calls still come \
         here, clear its addresses on the carrier's pages",
        number.view.provider.title(),
        number.view.number
    ))
}

fn log(number: Uuid, setup: &CarrierSetup) {
    match &setup.problem {
        None => tracing::info!(%number, "the carrier points here"),
        Some(problem) => tracing::warn!(%number, %problem, "the carrier is to be set up by hand"),
    }
}
