//! What hostile and broken clients of a media socket get: an answer, and nobody else notices.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use serde_json::{Value, json};
use support::{Calls, Frame, Leg, Options, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

/// A call whose caller behaves, on the same server as the hostile one.
struct Bystander {
    call: Value,
    leg: Leg,
}

impl Bystander {
    async fn join(calls: &Calls) -> Self {
        let (call, leg) = calls.connect(json!({})).await;
        Self { call, leg }
    }

    /// Its conversation goes on, the server takes calls, and only this call is left.
    async fn goes_on(mut self, calls: &Calls) {
        calls.providers.caller_says("Still there?").await;
        self.leg
            .event_where("an answer to the bystander", |event| {
                event["type"] == "conversation-update"
                    && event.to_string().contains("You said Still there?")
            })
            .await;
        let ready = calls.server.client.get("/readyz").await;
        assert_eq!(ready.status, 200, "{}", ready.text);
        self.leg.hang_up().await;
        assert_eq!(calls.ended(&self.call).await["endedReason"], "customer-ended-call");
    }
}

/// What a socket is told that another one has taken the place of.
const REPLACED: &str = "another media socket of the call has taken over";

fn url(call: &Value) -> &str {
    call["transport"]["websocketCallUrl"].as_str().unwrap()
}

fn refusal(event: &Value) -> (&str, &str) {
    (event["error"]["code"].as_str().unwrap(), event["error"]["message"].as_str().unwrap())
}

#[tokio::test]
async fn a_message_that_cannot_be_used_is_answered_and_the_call_goes_on() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    for (message, expected) in [
        (
            Message::binary(vec![0; 641]),
            "audio message of 641 bytes dropped: pcm_s16le samples are 2 bytes each, send whole \
             samples",
        ),
        (Message::text("hello?"), "text message of 6 bytes is not JSON: "),
        (Message::text("[1, 2]"), "JSON message without a `type`: "),
        (Message::text(r#"{"type": 3}"#), "JSON message without a `type`: "),
        (
            Message::text(r#"{"type": "dance"}"#),
            "type must be one of the following values: say, add-message, control, end-call",
        ),
        (Message::text(r#"{"type": "say"}"#), "content must be a string"),
        (Message::text(r#"{"type": "transfer"}"#), "`transfer` is not supported by this version"),
        (Message::text("[".repeat(10_000)), "text message of 10000 bytes is not JSON: "),
        (Message::text("\u{0}"), "text message of 1 bytes is not JSON: "),
    ] {
        leg.send(message.clone()).await.unwrap();
        let error = leg.event("error").await;
        let (code, said) = refusal(&error);
        assert_eq!(code, "message-refused");
        assert!(said.starts_with(expected), "{said}");
    }
    leg.send_audio(Vec::new()).await;
    calls.providers.caller_says("Hello?").await;
    leg.event_where("an answer", |event| {
        event["type"] == "conversation-update" && event.to_string().contains("You said Hello?")
    })
    .await;
    leg.hang_up().await;
    assert_eq!(calls.ended(&call).await["endedReason"], "customer-ended-call");
}

#[tokio::test]
async fn a_client_that_sends_nothing_usable_is_told_so_and_closed() {
    let calls = Calls::start().await;
    let bystander = Bystander::join(&calls).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    for _ in 0..60 {
        // The server may have closed already.
        let _ = leg.send(Message::text("I am audio")).await;
    }
    let error =
        leg.event_where("the last refusal", |event| event["error"]["code"] == "invalid-messages");
    let error = error.await;
    assert!(refusal(&error).1.starts_with("50 bad messages, the last: text message of 10 bytes"));
    let (code, reason) = leg.closed().await;
    assert_eq!(code, 1007);
    assert!(reason.starts_with("50 bad messages"), "{reason}");
    calls.ended(&call).await;
    bystander.goes_on(&calls).await;
}

#[tokio::test]
async fn a_socket_that_never_connects_ends_its_call() {
    let calls = Calls::with(Options::default().set("calls.connect_timeout=1s")).await;
    let call = calls.create(json!({})).await;
    let ended = calls.ended(&call).await;
    assert_eq!(ended["endedReason"], "call.in-progress.error-vapifault-transport-never-connected");
    assert_eq!(ended["endedMessage"], "no media socket connected within 1s");
    assert_eq!(ended.get("startedAt"), None);
    assert_eq!(Leg::try_open(url(&call)).await.err().unwrap().0, 404);
    let report = calls.receiver.report(call["id"].as_str().unwrap()).await;
    assert_eq!(report["endedReason"], ended["endedReason"]);
}

#[tokio::test]
async fn a_socket_that_sends_nothing_is_silence_and_the_call_goes_on() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    calls.providers.caller_says("I am quiet.").await;
    leg.event_where("an answer", |event| {
        event["type"] == "conversation-update" && event.to_string().contains("You said I am quiet.")
    })
    .await;
    leg.hang_up().await;
    assert_eq!(calls.ended(&call).await["endedReason"], "customer-ended-call");
}

#[tokio::test]
async fn ten_megabytes_at_once_are_refused_with_a_close_frame() {
    let calls = Calls::start().await;
    let bystander = Bystander::join(&calls).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    leg.send_audio(vec![0; 10 * 1024 * 1024]).await;
    let error = leg.event("error").await;
    assert_eq!(
        refusal(&error),
        (
            "message-too-long",
            "message longer than 1048576 bytes: send audio in messages of 20 ms, in real time"
        )
    );
    assert_eq!(leg.closed().await.0, 1009);
    calls.ended(&call).await;
    bystander.goes_on(&calls).await;
}

#[tokio::test]
async fn a_message_beyond_what_is_read_at_all_is_refused_with_a_close_frame() {
    let calls = Calls::start().await;
    let bystander = Bystander::join(&calls).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    // The server refuses it at its header, so all of it may never be written.
    let _ = leg.send(Message::binary(vec![0; 20 * 1024 * 1024])).await;
    assert_eq!(leg.closed().await.0, 1009);
    calls.ended(&call).await;
    bystander.goes_on(&calls).await;
}

#[tokio::test]
async fn a_million_tiny_messages_are_stopped_at_the_limit() {
    let calls = Calls::start().await;
    let bystander = Bystander::join(&calls).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    for sent in 0..1_000_000 {
        let message = Message::binary(vec![0; 2]);
        let done = match sent % 1_000 {
            999 => leg.send(message).await,
            _ => leg.feed(message).await,
        };
        if done.is_err() {
            break;
        }
    }
    let (code, reason) = leg.closed().await;
    assert_eq!(code, 1008);
    assert!(reason.starts_with("too many messages: at most 500 a second over 10 s"), "{reason}");
    calls.ended(&call).await;
    bystander.goes_on(&calls).await;
}

#[tokio::test]
async fn audio_far_ahead_of_real_time_is_stopped_at_the_limit() {
    let calls = Calls::start().await;
    let bystander = Bystander::join(&calls).await;
    let (call, mut leg) = calls.connect(json!({})).await;
    // A minute of audio at once.
    for _ in 0..60 {
        if leg.send(Message::binary(vec![0; 32_000])).await.is_err() {
            break;
        }
    }
    let (code, reason) = leg.closed().await;
    assert_eq!(code, 1008);
    assert!(reason.starts_with("audio more than 10 s ahead of real time"), "{reason}");
    calls.ended(&call).await;
    bystander.goes_on(&calls).await;
}

#[tokio::test]
async fn a_socket_without_the_calls_token_is_not_let_in() {
    let calls = Calls::start().await;
    let call = calls.create(json!({})).await;
    let other = calls.create(json!({})).await;
    let (base, token) = url(&call).split_once("?token=").unwrap();
    let (_, others) = url(&other).split_once("?token=").unwrap();
    for (given, expected) in [
        (base.to_owned(), 401),
        (format!("{base}?token="), 401),
        (format!("{base}?token=0{token}"), 401),
        (format!("{base}?token={others}"), 401),
        (url(&call).replace(call["id"].as_str().unwrap(), other["id"].as_str().unwrap()), 401),
        (url(&call).replace(call["id"].as_str().unwrap(), "no-uuid"), 404),
    ] {
        assert_eq!(Leg::try_open(&given).await.err().unwrap().0, expected, "{given}");
    }
    let listen = call["monitor"]["listenUrl"].as_str().unwrap();
    let (_, for_listening) = listen.split_once("?token=").unwrap();
    let swapped = format!("{base}?token={for_listening}");
    assert_eq!(Leg::try_open(&swapped).await.err().unwrap().0, 401);
    Leg::open(url(&call)).await.sound().await;
}

#[tokio::test]
async fn a_second_socket_of_the_client_takes_over_from_the_first() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    let mut second = Leg::open(url(&call)).await;
    assert_eq!(leg.closed().await, (1008, REPLACED.into()));
    calls.providers.caller_says("Hello?").await;
    second.event_where("an answer", |event| event.to_string().contains("You said Hello?")).await;
}

#[tokio::test]
async fn of_two_sockets_at_the_same_time_one_gets_the_call() {
    let calls = Calls::start().await;
    let call = calls.create(json!({})).await;
    let (one, two) = tokio::join!(Leg::open(url(&call)), Leg::open(url(&call)));
    let kept = async |mut leg: Leg| {
        loop {
            match leg.next().await {
                Frame::Event(event) if event.to_string().contains("You said Hello?") => {
                    return true;
                }
                Frame::Audio(_) | Frame::Event(_) => {}
                Frame::Closed(code, reason) => {
                    assert_eq!((code, &*reason), (1008, REPLACED));
                    return false;
                }
                Frame::Lost(why) => panic!("lost without a close frame: {why}"),
            }
        }
    };
    calls.providers.caller_says("Hello?").await;
    let (one, two) = tokio::join!(kept(one), kept(two));
    assert!(one != two, "both or none");
}

#[tokio::test]
async fn a_request_that_is_no_websocket_is_told_so_and_the_call_waits_on() {
    let calls = Calls::start().await;
    let call = calls.create(json!({})).await;
    let plain = calls.server.client.get(&url(&call).replacen("ws", "http", 1)).await;
    assert_eq!(plain.status, 400);
    assert!(plain.messages()[0].contains("Upgrade") || plain.messages()[0].contains("upgrade"));

    let address = calls.server.client.url.strip_prefix("http://").unwrap();
    let path = url(&call).split_once(address).unwrap().1;
    for garbage in [
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: a\r\n\r\n"
        ),
        "\u{16}\u{3}\u{1}\u{2}not http at all\r\n\r\n".to_owned(),
        format!("GET {path} HTTP/9.9\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(2_000)),
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(garbage.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        within("answer to garbage", socket.read_exact(&mut start)).await.unwrap();
        assert_eq!(&start[..10], b"HTTP/1.1 4", "{}", String::from_utf8_lossy(&start));
    }
    Leg::open(url(&call)).await.sound().await;
}

#[tokio::test]
async fn frames_that_break_the_websocket_rules_end_that_call_alone() {
    let options = Options::default().set("calls.leg_reconnect=500ms");
    let calls = Calls::with(options).await;
    let bystander = Bystander::join(&calls).await;
    let call = calls.create(json!({})).await;
    let address = calls.server.client.url.strip_prefix("http://").unwrap();
    let path = url(&call).split_once(address).unwrap().1;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let upgrade = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    // An unmasked frame with reserved bits and an unknown opcode (RFC 6455, section 5.2).
    socket.write_all(&[0xFB, 0x05, 1, 2, 3, 4, 5]).await.unwrap();
    let mut rest = Vec::new();
    // The server may reset what it does not want to read.
    let _ = within("end of the socket", socket.read_to_end(&mut rest)).await;
    assert!(rest.starts_with(b"HTTP/1.1 101"));
    assert_eq!(calls.ended(&call).await["status"], "ended");
    bystander.goes_on(&calls).await;
}
