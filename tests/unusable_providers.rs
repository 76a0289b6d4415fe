//! Calls of documents that name a provider which cannot be had: shut down, not driven, without a key.

mod support;

use serde_json::{Value, json};
use support::Calls;

const VOICE: &str = r#"{"provider": "11labs", "voiceId": "v1", "model": "eleven_turbo_v2_5"}"#;

fn playht(fallbacks: &[Value]) -> Value {
    json!({"voice": {
        "provider": "playht", "voiceId": "jennifer", "fallbackPlan": {"voices": fallbacks},
    }})
}

#[tokio::test]
async fn a_service_that_was_shut_down_stays_valid_and_ends_its_calls_with_a_reason_that_says_so() {
    let calls = Calls::start().await;
    for (fields, reason, words) in [
        (playht(&[]), "pipeline-error-playht-voice-failed", "PlayHT"),
        (
            json!({"voice": {"provider": "lmnt", "voiceId": "lily"}}),
            "pipeline-error-lmnt-voice-failed",
            "2026-09",
        ),
        (
            json!({"voice": {"provider": "hume", "voiceId": "ito"}}),
            "pipeline-error-hume-voice-failed",
            "2026-11-13",
        ),
        (
            json!({"model": {"provider": "perplexity-ai", "model": "sonar"}}),
            "pipeline-error-perplexity-ai-llm-failed",
            "2026-09-27",
        ),
    ] {
        let assistant = calls.assistant(fields);
        calls.server.client.create("/assistant", &assistant).await;
        let call = calls.post(&assistant).await.body;
        assert_eq!(call["status"], "ended");
        assert_eq!(call["endedReason"], reason);
        let message = call["endedMessage"].as_str().unwrap();
        assert!(message.contains(words) && message.contains("gone since"), "{message}");
    }
}

#[tokio::test]
async fn a_fallback_plan_takes_over_when_the_call_begins_and_the_call_says_so() {
    let calls = Calls::start().await;
    let voice: Value = serde_json::from_str(VOICE).unwrap();
    let fields = playht(&[json!({"provider": "hume", "voiceId": "ito"}), voice]);
    let (call, leg) = calls.connect(fields).await;
    leg.hang_up().await;
    let call = calls.ended(&call).await;
    assert_eq!(call["endedReason"], "customer-ended-call");
    let fallback = &call["fallbacks"][0];
    assert_eq!(
        (&fallback["stage"], &fallback["from"], &fallback["to"]),
        (&json!("voice"), &json!("playht"), &json!("11labs"))
    );
    assert!(fallback["reason"].as_str().unwrap().contains("gone since"), "{fallback}");
}

#[tokio::test]
async fn fallbacks_that_cannot_be_had_either_are_named() {
    let calls = Calls::start().await;
    let fields = playht(&[json!({"provider": "lmnt", "voiceId": "lily"})]);
    let call = calls.create(fields).await;
    assert_eq!(call["endedReason"], "pipeline-error-playht-voice-failed");
    let message = call["endedMessage"].as_str().unwrap();
    assert!(message.contains("PlayHT") && message.contains("LMNT"), "{message}");
}
