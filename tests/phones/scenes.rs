//! What happens alike on every carrier.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{CUSTOMER, OPERATOR, OURS, Phones, heard};
use crate::support::{Leg, Options, Receiver, eventually};

/// Spoken first to somebody whose call outlived the process.
const BRIDGE: &str = "Sorry, you were cut off for a moment.";

pub async fn somebody_calls(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let id = phones.rings(json!({"lines": [{"say": "5 1"}, {"say": "5 2"}]})).await;
    let call = phones.hung_up(&id).await;
    assert!(heard(&call).starts_with("7 5 1"), "{call:#}");
    assert!(heard(&call).contains("5 2"), "{call:#}");

    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    assert_eq!(ended["type"], "inboundPhoneCall");
    assert_eq!(ended["phoneCallProvider"], carrier);
    assert_eq!(ended["phoneCallProviderId"], *id);
    assert_eq!(ended["transport"]["provider"], carrier);
    assert_eq!(ended["phoneNumberId"], phones.number["id"]);
    assert_eq!(ended["customer"]["number"], CUSTOMER);
    phones.reported(&ended).await;
}

pub async fn somebody_is_called(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    phones.introduce(CUSTOMER, json!({"lines": [{"say": "5 1"}]})).await;
    let call = phones.calls(json!({})).await;
    assert_eq!(call["type"], "outboundPhoneCall", "{call}");
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    let at_carrier = phones.hung_up(&id).await;
    assert!(heard(&at_carrier).starts_with("7 5 1"), "{at_carrier:#}");
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    phones.reported(&ended).await;
}

/// Somebody who is called and does this ends the call for these reasons.
pub async fn nobody_answers(carrier: &'static str, reasons: &[(&str, &str)]) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let plan = json!([{"provider": "twilio", "timeout": 5}]);
    for (number, (does, reason)) in reasons.iter().enumerate() {
        let customer = format!("+1415555020{number}");
        phones.introduce(&customer, json!({"answers": does})).await;
        let assistant = phones.assistant(json!({"transportConfigurations": plan}));
        let call =
            phones.calls(json!({"assistant": assistant, "customer": {"number": customer}})).await;
        let ended = phones.ended(&call).await;
        assert_eq!(ended["endedReason"], *reason, "{does}: {ended}");
        phones.reported(&ended).await;
    }
    eventually("free slots", async || {
        let ready = phones.client().get("/readyz").await.body;
        (ready["activeCalls"] == 0).then_some(())
    })
    .await;
}

/// Callbacks that are late, come twice and overtake one another end calls all the same, once.
pub async fn callbacks_are_a_mess(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let callbacks = json!({"delay": {"normal": [200.0, 150.0]}, "duplicates": 1.0});
    let changed = phones.control("/options", json!({"callbacks": callbacks})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    phones.introduce(CUSTOMER, json!({"lines": [{"say": "5 1"}]})).await;
    let call = phones.calls(json!({})).await;
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    assert!(heard(&phones.hung_up(&id).await).starts_with("7 5 1"));
    assert_eq!(phones.ended(&call).await["endedReason"], "customer-ended-call");
    phones.reported(&call).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reports = phones.receiver.taken();
    assert_eq!(reports.iter().filter(|kind| *kind == "end-of-call-report").count(), 1);
}

/// A request that nobody signed is refused and changes nothing.
pub async fn unsigned_requests_are_refused(carrier: &'static str, paths: &[&str]) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let call = phones.newest().await;
    for path in paths {
        let path = path
            .replace("{number}", phones.number["id"].as_str().unwrap())
            .replace("{call}", call["id"].as_str().unwrap());
        let body = format!(
            "CallSid={id}&CallStatus=completed&From=%2B1&To=%2B1&uuid={id}&status=completed"
        );
        let answer = phones.client().with_key(None).post_raw(&path, body).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    assert_eq!(phones.newest().await["status"], "in-progress");
    assert_eq!(phones.at_carrier(&id).await["is_over"], false);
    let gone = phones.client().delete(&format!("/call/{}", call["id"].as_str().unwrap())).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    phones.hung_up(&id).await;
}

/// A socket that shows no token, or one that was used, is closed.
pub async fn sockets_need_a_token(
    carrier: &'static str,
    path: &str,
    start: fn(&str, &str) -> Value,
) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let call = phones.newest().await;
    let call = call["id"].as_str().unwrap();
    let url = format!("{}{path}", phones.client().url().replacen("http", "ws", 1));
    for token in ["", "0123456789abcdef0123456789abcdef"] {
        let mut leg = Leg::open(url.as_str()).await;
        leg.send_json(&start(call, token)).await;
        let (code, reason) = leg.closed().await;
        assert_eq!(code, 1008, "{reason}");
    }
    assert_eq!(phones.newest().await["status"], "in-progress");
    assert_eq!(phones.at_carrier(&id).await["is_over"], false);
}

/// A media socket that breaks is connected again, and the conversation goes on.
pub async fn media_breaks(carrier: &'static str, fault: Value) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "5 1"})).await;
    phones.heard(&id, "5 1").await;
    let mut fault = fault;
    fault["call"] = json!(id);
    phones.fault(fault).await;
    let since = Instant::now();
    let log = |call: &Value| call["log"].to_string().matches("stream connected").count();
    phones.until_at_carrier(&id, "media again", |call| log(call) > 1).await;
    assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
    tokio::time::sleep(Duration::from_millis(500)).await;
    phones.act(&id, json!({"say": "5 2"})).await;
    phones.heard(&id, "5 2").await;
    assert_eq!(phones.newest().await["status"], "in-progress");
    phones.act(&id, json!({"hang_up": true})).await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
}

/// After `kill -9` the conversation goes on in the next process.
pub async fn the_process_dies(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "5 1"})).await;
    phones.heard(&id, "5 1 1 2 3").await;
    let before = phones.newest().await;
    let phones = phones.kill_and_restart().await;
    let up = Instant::now();
    phones.heard(&id, BRIDGE.split(' ').next().unwrap()).await;
    assert!(up.elapsed() < Duration::from_secs(5), "{:?}", up.elapsed());
    tokio::time::sleep(Duration::from_secs(4)).await;
    phones.act(&id, json!({"say": "5 2"})).await;
    phones.heard(&id, "5 2").await;
    phones.act(&id, json!({"hang_up": true})).await;
    let ended = phones.ended(&before).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    let said = ended["artifact"]["transcript"].as_str().unwrap();
    assert!(said.contains("5 1") && said.contains(BRIDGE) && said.contains("5 2"), "{said}");
    phones.reported(&before).await;
}

