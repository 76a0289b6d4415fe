//! How many calls there are at once, of whom, and how fast numbers that take over are asked.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use std::time::Duration;

use phones::{CUSTOMER, OUR_OTHER, OURS, Phones, heard, merged};
use serde_json::{Value, json};
use support::{Calls, Leg, OTHER_KEY, Options, eventually};
use tokio::time::{Instant, sleep};

fn path(resource: &str, document: &Value) -> String {
    format!("/{resource}/{}", document["id"].as_str().unwrap())
}

/// When a call was created at its carrier, and when it was over, in nanoseconds.
fn span(call: &Value) -> (u64, u64) {
    let at = |name: &str| call["times_ns"][name].as_u64().unwrap_or(u64::MAX);
    (at("created"), at("ended"))
}

/// Calls that were there at the same time, at most.
fn most_at_once(calls: &[Value]) -> usize {
    let spans: Vec<_> = calls.iter().map(span).collect();
    let at = |instant: u64| {
        spans.iter().filter(|(created, ended)| (*created..*ended).contains(&instant)).count()
    };
    spans.iter().map(|(created, _)| at(*created)).max().unwrap_or(0)
}

/// A number whose calls are answered by an assistant that has one call at once.
async fn with_one_call() -> (Phones, Value) {
    let mut phones = Phones::start("twilio", Options::default()).await;
    let assistant = phones.assistant(json!({"concurrencyLimit": 1}));
    let assistant = phones.client().create("/assistant", &assistant).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    (phones, assistant)
}

#[tokio::test]
async fn an_assistant_has_no_more_calls_at_once_than_its_document_says() {
    let (phones, assistant) = with_one_call().await;
    let client = phones.client();
    phones.introduce("", json!({"stays": true})).await;
    let body = json!({"assistantId": assistant["id"], "phoneNumberId": phones.number["id"],
        "customer": {"number": CUSTOMER}});
    let talking = client.create("/call", &body).await;

    let refused = client.post("/call", &body).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    let problem = refused.body["message"].as_str().unwrap();
    let expected = format!(
        "all 1 concurrency slots of assistant `{}` are taken: try again when a call of it has ended, \
         or raise its concurrencyLimit",
        assistant["id"].as_str().unwrap()
    );
    assert_eq!(problem, expected);
    let on_the_web = json!({"assistantId": assistant["id"],
        "transport": {"provider": "vapi.websocket"}});
    assert_eq!(client.post("/call", &on_the_web).await.status, 429);
    let caller = phones.rings(json!({"stays": true})).await;
    let told = phones.hung_up(&caller).await;
    assert!(heard(&told).contains("lines are busy"), "{told:#}");
    let reason = "call.start.error-subscription-concurrency-limit-reached";
    assert_eq!(phones.ended(&phones.newest().await).await["endedReason"], reason);

    // Another assistant has slots of its own.
    let other = client.create("/assistant", &phones.assistant(json!({}))).await;
    let others = merged(
        body.clone(),
        json!({"assistantId": other["id"],
        "customer": {"number": "+14155550141"}}),
    );
    client.create("/call", &others).await;

    let raised =
        client.patch(&path("assistant", &assistant), &json!({"concurrencyLimit": 2})).await;
    assert_eq!((raised.status, &raised.body["concurrencyLimit"]), (200, &json!(2)));
    client.create("/call", &on_the_web).await;
    assert_eq!(client.post("/call", &body).await.status, 429);
    let lifted =
        client.patch(&path("assistant", &assistant), &json!({"concurrencyLimit": null})).await;
    assert_eq!(lifted.body.get("concurrencyLimit"), None, "{}", lifted.text);
    let caller = phones.rings(json!({"stays": true})).await;
    phones.heard(&caller, "7").await;
    assert_eq!(client.delete(&path("call", &talking)).await.status, 200);
}

