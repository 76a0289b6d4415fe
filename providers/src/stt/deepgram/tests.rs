use std::time::Duration;

use bytes::Bytes;
use offhook_core::FailureClass;
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::{
    ProviderError,
    net::{
        session::{Dialogue, Outbox},
        testing::{Client, Server, failure, net, next, within},
    },
    stt::{SttEvent, SttInput},
};

fn results(fields: Value) -> Value {
    let mut message = json!({
        "type": "Results", "channel_index": [0, 1], "start": 0.0, "duration": 1.0,
        "is_final": false, "speech_final": false, "from_finalize": false,
        "channel": {"alternatives": [
            {"transcript": fields["text"], "confidence": fields["confidence"], "words": []},
        ]},
        "metadata": {"request_id": "r", "model_info": {"name": "nova-3"}},
    });
    for (name, value) in fields.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

async fn open(server: &Server, document: Value) -> SttSession {
    let deepgram = Deepgram::new(&document, &server.access(), &net()).unwrap();
    let request = SttRequest { format: AudioFormat::mulaw() };
    within(deepgram.open(request)).await.unwrap()
}

async fn refused(server: &Server) -> ProviderError {
    let deepgram = Deepgram::new(&json!({}), &server.access(), &net()).unwrap();
    let opening = deepgram.open(SttRequest { format: AudioFormat::mulaw() });
    within(opening).await.err().expect("refused")
}

/// The error of a session on which the server does this at once.
async fn failure_after<F, Fut>(script: F) -> ProviderError
where
    F: FnOnce(Client) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let server = Server::websocket(script).await;
    let mut session = open(&server, json!({})).await;
    let error = failure(&mut session.events).await;
    server.finished().await;
    error
}

#[tokio::test]
async fn a_transcript_in_one_of_several_languages_comes_with_it() {
    let server = Server::websocket(|mut client| async move {
        let mut spanish = results(json!({"is_final": true}));
        spanish["channel"]["alternatives"][0] = json!({
            "transcript": "Buenos días, Anna.", "confidence": 0.9, "languages": ["es", "en"],
            "words": [{"word": "buenos", "language": "es"}, {"word": "días", "language": "es"},
                      {"word": "anna", "language": "en"}],
        });
        let mut early = spanish.clone();
        early["is_final"] = false.into();
        client.send(early).await;
        client.send(spanish).await;
        client.gone().await;
    })
    .await;
    let mut session = open(&server, json!({"language": "multi"})).await;
    let text = "Buenos días, Anna.".to_owned();
    for expected in [
        SttEvent::Partial { text: text.clone() },
        SttEvent::Final { text, until: Duration::from_secs(1) },
        SttEvent::Language { language: "es".into(), words: 2 },
    ] {
        assert_eq!(next(&mut session.events).await, expected);
    }
}