/// Somebody who hung up while the process was dead ends the call in the next one.
pub async fn the_caller_leaves_while_the_process_is_dead(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let before = phones.newest().await;
    phones.control("/options", json!({"webhook_patience_ms": 0})).await;
    phones.server.signal("STOP");
    phones.act(&id, json!({"hang_up": true})).await;
    phones.hung_up(&id).await;
    let phones = phones.kill_and_restart().await;
    let ended = phones.ended(&before).await;
    assert!(
        ["customer-ended-call", "customer-did-not-answer"]
            .contains(&ended["endedReason"].as_str().unwrap()),
        "{ended}"
    );
    phones.reported(&before).await;
}

/// With all slots taken a caller is told so, or sent to the number's fallback.
pub async fn all_slots_are_taken(carrier: &'static str) {
    let one = Options::default().set("calls.concurrency_limit=1").set("calls.inbound_reserve=0");
    let mut phones = Phones::start(carrier, one).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    let first = phones.rings(json!({"stays": true})).await;
    phones.heard(&first, "7").await;
    let second = phones.rings(json!({"stays": true})).await;
    let told = phones.hung_up(&second).await;
    assert!(heard(&told).contains("lines are busy"), "{told:#}");
    let ended = phones.ended(&phones.newest().await).await;
    let reason = "call.start.error-subscription-concurrency-limit-reached";
    assert_eq!(ended["endedReason"], reason, "{ended}");

    let fallback = json!({"fallbackDestination": {"type": "number", "number": OPERATOR}});
    let path = format!("/phone-number/{}", phones.number["id"].as_str().unwrap());
    assert_eq!(phones.client().patch(&path, &fallback).await.status, 200);
    phones.introduce(OPERATOR, json!({"lines": [{"say": "3 3"}], "speaks_first": true})).await;
    let third = phones.rings(json!({"stays": true})).await;
    phones.heard(&third, "3 3").await;
}

