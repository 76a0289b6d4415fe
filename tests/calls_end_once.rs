//! Every call ends once, with one reason and one report, whatever happens to the server.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::collections::HashSet;

use serde_json::{Value, json};
use support::{Calls, Leg, Options, eventually};

/// Of a server whose calls do not wait for their legs to come back.
fn no_return() -> Options {
    Options::default().set("calls.leg_reconnect=0s")
}

fn id(call: &Value) -> &str {
    call["id"].as_str().unwrap()
}

/// Kind and reason of each event of a call's end, once its report was delivered. One that was sent
/// again is told by its id and counts once.
async fn endings(calls: &Calls, call: &Value) -> Vec<(String, String)> {
    calls.receiver.report(id(call)).await;
    let mut seen = HashSet::new();
    let taken = calls.receiver.deliveries().into_iter().filter(|one| one.status == 200);
    taken
        .filter(|one| one.message["call"]["id"] == call["id"])
        .filter(|one| seen.insert(one.header("idempotency-key").to_owned()))
        .filter_map(|one| {
            let reason = one.message["endedReason"].as_str()?.to_owned();
            Some((one.kind().to_owned(), reason))
        })
        .collect()
}

async fn ended_once_with(calls: &Calls, call: &Value, reason: &str) {
    let expected = [("status-update", reason), ("end-of-call-report", reason)]
        .map(|(kind, reason)| (kind.to_owned(), reason.to_owned()));
    assert_eq!(endings(calls, call).await, expected);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_finishes_its_calls_and_takes_no_new_ones() {
    let mut calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    calls.server.terminate();
    let draining = eventually("a server that is not ready", async || {
        let answer = calls.server.client.get("/readyz").await;
        (answer.status == 503).then_some(answer.body)
    })
    .await;
    assert_eq!((&draining["status"], &draining["activeCalls"]), (&json!("draining"), &json!(1)));
    assert_eq!(calls.server.client.get("/healthz").await.status, 200);
    let refused = calls.post(&calls.assistant(json!({}))).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.body["message"], "the server is draining and takes no calls");

    calls.providers.caller_says("Hello?").await;
    leg.event_where("an answer", |event| event.to_string().contains("You said Hello?")).await;
    leg.hang_up().await;
    assert!(calls.server.stopped().await.success());
    calls.server = calls.server.kill_and_restart().await;
    assert_eq!(calls.ended(&call).await["endedReason"], "customer-ended-call");
    ended_once_with(&calls, &call, "customer-ended-call").await;
}

#[tokio::test]
async fn a_call_that_outlasts_the_patience_of_the_server_is_ended_in_order() {
    let mut calls = Calls::with(no_return().set("calls.drain_timeout=0s")).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    calls.server.terminate();
    assert_eq!(leg.closed().await, (1000, "worker-shutdown".into()));
    assert!(calls.server.stopped().await.success());
    calls.server = calls.server.kill_and_restart().await;
    assert_eq!(calls.ended(&call).await["endedReason"], "worker-shutdown");
    ended_once_with(&calls, &call, "worker-shutdown").await;
    // A server that stops in order leaves nothing that was delivered to be sent again.
    let deliveries = calls.receiver.deliveries();
    let ids: HashSet<_> = deliveries.iter().map(|one| one.header("idempotency-key")).collect();
    assert_eq!(ids.len(), deliveries.len());
}

#[tokio::test]
async fn a_second_signal_cuts_the_calls_off_and_the_next_server_ends_them() {
    let mut calls = Calls::with(no_return()).await;
    let (call, _leg) = calls.connect(json!({})).await;
    calls.server.terminate();
    calls.server.log_line("draining: no new calls, running ones finish").await;
    calls.server.terminate();
    assert!(calls.server.stopped().await.success());
    calls.server = calls.server.kill_and_restart().await;
    let reason = calls.ended(&call).await["endedReason"].as_str().unwrap().to_owned();
    ended_once_with(&calls, &call, &reason).await;
}

