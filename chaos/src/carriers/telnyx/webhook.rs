//! Webhooks, signed.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value, json};

use crate::carriers::{
    App,
    call::Call,
    webhooks::{self, Webhook},
};

/// The key of the account's signatures, as the portal would show it.
pub fn public_key(app: &App) -> String {
    BASE64_STANDARD.encode(pair(app).public_key())
}

fn pair(app: &App) -> Ed25519KeyPair {
    let seed = [app.options().telnyx_seed; 32];
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed")
}

/// Tells the call's application of an event.
pub fn tell(app: &App, call: &Call, event: &str, more: Value) {
    call.note(app, format!("webhook {event}"));
    let state = |name: &str| call.facts().fields.get(name).cloned();
    let Some(url) = state("webhook_url") else { return };
    let mut payload: Map<String, Value> = Map::new();
    payload.insert("call_control_id".into(), json!(call.id));
    payload.insert("call_leg_id".into(), json!(state("leg")));
    payload.insert("call_session_id".into(), json!(state("session")));
    payload.insert("connection_id".into(), json!(state("connection_id")));
    payload.insert("client_state".into(), json!(state("client_state")));
    payload.insert("from".into(), json!(call.from));
    payload.insert("to".into(), json!(call.to));
    let direction = if call.is_inbound { "incoming" } else { "outgoing" };
    payload.insert("direction".into(), json!(direction));
    payload.extend(more.as_object().cloned().unwrap_or_default());
    let body = json!({
        "data": {
            "record_type": "event",
            "event_type": event,
            "id": app.chance.id(),
            "occurred_at": Timestamp::now().to_string(),
            "payload": payload,
        },
        "meta": {"attempt": 1, "delivered_to": url},
    })
    .to_string();
    let timestamp = Timestamp::now().as_second().to_string();
    let signature = pair(app).sign(format!("{timestamp}|{body}").as_bytes());
    let headers = vec![
        ("telnyx-signature-ed25519", BASE64_STANDARD.encode(signature)),
        ("telnyx-timestamp", timestamp),
    ];
    let content_type = "application/json";
    webhooks::call_back(app, Webhook { url, content_type, headers, body: body.into() }, |_| {});
}
