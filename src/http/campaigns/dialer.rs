//! Places the calls of campaigns as `POST /call` does, and finds out what became of them.
//!
//! The id of a call is the order's intent. Its document is on disk before the carrier is asked: where
//! there is no document, nobody was dialled.

use std::{
    collections::HashSet,
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use offhook_actors::campaign::{DialError, DialOrder, Ending, Found, Live};
use offhook_api::CallDocument;
use offhook_core::{EndedReason, campaign::Outcome, slots::LineLimits};
use offhook_store::{Kind, Place, Store};
use offhook_supervisors::{
    Dialer, Lease,
    numbers::{StoredNumber, carrier_account, line_limits},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::super::{
    App,
    phone::{
        outbound::{self, Dialled, PlaceCall, Slot},
        reconcile::{self, Asked},
    },
};
use super::opt_out;

/// How often the record of a call is looked for that has just ended.
const RECORD_EVERY: Duration = Duration::from_secs(1);
const RECORD_TRIES: usize = 60;

/// Calls of campaigns through the carriers.
pub struct CallDialer {
    app: App,
    /// Orders whose placing is under way.
    placing: Arc<Mutex<HashSet<Uuid>>>,
}

impl CallDialer {
    pub fn new(app: App) -> Self {
        Self { app, placing: Arc::default() }
    }
}

impl Dialer for CallDialer {
    fn place(&self, order: DialOrder, slot: Lease) -> BoxFuture<'static, Result<Live, DialError>> {
        let app = self.app.clone();
        // Until it is over, whoever looks it up is told to ask again.
        let under_way = UnderWay::new(&self.placing, order.intent);
        let placing = tokio::spawn(async move {
            let placed = place(app, order, slot).await;
            drop(under_way);
            placed
        });
        // A panic leaves open whether the carrier was asked.
        async move { placing.await.unwrap_or(Err(DialError::Unclear)) }.boxed()
    }

    fn line(
        &self,
        org: Arc<str>,
        phone_number_id: Arc<str>,
        fallbacks: Vec<Arc<str>>,
    ) -> BoxFuture<'static, Option<LineLimits>> {
        let app = self.app.clone();
        async move {
            let carriers = &app.node.settings().carriers;
            let mut down = None;
            for id in iter::once(&phone_number_id).chain(&fallbacks) {
                let Ok(id) = Uuid::try_parse(id) else { continue };
                let found = StoredNumber::find(app.node.store(), [&*org], id).await;
                let Ok(Some(found)) = found else { continue };
                let account = carrier_account(app.node.vault(), carriers, &found).await;
                let Ok(account) = account else { continue };
                let limits = line_limits(carriers, Some(id), &found.view, &account);
                if !app.desk.breaker.is_down(&account.counted_as()) {
                    return Some(limits);
                }
                down.get_or_insert(limits);
            }
            // A call finds out whether the first one is still down.
            down
        }
        .boxed()
    }

    fn look_up(&self, order: DialOrder) -> BoxFuture<'static, Found> {
        let app = self.app.clone();
        let is_under_way = lock(&self.placing).contains(&order.intent);
        async move {
            if is_under_way {
                return Found::Unreachable;
            }
            look_up(app, order).await
        }
        .boxed()
    }
}

struct UnderWay {
    placing: Arc<Mutex<HashSet<Uuid>>>,
    intent: Uuid,
}

impl UnderWay {
    fn new(placing: &Arc<Mutex<HashSet<Uuid>>>, intent: Uuid) -> Self {
        lock(placing).insert(intent);
        Self { placing: placing.clone(), intent }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.placing).remove(&self.intent);
    }
}

fn lock(placing: &Mutex<HashSet<Uuid>>) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
    placing.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn place(app: App, order: DialOrder, slot: Lease) -> Result<Live, DialError> {
    let (org, intent) = (order.campaign.org.to_string(), order.intent);
    let Some(request) = opened_request(&app, &order) else {
        return Err(DialError::Refused(refused()));
    };
    let slot = Slot::Taken(slot);
    let call = PlaceCall { org: org.clone(), intent, request, slot, scheduled_ms: None };
    match outbound::place(&app, call).await {
        Ok(placed) => match placed.dialled {
            Dialled::Yes => {
                tracing::debug!(campaign = %order.campaign.id, call = %placed.id, "contact dialled");
                Ok(live(app, order))
            }
            Dialled::Maybe(_) => Err(DialError::Unclear),
            Dialled::No(_) => Err(DialError::Refused(ending_of(&placed.record))),
        },
        // What was not placed because we stop is placed by the next process.
        Err(_) if app.node.is_draining() => Err(DialError::Unclear),
        Err(_) => {
            tracing::warn!(campaign = %order.campaign.id, call = %intent, "a call of a campaign was not placed");
            Err(DialError::Refused(refused()))
        }
    }
}

/// The request for an order's call, the campaign's secrets opened.
fn opened_request(app: &App, order: &DialOrder) -> Option<Value> {
    let mut document = order.campaign.document.clone();
    let (org, id) = (&*order.campaign.org, order.campaign.id);
    match app.node.vault().open(Place { org, kind: Kind::Campaign, id }, &mut document) {
        Ok(()) => Some(request_of(&document, order)),
        Err(error) => {
            tracing::warn!(campaign = %id, %error, "a campaign's secrets cannot be opened");
            None
        }
    }
}

/// How a call ends that cannot be set up.
fn refused() -> Ending {
    let reason = "call.start.error-get-resources-validation".into();
    Ending { outcome: Outcome::Failed, reason }
}

