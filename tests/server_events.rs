//! Server events and tool calls, as the server that receives them sees them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::collections::HashSet;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{Calls, Delivery, Leg, Options, Receiver};

/// Has the caller ask, and waits for the whole answer.
async fn ask(calls: &Calls, leg: &mut Leg, question: &str, answer: &str) {
    calls.providers.caller_says(question).await;
    leg.event_where(answer, |event| {
        let last = event["messages"].as_array().and_then(|messages| messages.last());
        event["type"] == "conversation-update" && last.is_some_and(|one| one["message"] == answer)
    })
    .await;
}

/// A call with one question, to its end.
async fn one_call(calls: &Calls, fields: Value) -> Value {
    let (call, mut leg) = calls.connect(fields).await;
    ask(calls, &mut leg, "I need a doctor.", "You said I need a doctor.").await;
    leg.hang_up().await;
    calls.ended(&call).await
}

fn id(call: &Value) -> &str {
    call["id"].as_str().unwrap()
}

fn weather_tool(server: Value) -> Value {
    json!({
        "provider": "openai", "model": "gpt-4.1-mini",
        "tools": [{
            "type": "function", "messages": [], "server": server,
            "function": {"name": "weather", "parameters": {
                "type": "object", "properties": {"city": {"type": "string"}}}},
        }],
    })
}

/// Answers tool calls as the contract has it.
fn sunny(message: &Value) -> (u16, Value) {
    match message["toolCallList"][0]["id"].as_str() {
        Some(id) => (200, json!({"results": [{"toolCallId": id, "result": "sunny"}]})),
        None => (200, json!({})),
    }
}

fn event_id(delivery: &Delivery) -> String {
    assert_eq!(delivery.header("x-offhook-event-id"), delivery.header("idempotency-key"));
    delivery.header("idempotency-key").to_owned()
}

