use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
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
    tts::{ContextId, TtsEvent, TtsInput, WordTiming},
};

const A: ContextId = ContextId(1);
const B: ContextId = ContextId(2);

fn text(context: ContextId, text: &str) -> TtsInput {
    TtsInput::Text { context, text: text.into() }
}

fn audio(context: ContextId, audio: &'static [u8]) -> TtsEvent {
    TtsEvent::Audio { context, audio: Bytes::from_static(audio) }
}

fn word(word: &str, start: u64, end: u64) -> WordTiming {
    WordTiming {
        word: word.into(),
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
    }
}

fn chunk(context: &str, bytes: &[u8]) -> Value {
    json!({"type": "chunk", "context_id": context, "data": BASE64_STANDARD.encode(bytes),
           "done": false, "status_code": 206, "step_time": 12.5})
}

fn timestamps(context: &str, words: &[&str], start: &[f64], end: &[f64]) -> Value {
    json!({"type": "timestamps", "context_id": context, "done": false, "status_code": 206,
           "word_timestamps": {"words": words, "start": start, "end": end}})
}

fn done(context: &str) -> Value {
    json!({"type": "done", "context_id": context, "done": true, "status_code": 200})
}

/// A message to a context of the plainest voice.
fn plain_message(context: &str, text: &str, goes_on: bool) -> Value {
    let format = json!({"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000});
    json!({"model_id": "sonic-3.5", "voice": {"mode": "id", "id": "v1"}, "output_format": format,
           "add_timestamps": true, "max_buffer_delay_ms": 0, "context_id": context,
           "transcript": text, "continue": goes_on})
}

async fn open(server: &Server, document: Value, format: AudioFormat) -> TtsSession {
    let voice = build(&document, &server.access(), &net()).unwrap();
    within(voice.open(TtsRequest { format })).await.unwrap()
}

async fn plain(server: &Server) -> TtsSession {
    open(server, json!({"voiceId": "v1"}), AudioFormat::mulaw()).await
}

#[tokio::test]
async fn a_session_is_held_message_by_message() {
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.url.path(), "/tts/websocket");
        assert_eq!(client.query(), []);
        assert_eq!(client.headers["authorization"], "Bearer key-1");
        assert_eq!(client.headers["cartesia-version"], "2026-03-01");

        let message = |text: &str, goes_on: bool| {
            let format =
                json!({"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000});
            json!({"model_id": "sonic-3", "voice": {"mode": "id", "id": "v/1"},
                   "output_format": format, "add_timestamps": true, "language": "de",
                   "max_buffer_delay_ms": 0,
                   "generation_config": {"speed": 1.2, "volume": 0.8},
                   "pronunciation_dict_id": "dict_1",
                   "context_id": "1-0", "transcript": text, "continue": goes_on})
        };
        assert_eq!(client.json().await, message("Hello there, ", true));
        client.send(chunk("1-0", &[1, 0, 2])).await;
        client.send(timestamps("1-0", &["Hello", "there,"], &[0.0, 0.5], &[0.4, 0.9])).await;
        client.send(json!({"type": "flush_done", "context_id": "1-0", "flush_id": 1})).await;
        assert_eq!(client.json().await, message("you. ", true));
        assert_eq!(client.json().await, message("", false));
        client.send(chunk("1-0", &[0])).await;
        client.send(timestamps("1-0", &["you."], &[1.0], &[1.25])).await;
        client.send(done("1-0")).await;
        client.gone().await;
    })
    .await;

    let document = json!({
        "provider": "cartesia", "voiceId": "v/1", "model": "sonic-3", "language": "de",
        "generationConfig": {"speed": 1.2, "volume": 0.8, "experimental": {"accentLocalization": 1}},
        "pronunciationDictId": "dict_1", "experimentalControls": {"speed": "fast"},
        "cachingEnabled": true, "chunkPlan": {"enabled": true, "minCharacters": 30},
        "fallbackPlan": {"voices": []},
    });
    let TtsSession { input, mut events } =
        open(&server, document, AudioFormat::pcm16(16_000)).await;
    input.send(text(A, "Hello there, ")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(A, &[1, 0]));
    let words = vec![word("Hello", 0, 400), word("there,", 500, 900)];
    assert_eq!(next(&mut events).await, TtsEvent::Words { context: A, words });
    input.send(text(A, "you. ")).await.unwrap();
    input.send(TtsInput::Finish { context: A }).await.unwrap();
    assert_eq!(next(&mut events).await, audio(A, &[2, 0]));
    let words = vec![word("you.", 1_000, 1_250)];
    assert_eq!(next(&mut events).await, TtsEvent::Words { context: A, words });
    assert_eq!(next(&mut events).await, TtsEvent::Done { context: A });
    drop(input);
    assert!(within(events.recv()).await.is_none(), "ended in order");
    server.finished().await;
}

#[tokio::test]
async fn a_cancelled_context_is_heard_no_more_and_the_next_one_speaks() {
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.json().await, plain_message("1-0", "one", true));
        client.send(chunk("1-0", &[1])).await;
        assert_eq!(client.json().await, json!({"context_id": "1-0", "cancel": true}));
        client.send(chunk("1-0", &[2])).await;
        assert_eq!(client.json().await, plain_message("2-0", "two", true));
        client.send(chunk("1-0", &[3])).await;
        let late = json!({"type": "error", "context_id": "1-0", "status_code": 400,
                          "title": "Gone", "message": "no such context", "done": true});
        client.send(late).await;
        client.send(done("1-0")).await;
        client.send(chunk("2-0", &[7])).await;
        client.gone().await;
    })
    .await;
    let TtsSession { input, mut events } = plain(&server).await;
    input.send(text(A, "one")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(A, &[1]));
    input.send(TtsInput::Cancel { context: A }).await.unwrap();
    input.send(text(B, "two")).await.unwrap();
    assert_eq!(next(&mut events).await, audio(B, &[7]));
    drop(events);
    server.finished().await;
}