#[tokio::test]
async fn a_session_is_held_message_by_message() {
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.url.path(), "/v1/listen");
        assert_eq!(client.headers["authorization"], "Token key-1");
        assert!(client.headers["user-agent"].to_str().unwrap().starts_with("offhook/"));
        let expected = [
            ("model", "nova-3"),
            ("encoding", "mulaw"),
            ("sample_rate", "8000"),
            ("channels", "1"),
            ("interim_results", "true"),
            ("vad_events", "true"),
            ("punctuate", "true"),
            ("endpointing", "300"),
            ("utterance_end_ms", "1000"),
            ("language", "en"),
            ("smart_format", "true"),
            ("mip_opt_out", "false"),
            ("redact", "pci"),
            ("redact", "numbers"),
            ("keyterm", "Offhook & co"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(client.query(), expected);

        assert_eq!(client.binary().await, &[0xFF; 160][..]);
        client.send(json!({"type": "SpeechStarted", "channel": [0], "timestamp": 0.25})).await;
        client.send(results(json!({"text": "hello", "confidence": 0.9}))).await;
        client.send(results(json!({"text": "", "confidence": 0.0}))).await;
        let last = json!({"text": "Hello there.", "confidence": 0.9, "start": 0.5, "duration": 1.5,
                          "is_final": true, "speech_final": true});
        client.send(results(last)).await;
        client.send(json!({"type": "UtteranceEnd", "channel": [0], "last_word_end": 1.9})).await;
        client.send(json!({"type": "SomethingNew", "field": 1})).await;

        assert_eq!(client.json().await, json!({"type": "Finalize"}));
        let forced = json!({"text": "And", "confidence": 0.9, "start": 2.0, "is_final": true,
                            "speech_final": true, "from_finalize": true});
        client.send(results(forced)).await;
        assert_eq!(client.json().await, json!({"type": "KeepAlive"}));

        assert_eq!(client.json().await, json!({"type": "CloseStream"}));
        let rest = json!({"text": "bye", "confidence": 0.9, "start": 3.0, "is_final": true});
        client.send(results(rest)).await;
        client.send(json!({"type": "Metadata", "request_id": "r", "duration": 4.0})).await;
        client.gone().await;
    })
    .await;

    let document = json!({
        "provider": "deepgram", "language": "en", "endpointing": 300, "smartFormat": true,
        "mipOptOut": false, "redaction": ["pci", "numbers"], "keyterm": ["Offhook & co"],
        "keywords": ["old:2"], "fallbackPlan": {"transcribers": []}, "eotThreshold": 0.7,
    });
    let SttSession { audio, mut events } = open(&server, document).await;
    audio.send(SttInput::Audio(Bytes::new())).await.unwrap();
    audio.send(SttInput::Audio(Bytes::from_static(&[0xFF; 160]))).await.unwrap();
    assert_eq!(next(&mut events).await, SttEvent::SpeechStarted { at: Duration::from_millis(250) });
    assert_eq!(next(&mut events).await, SttEvent::Partial { text: "hello".into() });
    let until = Duration::from_secs(2);
    assert_eq!(next(&mut events).await, SttEvent::Final { text: "Hello there.".into(), until });
    assert_eq!(next(&mut events).await, SttEvent::EndOfTurn);

    audio.send(SttInput::Finalize).await.unwrap();
    let until = Duration::from_secs(3);
    assert_eq!(next(&mut events).await, SttEvent::Final { text: "And".into(), until });
    audio.send(SttInput::KeepAlive).await.unwrap();
    drop(audio);
    let until = Duration::from_secs(4);
    assert_eq!(next(&mut events).await, SttEvent::Final { text: "bye".into(), until });
    assert_eq!(within(events.recv()).await, None, "ended in order");
    server.finished().await;
}

#[tokio::test]
async fn neither_a_short_pause_nor_a_second_without_words_ends_a_turn() {
    let server = Server::websocket(|mut client| async move {
        let said = json!({"text": "I would", "confidence": 0.9, "is_final": true,
                          "speech_final": true});
        client.send(results(said)).await;
        client.send(results(json!({"text": "like", "confidence": 0.9}))).await;
        client.send(json!({"type": "UtteranceEnd", "channel": [0], "last_word_end": -1})).await;
        client.gone().await;
    })
    .await;
    let mut session = open(&server, json!({"model": "nova-2-phonecall"})).await;
    assert!(matches!(next(&mut session.events).await, SttEvent::Final { .. }));
    assert!(matches!(next(&mut session.events).await, SttEvent::Partial { .. }));
    assert_eq!(next(&mut session.events).await, SttEvent::WordsPaused);
    drop(session);
    server.finished().await;
}