#[tokio::test]
async fn the_events_of_a_call_come_in_order_and_end_with_the_report() {
    let calls = Calls::start().await;
    let ended = one_call(&calls, json!({"metadata": {"tenant": "a"}})).await;
    let report = calls.receiver.report(id(&ended)).await;
    let deliveries = calls.receiver.deliveries();

    let milestones: Vec<String> = deliveries
        .iter()
        .filter(|one| one.kind() != "speech-update")
        .map(|one| match one.kind() {
            "status-update" => one.message["status"].as_str().unwrap().to_owned(),
            "conversation-update" => {
                let last = one.message["messages"].as_array().unwrap().last().unwrap();
                format!("{}: {}", last["role"].as_str().unwrap(), last["message"].as_str().unwrap())
            }
            kind => kind.to_owned(),
        })
        .collect();
    assert_eq!(
        milestones,
        [
            "in-progress",
            "assistant.started",
            "bot: Hello.",
            "user: I need a doctor.",
            "bot: You said I need a doctor.",
            "ended",
            "end-of-call-report",
        ]
    );
    let spoken: Vec<_> = deliveries
        .iter()
        .filter(|one| one.kind() == "speech-update" && one.message["role"] == "assistant")
        .map(|one| one.message["status"].as_str().unwrap())
        .collect();
    assert_eq!(spoken, ["started", "stopped", "started", "stopped"]);

    let times: Vec<i64> =
        deliveries.iter().map(|one| one.message["timestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    for one in &deliveries {
        assert_eq!(one.message["call"]["id"], ended["id"], "{}", one.kind());
        assert_eq!(one.message["assistant"]["metadata"], json!({"tenant": "a"}));
        assert_eq!(one.header("content-type"), "application/json");
    }
    let ids: HashSet<String> = deliveries.iter().map(event_id).collect();
    assert_eq!(ids.len(), deliveries.len());

    assert_eq!(report["endedReason"], "customer-ended-call");
    assert_eq!(report["transcript"], ended["artifact"]["transcript"]);
    assert_eq!(report["messages"], ended["messages"]);
    assert_eq!(report["artifact"]["recordingUrl"], ended["artifact"]["recordingUrl"]);
    assert_eq!(report["endedAt"], ended["endedAt"]);
}

#[tokio::test]
async fn only_events_that_were_asked_for_are_sent() {
    let calls = Calls::start().await;
    let messages = json!([r#"transcript[transcriptType="final"]"#, "end-of-call-report"]);
    let ended = one_call(&calls, json!({"serverMessages": messages})).await;
    calls.receiver.report(id(&ended)).await;
    let sent: Vec<_> = calls
        .receiver
        .deliveries()
        .iter()
        .map(|one| (one.kind().to_owned(), one.message["transcript"].as_str().unwrap().to_owned()))
        .collect();
    let (last, transcripts) = sent.split_last().unwrap();
    assert_eq!(last.0, "end-of-call-report");
    assert!(transcripts.contains(&("transcript".into(), "I need a doctor.".into())), "{sent:?}");
    assert!(transcripts.iter().all(|(kind, _)| kind == "transcript"), "{sent:?}");
}

#[tokio::test]
async fn a_call_without_a_server_of_its_own_reports_to_the_one_of_the_settings() {
    let receiver = Receiver::start().await;
    let options = Options::default()
        .set(format!("webhooks.url={}", receiver.url()))
        .set("webhooks.secret=Jefe");
    let calls = Calls::with(options).await;
    let ended = one_call(&calls, json!({"server": {"url": ""}})).await;
    receiver.report(id(&ended)).await;
    assert!(calls.receiver.deliveries().is_empty());
    for one in receiver.deliveries() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(&one.bytes);
        let expected: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(one.header("x-vapi-signature"), expected);
    }
}

#[tokio::test]
async fn a_servers_secret_and_headers_go_to_it_alone() {
    let calls = Calls::start().await;
    let server = json!({
        "url": calls.receiver.url(), "secret": "open-sesame",
        "headers": {"authorization": "Bearer hush", "x-tenant": "a"},
    });
    let ended = one_call(&calls, json!({"server": server})).await;
    calls.receiver.report(id(&ended)).await;
    for one in calls.receiver.deliveries() {
        assert_eq!(one.header("x-vapi-secret"), "open-sesame");
        assert_eq!(one.header("authorization"), "Bearer hush");
        assert_eq!(one.header("x-tenant"), "a");
        let body = String::from_utf8(one.bytes.to_vec()).unwrap();
        for secret in ["open-sesame", "hush", "websocketCallUrl", support::KEY] {
            assert!(!body.contains(secret), "`{secret}` in {}", one.kind());
        }
    }
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_sent_again_before_the_next_one() {
    let calls = Calls::start().await;
    let mut refusals = 0;
    calls.receiver.answer(move |_| {
        refusals += 1;
        if refusals % 3 == 0 { (200, json!({})) } else { (500, json!({"error": "busy"})) }
    });
    let ended =
        one_call(&calls, json!({"serverMessages": ["status-update", "end-of-call-report"]}));
    let ended = ended.await;
    calls.receiver.report(id(&ended)).await;
    let deliveries = calls.receiver.deliveries();
    assert_eq!(deliveries.len(), 9);
    for (three, kind) in
        deliveries.chunks(3).zip(["status-update", "status-update", "end-of-call-report"])
    {
        for one in three {
            assert_eq!(one.kind(), kind);
            assert_eq!((event_id(one), &one.bytes), (event_id(&three[0]), &three[0].bytes));
        }
    }
}

#[tokio::test]
async fn events_that_nobody_took_outlive_the_server() {
    let mut calls = Calls::start().await;
    calls.receiver.answer(|_| (503, json!({})));
    let ended = one_call(&calls, json!({})).await;
    calls.receiver.delivery("a refused event", |one| one.status == 503).await;
    calls.server = calls.server.kill_and_restart().await;
    calls.receiver.answer(|_| (200, json!({})));
    calls.receiver.report(id(&ended)).await;
    let taken = calls.receiver.taken();
    assert_eq!(taken[..2], ["status-update", "assistant.started"]);
    // Where the crash left it open whether the report was on its way, it came with the same id.
    let deliveries = calls.receiver.deliveries();
    let reports = deliveries.iter().filter(|one| one.kind() == "end-of-call-report");
    assert_eq!(reports.map(event_id).collect::<HashSet<_>>().len(), 1);
    let first = &deliveries[0];
    let again = calls.receiver.event("status-update").await;
    assert_eq!(event_id(first), event_id(&again), "a repeat is recognised by its id");
}

#[tokio::test]
async fn events_and_tools_do_not_reach_into_the_network_of_the_server() {
    let calls = Calls::with(Options::default().public_addresses_only()).await;
    let (call, mut leg) =
        calls.connect(json!({"model": weather_tool(json!({"url": calls.receiver.url()}))})).await;
    calls.providers.caller_says("How is the weather?").await;
    let answer = leg
        .event_where("the tool's failure", |event| {
            event["messagesOpenAIFormatted"].to_string().contains("is a private address")
        })
        .await;
    assert!(answer.to_string().contains("webhooks.allow_private_addresses"), "{answer}");
    leg.hang_up().await;
    calls.ended(&call).await;
    let line = calls.server.log_line("server event not delivered, again").await;
    assert_eq!(
        line["problem"],
        "`127.0.0.1` is a private address; set webhooks.allow_private_addresses = true to allow such"
    );
    assert!(calls.receiver.deliveries().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let calls = Calls::start().await;
    let elsewhere = Receiver::start().await;
    let to = elsewhere.url().to_owned();
    let router = axum::Router::new().fallback(move || {
        let to = to.clone();
        async move { (axum::http::StatusCode::TEMPORARY_REDIRECT, [("location", to)]) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let call = calls.create(json!({"server": {"url": url}})).await;
    let delete = format!("/call/{}", id(&call));
    assert_eq!(calls.server.client.delete(&delete).await.status, 200);
    let line = calls.server.log_line("server event not delivered, again").await;
    assert_eq!(line["problem"], "status 307");
    assert!(elsewhere.deliveries().is_empty());
}

#[tokio::test]
async fn a_tools_answer_is_told_to_the_model() {
    let calls = Calls::start().await;
    let tools = Receiver::answering(sunny).await;
    let server = json!({"url": tools.url(), "secret": "tool-secret"});
    let (call, mut leg) = calls.connect(json!({"model": weather_tool(server)})).await;
    ask(&calls, &mut leg, "How is the weather?", "They say sunny").await;
    let asked = tools.event("tool-calls").await;
    assert_eq!(tools.deliveries().len(), 1);
    assert_eq!(asked.header("x-vapi-secret"), "tool-secret");
    assert_eq!(asked.message["call"]["id"], call["id"]);
    let tool_call = &asked.message["toolCallList"][0];
    assert_eq!(tool_call["name"], "weather");
    assert_eq!(tool_call["arguments"], json!({"city": "Lund"}));
    let with_tool = &asked.message["toolWithToolCallList"][0];
    assert_eq!(with_tool["function"]["name"], "weather");
    assert_eq!(with_tool["toolCall"]["id"], tool_call["id"]);
    assert!(!String::from_utf8_lossy(&asked.bytes).contains("tool-secret"));
    leg.hang_up().await;

    let ended = calls.ended(&call).await;
    let roles: Vec<_> = ended["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["bot", "user", "tool_calls", "tool_call_result", "bot"]);
    let kinds = calls.receiver.taken();
    assert!(!kinds.contains(&"tool-calls".to_owned()), "the tool has a server of its own");
}

#[tokio::test]
async fn a_tool_without_a_server_asks_the_assistants() {
    let calls = Calls::start().await;
    calls.receiver.answer(sunny);
    let (_, mut leg) = calls.connect(json!({"model": weather_tool(json!({"url": ""}))})).await;
    ask(&calls, &mut leg, "How is the weather?", "They say sunny").await;
    calls.receiver.event("tool-calls").await;
}

#[tokio::test]
async fn a_tool_that_fails_is_tried_as_its_plan_says_and_the_model_is_told() {
    let calls = Calls::start().await;
    let tools = Receiver::answering(|_| (502, json!({}))).await;
    let plan = json!({"type": "fixed", "maxRetries": 2, "baseDelaySeconds": 0});
    let server = json!({"url": tools.url(), "backoffPlan": plan});
    let (_, mut leg) = calls.connect(json!({"model": weather_tool(server)})).await;
    calls.providers.caller_says("How is the weather?").await;
    leg.event_where("the failure", |event| {
        event["messagesOpenAIFormatted"].to_string().contains("answered with status 502")
    })
    .await;
    let deliveries = tools.deliveries();
    assert_eq!(deliveries.len(), 3);
    assert!(deliveries.iter().all(|one| event_id(one) == event_id(&deliveries[0])));
}

#[tokio::test]
async fn what_a_caller_said_and_keys_are_not_logged() {
    let calls = Calls::start().await;
    let ended = one_call(&calls, json!({})).await;
    calls.receiver.report(id(&ended)).await;
    calls.server.log_line("call ended").await;
    for line in calls.server.log() {
        for secret in ["doctor", "token=", "provider-key", support::KEY] {
            assert!(!line.contains(secret), "`{secret}` in {line}");
        }
    }
}

#[tokio::test]
async fn a_server_of_ones_own_says_when_the_caller_is_done() {
    let calls = Calls::start().await;
    calls.receiver.answer(|message| match message["type"].as_str() {
        Some("call.endpointing.request") => (200, json!({"timeoutSeconds": 0.9})),
        _ => (200, json!({})),
    });
    let plan = json!({"smartEndpointingPlan": {"provider": "custom-endpointing-model"}});
    let ended = one_call(&calls, json!({"startSpeakingPlan": plan})).await;
    let asked = calls.receiver.event("call.endpointing.request").await;
    assert_eq!(asked.message["call"]["id"], ended["id"]);
    let last = asked.message["messages"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["role"], &last["message"]), (&json!("user"), &json!("I need a doctor.")));
    let openai = asked.message["messagesOpenAIFormatted"].as_array().unwrap().last().unwrap();
    assert_eq!(openai, &json!({"role": "user", "content": "I need a doctor."}));
    let latency =
        &ended["artifact"]["performanceMetrics"]["turnLatencies"][0]["endpointingLatency"];
    assert!(latency.as_u64().unwrap() >= 850, "{latency} ms");
}
