//! `PATCH` and `DELETE` of a campaign.

use axum::response::Response;
use offhook_actors::campaign::load;
use offhook_api::{
    ApiError,
    campaign::{self, CampaignView},
    contract::Mode,
    patch, server_fields,
};
use offhook_core::campaign::{Event, Phase};
use offhook_store::{Document, Kind, Place};
use offhook_supervisors::CampaignError;
use serde_json::{Map, Value, json};

use super::{
    super::{App, body, now_ms, reply, resources},
    failed, rules, shown,
};

/// Fields that may be changed at any time.
const ANY_TIME: &[&str] = &["name", "status", "paused"];

/// Changes a campaign; answers with what it is then.
pub async fn update(
    app: &App,
    org: &str,
    document: Document,
    changes: Value,
) -> Result<Document, Response> {
    body::check("UpdateCampaignDTO", &changes, Mode::Update)?;
    let fields = changes.as_object().cloned().unwrap_or_default();
    let given = |field: &str| fields.get(field).filter(|value| !value.is_null());
    let settings: Map<String, Value> =
        fields.iter().filter(|(name, _)| !ANY_TIME.contains(&name.as_str())).map(clone).collect();
    if given("status").is_some() && (given("paused").is_some() || !settings.is_empty()) {
        return Err(reply::bad_request(vec![
            "status cannot be changed together with other fields: it ends the campaign".into(),
        ]));
    }
    let mut document = document;
    if let Some(name) = fields.get("name") {
        document = put(app, &document, json!({ "name": name })).await?;
    }
    if !settings.is_empty() {
        document = change_settings(app, org, document, Value::Object(settings)).await?;
    }
    if given("status").is_some() {
        stop(app, &document).await?;
    }
    match given("paused").and_then(Value::as_bool) {
        Some(true) => pause(app, &document).await?,
        Some(false) => document = go_on(app, document).await?,
        None => {}
    }
    Ok(document)
}

/// Archives a campaign, which stops it; one that is archived, or was never begun, is removed.
pub async fn remove(app: &App, document: Document) -> Result<Document, Response> {
    let campaigns = app.node.campaigns();
    let is_running = campaigns.is_running(document.id);
    if is_running {
        act(app, &document, Event::Stop).await?;
    }
    let is_over = document.body.get("filed").is_some();
    let is_archived = document.body["archived"] == true;
    if !is_running && (is_archived || !is_over) {
        campaigns.remove(&document).await.map_err(failed)?;
        return Ok(document);
    }
    let archived = put(app, &document, json!({"archived": true})).await?;
    campaigns.tell(&archived, "campaign.archived");
    Ok(archived)
}

async fn stop(app: &App, document: &Document) -> Result<(), Response> {
    refuse_if_over(document)?;
    if !app.node.campaigns().is_running(document.id) {
        // It was never begun: its end is written down all the same.
        app.node.campaigns().start(document).await.map_err(failed)?;
        return act_soon(app, document, Event::Stop).await;
    }
    act(app, document, Event::Stop).await
}

async fn pause(app: &App, document: &Document) -> Result<(), Response> {
    refuse_if_over(document)?;
    match app.node.campaigns().is_running(document.id) {
        true => act(app, document, Event::Pause).await,
        false => Ok(()),
    }
}

/// Begins a campaign whose list was filled, or resumes it.
async fn go_on(app: &App, document: Document) -> Result<Document, Response> {
    refuse_if_over(&document)?;
    if app.node.campaigns().is_running(document.id) {
        act(app, &document, Event::Resume).await?;
        return Ok(document);
    }
    let view = CampaignView::read(&document.body).map_err(reply::bad_request)?;
    let loaded = load(app.node.store(), document.id, &view).await.map_err(reply::store)?;
    let zones = loaded.book.zones();
    let problems = rules::check_start(&view, loaded.zones, zones);
    if !problems.is_empty() {
        return Err(reply::bad_request(problems));
    }
    let begun = put(app, &document, json!({"paused": null})).await?;
    app.node.campaigns().start(&begun).await.map_err(failed)?;
    Ok(begun)
}

/// Changes what may be changed while nobody was called.
async fn change_settings(
    app: &App,
    org: &str,
    document: Document,
    mut changes: Value,
) -> Result<Document, Response> {
    refuse_if_over(&document)?;
    let campaigns = app.node.campaigns();
    let is_draft = !campaigns.is_running(document.id);
    if !is_draft {
        let glance = campaigns.glance(&document).await.map_err(failed)?;
        if glance.phase != Phase::Scheduled {
            return Err(failed(CampaignError::HasBegun));
        }
    }
    let place = Place { org, kind: Kind::Campaign, id: document.id };
    app.node.vault().seal(place, &mut changes).map_err(resources::vault)?;
    let whole = patch::apply(&document.body, &changes).map_err(reply::bad_request)?;
    let has_contacts = changes.get("dialPlan").is_some();
    let checked = rules::check(app, org, &whole, has_contacts && !is_draft).await?;
    if !is_draft {
        campaigns.withdraw(&document).await.map_err(failed)?;
    }
    if has_contacts {
        let replaced = campaigns.replace_contacts(document.id, &checked.contacts).await;
        replaced.map_err(failed)?;
        let mut rest = json!({"dialPlan": changes["dialPlan"].clone()});
        campaign::without_customers(&mut rest);
        changes["dialPlan"] = rest["dialPlan"].clone();
    }
    let changed = put(app, &document, changes).await?;
    if !is_draft {
        campaigns.start(&changed).await.map_err(failed)?;
    }
    Ok(changed)
}

async fn put(app: &App, document: &Document, changes: Value) -> Result<Document, Response> {
    let now = now_ms();
    let change = move |stored: &mut Document| {
        if let Ok(body) = patch::apply(&stored.body, &changes) {
            stored.body = body;
            stored.updated_at_ms = now;
            server_fields::stamp_updated(&mut stored.body, now);
        }
    };
    let store = app.node.store();
    let changed = store.update(&document.org, Kind::Campaign, document.id, change).await;
    let gone = || reply::not_found("campaign", &document.id.to_string());
    changed.map_err(reply::store)?.ok_or_else(gone)
}

async fn act(app: &App, document: &Document, event: Event) -> Result<(), Response> {
    app.node.campaigns().act(document.id, event).await.map_err(failed)
}

/// The same for a campaign whose actor is about to be there.
async fn act_soon(app: &App, document: &Document, event: Event) -> Result<(), Response> {
    for _ in 0..TRIES {
        match app.node.campaigns().act(document.id, event.clone()).await {
            Err(CampaignError::NoAnswer) => tokio::time::sleep(TRY_EVERY).await,
            done => return done.map_err(failed),
        }
    }
    Err(failed(CampaignError::NoAnswer))
}

/// How often, and how many times, an actor is looked for that is being started.
const TRY_EVERY: std::time::Duration = std::time::Duration::from_millis(20);
const TRIES: usize = 100;

fn refuse_if_over(document: &Document) -> Result<(), Response> {
    match shown::status(&document.body) {
        None => Ok(()),
        Some(status) => Err(reply::error(ApiError::conflict(format!(
            "the campaign is {status}; duplicate it with duplicateFromCampaignId to call again"
        )))),
    }
}

fn clone((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}