#[tokio::test]
async fn a_limit_that_cannot_be_kept_is_refused() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    for (limit, problem) in [
        (json!(0), "concurrencyLimit must not be less than 1"),
        (json!(100_001), "concurrencyLimit must not be greater than 100000"),
        (json!(1.5), "concurrencyLimit must be an integer"),
        (json!("two"), "concurrencyLimit must be"),
    ] {
        let refused = client
            .post("/assistant", &calls.assistant(json!({"concurrencyLimit": limit.clone()})))
            .await;
        assert_eq!(refused.status, 400, "{limit}: {}", refused.text);
        assert!(refused.text.contains(problem), "{limit}: {}", refused.text);
    }
    // Calls of one that is not stored are not counted together.
    let brought = calls.post(&calls.assistant(json!({"concurrencyLimit": 1}))).await;
    assert_eq!(brought.status, 400);
    assert!(brought.text.contains("store the assistant and give assistantId"), "{}", brought.text);
    let stored = client.create("/assistant", &calls.assistant(json!({}))).await;
    let body = json!({"assistantId": stored["id"], "transport": {"provider": "vapi.websocket"},
        "assistantOverrides": {"concurrencyLimit": 1}});
    let overridden = client.post("/call", &body).await;
    assert_eq!(overridden.status, 400);
    assert!(
        overridden.text.contains("assistantOverrides.property concurrencyLimit should not exist"),
        "{}",
        overridden.text
    );
}

#[tokio::test]
async fn a_campaign_keeps_to_the_limit_of_its_assistant() {
    let (phones, assistant) = with_one_call().await;
    phones.introduce("", json!({"lines": [{"wait_ms": 200}, "hang_up"]})).await;
    let customers: Value =
        (0..5).map(|index| json!({"number": format!("+1415555030{index}")})).collect();
    let body = json!({"name": "reminders", "assistantId": assistant["id"],
        "phoneNumberId": phones.number["id"], "maxConcurrency": 5, "customers": customers,
        "dialingPlan": {"callsPerSecond": 20}});
    let campaign = phones.client().create("/campaign", &body).await;
    let over = eventually("end of the campaign", async || {
        let found = phones.client().get(&path("campaign", &campaign)).await.body;
        (found["status"] == "ended").then_some(found)
    })
    .await;
    let calls = phones.all_at_carrier().await;
    assert_eq!((calls.len(), most_at_once(&calls)), (5, 1), "{over}");
}

#[tokio::test]
async fn whoever_the_numbers_server_names_has_no_more_calls_than_the_limit_either() {
    let mut phones = Phones::start("twilio", Options::default()).await;
    let limited = phones.assistant(json!({"concurrencyLimit": 1}));
    let limited = phones.client().create("/assistant", &limited).await;
    let server = json!({"url": phones.receiver.url()});
    phones.number = phones.buy(OURS, json!({"server": server})).await;
    let named = json!({"assistantId": limited["id"]});
    phones.receiver.answer(move |message| {
        let is_it = message["type"] == "assistant-request";
        (200, if is_it { named.clone() } else { json!({}) })
    });
    let first = phones.rings(json!({"stays": true})).await;
    phones.heard(&first, "7").await;
    let second = phones.rings(json!({"stays": true})).await;
    let told = phones.hung_up(&second).await;
    assert!(heard(&told).contains("lines are busy"), "{told:#}");
    phones.act(&first, json!({"hang_up": true})).await;
    phones.hung_up(&first).await;
    eventually("an idle server", async || {
        let ready = phones.client().get("/readyz").await.body;
        (ready["activeCalls"] == 0).then_some(())
    })
    .await;
    let third = phones.rings(json!({"stays": true})).await;
    phones.heard(&third, "7").await;
}

#[tokio::test]
async fn a_call_that_outlives_the_process_still_counts_among_those_of_its_assistant() {
    let mut calls = Calls::start().await;
    let assistant = calls.assistant(json!({"concurrencyLimit": 1}));
    let assistant = calls.server.client.create("/assistant", &assistant).await;
    let body = json!({"assistantId": assistant["id"], "transport": {"provider": "vapi.websocket"}});
    let call = calls.server.client.create("/call", &body).await;
    let mut leg = Leg::open(call["transport"]["websocketCallUrl"].as_str().unwrap()).await;
    leg.sound().await;
    calls.server = calls.server.kill_and_restart().await;
    let refused = calls.server.client.post("/call", &body).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(refused.text.contains("concurrency slots of assistant"), "{}", refused.text);
    assert_eq!(calls.server.client.delete(&path("call", &call)).await.status, 200);
    calls.server.client.create("/call", &body).await;
}

