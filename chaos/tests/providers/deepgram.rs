use std::time::Duration;

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use offhook_providers::stt::{SttEvent, SttInput};
use serde_json::{Value, json};

use crate::support::{Bench, KEY, finish, next_firm, say};

const PAUSE: Duration = Duration::from_millis(400);

/// Every field of the contract's `DeepgramTranscriber`, apart from the stage's `fallbackPlan`.
fn document(model: &str) -> Value {
    json!({
        "provider": "deepgram", "model": model, "language": "en-US", "smartFormat": true,
        "mipOptOut": true, "numerals": true, "profanityFilter": false,
        "redaction": ["numbers", "aggressive_numbers"], "confidenceThreshold": 0.5,
        "eotThreshold": 0.75, "eotTimeoutMs": 4000, "languages": ["en", "de"],
        "keywords": ["offhook:2"], "keyterm": ["Offhook", "hold the line"], "endpointing": 300,
    })
}

#[tokio::test]
async fn utterances_become_final_texts_and_ends_of_turn() {
    let bench = Bench::start().await;
    for format in [AudioFormat::mulaw(), AudioFormat::pcm16(16_000)] {
        let mut session = bench.stt(document("nova-3"), format).await;
        say(&session, "17 3 Hello,", PAUSE, format).await;
        assert!(matches!(next_firm(&mut session).await, SttEvent::SpeechStarted { .. }));
        let SttEvent::Final { text, until } = next_firm(&mut session).await else { panic!() };
        assert_eq!(text, "17 3 Hello,.");
        assert!((0.85..=1.0).contains(&until.as_secs_f64()), "{until:?}");
        assert_eq!(next_firm(&mut session).await, SttEvent::EndOfTurn);

        say(&session, "17 4", Duration::from_millis(20), format).await;
        session.audio.send(SttInput::KeepAlive).await.unwrap();
        session.audio.send(SttInput::Finalize).await.unwrap();
        let rest = finish(session).await;
        let finals: Vec<&str> = rest.iter().filter_map(final_text).collect();
        assert_eq!(finals, ["17 4."], "{rest:?}");
    }
    let report = bench.get("/fakes/report").await;
    let turns = report["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 4);
    for turn in turns {
        let delay = turn["final_sent"].as_u64().unwrap() - turn["speech_end"].as_u64().unwrap();
        assert!(delay >= 10_000_000, "{turn}");
    }
}

fn final_text(event: &SttEvent) -> Option<&str> {
    let SttEvent::Final { text, .. } = event else { return None };
    Some(text)
}

#[tokio::test]
async fn every_field_reaches_listen_as_its_parameter() {
    let bench = Bench::start().await;
    finish(bench.stt(document("nova-3"), AudioFormat::mulaw()).await).await;
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/deepgram/v1/listen");
    assert_eq!(request.header("authorization"), Some(format!("Token {KEY}").as_str()));
    let mut query = request.query();
    query.sort();
    assert_eq!(
        query,
        [
            "channels=1",
            "encoding=mulaw",
            "endpointing=300",
            "interim_results=true",
            "keyterm=Offhook",
            "keyterm=hold the line",
            "language=en-US",
            "mip_opt_out=true",
            "model=nova-3",
            "numerals=true",
            "profanity_filter=false",
            "punctuate=true",
            "redact=aggressive_numbers",
            "redact=numbers",
            "sample_rate=8000",
            "smart_format=true",
            "utterance_end_ms=1000",
            "vad_events=true",
        ]
    );
    assert_eq!(request.messages(), [json!({"type": "CloseStream"})]);

    finish(bench.stt(document("nova-2-phonecall"), AudioFormat::pcm16(16_000)).await).await;
    let query = bench.last_request().await.query();
    for expected in ["keywords=offhook:2", "encoding=linear16", "sample_rate=16000"] {
        assert!(query.iter().any(|pair| pair == expected), "{expected} in {query:?}");
    }
    assert!(!query.iter().any(|pair| pair.starts_with("keyterm")), "{query:?}");
}

#[tokio::test]
async fn every_field_reaches_flux_as_its_parameter() {
    let bench = Bench::start().await;
    finish(bench.stt(document("flux-general-multi"), AudioFormat::mulaw()).await).await;
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/deepgram/v2/listen");
    let mut query = request.query();
    query.sort();
    assert_eq!(
        query,
        [
            "encoding=mulaw",
            "eot_threshold=0.75",
            "eot_timeout_ms=4000",
            "keyterm=Offhook",
            "keyterm=hold the line",
            "language_hint=de",
            "language_hint=en",
            "mip_opt_out=true",
            "model=flux-general-multi",
            "numerals=true",
            "profanity_filter=false",
            "redact=aggressive_numbers",
            "redact=numbers",
            "sample_rate=8000",
        ]
    );
}

#[tokio::test]
async fn flux_turns_begin_and_end_by_themselves_and_on_demand() {
    let bench = Bench::start().await;
    let format = AudioFormat::mulaw();
    let mut session = bench.stt(document("flux-general-multi"), format).await;
    say(&session, "17 3", PAUSE, format).await;
    assert!(matches!(next_firm(&mut session).await, SttEvent::SpeechStarted { .. }));
    let SttEvent::Final { text, .. } = next_firm(&mut session).await else { panic!() };
    assert_eq!(text, "17 3.");
    let english = SttEvent::Language { language: "en".into(), words: 2 };
    assert_eq!(next_firm(&mut session).await, english.clone());
    assert_eq!(next_firm(&mut session).await, SttEvent::EndOfTurn);

    say(&session, "17 4", Duration::from_millis(20), format).await;
    assert!(matches!(next_firm(&mut session).await, SttEvent::SpeechStarted { .. }));
    session.audio.send(SttInput::Finalize).await.unwrap();
    let SttEvent::Final { text, .. } = next_firm(&mut session).await else { panic!() };
    assert_eq!(text, "17 4.");
    assert_eq!(finish(session).await, [english]);
}

#[tokio::test]
async fn a_refused_session_has_the_class_of_its_reason() {
    let bench = Bench::start().await;
    let refused = bench.stt_refusal(document("nova-3"), "wrong").await;
    assert_eq!(refused.class, FailureClass::Unauthorized, "{refused}");
    let refused = bench.stt_refusal(document("flux-general-xx"), KEY).await;
    assert_eq!(refused.class, FailureClass::BadRequest, "{refused}");
    assert!(refused.to_string().contains("flux-general-xx"), "{refused}");
}
