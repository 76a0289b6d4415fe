//! `/campaign` and `/v2/campaign`: outbound calls to many.
//!
//! A campaign's document holds its settings; its contacts and what became of them lie in rows that
//! its actor keeps.

mod change;
mod dialer;
mod lists;
mod opt_out;
mod rules;
mod shown;

use std::collections::BTreeMap;

use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::{get, post},
};
use offhook_actors::campaign::ContactsAsk;
use offhook_api::{
    ApiError, campaign,
    contract::{MAX_VIOLATIONS, Mode},
    server_fields,
};
use offhook_store::{Document, Kind, Place};
use offhook_supervisors::CampaignError;
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::dialer::CallDialer;
use super::{
    App, Org,
    body::{self, Json},
    calls::to_its_end,
    now_ms,
    reply::{self, Reply},
    resources::{self, Pairs},
};
use crate::auth::parse_id;

/// Operations as the reference page lists them: path, method, summary, id, body.
pub const OPERATIONS: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("/campaign", "post", "Create Campaign", "create", Some("CreateCampaignDTO")),
    ("/campaign", "get", "List Campaigns", "findAll", None),
    ("/campaign/{id}", "get", "Get Campaign", "findOne", None),
    ("/campaign/{id}", "patch", "Update Campaign", "update", Some("UpdateCampaignDTO")),
    ("/campaign/{id}", "delete", "Delete Campaign", "remove", None),
    (
        "/campaign/{id}/contacts",
        "post",
        "Add Contacts to Campaign",
        "addContacts",
        Some("AddCampaignContactsDTO"),
    ),
    ("/v2/campaign", "post", "Create Campaign", "createV2", Some("CreateCampaignDTO")),
    ("/v2/campaign", "get", "List Campaigns", "findAllV2", None),
    ("/v2/campaign/{id}", "get", "Get Campaign", "findOneV2", None),
    ("/v2/campaign/{id}", "patch", "Update Campaign", "updateV2", Some("UpdateCampaignDTO")),
    ("/v2/campaign/{id}", "delete", "Delete Campaign", "removeV2", None),
    ("/v2/campaign/{id}/contacts", "get", "List Contacts", "getCampaignV2Contacts", None),
];

pub fn routes() -> Router<App> {
    let whole = get(read).patch(update).delete(remove);
    Router::new()
        .route("/campaign", post(create).get(list))
        .route("/campaign/{id}", whole.clone())
        .route("/campaign/{id}/contacts", post(add_contacts))
        .route("/v2/campaign", post(create).get(list_summaries))
        .route("/v2/campaign/{id}", get(read_summary).patch(update).delete(remove))
        .route("/v2/campaign/{id}/contacts", get(contacts))
}

async fn create(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Json(body): Json,
) -> Reply {
    to_its_end(create_campaign(app, org, body)).await
}

async fn create_campaign(app: App, org: String, body: Value) -> Reply {
    body::check("CreateCampaignDTO", &body, Mode::Create)?;
    let is_draft = body["paused"] == true;
    let mut body = duplicated(&app, &org, body).await?;
    if !is_draft && let Value::Object(fields) = &mut body {
        fields.shift_remove("paused");
    }
    let rules::Checked { contacts, warnings } = rules::check(&app, &org, &body, !is_draft).await?;
    campaign::without_customers(&mut body);
    let (kind, id, now) = (Kind::Campaign, Uuid::new_v4(), now_ms());
    let mut body = server_fields::stamp_new(body, id, &org, now);
    body["status"] = "scheduled".into();
    if !warnings.is_empty() {
        body["warnings"] = warnings.into();
    }
    app.node.vault().seal(Place { org: &org, kind, id }, &mut body).map_err(resources::vault)?;
    let document = Document { org, kind, id, created_at_ms: now, updated_at_ms: now, body };
    app.node.campaigns().create(document.clone(), &contacts).await.map_err(failed)?;
    Ok(reply::created(shown::whole(&app, &document, campaign::CUSTOMERS_MAX).await?))
}

/// A new campaign's document over that of the one it is made after.
async fn duplicated(app: &App, org: &str, body: Value) -> Result<Value, Response> {
    let Some(id) = body["duplicateFromCampaignId"].as_str() else { return Ok(body) };
    let source = find(app, org, id).await.map_err(|_| {
        reply::bad_request(vec![format!("duplicateFromCampaignId {id} does not name a campaign")])
    })?;
    let mut whole = source.body.clone();
    let Value::Object(fields) = &mut whole else { return Ok(body) };
    for own in ["id", "orgId", "createdAt", "updatedAt"] {
        fields.shift_remove(own);
    }
    for own in ["status", "endedReason", "filed", "archived", "warnings", "paused"] {
        fields.shift_remove(own);
    }
    let given = |field: &str| body.get(field).is_some_and(|value| !value.is_null());
    if given("phoneNumberId") || given("customers") {
        fields.shift_remove("dialPlan");
    }
    if given("dialPlan") {
        fields.shift_remove("phoneNumberId");
    }
    if !given("customers") && !given("dialPlan") {
        let ask = ContactsAsk { max: campaign::CUSTOMERS_MAX + 1, ..ContactsAsk::default() };
        let contacts = app.node.campaigns().contacts(&source, ask).await.map_err(failed)?.1;
        let mut pools: BTreeMap<u16, Vec<Value>> = BTreeMap::new();
        for (_, row) in contacts {
            pools.entry(row.pool).or_default().push(row.customer);
        }
        shown::place(fields, pools);
    }
    if let Value::Object(own) = body {
        fields.extend(own);
    }
    Ok(whole)
}