#[tokio::test]
async fn a_single_call_goes_before_whom_a_campaign_has_yet_to_call() {
    let options = Options::default().set("calls.concurrency_limit=1").set("calls.queue_ttl=30s");
    let mut phones = Phones::start("twilio", options).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    phones.introduce("", json!({"lines": [{"wait_ms": 10}, "hang_up"]})).await;
    phones.introduce("+14155550340", json!({"stays": true})).await;
    let customers: Value =
        (0..3).map(|index| json!({"number": format!("+1415555034{index}")})).collect();
    let body = json!({"name": "reminders", "assistantId": assistant["id"],
        "phoneNumberId": phones.number["id"], "maxConcurrency": 3, "customers": customers,
        "dialingPlan": {"callsPerSecond": 20}});
    let campaign = phones.client().create("/campaign", &body).await;
    let first = eventually("the campaign's first call", async || {
        let calls = phones.all_at_carrier().await;
        calls.first().and_then(|call| call["id"].as_str().map(str::to_owned))
    })
    .await;
    phones.heard(&first, "7").await;
    let call = phones.calls(json!({})).await;
    assert_eq!(call["status"], "queued", "{call}");
    phones.act(&first, json!({"hang_up": true})).await;
    phones.ended(&call).await;
    let over = eventually("end of the campaign", async || {
        let found = phones.client().get(&path("campaign", &campaign)).await.body;
        (found["status"] == "ended").then_some(found)
    })
    .await;
    let mut calls = phones.all_at_carrier().await;
    calls.sort_by_key(|call| span(call).0);
    let order: Vec<_> = calls.iter().map(|call| call["to"].as_str().unwrap()).collect();
    assert_eq!(order, ["+14155550340", CUSTOMER, "+14155550341", "+14155550342"], "{over}");
    assert_eq!(most_at_once(&calls), 1);
}

#[tokio::test]
async fn each_organisation_has_its_share_of_the_calls() {
    let calls = Calls::with(Options::default().set("calls.concurrency_limit_per_org=1")).await;
    let first = calls.create(json!({})).await;
    let limits = json!({"concurrencyBlocked": false, "concurrencyLimit": 1,
        "remainingConcurrentCalls": 0});
    assert_eq!(first["subscriptionLimits"], limits);
    let refused = calls.post(&calls.assistant(json!({}))).await;
    assert_eq!(refused.status, 429);
    assert!(refused.text.contains("all 1 concurrency slots of organisation"), "{}", refused.text);
    assert!(refused.text.contains("calls.concurrency_limit_per_org"), "{}", refused.text);
    let other = calls.server.client.with_key(Some(OTHER_KEY));
    let body = json!({"assistant": calls.assistant(json!({})),
        "transport": {"provider": "vapi.websocket"}});
    other.create("/call", &body).await;
}

/// Numbers at Twilio, which is down, and at Telnyx with these fields.
async fn with_fallback(options: Options, fields: Value) -> (Phones, Value) {
    let mut phones = Phones::start("twilio", options).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    phones.carrier = "telnyx";
    let number = json!({"carrier": "telnyx", "number": OUR_OTHER});
    assert_eq!(phones.control("/numbers", number).await.status, 204);
    let fallback = phones.buy(OUR_OTHER, fields).await;
    let fault = json!({"fault": "error", "carrier": "twilio", "status": 503, "requests": 1_000});
    phones.fault(fault).await;
    (phones, fallback)
}

