use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_core::FailureClass;
use offhook_providers::{
    Access, BuildError,
    llm::grammar_from_rules,
    stt::{self, SttEvent, SttInput, SttRequest},
};
use serde_json::json;

use crate::support::*;

const SENTENCES: [&str; 12] = [
    "I would like to book an appointment",
    "Thursday at ten please",
    "Yes, that is right",
    "My name is John Smith",
    "What are your opening hours?",
    "No thank you, goodbye",
    "Can I speak to a person?",
    "I want to cancel my appointment",
    "Monday at half past three",
    "How much does it cost?",
    "Is there parking at the clinic?",
    "Hello",
];

fn grammar() -> Option<String> {
    grammar_from_rules(&json!([{"when": "*", "reply": ".", "examples": SENTENCES}]))
}

fn as_heard(sentence: &str) -> String {
    sentence.to_lowercase().replace([',', '?'], "")
}

#[tokio::test]
async fn sentences_of_the_grammar_are_recognised_exactly() {
    for voice in ["rms", "slt"] {
        let Some(mut session) = open_transcriber(grammar()).await else { return };
        let Some(speech) = spoken(voice, &SENTENCES).await else { return };

        let mut heard = Vec::new();
        hear(&session, &silence(Duration::from_millis(500))).await;
        for audio in speech {
            hear(&session, &audio).await;
            hear(&session, &silence(Duration::from_millis(800))).await;
            let (text, _) = next_final(&mut session).await.unwrap();
            heard.push(text);
        }

        assert_eq!(heard, SENTENCES.map(as_heard), "{voice}");
    }
}

#[tokio::test]
async fn a_final_comes_within_300_ms_of_silence_after_growing_partials() {
    let Some(mut session) = open_transcriber(grammar()).await else { return };
    let Some(speech) = spoken("rms", &SENTENCES[..1]).await else { return };

    hear(&session, &silence(Duration::from_millis(500))).await;
    hear(&session, &speech[0]).await;
    hear(&session, &silence(Duration::from_millis(300))).await;
    let mut heard = Vec::new();
    loop {
        heard.push(next_heard(&mut session).await.unwrap().unwrap());
        if let Some(SttEvent::Final { .. }) = heard.last() {
            break;
        }
    }

    let SttEvent::SpeechStarted { at } = heard[0] else { panic!("{heard:?}") };
    assert!((Duration::from_millis(400)..Duration::from_millis(800)).contains(&at), "{at:?}");
    let partials = heard.iter().filter(|event| matches!(event, SttEvent::Partial { .. })).count();
    assert!(partials >= 4, "{heard:?}");
    assert_eq!(partials + 2, heard.len(), "{heard:?}");
}

#[tokio::test]
async fn what_the_grammar_does_not_have_gives_no_final() {
    let Some(mut session) = open_transcriber(grammar()).await else { return };
    let others = [
        "I like to eat pizza with my brother",
        "where did you put my red bicycle",
        "let me think about it for a moment",
        "maybe",
    ];
    let Some(speech) = spoken("slt", &others).await else { return };

    for audio in speech {
        hear(&session, &audio).await;
        hear(&session, &silence(Duration::from_secs(2))).await;
    }
    session.audio = tokio::sync::mpsc::channel(1).0;

    assert_eq!(next_final(&mut session).await, None);
}

#[tokio::test]
async fn a_sentence_with_a_pause_in_it_is_understood_as_a_whole() {
    let Some(mut session) = open_transcriber(grammar()).await else { return };
    let parts = ["Hello", "I would like to", "book an appointment"];
    let Some(speech) = spoken("rms", &parts).await else { return };

    for audio in speech {
        hear(&session, &audio).await;
        hear(&session, &silence(Duration::from_millis(500))).await;
    }
    session.audio = tokio::sync::mpsc::channel(1).0;

    assert_eq!(next_final(&mut session).await.unwrap().0, "hello");
    let (text, _) = next_final(&mut session).await.unwrap();
    assert_eq!(text, "i would like to book an appointment");
    assert_eq!(next_final(&mut session).await, None);
}

#[tokio::test]
async fn finalize_ends_the_utterance_without_its_silence() {
    let Some(mut session) = open_transcriber(grammar()).await else { return };
    let Some(speech) = spoken("rms", &["Thursday at ten please"]).await else { return };
    let spoken_only = speech[0].len() - silence(Duration::from_millis(150)).len();

    hear(&session, &speech[0][..spoken_only]).await;
    session.audio.send(SttInput::Finalize).await.unwrap();

    let (text, until) = next_final(&mut session).await.unwrap();
    assert_eq!(text, "thursday at ten please");
    assert!(until <= PCM16.duration_of(PCM16.samples_in_bytes(spoken_only)));
}

#[tokio::test]
async fn thirty_seconds_of_lost_audio_are_heard_in_a_burst() {
    let Some(mut session) = open_transcriber(grammar()).await else { return };
    let Some(speech) = spoken("awb", &SENTENCES[..8]).await else { return };

    let mut audio = Vec::new();
    for sentence in speech {
        audio.extend(sentence);
        audio.extend(silence(Duration::from_millis(1_800)));
    }
    let start = Instant::now();
    let sender = session.audio.clone();
    let sending = tokio::spawn(async move {
        for second in audio.chunks(PCM16.bytes_in(Duration::from_secs(1))) {
            sender.send(SttInput::Audio(Bytes::copy_from_slice(second))).await.unwrap();
        }
    });
    for _ in 0..8 {
        next_final(&mut session).await.unwrap();
    }

    sending.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn without_a_grammar_the_open_model_hears_something() {
    let Some(mut session) = open_transcriber(None).await else { return };
    let Some(speech) = spoken("rms", &SENTENCES[..1]).await else { return };

    hear(&session, &speech[0]).await;
    session.audio = tokio::sync::mpsc::channel(1).0;

    assert!(next_final(&mut session).await.is_some());
}

#[tokio::test]
async fn words_that_the_dictionary_does_not_have_are_named() {
    if open_transcriber(grammar()).await.is_none() {
        return;
    }
    let grammar = "#JSGF V1.0;\ngrammar g;\npublic <a> = hello offhook | zyzzyva;\n";
    let error = refusal(grammar).await;

    assert_eq!(error.class, FailureClass::BadRequest);
    assert!(error.detail.contains("does not have: offhook, zyzzyva;"), "{error}");
}

#[tokio::test]
async fn a_broken_grammar_is_a_bad_request_that_says_what_is_broken() {
    if open_transcriber(grammar()).await.is_none() {
        return;
    }
    let error = refusal("hello | goodbye").await;

    assert_eq!(error.class, FailureClass::BadRequest);
    assert_eq!(
        error.detail,
        "bad grammar of the transcriber: expected `#JSGF V1.0;` as its first line"
    );
}

async fn refusal(grammar: &str) -> offhook_providers::ProviderError {
    let options = json!({"provider": "local", "grammar": grammar});
    let transcriber = stt::build(&options, &Access::default(), &net()).unwrap();
    transcriber.open(SttRequest { format: PCM16 }).await.map(|_| ()).unwrap_err()
}

#[test]
fn a_grammar_that_is_no_text_is_refused() {
    let options = json!({"provider": "local", "grammar": ["yes"]});

    let refused = stt::build(&options, &Access::default(), &net()).map(|_| ()).unwrap_err();

    assert!(matches!(refused, BuildError::Options { .. }), "{refused}");
}
