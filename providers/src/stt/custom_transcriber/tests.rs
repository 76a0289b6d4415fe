use bytes::Bytes;
use offhook_core::FailureClass;

use super::*;
use crate::{
    net::testing::{Server, failure, net, next, within},
    stt::{SttEvent, SttInput},
};

/// A document that names a server of this machine, which the tests' net allows.
fn document(server: &Server) -> Value {
    let url = server.base_url.replace("http://", "ws://") + "/api/transcribe?tenant=7";
    json!({"provider": "custom-transcriber",
           "server": {"url": url, "secret": "hush", "headers": {"X-Client": "c"}}})
}

async fn open(document: &Value) -> SttSession {
    let transcriber = build(document, &Access::default(), &net()).unwrap();
    within(transcriber.open(SttRequest { format: FORMAT })).await.unwrap()
}

fn answer(text: &str, channel: &str, kind: Option<&str>) -> Value {
    let mut answer = json!({"type": "transcriber-response", "transcription": text});
    answer["channel"] = channel.into();
    if let Some(kind) = kind {
        answer["transcriptType"] = kind.into();
    }
    answer
}

#[tokio::test]
async fn a_session_is_held_message_by_message() {
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.url.path(), "/api/transcribe");
        assert_eq!(client.query(), [("tenant".to_owned(), "7".to_owned())]);
        assert_eq!(client.headers["x-vapi-secret"], "hush");
        assert_eq!(client.headers["x-client"], "c");
        assert_eq!(
            client.json().await,
            json!({"type": "start", "encoding": "linear16", "container": "raw",
                   "sampleRate": 16_000, "channels": 2})
        );
        // The caller's samples, and silence for the agent's.
        assert_eq!(&client.binary().await[..], [1, 2, 0, 0, 3, 4, 0, 0]);
        client.send(answer("I would", "customer", Some("partial"))).await;
        client.send(answer("We are open.", "assistant", Some("final"))).await;
        client.send(answer("  ", "customer", None)).await;
        client.send(json!({"type": "something-new"})).await;
        client.send(answer("I would like a table.", "customer", Some("final"))).await;
        assert_eq!(client.binary().await.len(), 64_000);
        client.send(answer("Bye.", "customer", None)).await;
        client.gone().await;
    })
    .await;

    let SttSession { audio, mut events } = open(&document(&server)).await;
    audio.send(SttInput::Finalize).await.unwrap();
    audio.send(SttInput::KeepAlive).await.unwrap();
    audio.send(SttInput::Audio(Bytes::from_static(&[1, 2, 3, 4]))).await.unwrap();
    assert_eq!(next(&mut events).await, SttEvent::Partial { text: "I would".into() });
    let last = |text: &str, micros| SttEvent::Final {
        text: text.into(),
        until: Duration::from_micros(micros),
    };
    assert_eq!(next(&mut events).await, last("I would like a table.", 125));
    audio.send(SttInput::Audio(vec![0; 32_000].into())).await.unwrap();
    assert_eq!(next(&mut events).await, last("Bye.", 1_000_125));
    drop(audio);
    assert_eq!(within(events.recv()).await, None, "ended in order");
    server.finished().await;
}

#[tokio::test]
async fn an_error_of_the_server_and_a_lost_socket_end_the_session() {
    let server = Server::websocket(|mut client| async move {
        client.json().await;
        client.send(json!({"type": "error", "error": "no capacity"})).await;
        client.gone().await;
    })
    .await;
    let mut session = open(&document(&server)).await;
    let error = failure(&mut session.events).await;
    assert_eq!(error.class, FailureClass::Unavailable);
    assert!(error.detail.contains("no capacity"), "{error}");

    let server = Server::websocket(|client| client.close(1000, "done")).await;
    let mut session = open(&document(&server)).await;
    assert_eq!(failure(&mut session.events).await.class, FailureClass::Closed);
}

#[tokio::test]
async fn a_refused_handshake_is_classified() {
    let server = Server::refusing(401, "", "{}").await;
    let transcriber = build(&document(&server), &Access::default(), &net()).unwrap();
    let error = within(transcriber.open(SttRequest { format: FORMAT })).await.err().unwrap();
    assert_eq!(error.class, FailureClass::Unauthorized);
}

#[tokio::test]
async fn a_document_may_not_lead_to_this_machine_unless_the_operator_allows_it() {
    let guarded = Net::new(Duration::from_secs(5), "offhook".into(), false).unwrap();
    let at = |url: &str| json!({"server": {"url": url}});
    let literal = build(&at("ws://127.0.0.1:1/x"), &Access::default(), &guarded);
    assert!(literal.err().unwrap().to_string().contains("`127.0.0.1` is a private address"));

    // A name can only be judged by where it leads.
    let named = build(&at("wss://localhost:1/x"), &Access::default(), &guarded).unwrap();
    let error = within(named.open(SttRequest { format: FORMAT })).await.err().unwrap();
    assert_eq!(error.class, FailureClass::BadRequest);
    assert!(error.detail.contains("allow_private_addresses"), "{error}");

    // The operator's own address stands for all of them, unguarded.
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.headers["authorization"], "Bearer key-1");
        client.json().await;
        client.gone().await;
    })
    .await;
    let own = build(&at("wss://a.example"), &server.access(), &guarded).unwrap();
    drop(within(own.open(SttRequest { format: FORMAT })).await.unwrap());
    server.finished().await;
}

#[test]
fn a_document_without_a_usable_server_is_refused_by_name() {
    for document in [json!({}), json!({"server": {"url": "nowhere"}})] {
        let error = build(&document, &Access::default(), &net()).err().unwrap().to_string();
        assert!(error.contains("server.url"), "{error}");
    }
}
