use offhook_media::AudioFormat;
use offhook_providers::tts::{ContextId, TtsInput};
use serde_json::{Value, json};

use crate::support::{Bench, KEY, listen, speak, timed};

/// Every field of the contract's `ElevenLabsVoice` that the provider is concerned with.
fn document() -> Value {
    json!({
        "provider": "11labs", "voiceId": "sarah", "model": "eleven_flash_v2_5", "stability": 0.4,
        "similarityBoost": 0.7, "style": 0.1, "useSpeakerBoost": true, "speed": 1.1,
        "optimizeStreamingLatency": 3, "enableSsmlParsing": true, "autoMode": false,
        "language": "en", "cachingEnabled": false,
        "pronunciationDictionaryLocators":
            [{"pronunciationDictionaryId": "dictionary", "versionId": "1"}],
    })
}

#[tokio::test]
async fn texts_are_spoken_in_the_format_asked_for_with_the_time_of_each_word() {
    let bench = Bench::start().await;
    for format in [AudioFormat::mulaw(), AudioFormat::pcm16(24_000)] {
        let mut session = bench.tts("elevenlabs", document(), format).await;
        let heard = speak(&mut session, format, &["17 3 1 2", "342 4."]).await;
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
    let mut session = bench.tts("elevenlabs", document(), format).await;
    speak(&mut session, format, &["17 3 1."]).await;
    let request = bench.last_request().await;
    let path = "/elevenlabs/v1/text-to-speech/EXAVITQu4vr4xnSDxMaL/multi-stream-input";
    assert_eq!(request.path(), path);
    assert_eq!(request.header("xi-api-key"), Some(KEY));
    assert_eq!(
        request.query(),
        [
            "model_id=eleven_flash_v2_5",
            "output_format=ulaw_8000",
            "inactivity_timeout=180",
            "sync_alignment=true",
            "auto_mode=false",
            "language_code=en",
            "enable_ssml_parsing=true",
        ]
    );
    assert_eq!(
        request.messages(),
        [
            json!({
                "text": " ", "context_id": "7",
                "voice_settings": {
                    "stability": 0.4, "similarity_boost": 0.7, "style": 0.1, "speed": 1.1,
                    "use_speaker_boost": true,
                },
                "pronunciation_dictionary_locators":
                    [{"pronunciation_dictionary_id": "dictionary", "version_id": "1"}],
            }),
            json!({"text": "17 3 1. ", "context_id": "7", "flush": true}),
            json!({"text": "", "context_id": "7", "flush": true}),
            json!({"context_id": "7", "close_context": true}),
        ]
    );
}

#[tokio::test]
async fn a_cancelled_context_leaves_room_for_the_next() {
    let bench = Bench::with_timing(json!({"tts_speed": 20})).await;
    let format = AudioFormat::mulaw();
    let mut session = bench.tts("elevenlabs", document(), format).await;
    for number in 0..8 {
        let context = ContextId(number);
        let text = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20".to_owned();
        session.input.send(TtsInput::Text { context, text }).await.unwrap();
        session.input.send(TtsInput::Cancel { context }).await.unwrap();
    }
    let context = ContextId(100);
    session.input.send(TtsInput::Text { context, text: "9 8.".into() }).await.unwrap();
    session.input.send(TtsInput::Finish { context }).await.unwrap();
    assert_eq!(listen(&mut session, context, format).await.text, "9 8");
}