#[tokio::test]
async fn input_that_ends_before_its_contexts_finishes_them() {
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.json().await, plain_message("1-0", "one", true));
        assert_eq!(client.json().await, plain_message("1-0", "", false));
        client.send(chunk("1-0", &[1])).await;
        client.send(done("1-0")).await;
        client.gone().await;
    })
    .await;
    let TtsSession { input, mut events } = plain(&server).await;
    input.send(text(A, "one")).await.unwrap();
    drop(input);
    assert_eq!(next(&mut events).await, audio(A, &[1]));
    assert_eq!(next(&mut events).await, TtsEvent::Done { context: A });
    assert!(within(events.recv()).await.is_none());
    server.finished().await;
}

#[tokio::test]
async fn dropping_the_session_closes_the_socket() {
    let server = Server::websocket(Client::gone).await;
    drop(plain(&server).await);
    server.finished().await;
}

/// The error of a session on which the server does this at once.
async fn session_error<F, Fut>(script: F) -> ProviderError
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
async fn an_error_has_the_class_of_its_code_or_else_of_its_status() {
    const LIMITED: FailureClass = FailureClass::RateLimited { retry_after: None };
    for (status, code, class) in [
        (402, json!("quota_exceeded"), FailureClass::Quota),
        (400, json!("quota_exceeded"), FailureClass::Quota),
        (400, json!("voice_not_found"), FailureClass::BadRequest),
        (404, json!("model_not_found"), FailureClass::BadRequest),
        (429, json!("concurrency_limited"), LIMITED),
        (401, Value::Null, FailureClass::Unauthorized),
        (402, Value::Null, FailureClass::Quota),
        (429, Value::Null, LIMITED),
        (500, json!("something_new"), FailureClass::Unavailable),
    ] {
        let sent = json!({"type": "error", "title": "Refused", "message": "because of key-1",
                          "error_code": code, "status_code": status, "request_id": "r",
                          "done": true});
        let error = session_error(move |mut client| async move {
            client.send(sent).await;
            client.gone().await;
        })
        .await;
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains(&status.to_string()), "{error}");
        assert!(error.detail.contains(code.as_str().unwrap_or_default()), "{error}");
        assert_eq!(error.detail.contains("key-1"), class != FailureClass::Unauthorized);
    }
}

