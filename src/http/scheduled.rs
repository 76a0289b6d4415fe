//! Calls with a `schedulePlan`: kept until they are due, and placed then.
//!
//! Calls that their carrier does not take yet wait here, too: they are due at once.
//!
//! Such a call has its document, with status `scheduled` (or `queued`), and a row with the request that it comes of.
//! The row is written first and removed last; it says so before a carrier is asked. What a process
//! leaves is therefore clear to the next one: without a document nothing was promised, and without that
//! word nobody was dialled.

mod change;
mod taken_up;
mod turn;

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use offhook_api::{
    ApiError, AssistantView, CallDocument, ServerTarget,
    call::{CallType, CallUrls},
    time,
};
use offhook_core::{
    campaign::WallTime,
    schedule::{Appointment, Turn},
};
use offhook_store::{Document, Kind, Place};
use offhook_supervisors::{Caller, ScheduledCall, TurnOutcome, phone};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::{
    change::{delete, update},
    taken_up::take_up,
};
use super::{
    App, now_ms,
    phone::{begin, outbound},
    reply, resources,
};

/// Keeps the call that a validated request with one customer asks for until it is due. When this
/// returns, it is on disk.
pub async fn book(app: &App, org: &str, request: Value) -> Result<CallDocument, Response> {
    let appointment = appointment(app, &request["schedulePlan"])?;
    keep(app, org, request, appointment).await
}

/// Keeps a call until its carrier takes it, `patience` at most.
pub async fn queue(
    app: &App,
    org: &str,
    request: Value,
    patience: Duration,
) -> Result<CallDocument, Response> {
    let now = app.node.schedule().now();
    let appointment = Appointment { earliest: now, latest: now + patience };
    keep(app, org, request, appointment).await
}

async fn keep(
    app: &App,
    org: &str,
    request: Value,
    appointment: Appointment,
) -> Result<CallDocument, Response> {
    let wanted = outbound::read(app, org, request).await?;
    let (id, now) = (Uuid::new_v4(), now_ms());
    let setup = begin::gather(app, org, wanted.request.clone()).await?;
    let mut record = CallDocument::of_type(
        CallType::OutboundPhone,
        &setup.request,
        id,
        org,
        &CallUrls::default(),
        now,
    )
    .map_err(reply::bad_request)?;
    // What would keep it from being placed is better said while the client listens.
    begin::who_talks(&setup.assistant, &setup.overrides, &record, now)?;
    restore(&mut record, now);
    let kind = Kind::ScheduledCall;
    let mut body = json!({"request": wanted.request, "asked": false});
    write_times(&mut body, &appointment);
    let vault = app.node.vault();
    vault.seal(Place { org, kind, id }, &mut body).map_err(resources::vault)?;
    if let Some(number) = &wanted.brought {
        let sealed = phone::seal_number(vault, org, id, number);
        body["phoneNumber"] = sealed.map_err(resources::vault)?;
    }
    if app.node.is_draining() {
        let problem = "the server is draining and takes no calls";
        return Err(reply::error(ApiError::unavailable(problem)));
    }
    let held = app.node.schedule().add(key(org, id), appointment).map_err(|full| {
        reply::error(ApiError::too_many_requests(format!(
            "{} calls are scheduled, which is as many as this server keeps: make a campaign of them",
            full.calls_max
        )))
    })?;
    let document = |kind, body| Document {
        org: org.to_owned(),
        kind,
        id,
        created_at_ms: now,
        updated_at_ms: now,
        body,
    };
    let store = app.node.store();
    let stored = async {
        store.put(document(kind, body)).await?;
        store.put(document(Kind::Call, record.as_value().clone())).await
    };
    if let Err(error) = stored.await {
        held.forget();
        return Err(reply::store(error));
    }
    tracing::info!(call = %id, "call scheduled");
    Ok(record)
}

