use serde_json::json;

use super::*;
use crate::{
    net::testing::{Server, failure, net, next, within},
    tts::{ContextId, TtsEvent, TtsInput},
};

const A: ContextId = ContextId(1);

async fn open(server: &Server, document: Value) -> TtsSession {
    let voice = build(&document, &server.access(), &net()).unwrap();
    within(voice.open(TtsRequest { format: FORMAT })).await.unwrap()
}

async fn say(session: &TtsSession, text: &str) {
    let text = TtsInput::Text { context: A, text: text.into() };
    session.input.send(text).await.unwrap();
}

/// What is posted for a text, with a document's settings.
fn body(document: Value) -> Value {
    Options::from_document(&document).unwrap().body(" Hello. ")
}

#[tokio::test]
async fn each_text_is_a_request_that_is_answered_with_audio() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert!(asked.head.starts_with("post /v1/audio/speech http/1.1"), "{}", asked.head);
        assert!(asked.head.contains("authorization: bearer key-1"));
        assert!(asked.head.contains("content-type: application/json"));
        assert_eq!(
            asked.body,
            json!({"model": "gpt-4o-mini-tts", "input": "Hello there.", "voice": "marin",
                   "response_format": "pcm", "speed": 1.5, "instructions": "Whisper."})
        );
        asked.begin_stream_with("content-type: audio/pcm\r\n").await;
        asked.stream("abc").await;
        asked.stream("d").await;
        asked.end_stream().await;
    })
    .await;
    let mut session = open(
        &server,
        json!({"provider": "openai", "voiceId": "marin", "speed": 1.5, "instructions": "Whisper.",
               "cachingEnabled": true, "chunkPlan": {"enabled": true},
               "fallbackPlan": {"voices": []}}),
    )
    .await;
    say(&session, "Hello there. ").await;
    session.input.send(TtsInput::Finish { context: A }).await.unwrap();
    let mut heard = Vec::new();
    let mut event = next(&mut session.events).await;
    while let TtsEvent::Audio { audio, .. } = event {
        heard.extend(audio);
        event = next(&mut session.events).await;
    }
    assert_eq!(event, TtsEvent::Done { context: A });
    assert_eq!(heard, b"abcd");
    server.finished().await;
}

#[tokio::test]
async fn a_refusal_has_the_class_of_its_code() {
    let body = r#"{"error":{"message":"none left","type":"insufficient_quota","param":null,
                   "code":"insufficient_quota"}}"#;
    let server = Server::refusing(429, "", body).await;
    let mut session = open(&server, json!({"voiceId": "alloy"})).await;
    say(&session, "Hello.").await;
    let error = failure(&mut session.events).await;
    assert_eq!(error.class, FailureClass::Quota);
    assert!(error.detail.starts_with("openai: ") && error.detail.contains("none left"), "{error}");
    server.finished().await;
}

#[test]
fn a_document_s_settings_are_sent_as_far_as_the_model_takes_them() {
    let plain = json!({"model": "tts-1-hd", "input": "Hello.", "voice": "alloy",
                       "response_format": "pcm"});
    let document = json!({"voiceId": "alloy", "model": "tts-1-hd", "instructions": "Whisper."});
    assert_eq!(body(document), plain);
    assert_eq!(body(json!({"voiceId": "voice_12"}))["voice"], json!({"id": "voice_12"}));
}

#[tokio::test]
async fn a_format_that_is_not_produced_is_refused_before_anything_is_sent() {
    let voice = build(&json!({"voiceId": "alloy"}), &Server::nowhere(), &net()).unwrap();
    assert_eq!(voice.capabilities().formats, [FORMAT]);
    let opening = voice.open(TtsRequest { format: AudioFormat::mulaw() });
    assert_eq!(within(opening).await.err().unwrap().class, FailureClass::BadRequest);
}

#[test]
fn what_cannot_work_is_refused_when_it_is_set_up() {
    let refuse = |document: Value, access: Access| {
        build(&document, &access, &net()).err().unwrap().to_string()
    };
    let alloy = json!({"voiceId": "alloy"});
    assert!(refuse(alloy, Access::default()).contains("OPENAI_API_KEY"));
    assert!(refuse(json!({}), Server::nowhere()).contains("voiceId is missing"));
    let wrong = json!({"voiceId": "alloy", "speed": "fast"});
    assert!(refuse(wrong, Server::nowhere()).contains("bad options"));
}

#[test]
fn each_field_of_the_contract_is_sent_where_openai_expects_it() {
    let plain = body(json!({"voiceId": "alloy"}));
    for (field, value, expected) in [
        ("voiceId", json!("cedar"), json!({"voice": "cedar"})),
        ("voiceId", json!("voice_7"), json!({"voice": {"id": "voice_7"}})),
        ("model", json!("tts-1-hd"), json!({"model": "tts-1-hd"})),
        ("instructions", json!("Whisper."), json!({"instructions": "Whisper."})),
        ("speed", json!(1.5), json!({"speed": 1.5})),
        ("cachingEnabled", json!(false), json!({})),
        ("chunkPlan", json!({"enabled": false}), json!({})),
        ("fallbackPlan", json!({"voices": []}), json!({})),
    ] {
        let mut document = json!({"provider": "openai", "voiceId": "alloy"});
        document[field] = value;
        let mut sent = body(document);
        sent.as_object_mut().unwrap().retain(|name, value| plain.get(name) != Some(value));
        assert_eq!(sent, expected, "{field}");
    }
}