/// What a server may answer to `assistant-request`, what the caller hears, and why the call ended.
pub async fn the_server_is_asked_for_an_assistant(carrier: &'static str) {
    let mut phones = Phones::start(carrier, Options::default()).await;
    let server = json!({"url": phones.receiver.url()});
    phones.number = phones.buy(OURS, json!({"server": server})).await;
    let assistant = phones.assistant(json!({}));
    for (answer, words, reason) in [
        (json!({"assistant": assistant}), "7", "customer-ended-call"),
        (json!({"error": "1 2 closed"}), "1 2 closed", "assistant-request-returned-error"),
        (json!({}), "sorry", "assistant-request-returned-no-assistant"),
        (json!({"error": 5}), "sorry", "assistant-request-returned-unspeakable-error"),
        (json!({"assistantId": "nobody"}), "sorry", "assistant-request-returned-invalid-assistant"),
        (
            json!({"destination": {"type": "number", "number": OPERATOR, "message": "2 2"}}),
            "3 3",
            "assistant-request-returned-forwarding-phone-number",
        ),
    ] {
        let given = answer.clone();
        phones.receiver.answer(move |message| {
            let is_it = message["type"] == "assistant-request";
            (200, if is_it { given.clone() } else { json!({}) })
        });
        phones.introduce(OPERATOR, json!({"lines": [{"say": "3 3"}], "speaks_first": true})).await;
        let id = phones.rings(json!({"stays": true})).await;
        phones.heard(&id, words).await;
        phones.act(&id, json!({"hang_up": true})).await;
        phones.hung_up(&id).await;
        let newest = eventually("the call", async || {
            let newest = phones.newest().await;
            (newest["phoneCallProviderId"] == *id).then_some(newest)
        })
        .await;
        let ended = phones.ended(&newest).await;
        assert_eq!(ended["endedReason"], reason, "{answer}: {ended}");
        phones.reported(&ended).await;
    }
    let asked = phones.receiver.event("assistant-request").await.message;
    assert_eq!(asked["call"]["customer"]["number"], CUSTOMER, "{asked}");
    assert_eq!(asked["phoneNumber"]["number"], OURS, "{asked}");

    let silent = Receiver::answering(|_| (500, json!({}))).await;
    let path = format!("/phone-number/{}", phones.number["id"].as_str().unwrap());
    let change = json!({"server": {"url": silent.url()}});
    assert_eq!(phones.client().patch(&path, &change).await.status, 200);
    let id = phones.rings(json!({"stays": true})).await;
    assert!(heard(&phones.hung_up(&id).await).contains("sorry"));
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-request-failed", "{ended}");
}

/// Hooks of a number act before anybody answers.
pub async fn hooks_act_on_ringing(carrier: &'static str) {
    let mut phones = Phones::start(carrier, Options::default()).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    let to = json!({"type": "number", "number": OPERATOR, "message": ""});
    let filter =
        |prefix: &str| json!([{"type": "startsWith", "key": "number", "startsWith": [prefix]}]);
    let hooks = json!([
        {"on": "call.ringing", "filters": filter("44"),
            "do": [{"type": "transfer", "destination": to}]},
        {"on": "call.ringing", "filters": filter("1415"), "do": [{"type": "say", "exact": "4 4"}]},
    ]);
    let fields = json!({"assistantId": assistant["id"], "hooks": hooks});
    phones.number = phones.buy(OURS, fields).await;
    let id = phones.rings(json!({"stays": true})).await;
    assert_eq!(heard(&phones.hung_up(&id).await), "4 4");
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "call.ringing.hook-executed-say", "{ended}");
}

/// A voicemail that the carrier tells of gets the message and nothing else.
pub async fn a_voicemail_answers(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let machine = json!({"stays": true, "is_machine": true, "detection_ms": 1_500});
    phones.introduce(CUSTOMER, machine).await;
    let assistant = phones.assistant(json!({
        "voicemailDetection": {"provider": "twilio"}, "voicemailMessage": "9 9",
        "firstMessageMode": "assistant-waits-for-user",
    }));
    let call = phones.calls(json!({"assistant": assistant})).await;
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    let at_carrier = phones.hung_up(&id).await;
    assert!(heard(&at_carrier).contains("9 9"), "{at_carrier:#}");
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "voicemail", "{ended}");
}

/// What ends here ends at the carrier.
pub async fn the_assistant_ends_the_call(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({"endCallPhrases": ["5 1"]})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "5 1"})).await;
    phones.hung_up(&id).await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-said-end-call-phrase", "{ended}");
}

/// A carrier that is down leaves the call to the next number, and nobody is dialled twice.
pub async fn the_carrier_is_down(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let other = phones.buy(super::OUR_OTHER, json!({})).await;
    phones.introduce(CUSTOMER, json!({"lines": [{"say": "5 1"}]})).await;
    let fault = json!({"fault": "error", "carrier": carrier, "status": 503, "requests": 2});
    phones.fault(fault).await;
    let call = phones.calls(json!({"fallbackPhoneNumberIds": [other["id"]]})).await;
    assert_eq!(call["phoneNumberId"], other["id"], "{call}");
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    assert!(heard(&phones.hung_up(&id).await).starts_with("7 5 1"));
    assert_eq!(phones.ended(&call).await["endedReason"], "customer-ended-call");
    assert_eq!(phones.all_at_carrier().await.len(), 1);
}