async fn list(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Query(pairs): Pairs,
) -> Reply {
    let (mut page, found) = lists::page(&app, &org, &pairs, &[]).await?;
    let mut results = Vec::with_capacity(found.len());
    for document in &found {
        results.push(shown::whole(&app, document, 0).await?);
    }
    page["results"] = results.into();
    Ok(reply::ok(page))
}

async fn list_summaries(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Query(pairs): Pairs,
) -> Reply {
    let has_counters = lists::includes_counters(&pairs)?;
    let (mut page, found) = lists::page(&app, &org, &pairs, &["includeCounters"]).await?;
    let mut results = Vec::with_capacity(found.len());
    for document in &found {
        results.push(shown::summary(&app, document, has_counters).await?);
    }
    page["results"] = results.into();
    Ok(reply::ok(page))
}

async fn read(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    let found = find(&app, &org, &id).await?;
    Ok(reply::ok(shown::whole(&app, &found, campaign::CUSTOMERS_MAX).await?))
}

async fn read_summary(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Query(pairs): Pairs,
) -> Reply {
    let has_counters = lists::includes_counters(&pairs)?;
    let found = find(&app, &org, &id).await?;
    Ok(reply::ok(shown::summary(&app, &found, has_counters).await?))
}

async fn update(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Json(changes): Json,
) -> Reply {
    to_its_end(async move {
        let found = find(&app, &org, &id).await?;
        let changed = change::update(&app, &org, found, changes).await?;
        Ok(reply::ok(shown::whole(&app, &changed, campaign::CUSTOMERS_MAX).await?))
    })
    .await
}

async fn remove(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    to_its_end(async move {
        let found = find(&app, &org, &id).await?;
        let before = shown::whole(&app, &found, 0).await?;
        let gone = change::remove(&app, found).await?;
        if gone.body["archived"] == true
            && let Ok(archived) = shown::whole(&app, &gone, 0).await
        {
            return Ok(reply::ok(archived));
        }
        Ok(reply::ok(before))
    })
    .await
}

async fn contacts(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Query(pairs): Pairs,
) -> Reply {
    let found = find(&app, &org, &id).await?;
    let (ask, page) = lists::contacts_ask(&pairs)?;
    let (total, contacts) =
        app.node.campaigns().contacts(&found, ask.clone()).await.map_err(failed)?;
    let results: Vec<Value> = contacts
        .iter()
        .map(|(glance, row)| shown::contact(found.id, glance, &row.customer))
        .collect();
    Ok(reply::ok(json!({
        "results": results,
        "metadata": {
            "itemsPerPage": ask.max,
            "totalItems": total,
            "currentPage": page,
            "totalPages": total.div_ceil(ask.max),
            "hasNextPage": ask.skip.saturating_add(ask.max) < total,
        },
    })))
}

async fn add_contacts(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
    Json(body): Json,
) -> Reply {
    to_its_end(add_to_campaign(app, org, id, body)).await
}

async fn add_to_campaign(app: App, org: String, id: String, body: Value) -> Reply {
    body::check("AddCampaignContactsDTO", &body, Mode::Create)?;
    let document = find(&app, &org, &id).await?;
    if document.body.get("dialPlan").is_some() {
        return Err(reply::bad_request(vec![
            "contacts can be added to campaigns with a phoneNumberId; this one has a dialPlan"
                .into(),
        ]));
    }
    let mut problems = Vec::new();
    let mut list = rules::List::new(&Value::Null, &document.body);
    let customers = body["customers"].as_array().map_or(&[][..], Vec::as_slice);
    let mut places = Vec::with_capacity(customers.len());
    let mut duplicates = Vec::new();
    for (index, customer) in customers.iter().enumerate() {
        let before = (list.contacts.len(), problems.len());
        list.add(&format!("customers.{index}"), 0, customer, &mut problems);
        if list.contacts.len() > before.0 {
            places.push(index);
        } else if problems.len() == before.1 {
            duplicates.push(index);
        }
    }
    if !problems.is_empty() {
        problems.truncate(MAX_VIOLATIONS);
        return Err(reply::bad_request(problems));
    }
    let campaigns = app.node.campaigns();
    let added = campaigns.add_contacts(&document, list.contacts).await.map_err(failed)?;
    duplicates.extend(added.duplicates.iter().filter_map(|&place| places.get(place)));
    duplicates.sort_unstable();
    Ok(reply::created(json!({"added": added.added, "duplicates": duplicates})))
}

async fn find(app: &App, org: &str, id: &str) -> Result<Document, Response> {
    let uuid = parse_id(id).ok_or_else(|| reply::not_found("campaign", id))?;
    let found = app.node.store().get(org, Kind::Campaign, uuid).await.map_err(reply::store)?;
    found.ok_or_else(|| reply::not_found("campaign", id))
}

/// Answers what could not be done to a campaign.
fn failed(error: CampaignError) -> Response {
    match error {
        CampaignError::Store(error) => reply::store(error),
        CampaignError::NoAnswer => reply::error(ApiError::unavailable(error.to_string())),
        CampaignError::TooMany | CampaignError::HasBegun => {
            reply::error(ApiError::conflict(error.to_string()))
        }
    }
}