#[tokio::test]
async fn a_transcript_below_the_confidence_threshold_is_discarded() {
    let server = Server::websocket(|mut client| async move {
        client.send(results(json!({"text": "noise", "confidence": 0.69, "is_final": true}))).await;
        client.send(results(json!({"text": "word", "confidence": 0.7, "is_final": true}))).await;
        client.gone().await;
    })
    .await;
    let mut session = open(&server, json!({"confidenceThreshold": 0.7})).await;
    let until = Duration::from_secs(1);
    assert_eq!(next(&mut session.events).await, SttEvent::Final { text: "word".into(), until });
    drop(session);
    server.finished().await;
}

#[tokio::test]
async fn dropping_the_session_closes_the_socket() {
    let server = Server::websocket(Client::gone).await;
    drop(open(&server, json!({})).await);
    server.finished().await;
}

#[tokio::test]
async fn a_refused_handshake_has_the_class_of_its_status_and_the_reason_in_the_header() {
    for (status, class) in [
        (400, FailureClass::BadRequest),
        (401, FailureClass::Unauthorized),
        (402, FailureClass::Quota),
        (403, FailureClass::Unauthorized),
        (503, FailureClass::Unavailable),
    ] {
        let server = Server::refusing(status, "dg-error: why not\r\n", "{}").await;
        let error = refused(&server).await;
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains(&format!("answered with {status}")), "{error}");
        assert_eq!(error.detail.contains("why not"), class != FailureClass::Unauthorized);
        assert!(!error.detail.contains("key-1"), "{error}");
        server.finished().await;
    }
}

#[tokio::test]
async fn a_refusal_is_told_from_its_body_and_says_when_to_come_back() {
    let body = r#"{"err_code":"TOO_MANY_REQUESTS","err_msg":"slow down","request_id":"r"}"#;
    let server = Server::refusing(429, "retry-after: 3\r\n", body).await;
    let error = refused(&server).await;
    let retry_after = Some(Duration::from_secs(3));
    assert_eq!(error.class, FailureClass::RateLimited { retry_after });
    assert!(error.detail.contains("TOO_MANY_REQUESTS: slow down"), "{error}");
    server.finished().await;

    let body = r#"{"err_code":"ASR_PAYMENT_REQUIRED","err_msg":"no credit"}"#;
    let server = Server::refusing(400, "", body).await;
    assert_eq!(refused(&server).await.class, FailureClass::Quota);
    server.finished().await;
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unavailable_and_a_silent_one_times_out() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    let access = Access { api_key: None, base_url };
    let mut net = net();
    net.connect_timeout = Duration::from_millis(50);
    let deepgram = Deepgram::new(&json!({}), &access, &net).unwrap();
    let request = SttRequest { format: AudioFormat::mulaw() };
    let error = within(deepgram.open(request.clone())).await.err().unwrap();
    assert_eq!(error.class, FailureClass::Timeout);
    drop(listener);
    let error = within(deepgram.open(request)).await.err().unwrap();
    assert_eq!(error.class, FailureClass::Unavailable);
}

