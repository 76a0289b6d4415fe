use std::time::Duration;

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{super::build, dialogue::FILL_AFTER, *};
use crate::{
    ProviderError,
    net::{
        session::{Dialogue, Outbox},
        testing::{Client, Server, failure, net, next, within},
    },
    stt::{SttEvent, SttInput},
};

fn connected() -> Value {
    json!({"type": "Connected", "request_id": "r", "sequence_id": 0})
}

/// A `TurnInfo` whose words are all believed, up to `end` seconds.
fn turn(event: &str, transcript: &str, end: f64) -> Value {
    let words: Vec<Value> =
        transcript.split_whitespace().map(|w| json!({"word": w, "confidence": 0.9})).collect();
    json!({"type": "TurnInfo", "request_id": "r", "sequence_id": 1, "event": event,
           "turn_index": 0, "audio_window_start": 0.25, "audio_window_end": end,
           "transcript": transcript, "words": words, "end_of_turn_confidence": 0.4})
}

fn partial(text: &str) -> SttEvent {
    SttEvent::Partial { text: text.into() }
}

fn last(text: &str, until_ms: u64) -> SttEvent {
    SttEvent::Final { text: text.into(), until: Duration::from_millis(until_ms) }
}

async fn open(server: &Server, document: Value) -> SttSession {
    let flux = build(&document, &server.access(), &net()).unwrap();
    within(flux.open(SttRequest { format: AudioFormat::mulaw() })).await.unwrap()
}

async fn plain(server: &Server) -> SttSession {
    open(server, json!({"model": "flux-general-en"})).await
}

/// The error of a session on which the server does this at once.
async fn failure_after<F, Fut>(script: F) -> ProviderError
where
    F: FnOnce(Client) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let server = Server::websocket(script).await;
    let mut session = plain(&server).await;
    let error = failure(&mut session.events).await;
    server.finished().await;
    error
}

#[tokio::test]
async fn a_turn_in_one_of_several_languages_comes_with_it() {
    let server = Server::websocket(|mut client| async move {
        client.send(connected()).await;
        let mut end = turn("EndOfTurn", "Buenos días, Anna.", 2.0);
        end["languages"] = json!(["es", "en"]);
        client.send(end).await;
        client.gone().await;
    })
    .await;
    let mut session = open(&server, json!({"model": "flux-general-multi"})).await;
    for expected in [
        last("Buenos días, Anna.", 2_000),
        SttEvent::Language { language: "es".into(), words: 2 },
        SttEvent::EndOfTurn,
    ] {
        assert_eq!(next(&mut session.events).await, expected);
    }
}

