use serde_json::json;

use super::*;
use crate::net::{
    socket::Peer,
    testing::{HttpServer, Server, failure, net, next, within},
};

const A: ContextId = ContextId(1);
const B: ContextId = ContextId(2);

const AUDIO: &str = "content-type: audio/pcm\r\nconnection: close\r\n";

const PEER: Peer = Peer {
    provider: "tester",
    reason_header: None,
    reasons: &[("insufficient_quota", FailureClass::Quota)],
};

fn text(context: ContextId, text: &str) -> TtsInput {
    TtsInput::Text { context, text: text.into() }
}

fn audio(context: ContextId, audio: &'static str) -> TtsEvent {
    TtsEvent::Audio { context, audio: Bytes::from_static(audio.as_bytes()) }
}

fn voice(base_url: &str, silence_limit: Duration) -> Voice {
    let resource = Resource {
        http: net().http,
        peer: PEER,
        url: base_url.parse().unwrap(),
        headers: Default::default(),
    };
    let format = AudioFormat::pcm16(24_000);
    Voice { resource, format, silence_limit, body: Box::new(|text| json!({"say": text})) }
}

fn session(server: &Server) -> TtsSession {
    open(voice(&server.base_url, Duration::from_secs(30)))
}

/// The error of a session that is given one text, when the server does this.
async fn error_of<F, Fut>(silence_limit: Duration, script: F) -> ProviderError
where
    F: FnOnce(HttpServer) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let server = Server::http(script).await;
    let mut session = open(voice(&server.base_url, silence_limit));
    session.input.send(text(A, "one")).await.unwrap();
    let error = failure(&mut session.events).await;
    server.finished().await;
    error
}

async fn refusal(status: u16, headers: &'static str, body: &'static str) -> ProviderError {
    error_of(Duration::from_secs(30), move |mut server| async move {
        server.accept().await.answer(status, headers, body).await;
    })
    .await
}

#[tokio::test]
async fn audio_comes_while_it_is_made_and_the_next_text_is_asked_for_meanwhile() {
    let server = Server::http(|mut server| async move {
        let mut first = server.accept().await;
        assert_eq!(first.body, json!({"say": "one"}));
        first.begin_stream_with(AUDIO).await;
        first.stream("abc").await;
        let mut second = server.accept().await;
        assert_eq!(second.body, json!({"say": "two"}));
        second.begin_stream_with(AUDIO).await;
        second.stream("xy").await;
        second.end_stream().await;
        first.stream("def").await;
        first.end_stream().await;
        let mut third = server.accept().await;
        assert_eq!(third.body, json!({"say": "three"}));
        third.answer(200, AUDIO, "uvw").await;
    })
    .await;
    let TtsSession { input, mut events } = session(&server);
    for words in ["one", " ", "two"] {
        input.send(text(A, words)).await.unwrap();
    }
    input.send(TtsInput::Finish { context: A }).await.unwrap();
    input.send(text(B, "three")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(A, "ab"));
    assert_eq!(next(&mut events).await, audio(A, "cdef"));
    assert_eq!(next(&mut events).await, audio(A, "xy"));
    assert_eq!(next(&mut events).await, TtsEvent::Done { context: A });
    drop(input);
    assert_eq!(next(&mut events).await, audio(B, "uv"), "half a sample is no sound");
    assert_eq!(next(&mut events).await, TtsEvent::Done { context: B });
    assert!(within(events.recv()).await.is_none(), "ended in order");
    server.finished().await;
}

#[tokio::test]
async fn a_cancelled_context_hangs_up_on_its_requests_and_the_next_one_speaks() {
    let server = Server::http(|mut server| async move {
        let mut first = server.accept().await;
        first.begin_stream_with(AUDIO).await;
        first.stream("ab").await;
        let mut ahead = server.accept().await;
        ahead.gone().await;
        first.gone().await;
        let mut next = server.accept().await;
        assert_eq!(next.body, json!({"say": "two"}));
        next.answer(200, AUDIO, "xy").await;
    })
    .await;
    let TtsSession { input, mut events } = session(&server);
    for words in ["one", "one and a half", "never asked for"] {
        input.send(text(A, words)).await.unwrap();
    }
    assert_eq!(next(&mut events).await, audio(A, "ab"));
    input.send(TtsInput::Cancel { context: A }).await.unwrap();
    input.send(text(B, "two")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(B, "xy"));
    server.finished().await;
}

#[tokio::test]
async fn dropping_the_session_drops_its_request() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        asked.begin_stream_with(AUDIO).await;
        asked.stream("ab").await;
        asked.gone().await;
    })
    .await;
    let TtsSession { input, mut events } = session(&server);
    input.send(text(A, "one")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(A, "ab"));
    drop((input, events));
    server.finished().await;
}

