//! Server events whose receivers are down: delivered when they are back, and kept for an operator
//! where nobody took them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use support::{Calls, KEY, Options, eventually, within};
use tokio::process::Command;

/// Runs `offhook outbox` against the server and returns what it prints.
async fn offhook(calls: &Calls, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.arg("outbox").args(args).args(["--server", &calls.server.client.url, "--key", KEY]);
    let output = command.stdin(Stdio::null()).output();
    let output = within("offhook outbox", output).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

async fn letters(calls: &Calls, state: &str) -> Vec<Value> {
    let found = calls.server.client.get(&format!("/outbox?state={state}")).await;
    assert_eq!(found.status, 200, "{}", found.text);
    found.body["results"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_sent_again_by_command() {
    let calls = Calls::with(Options::default().set("webhooks.max_age=1s")).await;
    calls.receiver.answer(|_| (503, json!({})));
    let (call, leg) = calls.connect(json!({})).await;
    leg.hang_up().await;
    calls.ended(&call).await;
    let dead = eventually("events given up", async || {
        let dead = letters(&calls, "dead").await;
        dead.iter().any(|one| one["event"] == "end-of-call-report").then_some(dead)
    })
    .await;
    for letter in &dead {
        assert_eq!(letter["callId"], call["id"]);
        assert_eq!(letter["lastError"], "status 503");
        assert!(!letter.to_string().contains("Hello."), "{letter}");
    }
    let stranger = calls.server.stranger().get("/outbox").await;
    assert_eq!(stranger.body["results"], json!([]));
    let id = dead[0]["id"].as_str().unwrap();
    let refused = calls.server.stranger().post(&format!("/outbox/{id}/retry"), &json!({})).await;
    assert_eq!(refused.status, 404);

    let listed = offhook(&calls, &["list", "--dead"]).await;
    assert!(listed.contains(id) && listed.contains("the last: status 503"), "{listed}");
    let before = calls.receiver.deliveries().len();
    calls.receiver.answer(|_| (200, json!({})));
    let printed = offhook(&calls, &["retry", "--all"]).await;
    let all = format!("{0} of {0} events are tried again", dead.len());
    assert!(printed.contains(&all), "{printed}");
    calls.receiver.report(call["id"].as_str().unwrap()).await;
    eventually("an empty outbox", async || {
        let left = [letters(&calls, "dead").await, letters(&calls, "waiting").await].concat();
        left.is_empty().then_some(())
    })
    .await;
    // In their order, each with the id that it had.
    let again = calls.receiver.deliveries().split_off(before);
    let ids: Vec<_> = again.iter().map(|one| one.header("idempotency-key")).collect();
    let expected: Vec<_> = dead.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn what_was_given_up_outlives_the_server() {
    let mut calls = Calls::with(Options::default().set("webhooks.max_age=1s")).await;
    calls.receiver.answer(|_| (500, json!({})));
    let (call, leg) = calls.connect(json!({})).await;
    leg.hang_up().await;
    calls.ended(&call).await;
    let is_report = |one: &Value| one["event"] == "end-of-call-report";
    eventually("a report given up", async || {
        letters(&calls, "dead").await.iter().any(is_report).then_some(())
    })
    .await;
    calls.server = calls.server.kill_and_restart().await;
    assert!(letters(&calls, "dead").await.iter().any(is_report));
    assert!(letters(&calls, "waiting").await.is_empty());
}

#[tokio::test]
async fn an_event_that_waits_is_tried_at_once_when_told_to() {
    let options =
        Options::default().set("webhooks.backoff_initial=1m").set("webhooks.backoff_max=5m");
    let calls = Calls::with(options).await;
    calls.receiver.answer(|_| (503, json!({})));
    let (call, leg) = calls.connect(json!({})).await;
    leg.hang_up().await;
    calls.ended(&call).await;
    let waiting = eventually("a failed delivery", async || {
        let waiting = letters(&calls, "waiting").await;
        waiting.iter().any(|one| one["attempts"] == 1).then_some(waiting)
    })
    .await;
    calls.receiver.answer(|_| (200, json!({})));
    offhook(&calls, &["retry", waiting[0]["id"].as_str().unwrap()]).await;
    calls.receiver.report(call["id"].as_str().unwrap()).await;
}

/// A receiver that takes connections and never answers has its share of the places, and no more.
#[tokio::test]
async fn a_receiver_that_hangs_does_not_hold_up_the_others() {
    let options = Options::default()
        .set("webhooks.parallel=4")
        .set("webhooks.parallel_per_host=2")
        .set("webhooks.timeout=20s");
    let calls = Calls::with(options).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = json!({"url": format!("http://{}/hook", silent.local_addr().unwrap())});
    let mut hung = Vec::new();
    for _ in 0..6 {
        hung.push(calls.connect(json!({"server": hanging})).await);
    }
    let held: Vec<_> = {
        let first = within("a request that hangs", silent.accept()).await.unwrap();
        let second = within("another one", silent.accept()).await.unwrap();
        vec![first, second]
    };
    let (call, leg) = calls.connect(json!({})).await;
    leg.hang_up().await;
    let report = calls.receiver.report(call["id"].as_str().unwrap());
    assert!(tokio::time::timeout(Duration::from_secs(10), report).await.is_ok());
    drop((held, hung));
}

#[tokio::test]
async fn the_outbox_says_what_a_query_should_have_been() {
    let server = support::Server::start().await;
    let refused = server.client.get("/outbox?state=lost").await;
    assert_eq!(refused.messages(), ["state must be waiting or dead"]);
    let unknown = "00000000-0000-4000-8000-000000000000";
    let answer = server.client.post(&format!("/outbox/{unknown}/retry"), &json!({})).await;
    assert_eq!(answer.status, 404);
    assert_eq!(server.client.with_key(None).get("/outbox").await.status, 401);
}