#[tokio::test]
async fn an_error_in_the_old_form_a_close_and_a_broken_connection_end_the_session() {
    let error = session_error(|client| async { drop(client) }).await;
    assert_eq!(error.class, FailureClass::Closed);

    let error = session_error(|mut client| async move {
        let old = json!({"type": "error", "error": "Bad voice: none such", "status_code": 400});
        client.send(old).await;
        client.gone().await;
    })
    .await;
    assert_eq!(error.class, FailureClass::BadRequest);
    assert!(error.detail.contains("Bad voice: none such"), "{error}");

    let error = session_error(|client| client.close(1013, "overloaded")).await;
    assert_eq!(error.class, FailureClass::Unavailable);
    assert!(error.detail.contains("1013 overloaded"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_breach_of_protocol() {
    let bad_audio = json!({"type": "chunk", "context_id": "1-0", "data": "no base64!"});
    for message in [bad_audio, json!({"type": "chunk", "context_id": "1-0"}), json!([7])] {
        let server = Server::websocket(|mut client| async move {
            client.json().await;
            client.send(message).await;
            client.gone().await;
        })
        .await;
        let TtsSession { input, mut events } = plain(&server).await;
        input.send(text(A, "one")).await.unwrap();
        assert_eq!(failure(&mut events).await.class, FailureClass::Protocol);
        server.finished().await;
    }
}

#[tokio::test]
async fn a_refused_handshake_has_the_class_of_its_status() {
    for (status, class) in [
        (400, FailureClass::BadRequest),
        (401, FailureClass::Unauthorized),
        (402, FailureClass::Quota),
        (429, FailureClass::RateLimited { retry_after: None }),
        (503, FailureClass::Unavailable),
    ] {
        let body = r#"{"error_code":"x","title":"Refused","message":"why not","request_id":"r"}"#;
        let server = Server::refusing(status, "", body).await;
        let voice = build(&json!({"voiceId": "v1"}), &server.access(), &net()).unwrap();
        let opening = voice.open(TtsRequest { format: AudioFormat::mulaw() });
        let error = within(opening).await.err().unwrap();
        assert_eq!(error.class, class, "{error}");
        assert_eq!(error.detail.contains("why not"), class != FailureClass::Unauthorized);
        server.finished().await;
    }
}

/// A protocol without its socket, for what takes time or many contexts.
struct Bare {
    speaking: Speaking,
    out: Outbox<TtsEvent>,
    start: Instant,
}

impl Bare {
    fn new(document: Value) -> Self {
        let options = Arc::new(Options::from_document(&document).unwrap());
        let speaking = Speaking::new(options, AudioFormat::mulaw());
        Self { speaking, out: Outbox::new(), start: Instant::now() }
    }

    fn plain() -> Self {
        Self::new(json!({"voiceId": "v1"}))
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn input(&mut self, seconds: u64, input: TtsInput) -> Result<(), ProviderError> {
        self.speaking.handle_input(self.at(seconds), input, &mut self.out)
    }

    fn message(&mut self, seconds: u64, message: &Value) {
        let now = self.at(seconds);
        self.speaking.handle_message(now, &message.to_string(), &mut self.out).unwrap();
    }

    fn sent(&mut self) -> Vec<Value> {
        let parse = |message: Message| serde_json::from_str(message.to_text().unwrap()).unwrap();
        self.out.take_messages().into_iter().map(parse).collect()
    }

    fn told(&mut self) -> Vec<TtsEvent> {
        self.out.events.drain(..).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn text_after_an_expiry_goes_on_in_another_context_of_cartesia_s_on_the_same_clock() {
    let mut bare = Bare::plain();
    bare.input(0, text(A, "one")).unwrap();
    bare.message(1, &chunk("1-0", &[1; 4_000]));
    bare.message(6, &done("1-0"));
    bare.input(7, text(A, "two")).unwrap();
    let sent = [plain_message("1-0", "one", true), plain_message("1-1", "two", true)];
    assert_eq!(bare.sent(), sent);
    bare.told();

    bare.message(8, &chunk("1-0", &[9]));
    bare.message(8, &timestamps("1-1", &["two"], &[0.1], &[0.3]));
    bare.input(8, TtsInput::Finish { context: A }).unwrap();
    assert_eq!(bare.sent(), [plain_message("1-1", "", false)]);
    bare.message(9, &done("1-1"));
    let words = TtsEvent::Words { context: A, words: vec![word("two", 600, 800)] };
    assert_eq!(bare.told(), [words, TtsEvent::Done { context: A }]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_context_that_gets_no_more_text_is_done_and_need_not_be_cancelled() {
    let mut bare = Bare::plain();
    for context in [A, B] {
        bare.input(0, text(context, "words")).unwrap();
    }
    bare.message(6, &done("1-0"));
    bare.message(6, &done("2-0"));
    bare.sent();
    bare.input(7, TtsInput::Finish { context: A }).unwrap();
    bare.input(7, TtsInput::Cancel { context: B }).unwrap();
    assert_eq!(bare.told(), [TtsEvent::Done { context: A }]);
    assert_eq!(bare.sent(), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_crossed_with_text_does_not_end_its_context() {
    let mut bare = Bare::plain();
    bare.input(0, text(A, "one")).unwrap();
    bare.input(6, text(A, "two")).unwrap();
    bare.message(6, &done("1-0"));
    bare.sent();
    bare.input(6, TtsInput::Finish { context: A }).unwrap();
    assert_eq!(bare.sent(), [plain_message("1-0", "", false)]);
    assert_eq!(bare.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_finishing_context_is_owed_and_an_open_one_is_not() {
    let mut bare = Bare::plain();
    bare.input(2, text(A, "words")).unwrap();
    assert_eq!(bare.speaking.owed_since(), None);
    bare.input(40, TtsInput::Finish { context: A }).unwrap();
    bare.input(41, TtsInput::Finish { context: A }).unwrap();
    bare.input(41, text(A, "too late")).unwrap();
    assert_eq!(bare.speaking.owed_since(), Some(bare.at(40)));
    assert_eq!(bare.sent().len(), 2);
    bare.message(41, &done("1-0"));
    assert_eq!(bare.speaking.owed_since(), None);
}

#[tokio::test(start_paused = true)]
async fn a_context_without_text_is_done_at_once_and_stray_messages_are_ignored() {
    let mut bare = Bare::plain();
    bare.input(0, text(A, "  ")).unwrap();
    bare.input(0, TtsInput::Finish { context: A }).unwrap();
    assert_eq!(bare.told(), [TtsEvent::Done { context: A }]);
    for context in ["99-0", "1-0", "strange", "1-x"] {
        bare.message(0, &chunk(context, &[1]));
    }
    bare.message(0, &json!({"type": "something_new", "field": 1}));
    bare.input(0, TtsInput::Cancel { context: B }).unwrap();
    assert_eq!(bare.sent(), Vec::<Value>::new());
    assert_eq!(bare.told(), []);
}

#[tokio::test(start_paused = true)]
async fn events_of_a_cancelled_context_that_nobody_read_are_dropped() {
    let mut bare = Bare::plain();
    bare.input(0, text(A, "words")).unwrap();
    bare.input(0, text(B, "words")).unwrap();
    bare.message(0, &chunk("1-0", &[1]));
    bare.message(0, &chunk("2-0", &[2]));
    bare.input(0, TtsInput::Cancel { context: A }).unwrap();
    assert_eq!(bare.told(), [audio(B, &[2])]);
}

#[tokio::test(start_paused = true)]
async fn contexts_without_end_are_not_hoarded() {
    let mut bare = Bare::plain();
    let refused = (1..1_000).find_map(|id| bare.input(0, text(ContextId(id), "words")).err());
    assert_eq!(refused.unwrap().class, FailureClass::Stalled);
}

#[tokio::test(start_paused = true)]
async fn each_text_is_spoken_at_once_unless_the_document_leaves_the_cutting_to_cartesia() {
    let delay = |document: Value| {
        let mut bare = Bare::new(document.clone());
        bare.input(0, text(A, "words")).unwrap();
        let voice = build(&document, &Server::nowhere(), &net()).unwrap();
        (bare.sent()[0]["max_buffer_delay_ms"].clone(), voice.capabilities().streams_text)
    };
    assert_eq!(delay(json!({"voiceId": "v1"})), (json!(0), false));
    let cut = json!({"voiceId": "v1", "chunkPlan": {"enabled": false}});
    assert_eq!(delay(cut), (Value::Null, true));
}

#[tokio::test(start_paused = true)]
async fn older_models_are_not_given_what_they_refuse() {
    let document = json!({"voiceId": "v1", "model": "sonic-2", "pronunciationDictId": "d",
                          "generationConfig": {"speed": 1.2}});
    let mut bare = Bare::new(document);
    bare.input(0, text(A, "words")).unwrap();
    let mut expected = plain_message("1-0", "words", true);
    expected["model_id"] = "sonic-2".into();
    assert_eq!(bare.sent(), [expected]);
}

#[tokio::test]
async fn a_format_that_is_not_produced_is_refused_before_anything_is_sent() {
    let voice = build(&json!({"voiceId": "v1"}), &Server::nowhere(), &net()).unwrap();
    let opening = voice.open(TtsRequest { format: AudioFormat::pcm16(11_025) });
    assert_eq!(within(opening).await.err().unwrap().class, FailureClass::BadRequest);
}

#[test]
fn what_cannot_work_is_refused_when_it_is_set_up() {
    let refuse = |document: Value, access: Access| {
        build(&document, &access, &net()).err().unwrap().to_string()
    };
    let voice = json!({"voiceId": "v1"});
    assert!(refuse(voice, Access::default()).contains("CARTESIA_API_KEY"));
    assert!(refuse(json!({}), Server::nowhere()).contains("voiceId is missing"));
    let wrong = json!({"voiceId": "v1", "generationConfig": {"speed": "fast"}});
    assert!(refuse(wrong, Server::nowhere()).contains("bad options"));
}

#[test]
fn each_field_of_the_contract_is_sent_where_cartesia_expects_it() {
    let sent = |model: &str, field: &str, value: Value| {
        let read = |document: &Value| {
            let options = Options::from_document(document).unwrap();
            Value::from(options.generation(AudioFormat::mulaw()))
        };
        let mut document = json!({"provider": "cartesia", "voiceId": "v1", "model": model});
        let before = read(&document);
        document[field] = value;
        let mut after = read(&document);
        after.as_object_mut().unwrap().retain(|name, value| before.get(name) != Some(value));
        after
    };
    let config = json!({"speed": 1.2, "volume": 0.8, "experimental": {"accentLocalization": 1}});
    for (field, value, expected) in [
        ("voiceId", json!("v2"), json!({"voice": {"mode": "id", "id": "v2"}})),
        ("model", json!("sonic-3"), json!({"model_id": "sonic-3"})),
        ("language", json!("de"), json!({"language": "de"})),
        ("generationConfig", config, json!({"generation_config": {"speed": 1.2, "volume": 0.8}})),
        ("pronunciationDictId", json!("d"), json!({"pronunciation_dict_id": "d"})),
        ("experimentalControls", json!({"speed": "fast", "emotion": "anger:low"}), json!({})),
        ("cachingEnabled", json!(false), json!({})),
        ("chunkPlan", json!({"minCharacters": 20}), json!({})),
        ("fallbackPlan", json!({"voices": []}), json!({})),
    ] {
        assert_eq!(sent("sonic-3.5", field, value), expected, "{field}");
    }
    assert_eq!(sent("sonic-2", "pronunciationDictId", json!("d")), json!({}), "it refuses it");
    let generation = Options::from_document(&json!({"voiceId": "v1"})).unwrap();
    let format = json!({"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000});
    assert_eq!(generation.generation(AudioFormat::mulaw())["output_format"], format);
}
