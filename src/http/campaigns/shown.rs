//! Campaigns and their contacts as clients see them.

use std::collections::BTreeMap;

use axum::response::Response;
use offhook_actors::campaign::{ContactGlance, ContactsAsk, Glance, contact_uuid};
use offhook_api::{
    campaign::{self as wire, phase_status},
    secrets::{self, Scope},
    time,
};
use offhook_core::campaign::{Counters, Phase};
use offhook_store::Document;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{super::App, failed};

/// Fields of the stored document that are ours alone.
const INNER: &[&str] = &["filed", "archived"];

/// Fields that a summary leaves out.
const LONG: &[&str] = &["customers", "dialPlan", "workflowId", "warnings"];

/// A campaign in numbers: what was filed, or what its rows say.
pub struct Numbers {
    counters: Counters,
    voicemails: u32,
    status: &'static str,
    is_paused: bool,
    ended_reason: Option<&'static str>,
}

impl Numbers {
    pub async fn of(app: &App, document: &Document) -> Result<Self, Response> {
        if let Some(filed) = document.body.get("filed") {
            let count = |field: &str| filed[field].as_u64().and_then(|it| it.try_into().ok());
            let count = |field: &str| count(field).unwrap_or_default();
            let counters = Counters {
                pending: count("pending"),
                dispatched: count("dispatched"),
                completed: count("completed"),
                failed: count("failed"),
                skipped: count("skipped"),
                predial_failed: count("predialFailed"),
                unclear: count("unclear"),
                dialled: count("dialed"),
                connected: count("connected"),
            };
            let status = status(&document.body).unwrap_or("ended");
            let voicemails = count("voicemails");
            return Ok(Self { counters, voicemails, status, is_paused: false, ended_reason: None });
        }
        let Glance { phase, counters, voicemails, .. } =
            app.node.campaigns().glance(document).await.map_err(failed)?;
        let is_paused = phase == Phase::Paused || document.body["paused"] == true;
        let status = status(&document.body).unwrap_or(match phase {
            // Paused before anybody was called.
            Phase::Paused if counters.dialled == 0 && counters.dispatched == 0 => "scheduled",
            Phase::Scheduled | Phase::Running | Phase::Paused | Phase::Ended(_) => {
                phase_status(phase)
            }
        });
        let has_begun = counters.dialled > 0 || counters.unclear > 0;
        let ended_reason = wire::ended_reason(phase, has_begun);
        Ok(Self { counters, voicemails, status, is_paused, ended_reason })
    }
}

/// The status of a campaign that needs no looking at.
pub fn status(document: &Value) -> Option<&'static str> {
    if document["archived"] == true {
        return Some("archived");
    }
    document.get("filed")?;
    Some(if document["status"] == "cancelled" { "cancelled" } else { "ended" })
}

/// The contract's `Campaign`; with its contacts and calls as far as `customers_max` goes.
pub async fn whole(
    app: &App,
    document: &Document,
    customers_max: usize,
) -> Result<Value, Response> {
    let numbers = Numbers::of(app, document).await?;
    let mut shown = fields(document, &numbers);
    let mut calls = Map::new();
    if customers_max > 0 {
        let ask = ContactsAsk { max: customers_max, ..ContactsAsk::default() };
        let (_, contacts) = app.node.campaigns().contacts(document, ask).await.map_err(failed)?;
        let mut pools: BTreeMap<u16, Vec<Value>> = BTreeMap::new();
        for (glance, row) in contacts {
            if let Some(call) = glance.call {
                calls.insert(call.to_string(), call_of(&glance));
            }
            pools.entry(row.pool).or_default().push(row.customer);
        }
        place(&mut shown, pools);
    } else if shown.contains_key("dialPlan") {
        place(&mut shown, BTreeMap::new());
    }
    let counters = numbers.counters;
    shown.insert("calls".into(), Value::Object(calls));
    shown.insert("callsCounterScheduled".into(), counters.pending.into());
    shown.insert("callsCounterQueued".into(), 0.into());
    shown.insert("callsCounterInProgress".into(), counters.dispatched.into());
    shown.insert("callsCounterEndedVoicemail".into(), numbers.voicemails.into());
    shown.insert("callsCounterEnded".into(), (counters.completed + counters.failed).into());
    Ok(Value::Object(shown))
}

/// Puts contacts where their client had them: into the entries of the dial plan, or on the one list.
pub fn place(shown: &mut Map<String, Value>, mut pools: BTreeMap<u16, Vec<Value>>) {
    match shown.get_mut("dialPlan").and_then(Value::as_array_mut) {
        Some(entries) => {
            for (pool, entry) in (0..).zip(entries) {
                entry["customers"] = pools.remove(&pool).unwrap_or_default().into();
            }
        }
        None => {
            let all: Vec<Value> = pools.into_values().flatten().collect();
            shown.insert("customers".into(), all.into());
        }
    }
}

/// The contract's `CampaignSummary`.
pub async fn summary(
    app: &App,
    document: &Document,
    has_counters: bool,
) -> Result<Value, Response> {
    let numbers = Numbers::of(app, document).await?;
    let mut shown = fields(document, &numbers);
    for field in LONG {
        shown.shift_remove(*field);
    }
    if has_counters {
        let counters = numbers.counters;
        shown.insert(
            "contactCounters".into(),
            json!({
                "pending": counters.pending, "dispatched": counters.dispatched,
                "completed": counters.completed, "failed": counters.failed,
                "skipped": counters.skipped, "predialFailed": counters.predial_failed,
            }),
        );
        let metrics = json!({"dialed": counters.dialled, "connected": counters.connected});
        shown.insert("callMetrics".into(), metrics);
    }
    Ok(Value::Object(shown))
}

/// The contract's `CampaignContactWithOutcome`.
pub fn contact(campaign: Uuid, glance: &ContactGlance, customer: &Value) -> Value {
    let mut shown = Map::new();
    shown.insert("id".into(), contact_uuid(campaign, glance.id).to_string().into());
    for field in ["number", "name", "externalId"] {
        if let Some(value) = customer.get(field) {
            shown.insert(field.into(), value.clone());
        }
    }
    shown.insert("status".into(), wire::contact_status(glance.status).into());
    if let Some(call) = glance.call {
        shown.insert("callId".into(), call.to_string().into());
        shown.insert("attempts".into(), glance.attempts.into());
    }
    if let Some(at) = glance.dialled {
        let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        shown.insert("dispatchedAt".into(), time::iso8601(at).into());
    }
    if let Some(reason) = &glance.reason {
        shown.insert("endedReason".into(), (**reason).into());
    }
    Value::Object(shown)
}

fn call_of(glance: &ContactGlance) -> Value {
    let mut call = json!({ "status": if glance.status
        == offhook_core::campaign::ContactStatus::Dispatched { "in-progress" } else { "ended" } });
    if let Some(reason) = &glance.reason {
        call["endedReason"] = (**reason).into();
    }
    call
}

fn fields(document: &Document, numbers: &Numbers) -> Map<String, Value> {
    let mut body = document.body.clone();
    secrets::redact(&mut body, Scope::Lists);
    let Value::Object(mut shown) = body else { return Map::new() };
    for field in INNER {
        shown.shift_remove(*field);
    }
    shown.insert("status".into(), numbers.status.into());
    if let Some(reason) = numbers.ended_reason {
        shown.insert("endedReason".into(), reason.into());
    }
    if numbers.is_paused {
        shown.insert("paused".into(), true.into());
    } else {
        shown.shift_remove("paused");
    }
    shown
}