#[tokio::test]
async fn a_session_is_held_message_by_message() {
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.url.path(), "/v2/listen");
        assert_eq!(client.headers["authorization"], "Token key-1");
        let expected = [
            ("model", "flux-general-multi"),
            ("encoding", "mulaw"),
            ("sample_rate", "8000"),
            ("eot_threshold", "0.8"),
            ("eager_eot_threshold", "0.4"),
            ("eot_timeout_ms", "4000"),
            ("numerals", "true"),
            ("profanity_filter", "true"),
            ("mip_opt_out", "false"),
            ("redact", "numbers"),
            ("keyterm", "Offhook & co"),
            ("language_hint", "en"),
            ("language_hint", "es"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(client.query(), expected);

        client.send(connected()).await;
        assert_eq!(client.binary().await, &[0xFE; 640][..]);
        client.send(turn("Update", "", 0.2)).await;
        client.send(turn("StartOfTurn", "I would", 0.6)).await;
        client.send(turn("Update", "I would like", 0.8)).await;
        client.send(json!({"type": "Warning", "code": "SOME_WARNING", "description": "d"})).await;
        client.send(turn("EagerEndOfTurn", "I would like", 1.0)).await;
        client.send(turn("TurnResumed", "I would like a", 1.2)).await;
        client.send(json!({"type": "SomethingNew", "field": 1})).await;
        client.send(turn("SomethingNew", "I would", 1.2)).await;
        let mut end = turn("EndOfTurn", "I would like a table.", 2.0);
        end["trigger"] = "model".into();
        client.send(end).await;

        client.send(turn("StartOfTurn", "And", 2.4)).await;
        assert_eq!(client.json().await, json!({"type": "ForceEndTurn"}));
        let mut end = turn("EndOfTurn", "And", 2.5);
        end["trigger"] = "manual".into();
        client.send(end).await;
        assert_eq!(client.json().await, json!({"type": "CloseStream"}));
        client.send(turn("EndOfTurn", "Bye.", 3.0)).await;
        client.close(1000, "").await;
    })
    .await;

    let document = json!({
        "provider": "deepgram", "model": "flux-general-multi", "language": "en",
        "languages": ["en", "", "es"], "eotThreshold": 0.8, "eagerEotThreshold": 0.4, "eotTimeoutMs": 4000.0,
        "numerals": true, "profanityFilter": true, "mipOptOut": false, "redaction": ["numbers"],
        "keyterm": ["Offhook & co"], "keywords": ["old:2"], "smartFormat": true,
        "endpointing": 300, "fallbackPlan": {"transcribers": []},
    });
    let SttSession { audio, mut events } = open(&server, document).await;
    audio.send(SttInput::Audio(Bytes::new())).await.unwrap();
    audio.send(SttInput::Finalize).await.unwrap();
    audio.send(SttInput::Audio(Bytes::from_static(&[0xFE; 640]))).await.unwrap();
    let started = SttEvent::SpeechStarted { at: Duration::from_millis(250) };
    for expected in [
        started.clone(),
        partial("I would"),
        partial("I would like"),
        partial("I would like"),
        SttEvent::EagerEndOfTurn,
        SttEvent::TurnResumed,
        partial("I would like a"),
        last("I would like a table.", 2_000),
        SttEvent::EndOfTurn,
        started,
        partial("And"),
    ] {
        assert_eq!(next(&mut events).await, expected);
    }
    audio.send(SttInput::Finalize).await.unwrap();
    assert_eq!(next(&mut events).await, last("And", 2_500));
    drop(audio);
    assert_eq!(next(&mut events).await, last("Bye.", 3_000));
    assert_eq!(next(&mut events).await, SttEvent::EndOfTurn);
    assert_eq!(within(events.recv()).await, None, "ended in order");
    server.finished().await;
}

#[tokio::test]
async fn doubtful_words_are_discarded_with_the_end_of_their_turn() {
    let server = Server::websocket(|mut client| async move {
        client.send(connected()).await;
        let mut noise = turn("EndOfTurn", "noise or so", 1.0);
        noise["words"] = json!([{"word": "noise", "confidence": 0.2}, {"word": "or"},
                                {"word": "so", "confidence": 0.5}]);
        client.send(noise).await;
        client.send(turn("EndOfTurn", "Word.", 2.0)).await;
        client.gone().await;
    })
    .await;
    let mut session = plain(&server).await;
    assert_eq!(next(&mut session.events).await, last("Word.", 2_000));
    assert_eq!(next(&mut session.events).await, SttEvent::EndOfTurn);
    drop(session);
    server.finished().await;
}

#[tokio::test]
async fn a_suspected_end_is_taken_back_only_if_it_was_told() {
    let server = Server::websocket(|mut client| async move {
        client.send(connected()).await;
        let mut doubtful = turn("EagerEndOfTurn", "noise", 1.0);
        doubtful["words"] = json!([{"word": "noise", "confidence": 0.2}]);
        client.send(doubtful).await;
        client.send(turn("TurnResumed", "Hello there", 2.0)).await;
        client.send(turn("EagerEndOfTurn", "Hello there.", 2.5)).await;
        client.send(turn("EndOfTurn", "Hello there.", 2.5)).await;
        client.send(turn("TurnResumed", "And", 3.0)).await;
        client.gone().await;
    })
    .await;
    let document = json!({"model": "flux-general-en", "eagerEotThreshold": 0.5});
    let mut session = open(&server, document).await;
    for expected in [
        partial("Hello there"),
        partial("Hello there."),
        SttEvent::EagerEndOfTurn,
        last("Hello there.", 2_500),
        SttEvent::EndOfTurn,
        partial("And"),
    ] {
        assert_eq!(next(&mut session.events).await, expected);
    }
    drop(session);
    server.finished().await;
}

