use std::time::Duration;

use offhook_media::AudioFormat;
use offhook_providers::stt::SttEvent;
use serde_json::json;

use crate::support::{Bench, KEY, next_firm, say, speak, text_of, user};

#[tokio::test]
async fn a_custom_transcriber_is_sent_stereo_and_answers_with_texts() {
    let bench = Bench::start().await;
    let format = AudioFormat::pcm16(16_000);
    let document = json!({"provider": "custom-transcriber", "server": {"secret": "hush"}});
    let mut session = bench.stt(document, format).await;
    say(&session, "17 3", Duration::from_millis(400), format).await;
    let SttEvent::Final { text, .. } = next_firm(&mut session).await else { panic!() };
    assert_eq!(text, "17 3.");
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/custom-transcriber");
    assert_eq!(request.header("x-vapi-secret"), Some("hush"));
    let start = json!({
        "type": "start", "encoding": "linear16", "container": "raw", "sampleRate": 16000,
        "channels": 2,
    });
    assert_eq!(request.messages(), [start]);
}

#[tokio::test]
async fn a_custom_voice_is_asked_for_each_text_and_answers_with_raw_audio() {
    let bench = Bench::start().await;
    let format = AudioFormat::pcm16(8_000);
    let document = json!({
        "provider": "custom-voice", "voiceId": "mine",
        "server": {"headers": {"x-tenant": "a"}, "timeoutSeconds": 5},
        "callContext": {"call": {"id": "c1"}},
    });
    let mut session = bench.tts("custom-voice", document, format).await;
    assert_eq!(speak(&mut session, format, &["17 3 1."]).await.text, "17 3 1");
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/custom-voice");
    assert_eq!(request.header("x-tenant"), Some("a"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    let mut message = request.messages()[0]["message"].clone();
    assert!(message["timestamp"].take().is_u64());
    assert_eq!(
        message,
        json!({
            "call": {"id": "c1"}, "type": "voice-request", "text": "17 3 1.",
            "sampleRate": 8000, "timestamp": null, "voiceId": "mine",
        })
    );
}

#[tokio::test]
async fn a_custom_model_is_asked_for_chat_completions() {
    let bench = Bench::start().await;
    let document = json!({
        "provider": "custom-llm", "url": "https://models.example/v1", "model": "mine",
        "temperature": 0.2, "maxTokens": 60, "metadataSendMode": "off",
        "headers": {"x-tenant": "a"}, "timeoutSeconds": 10,
    });
    let events = bench.ask("custom-llm", document, vec![user("17 3.")], Vec::new()).await;
    assert_eq!(text_of(&events), "17 3 1 2 3 4 5 6 7 8.", "{events:?}");
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/openai/v1/chat/completions");
    assert_eq!(request.header("x-tenant"), Some("a"));
    let body = &request.messages()[0];
    assert_eq!((&body["model"], &body["temperature"]), (&json!("mine"), &json!(0.2)));
}