#[tokio::test]
async fn a_call_whose_server_was_killed_is_ended_and_reported_by_the_next_one() {
    let mut calls = Calls::with(no_return()).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    let never_connected = calls.create(json!({})).await;
    calls.providers.caller_says("I need a doctor.").await;
    leg.event_where("the answer", |event| {
        event["type"] == "conversation-update" && event.to_string().contains("You said I need")
    })
    .await;
    // What was said is on disk at the latest 100 ms after it was said; the next thing said follows it.
    calls
        .receiver
        .delivery("the answer in an event", |one| {
            one.message["messages"].to_string().contains("You said I need")
        })
        .await;
    calls.server = calls.server.kill_and_restart().await;
    let ended = calls.ended(&call).await;
    assert_eq!(ended["endedReason"], "call.in-progress.error-vapifault-worker-died");
    assert_eq!(ended["endedMessage"], "the process that held the call is gone");
    assert!(ended["messages"].to_string().contains("I need a doctor."), "{}", ended["messages"]);
    ended_once_with(&calls, &call, "call.in-progress.error-vapifault-worker-died").await;
    let url = call["transport"]["websocketCallUrl"].as_str().unwrap();
    let url = url.replacen(
        url.split('/').nth(2).unwrap(),
        calls.server.client.url.split('/').nth(2).unwrap(),
        1,
    );
    assert_eq!(Leg::try_open(&url).await.err().unwrap().0, 404);
    calls.ended(&never_connected).await;
    ended_once_with(&calls, &never_connected, "call.in-progress.error-vapifault-worker-died").await;

    // A third server finds nothing left to end.
    calls.server = calls.server.kill_and_restart().await;
    let again = calls.server.client.get(&format!("/call/{}", id(&call))).await.body;
    assert_eq!(again, ended);
    let ready = calls.server.client.get("/readyz").await.body;
    assert_eq!(ready["outboxPending"], 0);
}

#[tokio::test]
async fn a_call_that_was_just_acknowledged_is_not_forgotten() {
    let mut calls = Calls::with(no_return()).await;
    for _ in 0..5 {
        let call = calls.create(json!({})).await;
        calls.server = calls.server.kill_and_restart().await;
        ended_once_with(&calls, &call, "call.in-progress.error-vapifault-worker-died").await;
        let path = format!("/call/{}", id(&call));
        assert_eq!(calls.server.client.get(&path).await.body["status"], "ended");
    }
}

#[tokio::test]
async fn a_call_that_is_deleted_while_it_runs_is_ended_first() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    let path = format!("/call/{}", id(&call));
    let (gone, closed) = tokio::join!(calls.server.client.delete(&path), leg.closed());
    assert_eq!((gone.status, &gone.body["endedReason"]), (200, &json!("call-deleted")));
    assert_eq!(closed, (1000, "call-deleted".into()));
    assert_eq!(calls.server.client.get(&path).await.status, 404);
    ended_once_with(&calls, &call, "call-deleted").await;
}

#[tokio::test]
async fn a_call_that_everybody_ends_at_once_has_one_end() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    let control = call["monitor"]["controlUrl"].as_str().unwrap();
    let end = json!({"type": "end-call"});
    tokio::join!(
        async { calls.server.client.post(control, &end).await },
        async { calls.server.client.post(control, &end).await },
        async { leg.send_json(&end).await },
    );
    leg.closed().await;
    let reason = calls.ended(&call).await["endedReason"].as_str().unwrap().to_owned();
    assert!(["customer-ended-call", "manually-canceled"].contains(&&*reason), "{reason}");
    ended_once_with(&calls, &call, &reason).await;
}

#[tokio::test]
async fn a_caller_who_is_cut_off_ends_the_call() {
    let calls = Calls::with(no_return()).await;
    let (call, leg) = calls.connect(json!({})).await;
    drop(leg);
    assert_eq!(calls.ended(&call).await["endedReason"], "customer-ended-call");
    ended_once_with(&calls, &call, "customer-ended-call").await;
}
