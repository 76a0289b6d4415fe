use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::{
    net::testing::{Server, failure, net, next, within},
    tts::{ContextId, TtsEvent, TtsInput},
};

const A: ContextId = ContextId(1);

async fn open(document: &Value, access: &Access, format: AudioFormat) -> TtsSession {
    let voice = build(document, access, &net()).unwrap();
    within(voice.open(TtsRequest { format })).await.unwrap()
}

async fn say(session: &TtsSession, text: &str) {
    let text = TtsInput::Text { context: A, text: text.into() };
    session.input.send(text).await.unwrap();
}

#[tokio::test]
async fn the_document_s_server_is_asked_and_its_audio_spoken_as_it_comes() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert!(asked.head.starts_with("post /api/synthesize?v=1 http/1.1"), "{}", asked.head);
        for header in ["x-vapi-secret: hush", "x-api-version: v1", "content-type: application/json"]
        {
            assert!(asked.head.contains(header), "{header} in {}", asked.head);
        }
        assert!(!asked.head.contains("authorization"), "the operator's key is not for documents");
        let message = &mut asked.body["message"];
        let timestamp = message["timestamp"].take().as_i64().unwrap();
        assert!(timestamp > 1_700_000_000_000, "in milliseconds");
        assert_eq!(
            asked.body,
            json!({"message": {
                "call": {"id": "c"}, "customer": {"number": "+1"}, "type": "voice-request",
                "text": "Hello there.", "sampleRate": 16_000, "timestamp": null, "voiceId": "v1",
            }})
        );
        asked.begin_stream_with("content-type: application/octet-stream\r\n").await;
        asked.stream("abc").await;
        asked.gone().await;
    })
    .await;
    let url = format!("{}/api/synthesize?v=1", server.base_url);
    let document = json!({
        "provider": "custom-voice", "voiceId": "v1", "cachingEnabled": true,
        "server": {"url": url, "secret": "hush", "timeoutSeconds": 45, "credentialId": "c",
                   "headers": {"Content-Type": "application/json", "X-API-Version": "v1"}},
        "callContext": {"call": {"id": "c"}, "customer": {"number": "+1"}, "text": "not this"},
    });
    let access = Access { base_url: None, ..server.access() };
    let mut session = open(&document, &access, AudioFormat::pcm16(16_000)).await;
    say(&session, "Hello there. ").await;
    let audio = Bytes::from_static(b"ab");
    assert_eq!(next(&mut session.events).await, TtsEvent::Audio { context: A, audio });
    drop(session);
    server.finished().await;
}

#[tokio::test]
async fn an_operator_s_server_stands_for_the_document_s_and_is_given_the_key() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert!(asked.head.starts_with("post / http/1.1"), "{}", asked.head);
        assert!(asked.head.contains("authorization: bearer key-1"));
        assert_eq!(asked.body["message"].get("voiceId"), None);
        asked.answer(500, "", r#"{"error": "TTS synthesis failed"}"#).await;
    })
    .await;
    let document = json!({"server": {"url": "https://elsewhere.example/speak"}});
    let mut session = open(&document, &server.access(), AudioFormat::pcm16(8_000)).await;
    say(&session, "Hello.").await;
    let error = failure(&mut session.events).await;
    assert_eq!(error.class, FailureClass::Unavailable);
    assert!(error.detail.contains("500 TTS synthesis failed"), "{error}");
    server.finished().await;
}

#[test]
fn a_server_has_the_document_s_time_to_answer() {
    let document = json!({"server": {"url": "http://127.0.0.1:1", "timeoutSeconds": 45}});
    let custom = CustomVoice::new(&document, &Access::default(), &net()).unwrap();
    assert_eq!(custom.voice(FORMATS[0]).silence_limit, Duration::from_secs(45));
}

#[tokio::test]
async fn a_rate_that_servers_need_not_know_is_not_asked_for() {
    let document = json!({"server": {"url": "http://127.0.0.1:1"}});
    let voice = build(&document, &Access::default(), &net()).unwrap();
    let opening = voice.open(TtsRequest { format: AudioFormat::pcm16(48_000) });
    assert_eq!(within(opening).await.err().unwrap().class, FailureClass::BadRequest);
}

#[test]
fn what_cannot_work_is_refused_when_it_is_set_up() {
    let refuse =
        |document: Value| build(&document, &Access::default(), &net()).err().unwrap().to_string();
    assert!(refuse(json!({})).contains("server.url"));
    assert!(refuse(json!({"server": {"url": "file:///etc/passwd"}})).contains("`file`"));
    assert!(refuse(json!({"server": {}, "voiceId": 7})).contains("bad options"));
}
