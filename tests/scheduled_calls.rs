//! Calls with a `schedulePlan`, as their clients and the people on the phone see them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod phones;
mod support;

use std::time::Duration;

use phones::{CUSTOMER, Phones, merged};
use serde_json::{Value, json};
use support::{Options, eventually};
use tokio::time::sleep;

/// A time from now on, on the wire.
fn soon(ms: i64) -> String {
    let at = jiff::Timestamp::now().as_millisecond() + ms;
    jiff::Timestamp::from_millisecond(at).unwrap().to_string()
}

fn path(call: &Value) -> String {
    format!("/call/{}", call["id"].as_str().unwrap())
}

/// People hear the greeting, say something, and hang up when they were answered.
async fn start() -> Phones {
    let phones = Phones::answered_by("twilio", json!({})).await;
    phones.introduce("", json!({"lines": [{"say": "5 1"}]})).await;
    phones
}

async fn dials(phones: &Phones) -> usize {
    phones.all_at_carrier().await.len()
}

#[tokio::test]
async fn a_call_is_placed_at_its_time_by_the_process_that_is_there_then() {
    let phones = start().await;
    let call = phones.calls(json!({"schedulePlan": {"earliestAt": soon(4_000)}})).await;
    assert_eq!(
        (&call["status"], &call["type"]),
        (&json!("scheduled"), &json!("outboundPhoneCall"))
    );
    assert!(call["subscriptionLimits"]["concurrencyLimit"].is_number(), "{call}");
    let listed = phones.client().get("/call").await.body;
    assert_eq!(listed[0]["status"], "scheduled", "{listed}");
    let named = phones.client().patch(&path(&call), &json!({"name": "reminder"})).await;
    assert_eq!(named.status, 200, "{}", named.text);
    assert_eq!(dials(&phones).await, 0);

    let phones = phones.kill_and_restart().await;
    let found = phones.client().get(&path(&call)).await.body;
    assert_eq!(found["schedulePlan"], call["schedulePlan"], "{found}");
    assert!(["scheduled", "queued"].contains(&found["status"].as_str().unwrap()), "{found}");
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call", "{ended}");
    assert_eq!(
        (&ended["name"], &ended["createdAt"]),
        (&json!("reminder"), &call["createdAt"]),
        "{ended}"
    );
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time(&ended["startedAt"]) >= time(&call["schedulePlan"]["earliestAt"]), "{ended}");
    phones.reported(&call).await;
    assert_eq!(dials(&phones).await, 1);
    let plan = json!({"schedulePlan": {"earliestAt": soon(9_000)}});
    let late = phones.client().patch(&path(&call), &plan).await;
    assert_eq!(late.status, 409, "{}", late.text);
}

#[tokio::test]
async fn each_of_many_customers_is_called_at_the_time_and_wrong_ones_are_named() {
    let phones = start().await;
    let customers =
        json!([{"number": "+14155550131"}, {"number": "nonsense"}, {"number": "+14155550132"}]);
    let assistant = phones.assistant(json!({}));
    let body = json!({"assistant": assistant, "phoneNumberId": phones.number["id"],
        "customers": customers, "schedulePlan": {"earliestAt": soon(1_500)}});
    let answer = phones.client().create("/call", &body).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!((results.len(), answer["errors"].as_array().unwrap().len()), (2, 1), "{answer}");
    assert!(results.iter().all(|call| call["status"] == "scheduled"), "{answer}");
    for call in results {
        assert_eq!(phones.ended(call).await["endedReason"], "customer-ended-call");
    }
    assert_eq!(dials(&phones).await, 2);
}

#[tokio::test]
async fn a_call_that_is_deleted_or_moved_before_its_time_is_not_placed_then() {
    let phones = start().await;
    let plan = json!({"schedulePlan": {"earliestAt": soon(2_500)}});
    let deleted = phones.calls(plan.clone()).await;
    let moved = phones.calls(plan).await;
    let later = json!({"schedulePlan": {"earliestAt": soon(600_000), "latestAt": soon(700_000)}});
    let answer = phones.client().patch(&path(&moved), &later).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["schedulePlan"], later["schedulePlan"]);
    let wrong = json!({"schedulePlan": {"earliestAt": "2020-01-01T00:00:00Z"}});
    assert_eq!(phones.client().patch(&path(&moved), &wrong).await.status, 400);

    let gone = phones.client().delete(&path(&deleted)).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    assert_eq!(
        (&gone.body["status"], &gone.body["endedReason"]),
        (&json!("ended"), &json!("scheduled-call-deleted")),
        "{}",
        gone.text
    );
    assert_eq!(phones.client().get(&path(&deleted)).await.status, 404);
    let report = phones.reported(&deleted).await;
    assert!(report.to_string().contains("scheduled-call-deleted"), "{report}");
    let phones = phones.kill_and_restart().await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(dials(&phones).await, 0);
    let found = phones.client().get(&path(&moved)).await.body;
    assert_eq!(found["status"], "scheduled", "{found}");
}