/// Reads a `schedulePlan`.
fn appointment(app: &App, plan: &Value) -> Result<Appointment, Response> {
    let read = |field: &str| plan[field].as_str().and_then(time::parse).map(wall_time);
    let earliest = read("earliestAt").ok_or_else(|| {
        reply::bad_request(vec![
            "schedulePlan.earliestAt must be a valid ISO 8601 date string".into(),
        ])
    })?;
    let late_max = app.node.settings().calls.scheduled_late_max;
    Appointment::new(app.node.schedule().now(), earliest, read("latestAt"), late_max)
        .map_err(|problems| reply::bad_request(problems.iter().map(ToString::to_string).collect()))
}

/// The appointment that a row keeps.
fn stored_appointment(row: &Value) -> Option<Appointment> {
    let read = |field: &str| row[field].as_u64().map(WallTime::from_millis);
    Some(Appointment { earliest: read("earliestMs")?, latest: read("latestMs")? })
}

/// Writes an appointment into a row.
fn write_times(row: &mut Value, appointment: &Appointment) {
    row["earliestMs"] = appointment.earliest.as_millis().into();
    row["latestMs"] = appointment.latest.as_millis().into();
}

/// Shows a call that has not begun as what it is: scheduled, or queued.
fn restore(record: &mut CallDocument, now_ms: i64) {
    if record.as_value()["schedulePlan"].is_object() {
        record.schedule(now_ms);
    }
}

fn wall_time(at: jiff::Timestamp) -> WallTime {
    WallTime::from_millis(u64::try_from(at.as_millisecond()).unwrap_or_default())
}

pub fn key(org: &str, id: Uuid) -> ScheduledCall {
    ScheduledCall { id, org: org.into() }
}

/// Writes down that the carrier of a scheduled call is about to be asked.
pub async fn note_asked(app: &App, org: &str, id: Uuid) -> Result<(), Response> {
    let note = |row: &mut Document| {
        row.body["asked"] = true.into();
        row.updated_at_ms = now_ms();
    };
    let noted = app.node.store().update(org, Kind::ScheduledCall, id, note).await;
    match noted.map_err(reply::store)? {
        Some(_) => Ok(()),
        None => Err(reply::not_found("call", &id.to_string())),
    }
}

/// The request that a row keeps, its secrets opened.
fn opened(app: &App, row: &Document) -> Result<Value, Response> {
    let vault = app.node.vault();
    let mut body = row.body.clone();
    let number = body["phoneNumber"].take();
    let place = Place { org: &row.org, kind: Kind::ScheduledCall, id: row.id };
    vault.open(place, &mut body).map_err(resources::vault)?;
    let mut request = body["request"].take();
    if number.is_object() {
        let opened = phone::open_number(vault, &row.org, row.id, number);
        request["phoneNumber"] = opened.map_err(resources::vault)?;
    }
    Ok(request)
}

/// Who would have talked in a call, and its number's server, as far as they are there by now.
async fn involved(
    app: &App,
    row: &Document,
    record: &CallDocument,
) -> (Option<AssistantView>, Option<ServerTarget>) {
    let Ok(request) = opened(app, row) else { return (None, None) };
    let wanted = outbound::read(app, &row.org, request.clone()).await.ok();
    let server = wanted.and_then(|wanted| wanted.numbers.first()?.server.clone());
    let Ok(setup) = begin::gather(app, &row.org, request).await else { return (None, server) };
    let talks = begin::who_talks(&setup.assistant, &setup.overrides, record, now_ms());
    (talks.ok().map(|(assistant, _)| assistant), server)
}

/// Forgets the row of a call that needs it no more. One that stays is found by the next process.
async fn forget(app: &App, org: &str, id: Uuid) {
    if let Err(error) = app.node.store().delete(org, Kind::ScheduledCall, id).await {
        tracing::warn!(call = %id, %error, "the row of a scheduled call stays on disk");
    }
}

/// Places scheduled calls.
pub struct ScheduledCalls(pub App);

impl Caller for ScheduledCalls {
    fn take_turn(
        &self,
        call: ScheduledCall,
        turn: Turn,
    ) -> futures_util::future::BoxFuture<'static, TurnOutcome> {
        Box::pin(turn::take(self.0.clone(), call, turn))
    }
}

/// What the process does with scheduled calls from its start on.
pub async fn run(app: App) {
    take_up(&app).await;
    app.node.schedule().run(Arc::new(ScheduledCalls(app.clone())));
}