#[tokio::test]
async fn a_number_that_takes_over_waits_for_its_own_carrier_s_rate() {
    let slow = Options::default().set("carriers.telnyx.calls_per_second=1");
    let (phones, fallback) = with_fallback(slow, json!({})).await;
    phones.introduce("", json!({"lines": [{"wait_ms": 100}, "hang_up"]})).await;
    let call = async |index: usize| {
        let customer = json!({"number": format!("+1415555031{index}")});
        let fields = json!({"fallbackPhoneNumberIds": [fallback["id"]], "customer": customer});
        phones.calls(fields).await
    };
    // All of them are refused by Twilio at the same time.
    let placed = futures_util::future::join_all((0..3).map(call)).await;
    for call in &placed {
        assert_eq!(call["phoneNumberId"], fallback["id"], "{call}");
        phones.ended(call).await;
    }
    // Who comes after them is asked for over Telnyx at once, and waits in the same line.
    let more = call(3).await;
    phones.ended(&more).await;
    let mut at: Vec<u64> = phones.all_at_carrier().await.iter().map(|call| span(call).0).collect();
    at.sort_unstable();
    assert_eq!(at.len(), 4);
    for pair in at.windows(2) {
        // A request is some time on its way from its turn to the carrier.
        assert!(pair[1] - pair[0] >= 700_000_000, "{at:?}");
    }
    assert!(at[3] - at[0] >= 2_700_000_000, "{at:?}");
}

#[tokio::test]
async fn a_carrier_that_was_busy_is_asked_once_more_within_its_rate() {
    let mut phones = Phones::start_at_rate("twilio", Options::default(), 1).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    phones.number = phones.buy(OURS, json!({"assistantId": assistant["id"]})).await;
    phones.introduce("", json!({"lines": [{"wait_ms": 100}, "hang_up"]})).await;
    let fault = json!({"fault": "error", "carrier": "twilio", "status": 429, "requests": 1});
    phones.fault(fault).await;
    let began = Instant::now();
    let call = phones.calls(json!({})).await;
    let took = began.elapsed();
    assert_eq!(phones.ended(&call).await["endedReason"], "customer-ended-call");
    assert_eq!(phones.all_at_carrier().await.len(), 1);
    assert!(took >= Duration::from_millis(950) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_number_that_takes_over_waits_until_it_has_a_call_to_spare() {
    let (phones, fallback) =
        with_fallback(Options::default(), json!({"concurrencyLimit": 1})).await;
    phones.introduce("", json!({"lines": [{"wait_ms": 700}, "hang_up"]})).await;
    let call = async |index: usize| {
        let customer = json!({"number": format!("+1415555032{index}")});
        let fields = json!({"fallbackPhoneNumberIds": [fallback["id"]], "customer": customer});
        phones.calls(fields).await
    };
    let placed = futures_util::future::join_all((0..3).map(call)).await;
    for call in &placed {
        assert_eq!(phones.ended(call).await["endedReason"], "customer-ended-call");
    }
    let calls = phones.all_at_carrier().await;
    assert_eq!((calls.len(), most_at_once(&calls)), (3, 1), "{calls:#?}");
}

#[tokio::test]
async fn a_campaign_that_is_paused_meanwhile_dials_nobody_over_the_number_that_takes_over() {
    let slow = json!({"callsPerSecond": 0.2});
    let (phones, fallback) = with_fallback(Options::default(), slow).await;
    phones.introduce("", json!({"lines": [{"wait_ms": 100}, "hang_up"]})).await;
    // The number has begun a call, and begins the next one five seconds later.
    phones.calls(json!({"phoneNumberId": fallback["id"]})).await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    let body = json!({"name": "reminders", "assistantId": assistant["id"],
        "phoneNumberId": phones.number["id"], "customers": [{"number": "+14155550330"}],
        "dialingPlan": {"callsPerSecond": 20, "fallbackPhoneNumberIds": [fallback["id"]]}});
    let campaign = phones.client().create("/campaign", &body).await;
    sleep(Duration::from_millis(2_000)).await;
    let paused =
        phones.client().patch(&path("campaign", &campaign), &json!({"paused": true})).await;
    assert_eq!(paused.status, 200, "{}", paused.text);
    sleep(Duration::from_millis(5_000)).await;
    let calls = phones.all_at_carrier().await;
    assert!(calls.iter().all(|call| call["to"] != "+14155550330"), "{calls:#?}");
}
