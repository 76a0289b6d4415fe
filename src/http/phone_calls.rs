//! `POST /call` for phones: one call, or one for each of many customers.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use offhook_api::CallDocument;
use offhook_core::slots::{Refusal, Source};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    App,
    calls::limits,
    phone::outbound::{self, PlaceCall, PlaceError, Slot},
    reply::{self, Reply},
    scheduled,
};

/// Customers of one request; whoever has more has a campaign.
const CUSTOMERS_MAX: usize = 100;

/// Calls of one request that are placed at the same time: a carrier takes a few a second.
const AT_ONCE: usize = 10;

/// Places the call, or the calls, that a validated request asks for.
pub async fn create(app: App, org: String, mut body: Value) -> Reply {
    let carrier = body["transport"]["provider"].as_str().unwrap_or_default();
    if !carrier.is_empty() && !matches!(carrier, "twilio" | "telnyx" | "vonage") {
        let problem = format!(
            "transport.provider `{carrier}` does not place phone calls in this version: leave \
             transport out, the phone number decides"
        );
        return Err(reply::bad_request(vec![problem]));
    }
    let customers = body["customers"].take();
    if let Value::Object(fields) = &mut body {
        fields.remove("customers");
    }
    let customers = customers.as_array().cloned().unwrap_or_default();
    match customers.is_empty() {
        false => {
            if !body["customer"].is_null() {
                let problem = "customer should not exist when customers is given: give one of them";
                return Err(reply::bad_request(vec![problem.into()]));
            }
            if customers.len() > CUSTOMERS_MAX {
                let problem =
                    format!("customers must contain no more than {CUSTOMERS_MAX} elements");
                return Err(reply::bad_request(vec![problem]));
            }
            batch(&app, &org, &body, customers).await
        }
        true => {
            let request = with_customer(&body, body["customer"].clone());
            if !request["schedulePlan"].is_null() {
                let record = scheduled::book(&app, &org, request).await?;
                let limits = limits(app.node.slots().limits_of(&org));
                return Ok(reply::created(record.created_answer(limits)));
            }
            let patience = app.node.settings().calls.queue_ttl;
            let placed = place(&app, &org, request, patience).await;
            let record = placed.map_err(outbound::answer)?;
            let limits = limits(app.node.slots().limits_of(&org));
            Ok(reply::created(record.created_answer(limits)))
        }
    }
}

/// Places a call, or keeps it until its carrier takes it, or a campaign's call has ended.
async fn place(
    app: &App,
    org: &str,
    request: Value,
    patience: Duration,
) -> Result<CallDocument, PlaceError> {
    let call = PlaceCall {
        org: org.to_owned(),
        intent: Uuid::new_v4(),
        request: request.clone(),
        slot: Slot::Now(Source::Interactive),
        scheduled_ms: None,
    };
    match outbound::place(app, call).await {
        Ok(placed) => {
            tracing::info!(call = %placed.id, dialled = ?placed.dialled, "phone call asked for");
            Ok(placed.record)
        }
        Err(PlaceError::NoSlot(refusal)) if !patience.is_zero() && may_wait(app, &refusal) => {
            scheduled::queue(app, org, request, patience).await.map_err(PlaceError::Bad)
        }
        Err(error) => Err(error),
    }
}

/// Whether a call is kept that there is no slot for: where it stands before all that have what it lacks.
fn may_wait(app: &App, refusal: &Refusal) -> bool {
    match refusal {
        Refusal::TooFast { .. } => true,
        Refusal::Full { scope, .. } => app.node.slots().usage(scope).of_campaigns > 0,
        Refusal::Never { .. } | Refusal::QueueFull { .. } => false,
    }
}

async fn batch(app: &App, org: &str, body: &Value, customers: Vec<Value>) -> Reply {
    // The last of them has all the others before it.
    let patience = app.node.settings().calls.scheduled_late_max;
    let placed = stream::iter(customers)
        .map(|customer| async move {
            let request = with_customer(body, customer.clone());
            let placed = match request["schedulePlan"].is_null() {
                true => place(app, org, request, patience).await,
                false => scheduled::book(app, org, request).await.map_err(PlaceError::Bad),
            };
            (customer, placed)
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (customer, placed) in placed {
        match placed {
            Ok(record) => results.push(record.into_value()),
            Err(error) => {
                let error = reason(outbound::answer(error)).await;
                errors.push(json!({"customer": customer, "error": error}));
            }
        }
    }
    let limits = limits(app.node.slots().limits_of(org));
    Ok(reply::created(json!({
        "subscriptionLimits": {
            "concurrencyBlocked": limits.concurrency_blocked,
            "concurrencyLimit": limits.concurrency_limit,
            "remainingConcurrentCalls": limits.remaining_concurrent_calls,
        },
        "results": results,
        "errors": errors,
    })))
}

/// The words of an answer that refuses.
pub async fn reason(answer: axum::response::Response) -> String {
    /// Longest answer of our own that is read, in bytes.
    const BYTES_MAX: usize = 64 << 10;
    let body = axum::body::to_bytes(answer.into_body(), BYTES_MAX).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match &body["message"] {
        Value::String(message) => message.clone(),
        Value::Array(messages) => {
            messages.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            "the call was not placed".to_owned()
        }
    }
}

/// The request for one customer, whose own overrides count before those of the request.
fn with_customer(body: &Value, mut customer: Value) -> Value {
    let mut request = body.clone();
    if let Value::Object(own) = customer["assistantOverrides"].take() {
        if !request["assistantOverrides"].is_object() {
            request["assistantOverrides"] = json!({});
        }
        for (field, value) in own {
            request["assistantOverrides"][field] = value;
        }
    }
    if let Value::Object(fields) = &mut customer {
        fields.retain(|_, value| !value.is_null());
    }
    request["customer"] = customer;
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_s_own_overrides_count_first() {
        let body =
            json!({"assistantId": "a", "assistantOverrides": {"firstMessage": "Hi", "name": "x"}});
        let customer =
            json!({"number": "+14155550100", "assistantOverrides": {"firstMessage": "Yo"}});
        let request = with_customer(&body, customer);
        assert_eq!(request["assistantOverrides"], json!({"firstMessage": "Yo", "name": "x"}));
        assert_eq!(request["customer"], json!({"number": "+14155550100"}));
        assert_eq!(request["assistantId"], "a");
    }
}
