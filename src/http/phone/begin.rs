//! Sets a phone call up: its document, its assistant, and the carrier's end of it.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use offhook_actors::{CallContext, CallKeys, PhoneLine, PhoneLineOptions};
use offhook_api::{
    AssistantView, CallDocument, PhoneNumberView, ServerTarget,
    call::{CallType, CallUrls},
    resolve_assistant,
};
use offhook_store::{Document, Kind};
use offhook_supervisors::{Lease, Prepared, StartCall, numbers::CarrierAccount, phone};
use offhook_transports::{
    self as transports,
    carrier::{Addresses, Client},
};
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use crate::http::{
    App,
    call_setup::{self, CallSetup},
    calls, now_ms, reply, resources,
};

/// A phone call to set up.
pub struct Begin<'a> {
    pub id: Uuid,
    pub org: &'a str,
    /// When it was asked for, where that is not now; in milliseconds since the Unix epoch.
    pub created_ms: Option<i64>,
    /// Who talks with whom; no document has secrets.
    pub setup: CallSetup,
    pub call_type: CallType,
    pub number: &'a PhoneNumberView,
    /// Told of the call where its assistant names nobody.
    pub server: Option<ServerTarget>,
    pub account: &'a CarrierAccount,
    pub client: Client,
    /// The carrier's id of it, where it is known.
    pub carrier_id: Option<String>,
    /// How long it rings, where we place it.
    pub ring: Option<Duration>,
    pub lease: Lease,
    /// The number's document with its secrets, where the call brings it.
    pub brought: Option<&'a Value>,
}

/// Longest wait for the carrier's id to be on disk: a dead disk degrades a call.
const NOTE_TIMEOUT: Duration = Duration::from_millis(500);

/// What a request for a call names.
pub async fn gather(app: &App, org: &str, request: Value) -> Result<CallSetup, Response> {
    call_setup::gather(app, org, request).await
}

/// Sets a call up. When this returns, its document and the beginning of its journal are on disk.
/// `None`: it ended before it began, and its stored record says why.
pub async fn prepare(app: &App, it: Begin<'_>) -> Result<Option<Prepared>, Response> {
    let now = now_ms();
    let mut request = it.setup.request;
    request["transport"] = phone::transport_of(it.number);
    let bare =
        CallDocument::of_type(it.call_type, &request, it.id, it.org, &CallUrls::default(), now)
            .map_err(reply::bad_request)?;
    let codec = transports::build(&request["transport"])
        .map_err(|error| reply::bad_request(vec![format!("the number's {error}")]))?;
    let (assistant, variable_values) =
        who_talks(&it.setup.assistant, &it.setup.overrides, &bare, now)?;
    let mut urls = calls::call_urls(app, &assistant, it.id, "");
    urls.websocket = None;
    let mut record = CallDocument::of_type(it.call_type, &request, it.id, it.org, &urls, now)
        .map_err(reply::bad_request)?;
    record.note_carrier(it.client.carrier().name(), it.carrier_id.as_deref());
    let created = it.created_ms.unwrap_or(now);
    record.note_created(created);
    let sealed =
        it.brought.map(|number| phone::seal_number(app.node.vault(), it.org, it.id, number));
    let phone_number = sealed.transpose().map_err(resources::vault)?;
    let stored = Document {
        org: it.org.to_owned(),
        kind: Kind::Call,
        id: it.id,
        created_at_ms: created,
        updated_at_ms: now,
        body: record.as_value().clone(),
    };
    app.node.store().put(stored).await.map_err(reply::store)?;
    let is_answered = it.ring.is_none() && phone::picks_up(it.client.carrier());
    let line = Arc::new(PhoneLine::new(PhoneLineOptions {
        client: it.client,
        addresses: Addresses::new(&app.public_url, &it.id.to_string()),
        format: codec.format(),
        number: it.number.number.clone(),
        is_answered,
        ring: it.ring,
        id: it.carrier_id,
        count_call: phone::count_calls(app.node.slots(), it.account),
    }));
    let start = StartCall {
        id: it.id,
        org: it.org.to_owned(),
        record,
        assistant,
        variable_values,
        credentials: it.setup.credentials,
        keys: CallKeys { phone_number, ..CallKeys::default() },
        line: Some(line),
        server: it.server,
        format: codec.format(),
        hearing: codec.hearing(),
        // Its media comes another way.
        leg_token: Uuid::new_v4().to_string(),
        recording_urls: calls::recording_urls(app, it.id),
        lease: it.lease,
        now_ms: now,
    };
    Ok(app.node.prepare(start).await.ok())
}

/// The assistant of a call, overrides and variables applied, and the values of the variables.
pub fn who_talks(
    assistant: &Value,
    overrides: &Value,
    call: &CallDocument,
    now_ms: i64,
) -> Result<(AssistantView, Value), Response> {
    let resolved = resolve_assistant(assistant, Some(overrides), call.as_value(), now_ms);
    for warning in &resolved.warnings {
        tracing::warn!(call = ?call.id(), warning, "assistant");
    }
    let view = AssistantView::new(resolved.document)
        .map_err(|problem| reply::bad_request(vec![problem]))?;
    Ok((view, resolved.variable_values))
}

/// Takes the carrier's id of a call, and writes it down when it is new: what comes after this process
/// asks the carrier by it. False when it is another.
pub async fn learn_id(app: &App, context: &CallContext, id: &str) -> bool {
    let Some(line) = &context.spec.line else { return false };
    let was_known = line.id().is_some();
    if !line.learn_id(id) {
        return false;
    }
    if !was_known {
        note_id(app, context, line.carrier().name(), id).await;
    }
    true
}

async fn note_id(app: &App, context: &CallContext, carrier: &str, id: &str) {
    context.record().note_carrier(carrier, Some(id));
    let (carrier, id) = (carrier.to_owned(), id.to_owned());
    let (org, call) = (context.spec.org.clone(), context.spec.id);
    let noted = app.node.store().update(&org, Kind::Call, call, move |stored| {
        let mut record = CallDocument::from_value(stored.body.take());
        record.note_carrier(&carrier, Some(&id));
        stored.body = record.into_value();
    });
    if !matches!(timeout(NOTE_TIMEOUT, noted).await, Ok(Ok(_))) {
        tracing::error!(%call, "the carrier's id of the call is not on disk");
    }
}

/// The document of a call as it is on disk.
pub async fn stored(app: &App, org: &str, id: Uuid) -> Result<CallDocument, Response> {
    let found = app.node.store().get(org, Kind::Call, id).await.map_err(reply::store)?;
    let found = found.ok_or_else(|| reply::not_found("call", &id.to_string()))?;
    Ok(CallDocument::from_value(found.body))
}