#[tokio::test]
async fn a_call_whose_time_passes_while_no_process_is_there_ends_and_nobody_is_dialled() {
    let phones = start().await;
    let call = phones.calls(json!({"schedulePlan": {"earliestAt": soon(60_000)}})).await;
    let plan = json!({"earliestAt": soon(700), "latestAt": soon(900)});
    let answer = phones.client().patch(&path(&call), &json!({"schedulePlan": plan})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    phones.server.signal("STOP");
    sleep(Duration::from_millis(1_200)).await;
    let phones = phones.kill_and_restart().await;
    let ended = phones.ended(&call).await;
    assert_eq!(
        ended["endedReason"], "call.in-progress.error-vapifault-worker-not-available",
        "{ended}"
    );
    phones.reported(&call).await;
    assert_eq!(dials(&phones).await, 0);
}

#[tokio::test]
async fn a_call_for_which_no_slot_is_free_in_its_time_ends_and_another_is_placed_when_one_is() {
    let options = Options::default().set("calls.concurrency_limit=1").set("calls.queue_ttl=1s");
    let mut phones = Phones::start("twilio", options).await;
    phones.number = phones.buy(phones::OURS, json!({})).await;
    phones.introduce(CUSTOMER, json!({"stays": true})).await;
    phones.introduce("+14155550133", json!({"lines": [{"wait_ms": 10}, "hang_up"]})).await;
    let talking = phones.calls(json!({})).await;
    let until = |ms| json!({"earliestAt": soon(200), "latestAt": soon(ms)});
    let too_short = phones.calls(json!({"schedulePlan": until(2_500)})).await;
    let customer = json!({"number": "+14155550133"});
    let patient = phones.calls(json!({"schedulePlan": until(60_000), "customer": customer})).await;
    let ended = phones.ended(&too_short).await;
    assert_eq!(
        ended["endedReason"], "call.start.error-subscription-concurrency-limit-reached",
        "{ended}"
    );
    phones.reported(&too_short).await;
    assert_eq!(dials(&phones).await, 1);
    assert_eq!(phones.client().delete(&path(&talking)).await.status, 200);
    assert_eq!(phones.ended(&patient).await["endedReason"], "customer-ended-call");
    assert_eq!(dials(&phones).await, 2);
}

#[tokio::test]
async fn a_call_whose_assistant_is_gone_by_then_ends_and_says_so() {
    let phones = start().await;
    let assistant = phones.client().create("/assistant", &phones.assistant(json!({}))).await;
    let body = json!({"assistantId": assistant["id"], "phoneNumberId": phones.number["id"],
        "customer": {"number": CUSTOMER}, "schedulePlan": {"earliestAt": soon(1_500)}});
    let call = phones.client().create("/call", &body).await;
    let gone = format!("/assistant/{}", assistant["id"].as_str().unwrap());
    assert_eq!(phones.client().delete(&gone).await.status, 200);
    let ended = phones.ended(&call).await;
    assert_eq!(ended["endedReason"], "call.start.error-get-resources-validation", "{ended}");
    assert!(
        ended["endedMessage"].as_str().unwrap().contains("does not name an assistant"),
        "{ended}"
    );
    assert_eq!(dials(&phones).await, 0);
}

#[tokio::test]
async fn plans_that_cannot_be_kept_are_refused() {
    let phones = start().await;
    let cases = [
        (json!({"earliestAt": "2020-01-01T00:00:00Z"}), "schedulePlan.earliestAt has passed"),
        (
            json!({"earliestAt": soon(60_000), "latestAt": soon(30_000)}),
            "schedulePlan.latestAt must be after schedulePlan.earliestAt",
        ),
        (json!({"earliestAt": "2099-01-01T00:00:00Z"}), "earliestAt must be within 366 days"),
        (
            json!({"earliestAt": soon(1_000), "latestAt": "2099-01-01T00:00:00Z"}),
            "latestAt must be within 366 days",
        ),
        (json!({"latestAt": soon(1_000)}), "schedulePlan.earliestAt"),
        (json!({"earliestAt": "tomorrow"}), "must be a valid ISO 8601 date string"),
    ];
    let body = json!({"assistant": phones.assistant(json!({})),
        "phoneNumberId": phones.number["id"], "customer": {"number": CUSTOMER}});
    for (plan, expected) in cases {
        let answer = phones
            .client()
            .post("/call", &merged(body.clone(), json!({"schedulePlan": plan})))
            .await;
        assert_eq!(answer.status, 400, "{expected}: {}", answer.text);
        assert!(answer.text.contains(expected), "{expected}: {}", answer.text);
    }
    let mut nobody = merged(body, json!({"schedulePlan": {"earliestAt": soon(60_000)}}));
    nobody.as_object_mut().unwrap().remove("assistant");
    nobody["assistantId"] = "00000000-0000-4000-8000-000000000000".into();
    let answer = phones.client().post("/call", &nobody).await;
    assert!(answer.text.contains("does not name an assistant"), "{}", answer.text);
    assert_eq!(phones.client().get("/call").await.body, json!([]));
    let stranger = phones.server.stranger();
    let call = phones.calls(json!({"schedulePlan": {"earliestAt": soon(60_000)}})).await;
    assert_eq!(stranger.delete(&path(&call)).await.status, 404);
    assert_eq!(phones.client().get(&path(&call)).await.body["status"], "scheduled");
}

#[tokio::test]
async fn a_server_that_is_killed_again_and_again_calls_everybody_once() {
    let mut phones = start().await;
    let mut calls = Vec::new();
    for index in 0..12 {
        let plan = json!({"earliestAt": soon(1_000 + index * 150), "latestAt": soon(120_000)});
        let customer = json!({"number": format!("+14155557{index:03}")});
        calls.push(phones.calls(json!({"schedulePlan": plan, "customer": customer})).await);
    }
    for wait_ms in [1_050, 40, 90, 210, 130, 300] {
        sleep(Duration::from_millis(wait_ms)).await;
        phones = phones.kill_and_restart().await;
    }
    let mut lost = 0;
    for call in &calls {
        let ended = phones.ended_within(call, Duration::from_secs(150)).await;
        let to = ended["customer"]["number"].as_str().unwrap();
        let all = phones.all_at_carrier().await;
        let count = all.iter().filter(|call| call["to"] == to).count();
        // Whose request to the carrier died with its process is told of, and not called again.
        let reasons = [
            "twilio-failed-to-connect-call",
            "customer-did-not-answer",
            "call.in-progress.error-vapifault-worker-died",
        ];
        let is_lost = reasons.contains(&ended["endedReason"].as_str().unwrap());
        lost += usize::from(count == 0 && is_lost);
        assert!(count == 1 || (count == 0 && is_lost), "{count} calls to {to}: {ended}");
        phones.reported(call).await;
    }
    assert!(lost <= 6, "one for each kill at most: {lost}");
    eventually("an idle server", async || {
        let ready = phones.client().get("/readyz").await.body;
        (ready["activeCalls"] == 0).then_some(())
    })
    .await;
    let metrics = phones.client().get("/metrics").await.text;
    assert!(metrics.contains("offhook_slots_in_use 0\n"), "{metrics}");
    assert!(metrics.contains("offhook_scheduled_calls 0\n"), "{metrics}");
}

#[tokio::test]
async fn calls_that_their_carrier_does_not_take_yet_are_queued_and_placed_in_turn() {
    let options = Options::default().set("calls.queue_ttl=30s");
    let mut phones = Phones::start_at_rate("twilio", options, 1).await;
    phones.number = phones.buy(phones::OURS, json!({})).await;
    phones.introduce("", json!({"lines": [{"say": "5 1"}]})).await;
    let customers: Value =
        (0..3).map(|index| json!({"number": format!("+1415555014{index}")})).collect();
    let body = json!({"assistant": phones.assistant(json!({})),
        "phoneNumberId": phones.number["id"], "customers": customers});
    let answer = phones.client().create("/call", &body).await;
    let calls = answer["results"].as_array().unwrap().clone();
    assert_eq!(calls.len(), 3, "{answer}");
    assert!(calls.iter().all(|call| call["status"] != "ended"), "{answer}");
    let more = phones.calls(json!({})).await;
    assert_eq!((&more["status"], &more["schedulePlan"]), (&json!("queued"), &Value::Null));
    let phones = phones.kill_and_restart().await;
    for (index, call) in calls.iter().chain([&more]).enumerate() {
        let ended = phones.ended(call).await;
        // Whoever picked up while no process was there heard nobody.
        let is_cut_off = index == 0 && ended["endedReason"] == "customer-did-not-answer";
        assert!(is_cut_off || ended["endedReason"] == "customer-ended-call", "{ended}");
    }
    let mut at: Vec<u64> = phones.all_at_carrier().await.iter().map(created_ns).collect();
    at.sort_unstable();
    assert_eq!(at.len(), 4);
    // The process that was killed and the next one each begin with a call; a call is some time on its
    // way from its turn to the carrier.
    assert!(at[3] - at[0] >= 1_500_000_000, "{at:?}");
}

fn created_ns(call: &Value) -> u64 {
    call["times_ns"]["created"].as_u64().unwrap()
}

#[tokio::test]
async fn a_number_takes_no_more_calls_at_once_than_its_document_says() {
    let mut phones = Phones::start("twilio", Options::default()).await;
    phones.number = phones.buy(phones::OURS, json!({"concurrencyLimit": 1})).await;
    phones.introduce("", json!({"stays": true})).await;
    let talking = phones.calls(json!({})).await;
    let body = json!({"assistant": phones.assistant(json!({})),
        "phoneNumberId": phones.number["id"], "customer": {"number": "+14155550141"}});
    let refused = phones.client().post("/call", &body).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(refused.text.contains("all 1 concurrency slots of phone number"), "{}", refused.text);
    let other = phones.buy(phones::OUR_OTHER, json!({})).await;
    let from_other = merged(body, json!({"phoneNumberId": other["id"]}));
    let call = phones.client().create("/call", &from_other).await;
    for call in [&talking, &call] {
        assert_eq!(phones.client().delete(&path(call)).await.status, 200);
    }
}
