//! What a stranger, a flood or a damaged file may cost: an error to whoever caused it.

mod support;

use std::{fs, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::{Calls, Options, Server, eventually, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

fn address(server: &Server) -> String {
    server.client.url().trim_start_matches("http://").to_owned()
}

/// The server's limit for the head of a request is ten seconds.
#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start().await;
    let mut silent = TcpStream::connect(address(&server)).await.unwrap();
    let mut half = TcpStream::connect(address(&server)).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    for stream in [&mut silent, &mut half] {
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer));
        // A reset ends it as well as an orderly close.
        assert!(closed.await.is_ok(), "still open");
    }
}

#[tokio::test]
async fn a_flood_of_control_messages_is_refused_and_the_call_can_still_be_ended() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    let message = json!({"type": "add-message", "triggerResponseEnabled": false,
        "message": {"role": "system", "content": "x"}});
    for _ in 0..300 {
        leg.send_json(&message).await;
    }
    let refused = leg.event("error").await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("too many requests"));

    let control = call["monitor"]["controlUrl"].as_str().unwrap();
    let answer = calls.server.client.post(control, &message).await;
    assert_eq!((answer.status, answer.body["statusCode"].as_u64()), (429, Some(429)));
    let answer = calls.server.client.post(control, &json!({"type": "end-call"})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(calls.ended(&call).await["endedReason"], "manually-canceled");
}

#[tokio::test]
async fn a_flood_of_pings_ends_the_leg_with_a_reason() {
    let calls = Calls::start().await;
    let call = calls.create(json!({})).await;
    let url = call["transport"]["websocketCallUrl"].as_str().unwrap();
    let (socket, _) = connect_async(url).await.unwrap();
    let (mut writer, mut reader) = socket.split();
    let flood = tokio::spawn(async move {
        for _ in 0..100_000 {
            if writer.feed(Message::Ping(Default::default())).await.is_err() {
                return;
            }
        }
        // The server may have closed already.
        let _ = writer.flush().await;
    });
    within("close", async {
        while let Some(Ok(message)) = reader.next().await {
            if let Message::Close(Some(frame)) = message {
                assert!(frame.reason.contains("too many messages"), "{}", frame.reason);
                return;
            }
        }
    })
    .await;
    let ended = calls.ended(&call).await;
    let reason = "call.in-progress.error-assistant-did-not-receive-customer-audio";
    assert_eq!(ended["endedReason"], reason);
    assert!(ended["endedMessage"].as_str().unwrap().contains("too many messages"));
    flood.abort();
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_asks_leaves_no_call_behind() {
    let calls = Calls::with(Options::default().set("calls.connect_timeout=1s")).await;
    let body = json!({"assistant": calls.assistant(json!({})),
        "transport": {"provider": "vapi.websocket"}})
    .to_string();
    let address = address(&calls.server);
    for wait in 0..40 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /call HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            support::KEY,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // From before it is read to after it is answered.
        tokio::time::sleep(Duration::from_micros(wait * 250)).await;
    }
    eventually("no call without an end", async || {
        let listed = calls.server.client.get("/call?limit=100").await.body;
        let open = |call: &&Value| call["endedReason"].is_null();
        (listed.as_array().unwrap().iter().filter(open).count() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_call_is_found_by_when_it_was_updated() {
    let calls = Calls::start().await;
    let (call, leg) = calls.connect(json!({})).await;
    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    let created = ended["createdAt"].as_str().unwrap();
    assert_ne!(ended["updatedAt"].as_str().unwrap(), created);
    let client = &calls.server.client;
    assert_eq!(client.ids(&format!("/call?updatedAtGt={created}")).await.len(), 1);
    assert_eq!(client.ids(&format!("/call?updatedAtLe={created}")).await.len(), 0);
}

#[tokio::test]
async fn the_callers_socket_is_told_no_secret_of_the_assistant() {
    let calls = Calls::start().await;
    let tool = json!({"type": "function", "function": {"name": "book", "description": "Books."},
        "server": {"url": "https://tool.example/INTERNAL"},
        "parameters": [{"key": "token", "value": "STATICSECRET"}]});
    let model = json!({"provider": "openai", "model": "gpt-4.1-mini", "tools": [tool],
        "messages": [{"role": "system", "content": "SYSTEMPROMPT"}]});
    let call = calls.create(json!({"model": model, "name": "Nora"})).await;
    let url = call["transport"]["websocketCallUrl"].as_str().unwrap();
    let mut leg = support::Leg::open(url).await;
    let started = leg.event("assistant.started").await;
    assert_eq!(started["newAssistant"], json!({"name": "Nora"}));
    for secret in ["STATICSECRET", "INTERNAL", "SYSTEMPROMPT"] {
        assert!(!started.to_string().contains(secret), "{started}");
    }
}

/// A full disk may leave an empty file where a key was to be written.
#[tokio::test]
async fn a_damaged_key_file_opens_nothing() {
    let server = Server::with(Options::default().without_keys()).await;
    let file = server.store().join("api-key");
    assert!(fs::read_to_string(&file).unwrap().len() > 32);
    fs::write(&file, "").unwrap();
    let problem = server.refuses_to_restart().await;
    assert!(problem.contains("api-key is damaged"), "{problem}");
}

/// A process that stood still has not wedged its actors.
#[tokio::test]
async fn a_server_that_stood_still_goes_on_with_its_calls() {
    let calls = Calls::start().await;
    let (call, leg) = calls.connect(json!({})).await;
    calls.server.signal("STOP");
    tokio::time::sleep(Duration::from_secs(3)).await;
    calls.server.signal("CONT");
    leg.hang_up().await;
    calls.ended(&call).await;
    let killed = calls.server.log().into_iter().filter(|line| line.contains("wedged")).count();
    assert_eq!(killed, 0);
}