#[tokio::test]
async fn dropping_the_session_closes_the_socket() {
    let server = Server::websocket(Client::gone).await;
    drop(plain(&server).await);
    server.finished().await;
}

#[tokio::test]
async fn a_refused_handshake_has_the_class_of_its_status_and_the_reason_in_the_header() {
    for (status, class) in [
        (400, FailureClass::BadRequest),
        (401, FailureClass::Unauthorized),
        (402, FailureClass::Quota),
        (429, FailureClass::RateLimited { retry_after: None }),
        (503, FailureClass::Unavailable),
    ] {
        let server = Server::refusing(status, "dg-error: why not\r\n", "{}").await;
        let flux = build(&json!({"model": "flux-general-en"}), &server.access(), &net()).unwrap();
        let opening = flux.open(SttRequest { format: AudioFormat::mulaw() });
        let error = within(opening).await.err().expect("refused");
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains("/v2/listen was answered with"), "{error}");
        assert_eq!(error.detail.contains("why not"), class != FailureClass::Unauthorized);
        server.finished().await;
    }
}

#[tokio::test]
async fn an_error_a_close_and_a_broken_connection_end_the_session() {
    for (code, reason, class) in [
        (1008, "DATA-0000", FailureClass::BadRequest),
        (1011, "NET-0000", FailureClass::Unavailable),
        (1011, "NET-0001", FailureClass::Closed),
        (1000, "", FailureClass::Closed),
    ] {
        let error = failure_after(move |client| client.close(code, reason)).await;
        assert_eq!(error.class, class, "{error}");
    }
    let error = failure_after(|client| async { drop(client) }).await;
    assert_eq!(error.class, FailureClass::Closed);

    let error = failure_after(|mut client| async move {
        client.send(connected()).await;
        let failed = json!({"type": "Error", "sequence_id": 1, "code": "INTERNAL_SERVER_ERROR",
                            "description": "sorry"});
        client.send(failed).await;
        client.gone().await;
    })
    .await;
    assert_eq!(error.class, FailureClass::Unavailable);
    assert!(error.detail.contains("INTERNAL_SERVER_ERROR sorry"), "{error}");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_reported_without_its_words() {
    let error = failure_after(|mut client| async move {
        let message = r#"{"type":"TurnInfo","event":"Update","words":"my secret"}"#;
        client.send_raw(Message::text(message)).await;
        client.gone().await;
    })
    .await;
    assert_eq!(error.class, FailureClass::Protocol);
    assert!(!error.detail.contains("secret"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_audio_is_filled_with_silence_that_does_not_count() {
    let mut listening = Listening::new(AudioFormat::mulaw(), 0.4);
    let (mut out, start) = (Outbox::new(), Instant::now());
    let second = Bytes::from(vec![0xFE; 8_000]);
    listening.handle_input(start, SttInput::Audio(second.clone()), &mut out).unwrap();
    for fill in 1..=2 {
        let at = listening.next_deadline().unwrap();
        assert_eq!(at, start + fill * FILL_AFTER);
        listening.handle_deadline(at, &mut out).unwrap();
    }
    listening.handle_input(start, SttInput::Audio(second.clone()), &mut out).unwrap();
    let silence = Message::Binary(Bytes::from(vec![0xFF; 4_000]));
    let audio = Message::Binary(second);
    assert_eq!(out.take_messages(), [audio.clone(), silence.clone(), silence, audio]);

    let end = turn("EndOfTurn", "Hello.", 2.5).to_string();
    listening.handle_message(start, &end, &mut out).unwrap();
    assert_eq!(out.events, [last("Hello.", 1_500), SttEvent::EndOfTurn]);

    listening.handle_end_of_input(start, &mut out);
    assert_eq!(listening.next_deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_connected_is_owed_that() {
    let mut listening = Listening::new(AudioFormat::mulaw(), 0.4);
    let (mut out, start) = (Outbox::new(), Instant::now());
    assert_eq!(listening.owed_since(), Some(start));
    listening.handle_message(start, &connected().to_string(), &mut out).unwrap();
    assert_eq!(listening.owed_since(), None);
}

#[tokio::test]
async fn flux_models_judge_turns_and_the_others_are_served_as_before() {
    let judges = |document: Value| {
        let stt = build(&document, &Server::nowhere(), &net()).unwrap();
        stt.capabilities().native_end_of_turn
    };
    assert!(judges(json!({"model": "flux-general-en"})));
    assert!(!judges(json!({"model": "nova-3"})));
    assert!(!judges(json!({})));
}

#[test]
fn what_cannot_work_is_refused_when_it_is_set_up() {
    let refuse = |document: Value, access: Access| {
        build(&document, &access, &net()).err().unwrap().to_string()
    };
    let flux = json!({"model": "flux-general-en"});
    assert!(refuse(flux, Access::default()).contains("DEEPGRAM_API_KEY"));
    let eager = json!({"model": "flux-general-en", "eagerEotThreshold": 0.8});
    assert!(refuse(eager, Server::nowhere()).contains("above eotThreshold 0.7"));
    let redacted = json!({"model": "flux-general-en", "redaction": ["numbers", "pci"]});
    let refused = refuse(redacted, Server::nowhere());
    assert!(refused.contains("`pci`") && refused.contains("aggressive_numbers"), "{refused}");
    let wrong = json!({"model": "flux-general-en", "keyterm": "one"});
    assert!(refuse(wrong, Server::nowhere()).contains("bad options"));
}

/// What a field of a document adds to the query of the address.
fn sent(model: &str, field: &str, value: Value) -> Vec<String> {
    let read = |document: &Value| -> Vec<String> {
        let query = Options::from_document(document).unwrap().query(AudioFormat::mulaw());
        query.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    let mut document = json!({"provider": "deepgram", "model": model});
    let before = read(&document);
    document[field] = value;
    read(&document).into_iter().filter(|pair| !before.contains(pair)).collect()
}

#[test]
fn each_field_of_the_contract_is_sent_as_far_as_flux_knows_it() {
    let none: &[&str] = &[];
    let (english, multilingual) = ("flux-general-en", "flux-general-multi");
    for (field, value, expected) in [
        ("mipOptOut", json!(true), &["mip_opt_out=true"][..]),
        ("numerals", json!(true), &["numerals=true"]),
        ("profanityFilter", json!(true), &["profanity_filter=true"]),
        ("redaction", json!(["numbers"]), &["redact=numbers"]),
        ("eotThreshold", json!(0.8), &["eot_threshold=0.8"]),
        ("eagerEotThreshold", json!(0.4), &["eager_eot_threshold=0.4"]),
        ("eotTimeoutMs", json!(900), &["eot_timeout_ms=900"]),
        ("languages", json!(["en", "es"]), &["language_hint=en", "language_hint=es"]),
        ("keyterm", json!(["a b"]), &["keyterm=a b"]),
        // Acted on here: transcripts below it are discarded.
        ("confidenceThreshold", json!(0.9), none),
        // `/v2/listen` has no such parameters.
        ("language", json!("de"), none),
        ("smartFormat", json!(true), none),
        ("endpointing", json!(300), none),
        ("keywords", json!(["old:2"]), none),
        ("fallbackPlan", json!({"transcribers": []}), none),
    ] {
        assert_eq!(sent(multilingual, field, value), expected, "{field}");
    }
    assert_eq!(sent(english, "languages", json!(["en"])), none, "it refuses it");
    assert_eq!(sent(english, "model", json!(multilingual)), ["model=flux-general-multi"]);
}