#[tokio::test]
async fn a_close_in_mid_session_has_the_class_of_its_reason() {
    for (code, reason, class) in [
        (1008, "DATA-0000", FailureClass::BadRequest),
        (1011, "NET-0000", FailureClass::Unavailable),
        (1011, "NET-0001", FailureClass::Closed),
        (1011, "", FailureClass::Unavailable),
        (1000, "", FailureClass::Closed),
    ] {
        let error = failure_after(move |client| client.close(code, reason)).await;
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains(&code.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_closed_and_an_error_message_ends_the_session() {
    let error = failure_after(|client| async { drop(client) }).await;
    assert_eq!(error.class, FailureClass::Closed);

    let error = failure_after(|mut client| async move {
        let complaint = json!({"type": "Error", "variant": "SchemaError", "description": "bad"});
        client.send(complaint).await;
        client.gone().await;
    })
    .await;
    assert_eq!(error.class, FailureClass::Protocol);
    assert!(error.detail.contains("SchemaError bad"), "{error}");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_reported_without_its_words() {
    let error = failure_after(|mut client| async move {
        client.send_raw(Message::text(r#"{"type":"Results","channel":"my secret"}"#)).await;
        client.gone().await;
    })
    .await;
    assert_eq!(error.class, FailureClass::Protocol);
    assert!(!error.detail.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_format_that_is_not_taken_is_refused_before_anything_is_sent() {
    let access = Access { api_key: None, base_url: Some("http://127.0.0.1:9".into()) };
    let deepgram = Deepgram::new(&json!({}), &access, &net()).unwrap();
    let request = SttRequest { format: AudioFormat::pcm16(11_025) };
    let error = within(deepgram.open(request)).await.err().unwrap();
    assert_eq!(error.class, FailureClass::BadRequest);
}

#[test]
fn what_cannot_work_is_refused_when_it_is_set_up() {
    let refuse = |document: Value, access: Access| {
        Deepgram::new(&document, &access, &net()).err().unwrap().to_string()
    };
    assert!(refuse(json!({}), Access::default()).contains("DEEPGRAM_API_KEY"));
    let local = Access { api_key: None, base_url: Some("ws://localhost:1".into()) };
    assert!(refuse(json!({"keyterm": "one"}), local.clone()).contains("bad options"));
    let key = Some(secrecy::SecretString::from("two\nlines"));
    assert!(refuse(json!({}), Access { api_key: key, ..local }).contains("header"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_keeps_itself_alive_until_its_input_ends() {
    let mut listening = Listening::new(&Options::default());
    let mut out = Outbox::new();
    let (mut due, start) = (Vec::new(), Instant::now());
    for _ in 0..3 {
        let at = listening.next_deadline().unwrap();
        listening.handle_deadline(at, &mut out).unwrap();
        due.push((at - start).as_secs());
    }
    assert_eq!(due, [4, 8, 12]);
    assert_eq!(out.take_messages(), vec![Message::text(r#"{"type":"KeepAlive"}"#); 3]);
    listening.handle_end_of_input(start, &mut out);
    assert_eq!(listening.next_deadline(), None);
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
fn each_field_of_the_contract_is_sent_to_the_models_that_know_it() {
    let none: &[&str] = &[];
    for (field, value, to_nova_3, to_nova_2) in [
        (
            "model",
            json!("nova-3-medical"),
            &["model=nova-3-medical"][..],
            &["model=nova-3-medical"][..],
        ),
        ("language", json!("de"), &["language=de"], &["language=de"]),
        ("smartFormat", json!(true), &["smart_format=true"], &["smart_format=true"]),
        ("mipOptOut", json!(true), &["mip_opt_out=true"], &["mip_opt_out=true"]),
        ("numerals", json!(true), &["numerals=true"], &["numerals=true"]),
        ("profanityFilter", json!(true), &["profanity_filter=true"], &["profanity_filter=true"]),
        (
            "redaction",
            json!(["pii", "phi"]),
            &["redact=pii", "redact=phi"],
            &["redact=pii", "redact=phi"],
        ),
        ("keywords", json!(["old:2"]), none, &["keywords=old:2"]),
        ("keyterm", json!(["a b"]), &["keyterm=a b"], none),
        ("endpointing", json!(300), &["endpointing=300"], &["endpointing=300"]),
        // Acted on here: transcripts below it are discarded.
        ("confidenceThreshold", json!(0.9), none, none),
        // Those of Flux.
        ("eotThreshold", json!(0.8), none, none),
        ("eagerEotThreshold", json!(0.4), none, none),
        ("eotTimeoutMs", json!(900), none, none),
        ("languages", json!(["en"]), none, none),
        ("fallbackPlan", json!({"transcribers": []}), none, none),
    ] {
        assert_eq!(sent("nova-3", field, value.clone()), to_nova_3, "{field} to Nova-3");
        assert_eq!(sent("nova-2", field, value), to_nova_2, "{field} to Nova-2");
    }
}