#[tokio::test]
async fn a_context_without_text_is_done_and_punctuation_may_be_silent() {
    let server = Server::http(|mut server| async move {
        server.accept().await.answer(200, AUDIO, "").await;
    })
    .await;
    let TtsSession { input, mut events } = session(&server);
    input.send(text(A, " \n")).await.unwrap();
    input.send(TtsInput::Finish { context: A }).await.unwrap();
    assert_eq!(next(&mut events).await, TtsEvent::Done { context: A });
    input.send(text(B, "...")).await.unwrap();
    input.send(TtsInput::Finish { context: B }).await.unwrap();
    assert_eq!(next(&mut events).await, TtsEvent::Done { context: B });
    server.finished().await;
}

#[tokio::test]
async fn a_refused_request_has_the_class_of_its_code_or_else_of_its_status() {
    const QUOTA: &str = r#"{"error":{"message":"pay, key-1","code":"insufficient_quota"}}"#;
    const OTHER: &str = r#"{"error":{"message":"no, key-1","type":"other"}}"#;
    let later = Some(Duration::from_secs(3));
    for (status, headers, body, class) in [
        (400, "", OTHER, FailureClass::BadRequest),
        (401, "", OTHER, FailureClass::Unauthorized),
        (404, "", "gone", FailureClass::BadRequest),
        (429, "", QUOTA, FailureClass::Quota),
        (429, "retry-after: 3\r\n", OTHER, FailureClass::RateLimited { retry_after: later }),
        (503, "", "", FailureClass::Unavailable),
        (302, "location: http://elsewhere.example/\r\n", "", FailureClass::Protocol),
    ] {
        let error = refusal(status, headers, body).await;
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains(&format!("was answered with {status}")), "{error}");
        let quoted = body.contains("key-1") && class != FailureClass::Unauthorized;
        assert_eq!(error.detail.contains("key-1"), quoted, "{error}");
    }
}

#[tokio::test]
async fn words_and_nothing_at_all_are_no_audio() {
    for (headers, body, told) in [
        ("content-type: application/json; charset=utf-8\r\n", r#"{"error":"x"}"#, "json"),
        ("Content-Type: Text/HTML\r\n", "<html>", "Text/HTML"),
        (AUDIO, "", "no audio"),
        (AUDIO, "a", "no audio"),
    ] {
        let error = refusal(200, headers, body).await;
        assert_eq!(error.class, FailureClass::Protocol);
        assert!(error.detail.contains(told), "{error}");
    }
}

#[tokio::test]
async fn audio_that_is_called_text_is_spoken() {
    let server = Server::http(|mut server| async move {
        server.accept().await.answer(200, "content-type: text/html\r\n", "\0\0\x01\0").await;
    })
    .await;
    let TtsSession { input, mut events } = session(&server);
    input.send(text(A, "one")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(A, "\0\0\x01\0"));
    server.finished().await;
}

#[tokio::test]
async fn an_answer_that_is_late_silent_or_cut_off_is_told_apart() {
    let short = Duration::from_millis(50);
    let late = error_of(short, |mut server| async move { server.accept().await.gone().await });
    assert_eq!(late.await.class, FailureClass::Timeout);

    let silent = error_of(short, |mut server| async move {
        let mut asked = server.accept().await;
        asked.begin_stream_with(AUDIO).await;
        asked.stream("ab").await;
        asked.gone().await;
    });
    assert_eq!(silent.await.class, FailureClass::Stalled);

    let cut = error_of(Duration::from_secs(30), |mut server| async move {
        let mut asked = server.accept().await;
        asked.begin_stream_with(AUDIO).await;
        asked.stream("ab").await;
    });
    assert_eq!(cut.await.class, FailureClass::Closed);

    let mut session = open(voice("http://127.0.0.1:1", Duration::from_secs(30)));
    session.input.send(text(A, "one")).await.unwrap();
    assert_eq!(failure(&mut session.events).await.class, FailureClass::Unavailable);
}

#[tokio::test]
async fn an_error_is_told_after_the_audio_before_it() {
    let server = Server::http(|mut server| async move {
        let mut first = server.accept().await;
        first.begin_stream_with(AUDIO).await;
        server.accept().await.answer(500, "", "").await;
        first.stream("ab").await;
        first.end_stream().await;
    })
    .await;
    let TtsSession { input, mut events } = session(&server);
    input.send(text(A, "one")).await.unwrap();
    input.send(text(A, "two")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(A, "ab"));
    assert_eq!(failure(&mut events).await.class, FailureClass::Unavailable);
    server.finished().await;
}

#[tokio::test]
async fn text_without_end_is_not_hoarded() {
    let server = Server::http(|mut server| async move {
        let _asked = (server.accept().await, server.accept().await);
        std::future::pending().await
    })
    .await;
    let TtsSession { input, mut events } = session(&server);
    let feed = async { while input.send(text(A, "words")).await.is_ok() {} };
    let (error, ()) = tokio::join!(failure(&mut events), within(feed));
    assert_eq!(error.class, FailureClass::Stalled);
}
