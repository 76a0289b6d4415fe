//! A server may be killed or replaced: its calls go on in the next one.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Calls, Leg, Options, eventually};
use tokio::io::AsyncReadExt;

const BRIDGE: &str = "Sorry, you were cut off for a moment.";

/// Options of a server whose address outlives it.
fn at_one_address() -> Options {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Options::default().set(format!("server.listen={free}"))
}

fn url(call: &Value) -> &str {
    call["transport"]["websocketCallUrl"].as_str().unwrap()
}

/// Waits until something that was said is on disk: at the latest 100 ms after it was said, and what
/// is told to the receiver follows it.
async fn told(calls: &Calls, words: &str) {
    let has_words = |messages: &Value| messages.to_string().contains(words);
    calls.receiver.delivery(words, |one| has_words(&one.message["messages"])).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
}

async fn hears(leg: &mut Leg, words: &str) {
    let is_it =
        |event: &Value| event["type"] == "conversation-update" && event.to_string().contains(words);
    leg.event_where(words, is_it).await;
}

fn reports(calls: &Calls) -> usize {
    let kinds = calls.receiver.taken();
    kinds.iter().filter(|kind| *kind == "end-of-call-report").count()
}

#[tokio::test]
async fn after_a_kill_the_caller_hears_a_bridge_and_the_conversation_goes_on() {
    let mut calls = Calls::with(at_one_address()).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    calls.providers.caller_says("I need a doctor.").await;
    hears(&mut leg, "You said I need a doctor.").await;
    told(&calls, "You said I need a doctor.").await;

    calls.server = calls.server.kill_and_restart().await;
    let up = Instant::now();
    let limits = calls.server.client.get("/readyz").await.body;
    assert_eq!(limits["activeCalls"], 1, "{limits}");
    let mut leg = Leg::open(url(&call)).await;
    leg.sound().await;
    assert!(up.elapsed() < Duration::from_secs(3), "{:?}", up.elapsed());
    hears(&mut leg, BRIDGE).await;
    calls.providers.caller_says("On Thursday.").await;
    hears(&mut leg, "You said On Thursday.").await;
    leg.hang_up().await;

    let ended = calls.ended(&call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call");
    let said: Vec<_> = ended["messages"].as_array().unwrap().iter().collect();
    let said: Vec<_> = said.iter().map(|one| one["message"].as_str().unwrap()).collect();
    let expected = [
        "Hello.",
        "I need a doctor.",
        "You said I need a doctor.",
        BRIDGE,
        "On Thursday.",
        "You said On Thursday.",
    ];
    assert_eq!(said, expected);
    calls.receiver.report(call["id"].as_str().unwrap()).await;
    assert_eq!(reports(&calls), 1);
}

#[tokio::test]
async fn a_question_that_was_not_answered_before_the_kill_is_answered_after_the_bridge() {
    let mut calls = Calls::with(at_one_address()).await;
    let plan = json!({"waitSeconds": 5});
    let (call, mut leg) = calls.connect(json!({"startSpeakingPlan": plan})).await;
    calls.providers.caller_says("I need a doctor.").await;
    leg.event_where("what was said", |event| event.to_string().contains("I need a doctor.")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    calls.server = calls.server.kill_and_restart().await;
    let mut leg = Leg::open(url(&call)).await;
    hears(&mut leg, BRIDGE).await;
    hears(&mut leg, "I need a doctor.").await;
    leg.hang_up().await;
    calls.ended(&call).await;
}

/// A server of tools that takes requests and never answers.
async fn silent_tool() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tool", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::AcqRel);
            tokio::spawn(async move {
                let mut request = Vec::new();
                // Ends when the client does.
                let _ = stream.read_to_end(&mut request).await;
            });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_tool_that_ran_when_the_server_was_killed_is_not_run_again_and_the_model_knows() {
    let mut calls = Calls::with(at_one_address()).await;
    let (tool_url, asked) = silent_tool().await;
    let tool = json!({"type": "function", "server": {"url": tool_url},
        "function": {"name": "weather", "description": "Tells the weather."}});
    let model = json!({"provider": "openai", "model": "gpt-4.1-mini", "tools": [tool]});
    let (call, _leg) = calls.connect(json!({"model": model})).await;
    calls.providers.caller_says("How is the weather?").await;
    let once = async || (asked.load(Ordering::Acquire) == 1).then_some(());
    eventually("request to the tool", once).await;

    calls.server = calls.server.kill_and_restart().await;
    let mut leg = Leg::open(url(&call)).await;
    hears(&mut leg, BRIDGE).await;
    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    let results: Vec<_> = ended["messages"].as_array().unwrap().iter().collect();
    let results: Vec<_> = results.iter().filter(|one| one["role"] == "tool_call_result").collect();
    assert_eq!(results.len(), 1, "{ended}");
    assert!(results[0]["result"].as_str().unwrap().contains("may have been run"), "{ended}");
    assert_eq!(asked.load(Ordering::Acquire), 1);
}

#[tokio::test]
async fn a_call_whose_client_does_not_return_is_ended_with_the_reason_and_reported() {
    let options = at_one_address().set("calls.leg_reconnect=1s").set("calls.connect_timeout=1s");
    let mut calls = Calls::with(options).await;
    let (call, _leg) = calls.connect(json!({})).await;
    let never_connected = calls.create(json!({})).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    calls.server = calls.server.kill_and_restart().await;
    let ended = calls.ended(&call).await;
    assert_eq!(ended["endedReason"], "call.in-progress.error-vapifault-worker-died");
    let message = ended["endedMessage"].as_str().unwrap();
    assert!(message.contains("did not come back within 1s"), "{message}");
    calls.receiver.report(call["id"].as_str().unwrap()).await;
    let ended = calls.ended(&never_connected).await;
    let reason = "call.in-progress.error-vapifault-transport-never-connected";
    assert_eq!(ended["endedReason"], reason);
}

#[tokio::test]
async fn a_call_that_nobody_had_connected_to_is_connected_to_in_the_next_server() {
    let mut calls = Calls::with(at_one_address()).await;
    let call = calls.create(json!({})).await;
    calls.server = calls.server.kill_and_restart().await;
    let mut leg = Leg::open(url(&call)).await;
    hears(&mut leg, "Hello.").await;
    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    assert!(!ended["messages"].to_string().contains(BRIDGE), "{ended}");
}

#[tokio::test]
async fn a_call_that_outlasts_a_deploy_goes_on_in_the_next_server() {
    let mut calls = Calls::with(at_one_address().set("calls.drain_timeout=0s")).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    hears(&mut leg, "Hello.").await;
    calls.server.terminate();
    assert_eq!(leg.closed().await.0, 1012);
    assert!(calls.server.stopped().await.success());
    assert_eq!(reports(&calls), 0);

    calls.server = calls.server.kill_and_restart().await;
    let mut leg = Leg::open(url(&call)).await;
    hears(&mut leg, BRIDGE).await;
    calls.providers.caller_says("Still there?").await;
    hears(&mut leg, "You said Still there?").await;
    leg.hang_up().await;
    assert_eq!(calls.ended(&call).await["endedReason"], "customer-ended-call");
    calls.receiver.report(call["id"].as_str().unwrap()).await;
    assert_eq!(reports(&calls), 1);
}

#[tokio::test]
async fn a_call_survives_one_server_after_the_other_with_its_recording_and_its_keys() {
    let mut calls = Calls::with(at_one_address()).await;
    let own = json!([{"provider": "openai", "apiKey": "the-call-s-own-key"}]);
    let (call, mut leg) = calls.connect(json!({"credentials": own})).await;
    for word in ["one", "two", "three"] {
        calls.providers.caller_says(&format!("{word}?")).await;
        hears(&mut leg, &format!("You said {word}?")).await;
        told(&calls, &format!("You said {word}?")).await;
        let keys = calls.providers.keys_of("/v1/chat/completions").await;
        assert!(keys.iter().all(|key| key.contains("the-call-s-own-key")), "{keys:?}");
        calls.server = calls.server.kill_and_restart().await;
        leg = Leg::open(url(&call)).await;
        hears(&mut leg, BRIDGE).await;
    }
    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    for word in ["one", "two", "three"] {
        let transcript = ended["artifact"]["transcript"].as_str().unwrap();
        assert_eq!(transcript.matches(&format!("You said {word}?")).count(), 1, "{transcript}");
    }
    let recording = ended["artifact"]["recording"]["stereoUrl"].as_str().unwrap();
    let wav = calls.server.client.get(recording).await;
    assert_eq!(wav.status, 200);
}
