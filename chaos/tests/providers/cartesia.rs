use offhook_media::AudioFormat;
use offhook_providers::tts::{ContextId, TtsInput};
use serde_json::{Value, json};

use crate::support::{Bench, KEY, listen, speak, timed};

/// Every field of the contract's `CartesiaVoice` that the provider is concerned with.
fn document() -> Value {
    json!({
        "provider": "cartesia", "voiceId": "voice", "model": "sonic-3.5", "language": "en",
        "generationConfig": {"speed": 1.2, "volume": 0.8}, "pronunciationDictId": "dictionary",
        "cachingEnabled": false,
    })
}

#[tokio::test]
async fn texts_are_spoken_in_the_format_asked_for_with_the_time_of_each_word() {
    let bench = Bench::start().await;
    for format in [AudioFormat::mulaw(), AudioFormat::pcm16(24_000)] {
        let mut session = bench.tts("cartesia", document(), format).await;
        let heard = speak(&mut session, format, &["17 3 1 2 ", "342 4."]).await;
        assert_eq!(heard.text, "17 3 1 2 342 4");
        assert_eq!(
            timed(&heard.words),
            ["17 0-160", "3 200-360", "1 400-560", "2 600-760", "342 800-960", "4. 1000-1160"]
        );
    }
}

#[tokio::test]
async fn every_field_reaches_the_socket() {
    let bench = Bench::start().await;
    let format = AudioFormat::mulaw();
    let mut session = bench.tts("cartesia", document(), format).await;
    speak(&mut session, format, &["17 3 1."]).await;
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/cartesia/tts/websocket");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("cartesia-version"), Some("2026-03-01"));
    let message = |text: &str, goes_on: bool| {
        json!({
            "model_id": "sonic-3.5", "voice": {"mode": "id", "id": "voice"},
            "output_format":
                {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
            "add_timestamps": true, "language": "en", "max_buffer_delay_ms": 0,
            "generation_config": {"speed": 1.2, "volume": 0.8},
            "pronunciation_dict_id": "dictionary", "context_id": "7-0", "transcript": text,
            "continue": goes_on,
        })
    };
    assert_eq!(request.messages(), [message("17 3 1.", true), message("", false)]);
}

#[tokio::test]
async fn a_cancelled_context_is_not_heard_again() {
    let bench = Bench::with_timing(json!({"tts_speed": 1})).await;
    let format = AudioFormat::mulaw();
    let mut session = bench.tts("cartesia", document(), format).await;
    let context = ContextId(1);
    let text = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20.".to_owned();
    session.input.send(TtsInput::Text { context, text }).await.unwrap();
    session.input.send(TtsInput::Cancel { context }).await.unwrap();
    let context = ContextId(2);
    session.input.send(TtsInput::Text { context, text: "9 8.".into() }).await.unwrap();
    session.input.send(TtsInput::Finish { context }).await.unwrap();
    assert_eq!(listen(&mut session, context, format).await.text, "9 8");
    let messages = bench.last_request().await.messages().to_vec();
    assert_eq!(messages[1], json!({"context_id": "1-0", "cancel": true}));
}
