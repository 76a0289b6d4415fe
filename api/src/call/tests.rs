use expect_test::expect;

use super::*;
use crate::cost::{Part, Tokens};

/// 2024-09-10T11:14:12.339Z
const NOW_MS: i64 = 1_725_966_852_339;

fn create(request: Value) -> Result<CallDocument, Vec<String>> {
    let urls = CallUrls {
        listen: Some("wss://a/listen".into()),
        control: Some("https://a/control".into()),
        websocket: Some("wss://a/transport".into()),
    };
    CallDocument::create(&request, Uuid::from_u128(7), "org", &urls, NOW_MS)
}

fn websocket_call() -> CallDocument {
    create(json!({"assistantId": "as1", "transport": {"provider": "vapi.websocket"}})).unwrap()
}

#[test]
fn a_websocket_call_is_answered_as_the_contract_has_it() {
    let limits = SubscriptionLimits {
        concurrency_blocked: false,
        concurrency_limit: 10,
        remaining_concurrent_calls: 9,
    };
    expect![[r#"
        {
          "id": "00000000-0000-0000-0000-000000000007",
          "orgId": "org",
          "createdAt": "2024-09-10T11:14:12.339Z",
          "updatedAt": "2024-09-10T11:14:12.339Z",
          "type": "vapi.websocketCall",
          "status": "queued",
          "assistantId": "as1",
          "transport": {
            "provider": "vapi.websocket",
            "conversationType": "voice",
            "audioFormat": {
              "format": "pcm_s16le",
              "container": "raw",
              "sampleRate": 16000
            },
            "websocketCallUrl": "wss://a/transport"
          },
          "cost": 0,
          "costs": [],
          "costBreakdown": {
            "transport": 0,
            "stt": 0,
            "llm": 0,
            "tts": 0,
            "vapi": 0,
            "total": 0,
            "llmPromptTokens": 0,
            "llmCompletionTokens": 0,
            "llmCachedPromptTokens": 0,
            "ttsCharacters": 0
          },
          "monitor": {
            "listenUrl": "wss://a/listen",
            "controlUrl": "https://a/control"
          },
          "subscriptionLimits": {
            "concurrencyBlocked": false,
            "concurrencyLimit": 10,
            "remainingConcurrentCalls": 9
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&websocket_call().created_answer(limits)).unwrap());
}

#[test]
fn what_the_client_sent_is_echoed_and_cannot_forge_the_runtimes_fields() {
    let call = create(json!({
        "name": "test", "metadata": {"a": 1}, "assistantOverrides": {"firstMessage": "Hi"},
        "transport": {"provider": "vapi.websocket", "audioFormat": {"format": "mulaw"}},
        "status": "ended", "cost": 12, "customerId": null,
    }))
    .unwrap();
    assert_eq!(call.as_value()["metadata"], json!({"a": 1}));
    assert_eq!(call.as_value()["assistantOverrides"]["firstMessage"], "Hi");
    assert_eq!((call.status(), &call.as_value()["cost"]), ("queued", &json!(0)));
    assert!(call.as_value().get("customerId").is_none());
    assert_eq!(call.audio(), WireAudio::Mulaw);
}

#[test]
fn the_type_follows_from_the_transport() {
    let call_type = |request: Value| CallType::of_request(&request);
    assert_eq!(call_type(json!({"customer": {"number": "+1"}})), Ok(CallType::OutboundPhone));
    assert_eq!(
        call_type(json!({"transport": {"provider": "twilio"}})),
        Ok(CallType::OutboundPhone)
    );
    assert_eq!(call_type(json!({"transport": {"provider": "daily"}})), Ok(CallType::Web));
    let refusal = |request: Value| create(request).unwrap_err().join("; ");
    assert_eq!(
        refusal(json!({"transport": {"provider": "vapi.websocket"}, "phoneNumberId": "p"})),
        "phoneNumberId should not exist when transport.provider is vapi.websocket"
    );
    assert_eq!(
        refusal(json!({"assistantId": "a"})),
        "one of `transport`, `customer`, `customerId` or `customers` must be set"
    );
    assert_eq!(refusal(json!({"transport": {}})), "transport.provider should not be empty");
    assert!(refusal(json!({"transport": {"provider": "pigeon"}})).contains("(got `pigeon`)"));
    assert_eq!(
        refusal(json!({"transport": {"provider": "vapi.websocket",
            "audioFormat": {"format": "mulaw", "sampleRate": 16_000}}})),
        "transport.audioFormat.sampleRate must be 8000 for mulaw"
    );
}

#[test]
fn a_call_starts_once_and_ends_once() {
    let mut call = websocket_call();
    call.set_status(CallStatus::InProgress, NOW_MS + 1_000);
    call.set_status(CallStatus::InProgress, NOW_MS + 2_000);
    assert_eq!(call.started_at_ms(), Some(NOW_MS + 1_000));
    assert_eq!(call.as_value()["updatedAt"], "2024-09-10T11:14:14.339Z");

    let end = |reason: EndedReason, at_ms: i64| CallEnd {
        reason,
        message: None,
        at_ms,
        artifact: json!({"messages": [{"role": "user"}], "transcript": "User: hi\n"}),
        costs: {
            let tokens = Tokens { prompt: 12, ..Tokens::default() };
            let mut costs = CallCosts::default();
            costs.add(Part::Model { model: json!({"provider": "openai"}), tokens }, 0.25);
            costs
        },
    };
    assert!(call.end(end(EndedReason::CustomerEndedCall, NOW_MS + 9_000)));
    assert!(!call.end(end(EndedReason::WorkerDied, NOW_MS + 10_000)));
    call.set_status(CallStatus::InProgress, NOW_MS + 11_000);

    let document = call.as_value();
    assert_eq!(call.status(), "ended");
    assert_eq!(document["endedReason"], "customer-ended-call");
    assert_eq!(call.ended_at_ms(), Some(NOW_MS + 9_000));
    assert_eq!(document["messages"], json!([{"role": "user"}]));
    assert_eq!(document["artifact"]["transcript"], "User: hi\n");
    assert_eq!(document["analysis"], json!({}));
    assert_eq!(document["costBreakdown"]["llmPromptTokens"], 12);
    assert_eq!(
        (&document["cost"], &document["costBreakdown"]["llm"]),
        (&json!(0.25), &json!(0.25))
    );
    assert_eq!(document["costs"][0]["promptTokens"], 12);
}

#[test]
fn a_stored_call_reads_back() {
    let call = CallDocument::from_value(websocket_call().into_value());
    assert_eq!(call.id(), Some(Uuid::from_u128(7)));
    assert_eq!((call.org_id(), call.type_name()), ("org", "vapi.websocketCall"));
    assert_eq!(call.created_at_ms(), NOW_MS);
    assert_eq!(call.audio(), WireAudio::PcmS16le { sample_rate_hz: 16_000 });
    assert_eq!((call.started_at_ms(), call.ended_at_ms()), (None, None));
}
