//! Carriers that refuse, break off, are late, or cannot reach somebody: who is dialled, and what
//! people on the phone hear.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use std::time::{Duration, Instant};

use phones::{CUSTOMER, OPERATOR, OUR_OTHER, OURS, Phones, heard, merged};
use serde_json::{Value, json};
use support::Options;

/// A number at Twilio and one at Telnyx; a customer who says something and hangs up.
async fn two_carriers() -> (Phones, Value) {
    let mut phones = Phones::answered_by("twilio", json!({})).await;
    let sold = json!({"carrier": "telnyx", "number": OUR_OTHER});
    assert_eq!(phones.control("/numbers", sold).await.status, 204);
    phones.carrier = "telnyx";
    let other = phones.buy(OUR_OTHER, json!({})).await;
    phones.carrier = "twilio";
    phones.introduce(CUSTOMER, json!({"lines": [{"say": "5 1"}]})).await;
    (phones, other)
}

/// The customer talks with the assistant, and was called once, whichever carrier was asked.
async fn is_called_once(phones: &Phones, call: &Value, calls: usize) {
    let ended = phones.ended(call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    let all = phones.all_at_carrier().await;
    assert_eq!(all.len(), calls, "{all:#?}");
    let id = ended["phoneCallProviderId"].as_str().unwrap();
    assert!(heard(&phones.at_carrier(id).await).starts_with("7 5 1"));
}

fn refusal(status: u16, more: Value) -> Value {
    let fault = json!({"fault": "error", "carrier": "twilio", "status": status, "requests": 1});
    merged(fault, more)
}

#[tokio::test]
async fn a_busy_carrier_is_asked_again_when_it_says_soon_and_left_when_it_says_late() {
    let (phones, other) = two_carriers().await;
    let fallback = json!({"fallbackPhoneNumberIds": [other["id"]]});
    phones.fault(refusal(429, json!({"retry_after": 1}))).await;
    let since = Instant::now();
    let call = phones.calls(fallback.clone()).await;
    assert!(since.elapsed() >= Duration::from_secs(1), "it was asked before it said");
    assert_eq!(call["phoneNumberId"], phones.number["id"], "{call}");
    is_called_once(&phones, &call, 1).await;

    phones.fault(refusal(429, json!({"retry_after": 30}))).await;
    let call = phones.calls(fallback).await;
    assert_eq!(call["phoneNumberId"], other["id"], "{call}");
    is_called_once(&phones, &call, 2).await;
}

#[tokio::test]
async fn a_carrier_that_refuses_leaves_the_call_to_the_next_at_once() {
    let (phones, other) = two_carriers().await;
    for (calls, status) in [400, 401, 404].into_iter().enumerate() {
        phones.fault(refusal(status, json!({}))).await;
        let call = phones.calls(json!({"fallbackPhoneNumberIds": [other["id"]]})).await;
        assert_eq!(call["phoneNumberId"], other["id"], "{status}: {call}");
        assert_eq!(call["phoneCallProvider"], "telnyx", "{status}: {call}");
        is_called_once(&phones, &call, calls + 1).await;
    }
}

#[tokio::test]
async fn a_carrier_that_is_known_to_be_down_is_passed_over_whichever_number_would_call() {
    let (phones, other) = two_carriers().await;
    let second = json!({"carrier": "twilio", "number": "+14155550102"});
    assert_eq!(phones.control("/numbers", second).await.status, 204);
    let second = phones.buy("+14155550102", json!({})).await;
    let fallback = json!({"fallbackPhoneNumberIds": [other["id"]]});
    // Each call asks twice; who asks a fifth time is not refused.
    phones.fault(refusal(503, json!({"requests": 4}))).await;
    for calls in 1..=2 {
        let call = phones.calls(fallback.clone()).await;
        assert_eq!(call["phoneNumberId"], other["id"], "{call}");
        is_called_once(&phones, &call, calls).await;
    }
    for (calls, number) in [(3, &phones.number), (4, &second)] {
        let fields = merged(fallback.clone(), json!({"phoneNumberId": number["id"]}));
        let call = phones.calls(fields).await;
        assert_eq!(call["phoneNumberId"], other["id"], "{call}");
        is_called_once(&phones, &call, calls).await;
    }
    // There is no other: it is asked all the same.
    let call = phones.calls(json!({})).await;
    assert_eq!(call["phoneNumberId"], phones.number["id"], "{call}");
    is_called_once(&phones, &call, 5).await;
}

/// The carrier dials, and the answer to the request for it is lost in this way.
async fn the_answer_is_lost(carrier: &'static str, of: &str, how: Value) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let other = phones.buy(OUR_OTHER, json!({})).await;
    phones.introduce(CUSTOMER, json!({"lines": [{"say": "5 1"}]})).await;
    let fault = json!({"fault": "request", "carrier": carrier, "of": of, "requests": 1,
        "is_done": true});
    phones.fault(merged(fault, how)).await;
    let call = phones.calls(json!({"fallbackPhoneNumberIds": [other["id"]]})).await;
    assert_eq!(call["phoneNumberId"], phones.number["id"], "{call}");
    is_called_once(&phones, &call, 1).await;
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_at_twilio_is_not_placed_again() {
    the_answer_is_lost("twilio", "/Calls.json", json!({})).await;
    the_answer_is_lost("twilio", "/Calls.json", json!({"status": 504})).await;
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_at_telnyx_is_not_placed_again() {
    the_answer_is_lost("telnyx", "/v2/calls", json!({})).await;
    the_answer_is_lost("telnyx", "/v2/calls", json!({"status": 502})).await;
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_at_vonage_is_not_placed_again() {
    the_answer_is_lost("vonage", "/v1/calls", json!({})).await;
    the_answer_is_lost("vonage", "/v1/calls", json!({"status": 500})).await;
}

#[tokio::test]
async fn a_call_that_a_carrier_does_not_answer_for_in_time_is_not_placed_again() {
    the_answer_is_lost("twilio", "/Calls.json", json!({"late_ms": 60_000})).await;
}

#[tokio::test]
async fn a_call_that_telnyx_does_not_take_at_first_is_answered() {
    let phones = Phones::answered_by("telnyx", json!({})).await;
    for status in [429, 503, 504] {
        let fault = json!({"fault": "request", "carrier": "telnyx", "of": "/answer", "requests": 2,
            "status": status});
        phones.fault(fault).await;
        let id = phones.rings(json!({"lines": [{"say": "5 1"}]})).await;
        assert!(heard(&phones.hung_up(&id).await).starts_with("7 5 1"), "{status}");
        let ended = phones.ended(&phones.newest().await).await;
        assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    }
}

#[tokio::test]
async fn a_call_that_telnyx_does_not_let_us_answer_is_over_on_both_sides() {
    let phones = Phones::answered_by("telnyx", json!({})).await;
    let fault = json!({"fault": "request", "carrier": "telnyx", "of": "/answer", "requests": 9,
        "status": 422});
    phones.fault(fault).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.hung_up(&id).await;
    let ended = phones.ended(&phones.newest().await).await;
    let reason = "call.in-progress.error-vapifault-transport-never-connected";
    assert_eq!(ended["endedReason"], reason, "{ended}");
    assert!(ended["endedMessage"].as_str().unwrap().contains("422"), "{ended}");
}

/// All lines are busy, and the carrier fails while it tells the caller.
async fn nobody_is_told(command: &str, more: Value) -> Phones {
    let none = Options::default().set("calls.concurrency_limit=1");
    let mut phones = Phones::start("telnyx", none).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    let fields = merged(json!({"assistantId": assistant["id"]}), more);
    phones.number = phones.buy(OURS, fields).await;
    let first = phones.rings(json!({"stays": true})).await;
    phones.heard(&first, "7").await;
    let fault = json!({"fault": "request", "carrier": "telnyx", "of": command, "requests": 9,
        "status": 422});
    phones.fault(fault).await;
    phones
}

#[tokio::test]
async fn a_caller_whom_telnyx_tells_nothing_is_hung_up_on() {
    let phones = nobody_is_told("/speak", json!({})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.hung_up(&id).await;
}

#[tokio::test]
async fn a_caller_whom_telnyx_does_not_send_on_is_hung_up_on() {
    let fallback = json!({"type": "number", "number": OPERATOR, "message": ""});
    let phones = nobody_is_told("/transfer", json!({"fallbackDestination": fallback})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.hung_up(&id).await;
}

#[tokio::test]
async fn a_caller_who_is_sent_to_somebody_busy_is_not_left_in_silence() {
    let fallback = json!({"type": "number", "number": OPERATOR, "message": ""});
    let phones = nobody_is_told("/nothing", json!({"fallbackDestination": fallback})).await;
    phones.introduce(OPERATOR, json!({"answers": "busy"})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.hung_up(&id).await;
}

/// A process that does not go on with calls leaves nobody at a carrier.
async fn a_call_cannot_go_on(carrier: &'static str) {
    let options = Options::default().set("calls.leg_reconnect=0s");
    let mut phones = Phones::start(carrier, options).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let phones = phones.kill_and_restart().await;
    phones.hung_up(&id).await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "call.in-progress.error-vapifault-worker-died", "{ended}");
}

#[tokio::test]
async fn a_call_of_twilio_s_that_cannot_go_on_is_over_at_the_carrier() {
    a_call_cannot_go_on("twilio").await;
}

#[tokio::test]
async fn a_call_of_telnyx_s_that_cannot_go_on_is_over_at_the_carrier() {
    a_call_cannot_go_on("telnyx").await;
}

#[tokio::test]
async fn a_call_of_vonage_s_that_cannot_go_on_is_over_at_the_carrier() {
    a_call_cannot_go_on("vonage").await;
}

#[tokio::test]
async fn a_call_that_is_taken_up_keeps_the_slot_of_its_number() {
    let mut phones = Phones::start("twilio", Options::default()).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    let fields = json!({"assistantId": assistant["id"], "concurrencyLimit": 1});
    phones.number = phones.buy(OURS, fields).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let phones = phones.kill_and_restart().await;
    phones.heard(&id, "Sorry,").await;
    let second = phones.rings(json!({"stays": true})).await;
    let told = phones.hung_up(&second).await;
    assert!(heard(&told).contains("lines are busy"), "{told:#}");
}

#[tokio::test]
async fn callers_do_not_wait_for_a_carrier_that_does_not_say_what_became_of_them() {
    let phones = Phones::answered_by("telnyx", json!({})).await;
    let id = phones.rings(json!({"stays": true, "patience_ms": 60_000})).await;
    phones.heard(&id, "7").await;
    let fault = json!({"fault": "request", "carrier": "telnyx", "of": "/v2/calls/", "requests": 1,
        "late_ms": 60_000});
    phones.fault(fault).await;
    let since = Instant::now();
    let phones = phones.kill_and_restart().await;
    phones.heard(&id, "Sorry,").await;
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
}

#[tokio::test]
async fn long_sequences_of_keys_are_pressed_to_their_end_at_twilio() {
    let keys = "1wwww2wwww3wwww4#";
    let model = json!({"provider": "openai", "model": "gpt-4.1-mini", "tools": [{"type": "dtmf",
        "function": {"name": "dtmf", "parameters": {"type": "object",
            "properties": {"dtmf": {"type": "string", "enum": [keys]}}, "required": ["dtmf"]}}}]});
    let phones = Phones::answered_by("twilio", json!({"model": model})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "5 1 2000"})).await;
    let call = phones.heard(&id, "5 1").await;
    assert_eq!(call["heard"]["keys"], keys, "{call:#}");
    let log = call["log"].to_string();
    assert_eq!(log.matches("<Connect>").count(), 2, "the keys were cut short: {log}");
}

/// What a server has to say to callers may be too long for a carrier.
async fn the_words_are_many(carrier: &'static str) {
    let mut phones = Phones::start(carrier, Options::default()).await;
    let server = json!({"url": phones.receiver.url()});
    phones.number = phones.buy(OURS, json!({"server": server})).await;
    let words = format!("1 2 {}", "closed ".repeat(800));
    phones.receiver.answer(move |message| {
        let is_it = message["type"] == "assistant-request";
        (200, if is_it { json!({"error": words}) } else { json!({}) })
    });
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "1 2 closed").await;
}

#[tokio::test]
async fn words_that_are_too_long_for_twilio_are_spoken_as_far_as_they_fit() {
    the_words_are_many("twilio").await;
}

#[tokio::test]
async fn words_that_are_too_long_for_vonage_are_spoken_as_far_as_they_fit() {
    the_words_are_many("vonage").await;
}

#[tokio::test]
async fn a_destination_whose_extension_cannot_be_dialled_is_called_without_it() {
    let phones = Phones::start("twilio", Options::default()).await;
    let server = json!({"url": phones.receiver.url()});
    phones.buy(OURS, json!({"server": server})).await;
    let to =
        json!({"type": "number", "number": OPERATOR, "message": "2 2", "extension": "ask Ann"});
    phones.receiver.answer(move |message| {
        let is_it = message["type"] == "assistant-request";
        (200, if is_it { json!({"destination": to}) } else { json!({}) })
    });
    phones.introduce(OPERATOR, json!({"lines": [{"say": "3 3"}], "speaks_first": true})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "3 3").await;
}

#[tokio::test]
async fn an_extension_is_dialled_where_telnyx_sends_a_caller_on() {
    let fallback = json!({"type": "number", "number": OPERATOR, "message": "", "extension": "12"});
    let phones = nobody_is_told("/nothing", json!({"fallbackDestination": fallback})).await;
    phones.introduce(OPERATOR, json!({"lines": [{"say": "3 3"}], "speaks_first": true})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "3 3").await;
    let all = phones.all_at_carrier().await;
    let operator = all.iter().find(|call| call["to"] == OPERATOR).unwrap();
    assert_eq!(operator["heard"]["keys"], "ww12", "{operator:#}");
}