/// The model presses keys, which the other side gets.
pub async fn the_model_presses_keys(carrier: &'static str) {
    let model = json!({"provider": "openai", "model": "gpt-4.1-mini", "tools": [{"type": "dtmf",
        "function": {"name": "dtmf", "parameters": {"type": "object",
            "properties": {"dtmf": {"type": "string", "enum": ["1w2#"]}}, "required": ["dtmf"]}}}]});
    let phones = Phones::answered_by(carrier, json!({"model": model})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "5 1 2000"})).await;
    phones.until_at_carrier(&id, "keys", |call| call["heard"]["keys"] != "").await;
    phones.heard(&id, "5 1").await;
    assert_eq!(phones.newest().await["status"], "in-progress");
}

/// The model sends the caller to somebody else, who has them from then on.
pub async fn the_model_transfers_the_caller(carrier: &'static str) {
    let to = json!({"type": "number", "number": OPERATOR, "message": "8 8", "callerId": OURS});
    let model = json!({"provider": "openai", "model": "gpt-4.1-mini",
        "tools": [{"type": "transferCall", "destinations": [to]}]});
    let phones = Phones::answered_by(carrier, json!({"model": model})).await;
    phones
        .introduce(
            OPERATOR,
            json!({"lines": [{"say": "3 3 3 3"}], "speaks_first": true, "stays": true}),
        )
        .await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "5 1 2000"})).await;
    phones.heard(&id, "8 8").await;
    phones.heard(&id, "3 3").await;
    let ended = phones.ended(&phones.newest().await).await;
    assert_eq!(ended["endedReason"], "assistant-forwarded-call", "{ended}");
    assert_eq!(ended["destination"]["number"], OPERATOR, "{ended}");
    assert_eq!(phones.at_carrier(&id).await["is_over"], false, "the two go on talking");
}

/// Keys that the caller presses reach the assistant.
pub async fn the_caller_presses_keys(carrier: &'static str) {
    let plan = json!({"enabled": true, "timeoutSeconds": 1});
    let phones = Phones::answered_by(carrier, json!({"keypadInputPlan": plan})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"keys": "42#"})).await;
    let is_it = |call: &Value| call["messages"].to_string().contains("42");
    phones
        .receiver
        .delivery("the keys", |one| is_it(&one.message) || one.message.to_string().contains("42"))
        .await;
}

/// A server that is told to stop leaves its calls to the next one.
pub async fn the_server_is_replaced(carrier: &'static str) {
    let options = Options::default().set("calls.drain_timeout=0s");
    let mut phones = Phones::start(carrier, options).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    let id = phones.rings(json!({"stays": true})).await;
    phones.heard(&id, "7").await;
    let before = phones.newest().await;
    phones.server.terminate();
    assert!(phones.server.stopped().await.success());
    let phones = phones.kill_and_restart().await;
    phones.heard(&id, BRIDGE.split(' ').next().unwrap()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    phones.act(&id, json!({"say": "5 2"})).await;
    phones.heard(&id, "5 2").await;
    phones.act(&id, json!({"hang_up": true})).await;
    let ended = phones.ended(&before).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    phones.reported(&before).await;
}

/// A call that rings when the process dies is answered in the next one, and nobody is dialled twice.
pub async fn the_process_dies_while_it_rings(carrier: &'static str) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    phones.introduce(CUSTOMER, json!({"ring_ms": 3_000, "stays": true})).await;
    let call = phones.calls(json!({})).await;
    let id = call["phoneCallProviderId"].as_str().unwrap().to_owned();
    let phones = phones.kill_and_restart().await;
    phones.heard(&id, "7").await;
    phones.act(&id, json!({"say": "5 1"})).await;
    phones.heard(&id, "5 1").await;
    phones.act(&id, json!({"hang_up": true})).await;
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    assert_eq!(phones.all_at_carrier().await.len(), 1);
}

/// Many calls at once outlive a `kill -9`: how long after the next server was up each heard the agent.
pub async fn many_calls_outlive_a_kill(carrier: &'static str, calls: usize) {
    let phones = Phones::answered_by(carrier, json!({})).await;
    let mut ids = Vec::new();
    for _ in 0..calls {
        ids.push(phones.rings(json!({"stays": true, "patience_ms": 120_000})).await);
    }
    for id in &ids {
        phones.heard(id, "7").await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let phones = phones.kill_and_restart().await;
    let up = Instant::now();
    let phones = &phones;
    let waits = ids.iter().map(|id| async move {
        phones.heard(id, "Sorry,").await;
        up.elapsed().as_millis()
    });
    let mut waits = join_all(waits).await;
    waits.sort_unstable();
    let p95 = waits[(waits.len() * 95).div_ceil(100) - 1];
    assert!(p95 <= 3_000, "{waits:?}");
    let active = phones.client().get("/readyz").await.body["activeCalls"].clone();
    assert_eq!(active, calls, "0 calls lost");
}
