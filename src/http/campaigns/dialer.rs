//! Places the calls of campaigns as `POST /call` does, and finds out what became of them.
//!
//! The id of a call is the order's intent. Its document is on disk before the carrier is asked: where
//! there is no document, nobody was dialled.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use offhook_actors::campaign::{DialError, DialOrder, Ending, Found, Live};
use offhook_api::CallDocument;
use offhook_core::{EndedReason, campaign::Outcome};
use offhook_store::{Kind, Place, Store};
use offhook_supervisors::{
    Dialer, Lease,
    numbers::{CarrierAccount, StoredNumber, carrier_account},
};
use offhook_transports::carrier::twilio::{CallFilter, CallInfo};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::super::{
    App,
    phone::outbound::{self, Dialled, PlaceCall, Slot},
};
use super::opt_out;

/// How far a carrier's clock may be behind ours when a call is looked for by its time.
const CLOCK_SKEW_S: i64 = 5;

/// How much earlier than the intent calls are listed, since carriers cut times to minutes.
const LISTED_BEFORE_S: i64 = 60;

/// Longest wait for a carrier to list calls.
const LIST_MAX: Duration = Duration::from_secs(15);

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
    let mut document = order.campaign.document.clone();
    let place = Place { org: &org, kind: Kind::Campaign, id: order.campaign.id };
    if let Err(error) = app.node.vault().open(place, &mut document) {
        tracing::warn!(campaign = %order.campaign.id, %error, "a call of a campaign was not placed");
        return Err(DialError::Refused(refused()));
    }
    let request = request_of(&document, &order);
    let call = PlaceCall { org: org.clone(), intent, request, slot: Slot::Taken(slot) };
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
    match ask_carrier(&app, &org, &order, &record).await {
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
        // Its reports carry our id: while the call waits for them, they may come.
        Asked::CannotTell if is_live => Found::Unreachable,
        Asked::CannotTell => Found::Unknown,
    }
}

/// What a carrier says of a call whose id never came.
enum Asked {
    Never,
    Live,
    Over(Outcome),
    CannotTell,
    Failed,
}

async fn ask_carrier(app: &App, org: &str, order: &DialOrder, record: &CallDocument) -> Asked {
    let id = record.as_value()["phoneNumberId"].as_str().and_then(|id| Uuid::try_parse(id).ok());
    let Some(id) = id else { return Asked::CannotTell };
    let number = match StoredNumber::find(app.node.store(), [org], id).await {
        Ok(Some(number)) => number,
        Ok(None) => return Asked::CannotTell,
        Err(_) => return Asked::Failed,
    };
    let carriers = &app.node.settings().carriers;
    let client = match carrier_account(app.node.vault(), carriers, &number).await {
        Ok(CarrierAccount::Twilio(account)) => match account.client() {
            Ok(client) => client,
            Err(_) => return Asked::Failed,
        },
        // Their lists of calls do not tell whom a call was for.
        Ok(CarrierAccount::Telnyx(_) | CarrierAccount::Vonage(_)) => return Asked::CannotTell,
        Err(_) => return Asked::Failed,
    };
    let since = i64::try_from(order.since.as_millis() / 1_000).unwrap_or(i64::MAX);
    let filter = CallFilter {
        from: Some(number.view.number.clone()),
        to: order.customer["number"].as_str().map(str::to_owned),
        started_after: Some(since - LISTED_BEFORE_S),
        ..CallFilter::default()
    };
    match timeout(LIST_MAX, client.calls(&filter)).await {
        Ok(Ok(calls)) => judge(&calls, since),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a carrier cannot say what became of a call");
            Asked::Failed
        }
        Err(_) => Asked::Failed,
    }
}

/// Finds the call of an attempt among those from one number to another.
fn judge(calls: &[CallInfo], since_s: i64) -> Asked {
    let is_it =
        |call: &&CallInfo| call.started_at.is_none_or(|started| started >= since_s - CLOCK_SKEW_S);
    let Some(call) = calls.iter().find(is_it) else { return Asked::Never };
    if !call.is_over() {
        return Asked::Live;
    }
    Asked::Over(match call.status.as_str() {
        "completed" => Outcome::Answered,
        "busy" => Outcome::Busy,
        "no-answer" => Outcome::NoAnswer,
        _ => Outcome::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(status: &str, started_at: Option<i64>) -> CallInfo {
        let text = String::from;
        CallInfo {
            sid: text("CA1"),
            status: text(status),
            from: text("+1"),
            to: text("+2"),
            started_at,
        }
    }

    #[test]
    fn a_call_that_began_before_the_intent_is_another_one() {
        assert!(matches!(judge(&[], 100), Asked::Never));
        assert!(matches!(judge(&[call("completed", Some(90))], 100), Asked::Never));
        assert!(matches!(judge(&[call("queued", None)], 100), Asked::Live));
        let busy = [call("completed", Some(50)), call("busy", Some(101))];
        assert!(matches!(judge(&busy, 100), Asked::Over(Outcome::Busy)));
    }

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
