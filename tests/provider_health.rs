//! What a node knows of its providers, as an operator sees it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use serde_json::{Value, json};
use support::{Calls, Options};

/// Nobody listens here.
const NOWHERE: &str = "http://127.0.0.1:9";

/// An assistant whose voice cannot be reached, with one behind it that can.
fn with_dead_voice(calls: &Calls) -> Value {
    calls.assistant(json!({
        "firstMessage": "Hello.",
        "voice": {
            "provider": "cartesia", "voiceId": "694f9389-aac1-45b6-b726-9d9369183238",
            "fallbackPlan": {"voices": [
                {"provider": "11labs", "voiceId": "v1", "model": "eleven_turbo_v2_5"},
            ]},
        },
    }))
}

async fn row(calls: &Calls, provider: &str) -> Value {
    let health = calls.server.client.get("/provider-health").await;
    assert_eq!(health.status, 200);
    let rows = health.body["results"].as_array().unwrap();
    rows.iter().find(|row| row["provider"] == provider).cloned().unwrap_or_default()
}

async fn a_call(calls: &Calls) -> Value {
    let (call, mut leg) = calls.connect(with_dead_voice(calls)).await;
    leg.sound().await;
    leg.hang_up().await;
    calls.ended(&call).await
}

#[tokio::test]
async fn an_outage_that_a_call_survived_is_seen_spares_the_next_call_and_outlives_the_process() {
    let options = Options::default()
        .set("providers.cartesia.api_key=key")
        .set(format!("providers.cartesia.base_url={NOWHERE}"));
    let mut calls = Calls::with(options).await;

    let first = a_call(&calls).await;
    let fallback = &first["fallbacks"][0];
    assert_eq!((&fallback["from"], &fallback["to"]), (&json!("cartesia"), &json!("11labs")));
    let dead = row(&calls, "cartesia").await;
    assert!(dead["state"] == "open" || dead["state"] == "half-open", "{dead}");
    assert_eq!(
        (&dead["stage"], &dead["lastFailure"]["class"]),
        (&json!("voice"), &json!("unavailable"))
    );
    let well = row(&calls, "11labs").await;
    assert_eq!((&well["state"], &well["successes"]), (&json!("closed"), &json!(1)), "{well}");
    assert!(!dead.to_string().contains("key\":\"key"), "keys are not told: {dead}");

    let second = a_call(&calls).await;
    let reason = second["fallbacks"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("no probe was answered"), "{reason}");

    // What is known is written down five times a second.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    calls.server = calls.server.kill_and_restart().await;
    let known = row(&calls, "cartesia").await;
    assert_eq!(known["state"], "open", "{known}");
}

#[tokio::test]
async fn who_has_no_key_learns_nothing() {
    let calls = Calls::start().await;
    let answer = calls.server.client.with_key(None).get("/provider-health").await;
    assert_eq!(answer.status, 401);
}