/// The body that `POST /call` would have had. `document`: the campaign's, its secrets opened.
fn request_of(document: &Value, order: &DialOrder) -> Value {
    let mut customer = order.customer.clone();
    let mut own = Value::Null;
    if let Value::Object(fields) = &mut customer {
        own = fields.shift_remove("assistantOverrides").unwrap_or_default();
        fields.shift_remove("timeZone");
    }
    let mut request = json!({
        "assistantId": document["assistantId"],
        "customer": customer,
        "phoneNumberId": &*order.phone_number_id,
        "name": document["name"],
        "campaignId": order.campaign.id.to_string(),
    });
    let overrides = merged(document.get("assistantOverrides"), own);
    if !overrides.is_empty() {
        request["assistantOverrides"] = Value::Object(overrides);
    }
    let fallbacks: Vec<&str> = order.campaign.view.fallback_lines.iter().map(|id| &**id).collect();
    if !fallbacks.is_empty() {
        request["fallbackPhoneNumberIds"] = fallbacks.into();
    }
    request
}

/// A contact's overrides over those of the campaign; variables are merged one by one.
fn merged(of_all: Option<&Value>, own: Value) -> Map<String, Value> {
    let mut overrides = of_all.and_then(Value::as_object).cloned().unwrap_or_default();
    let Value::Object(own) = own else { return overrides };
    for (name, value) in own {
        match (overrides.get_mut(&name), value) {
            (Some(Value::Object(known)), Value::Object(values)) if name == "variableValues" => {
                known.extend(values);
            }
            (_, value) => {
                overrides.insert(name, value);
            }
        }
    }
    overrides
}

/// A call that goes on, and how it will have ended.
fn live(app: App, order: DialOrder) -> Live {
    let over = async move {
        let (org, id) = (order.campaign.org.clone(), order.intent);
        app.node.wait_ended(id).await;
        for _ in 0..RECORD_TRIES {
            match record(app.node.store(), &org, id).await {
                Ok(Some(record)) if record.has_ended() => {
                    opt_out::heed(&app, &order, &record).await;
                    return ending_of(&record);
                }
                // Its owner deleted it when it was over.
                Ok(None) => break,
                Ok(Some(_)) | Err(()) => sleep(RECORD_EVERY).await,
            }
        }
        Ending { outcome: Outcome::Answered, reason: "call-deleted".into() }
    };
    Live { over: over.boxed() }
}

fn ending_of(record: &CallDocument) -> Ending {
    let reason = record.as_value()["endedReason"].as_str().unwrap_or_default();
    let was_connected = record.started_at_ms().is_some();
    let outcome = match EndedReason::deserialize(Value::from(reason)) {
        // Who hung up had picked up, whether we were there or not.
        Ok(EndedReason::CustomerEndedCall) => Outcome::Answered,
        Ok(reason) => Outcome::of(&reason, was_connected),
        Err(_) if was_connected => Outcome::Answered,
        Err(_) => Outcome::Failed,
    };
    Ending { outcome, reason: reason.into() }
}

async fn record(store: &Store, org: &str, id: Uuid) -> Result<Option<CallDocument>, ()> {
    let found = store.get(org, Kind::Call, id).await.map_err(|_| ())?;
    Ok(found.map(|document| CallDocument::from_value(document.body)))
}

async fn look_up(app: App, order: DialOrder) -> Found {
    let (org, id) = (order.campaign.org.to_string(), order.intent);
    let Ok(found) = record(app.node.store(), &org, id).await else { return Found::Unreachable };
    let Some(record) = found else { return Found::NeverDialled };
    let is_live = app.node.call(id).is_some();
    let is_known = record.as_value()["phoneCallProviderId"].is_string();
    let has_begun = is_known || record.started_at_ms().is_some();
    if has_begun {
        return match (is_live, record.has_ended()) {
            (true, _) => Found::Live(live(app, order)),
            (false, true) => {
                opt_out::heed(&app, &order, &record).await;
                Found::Over(ending_of(&record))
            }
            // It is about to be taken up, or its end to be written.
            (false, false) => Found::Unreachable,
        };
    }
    // The carrier's answer never came: it alone knows.
    let since = i64::try_from(order.since.as_millis() / 1_000).unwrap_or(i64::MAX);
    match reconcile::ask_carrier(&app, &org, &record, since).await {
        Asked::Failed => Found::Unreachable,
        Asked::Live if is_live => Found::Live(live(app, order)),
        Asked::Live => Found::Unreachable,
        Asked::Over(outcome) => {
            let reason = record.as_value()["endedReason"].as_str().unwrap_or("unknown");
            Found::Over(Ending { outcome, reason: reason.into() })
        }
        Asked::Never => {
            // Nobody will answer the call that waits here.
            app.node.end_call(id, EndedReason::OutboundCallFailedToConnect);
            Found::NeverDialled
        }
        Asked::CannotTell if is_live => {
            let since_ms = i64::try_from(order.since.as_millis()).unwrap_or_default();
            let request = opened_request(&app, &order).unwrap_or_default();
            if outbound::ask_again(&app, &org, id, request, since_ms).await {
                return Found::Live(live(app, order));
            }
            // Its reports carry our id: while the call waits for them, they may come.
            Found::Unreachable
        }
        Asked::CannotTell => Found::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_s_overrides_go_over_those_of_the_campaign_and_variables_are_merged() {
        let all = json!({"firstMessage": "Hi", "variableValues": {"shop": "A", "name": "you"}});
        let own = json!({"firstMessage": "Hello", "variableValues": {"name": "Ada"}});
        let merged = Value::Object(merged(Some(&all), own));
        assert_eq!(
            merged,
            json!({"firstMessage": "Hello", "variableValues": {"shop": "A", "name": "Ada"}})
        );
    }
}
