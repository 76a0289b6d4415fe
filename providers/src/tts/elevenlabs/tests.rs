use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

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

fn audio(context: &str, bytes: &[u8]) -> Value {
    json!({"audio": BASE64_STANDARD.encode(bytes), "contextId": context, "isFinal": null})
}

fn last(context: &str) -> Value {
    json!({"audio": null, "isFinal": true, "contextId": context})
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
        assert_eq!(client.url.path(), "/v1/text-to-speech/a%2Fb/multi-stream-input");
        assert_eq!(client.headers["xi-api-key"], "key-1");
        let expected = [
            ("model_id", "eleven_turbo_v2_5"),
            ("output_format", "pcm_16000"),
            ("inactivity_timeout", "180"),
            ("sync_alignment", "true"),
            ("auto_mode", "false"),
            ("language_code", "de"),
            ("enable_ssml_parsing", "true"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(client.query(), expected);

        let settings = json!({"stability": 0.5, "similarity_boost": 0.75, "style": 0.1,
                              "speed": 0.9, "use_speaker_boost": true});
        let dictionary = json!({"pronunciation_dictionary_id": "d", "version_id": "2"});
        assert_eq!(
            client.json().await,
            json!({"text": " ", "context_id": "1", "voice_settings": settings,
                   "pronunciation_dictionary_locators": [dictionary]})
        );
        let hello = json!({"text": "Hello there, ", "context_id": "1", "flush": true});
        assert_eq!(client.json().await, hello);
        let mut first = audio("1", &[1, 0, 2]);
        first["alignment"] = json!({"chars": ["H", "i", " ", "y"],
                                    "charStartTimesMs": [0, 100, 200, 300],
                                    "charDurationsMs": [100, 100, 100, 100]});
        client.send(first).await;
        let you = json!({"text": "you. ", "context_id": "1", "flush": true});
        assert_eq!(client.json().await, you);
        assert_eq!(client.json().await, json!({"text": "", "context_id": "1", "flush": true}));
        assert_eq!(client.json().await, json!({"context_id": "1", "close_context": true}));
        let mut second = audio("1", &[0]);
        second["alignment"] = json!({"chars": ["o", "u"], "charStartTimesMs": [0, 100],
                                     "charDurationsMs": [100, 100]});
        client.send(second).await;
        client.send(last("1")).await;

        assert_eq!(client.json().await, json!({"close_socket": true}));
        client.gone().await;
    })
    .await;

    let document = json!({
        "provider": "11labs", "voiceId": "a/b", "model": "eleven_turbo_v2_5", "language": "de",
        "stability": 0.5, "similarityBoost": 0.75, "style": 0.1, "useSpeakerBoost": true,
        "speed": 0.9, "enableSsmlParsing": true, "optimizeStreamingLatency": 3,
        "cachingEnabled": true, "chunkPlan": {"enabled": true, "minCharacters": 30},
        "pronunciationDictionaryLocators": [{"pronunciationDictionaryId": "d", "versionId": "2"}],
        "fallbackPlan": {"voices": []},
    });
    let TtsSession { input, mut events } =
        open(&server, document, AudioFormat::pcm16(16_000)).await;
    input.send(text(A, "Hello there,")).await.unwrap();
    let piece = Bytes::from_static(&[1, 0]);
    assert_eq!(next(&mut events).await, TtsEvent::Audio { context: A, audio: piece });
    let word = |word: &str, start, end| WordTiming {
        word: word.into(),
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
    };
    assert_eq!(
        next(&mut events).await,
        TtsEvent::Words { context: A, words: vec![word("Hi", 0, 200)] }
    );
    input.send(text(A, " you.  ")).await.unwrap();
    input.send(TtsInput::Finish { context: A }).await.unwrap();
    let piece = Bytes::from_static(&[2, 0]);
    assert_eq!(next(&mut events).await, TtsEvent::Audio { context: A, audio: piece });
    assert_eq!(
        next(&mut events).await,
        TtsEvent::Words { context: A, words: vec![word("you", 300, 600)] }
    );
    assert_eq!(next(&mut events).await, TtsEvent::Done { context: A });
    drop(input);
    assert!(within(events.recv()).await.is_none(), "ended in order");
    server.finished().await;
}

#[tokio::test]
async fn a_cancelled_context_is_heard_no_more_and_the_next_one_speaks() {
    let server = Server::websocket(|mut client| async move {
        assert_eq!(client.json().await, json!({"text": " ", "context_id": "1"}));
        client.json().await;
        client.send(audio("1", &[1])).await;
        assert_eq!(client.json().await, json!({"context_id": "1", "close_context": true}));
        client.send(audio("1", &[2])).await;
        assert_eq!(client.json().await, json!({"text": " ", "context_id": "2"}));
        client.json().await;
        client.send(audio("1", &[3])).await;
        client.send(last("1")).await;
        client.send(json!({"audio": "Bw==", "context_id": "2"})).await;
        client.gone().await;
    })
    .await;
    let TtsSession { input, mut events } = plain(&server).await;
    input.send(text(A, "one")).await.unwrap();
    let piece = Bytes::from_static(&[1]);
    assert_eq!(next(&mut events).await, TtsEvent::Audio { context: A, audio: piece });
    input.send(TtsInput::Cancel { context: A }).await.unwrap();
    input.send(text(B, "two")).await.unwrap();
    let piece = Bytes::from_static(&[7]);
    assert_eq!(next(&mut events).await, TtsEvent::Audio { context: B, audio: piece });
    drop(events);
    server.finished().await;
}

#[tokio::test]
async fn input_that_ends_before_its_contexts_finishes_them() {
    let server = Server::websocket(|mut client| async move {
        client.json().await;
        client.json().await;
        assert_eq!(client.json().await, json!({"text": "", "context_id": "1", "flush": true}));
        assert_eq!(client.json().await, json!({"context_id": "1", "close_context": true}));
        client.send(audio("1", &[1])).await;
        client.send(last("1")).await;
        assert_eq!(client.json().await, json!({"close_socket": true}));
        client.gone().await;
    })
    .await;
    let TtsSession { input, mut events } = plain(&server).await;
    input.send(text(A, "one")).await.unwrap();
    drop(input);
    assert!(matches!(next(&mut events).await, TtsEvent::Audio { .. }));
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

#[tokio::test]
async fn an_error_has_the_class_of_its_name_whether_sent_or_in_the_close() {
    const LIMITED: FailureClass = FailureClass::RateLimited { retry_after: None };
    for (name, class) in [
        ("quota_exceeded", FailureClass::Quota),
        ("payment_required", FailureClass::Quota),
        ("invalid_api_key", FailureClass::Unauthorized),
        ("voice_id_does_not_exist", FailureClass::BadRequest),
        ("model_not_found", FailureClass::BadRequest),
        ("too_many_concurrent_requests", LIMITED),
        ("system_busy", LIMITED),
        ("input_timeout_exceeded", FailureClass::Closed),
        ("something_new", FailureClass::BadRequest),
    ] {
        let sent = session_error(move |mut client: Client| async move {
            let error = json!({"message": "Because of key-1", "error": name, "code": 1008});
            client.send(error).await;
            client.gone().await;
        });
        let error = sent.await;
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains(name), "{error}");
        assert_eq!(error.detail.contains("key-1"), class != FailureClass::Unauthorized);

        let closed = session_error(move |client| client.close(1008, name));
        assert_eq!(closed.await.class, class);
    }
    let gone = session_error(|client| async { drop(client) }).await;
    assert_eq!(gone.class, FailureClass::Closed);
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
async fn what_cannot_be_read_is_a_breach_of_protocol() {
    for message in [json!({"audio": "no base64!", "contextId": "1"}), json!({"audio": 7})] {
        let server = Server::websocket(|mut client| async move {
            client.json().await;
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
async fn a_refused_handshake_is_told_from_its_body() {
    for (status, body, class) in [
        (
            401,
            r#"{"detail":{"status":"quota_exceeded","message":"none left"}}"#,
            FailureClass::Quota,
        ),
        (401, r#"{"detail":{"status":"invalid_api_key"}}"#, FailureClass::Unauthorized),
        (
            429,
            r#"{"detail":{"status":"system_busy"}}"#,
            FailureClass::RateLimited { retry_after: None },
        ),
        (500, "", FailureClass::Unavailable),
    ] {
        let server = Server::refusing(status, "", body).await;
        let voice = build(&json!({"voiceId": "v1"}), &server.access(), &net()).unwrap();
        let opening = voice.open(TtsRequest { format: AudioFormat::mulaw() });
        assert_eq!(within(opening).await.err().unwrap().class, class);
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

    /// Seconds until the next deadline, which is then handled.
    fn wake(&mut self) -> u64 {
        let at = self.speaking.next_deadline().unwrap();
        self.speaking.handle_deadline(at, &mut self.out).unwrap();
        (at - self.start).as_secs()
    }

    fn sent(&mut self) -> Vec<Value> {
        let messages = self.out.take_messages();
        messages.iter().map(|m| serde_json::from_str(m.to_text().unwrap()).unwrap()).collect()
    }

    fn contexts(&mut self) -> Vec<String> {
        let opens = |message: &Value| message["text"] == " ";
        let id = |message: Value| message["context_id"].as_str().unwrap().to_owned();
        self.sent().into_iter().filter(opens).map(id).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_five_contexts_are_open_at_once_and_the_rest_wait_in_order() {
    let mut bare = Bare::new(json!({"voiceId": "v1"}));
    for id in 1..=7 {
        bare.input(0, text(ContextId(id), "words")).unwrap();
        bare.input(0, TtsInput::Finish { context: ContextId(id) }).unwrap();
    }
    assert_eq!(bare.contexts(), ["1", "2", "3", "4", "5"]);
    bare.message(1, &last("3"));
    assert_eq!(bare.contexts(), ["6"]);
    bare.input(1, TtsInput::Cancel { context: ContextId(7) }).unwrap();
    bare.message(1, &last("1"));
    assert!(bare.contexts().is_empty(), "7 was cancelled while it waited");
    let done = |context| TtsEvent::Done { context: ContextId(context) };
    assert_eq!(bare.out.events, [done(3), done(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_context_whose_end_is_not_reported_makes_room_after_a_while() {
    let mut bare = Bare::new(json!({"voiceId": "v1"}));
    for id in 1..=6 {
        bare.input(0, text(ContextId(id), "words")).unwrap();
    }
    bare.input(1, TtsInput::Cancel { context: ContextId(2) }).unwrap();
    bare.sent();
    assert_eq!(bare.wake(), 6);
    assert_eq!(bare.contexts(), ["6"]);
}

#[tokio::test(start_paused = true)]
async fn text_without_end_is_not_hoarded() {
    let mut bare = Bare::new(json!({"voiceId": "v1"}));
    let refused = (1..1_000).find_map(|id| bare.input(0, text(ContextId(id), "words")).err());
    assert_eq!(refused.unwrap().class, FailureClass::Stalled);
}

#[tokio::test(start_paused = true)]
async fn an_open_context_is_kept_alive_and_a_finishing_one_is_owed() {
    let mut bare = Bare::new(json!({"voiceId": "v1"}));
    bare.input(2, text(A, "words")).unwrap();
    bare.sent();
    assert_eq!((bare.wake(), bare.wake()), (17, 32));
    assert_eq!(bare.sent(), vec![json!({"text": "", "context_id": "1"}); 2]);
    assert_eq!(bare.speaking.owed_since(), None);
    bare.input(40, TtsInput::Finish { context: A }).unwrap();
    assert_eq!(bare.speaking.owed_since(), Some(bare.at(40)));
    assert_eq!(bare.speaking.next_deadline(), None);
    bare.message(41, &last("1"));
    assert_eq!(bare.speaking.owed_since(), None);
}

#[tokio::test(start_paused = true)]
async fn a_context_without_text_is_done_at_once_and_stray_messages_are_ignored() {
    let mut bare = Bare::new(json!({"voiceId": "v1"}));
    bare.input(0, text(A, "  ")).unwrap();
    bare.input(0, TtsInput::Finish { context: A }).unwrap();
    assert_eq!(bare.out.events, [TtsEvent::Done { context: A }]);
    bare.message(0, &audio("99", &[1]));
    bare.message(0, &audio("strange", &[1]));
    bare.message(0, &json!({"normalizedAlignment": null}));
    bare.input(0, TtsInput::Cancel { context: B }).unwrap();
    assert!(bare.sent().is_empty());
    assert_eq!(bare.out.events.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn words_are_timed_as_they_were_sent_and_else_as_elevenlabs_says_them() {
    let mut bare = Bare::new(json!({"voiceId": "v1"}));
    let alignment = |text: &str| {
        let chars: Vec<String> = text.chars().map(String::from).collect();
        let (starts, lengths) = ((0..chars.len()).collect::<Vec<_>>(), vec![1; chars.len()]);
        json!({"chars": chars, "charStartTimesMs": starts, "charDurationsMs": lengths})
    };
    bare.input(0, text(A, "5 km")).unwrap();
    let said = |bare: &mut Bare| match bare.out.events.pop_front() {
        Some(TtsEvent::Words { words, .. }) => words[0].word.clone(),
        other => panic!("{other:?}"),
    };
    let normalised = alignment("five ");
    bare.message(
        0,
        &json!({"contextId": "1", "alignment": alignment("5 "),
                            "normalizedAlignment": normalised}),
    );
    assert_eq!(said(&mut bare), "5");
    bare.message(
        0,
        &json!({"contextId": "1", "alignment": null, "normalizedAlignment": normalised}),
    );
    assert_eq!(said(&mut bare), "five");
}

#[tokio::test(start_paused = true)]
async fn events_of_a_cancelled_context_that_nobody_read_are_dropped() {
    let mut bare = Bare::new(json!({"voiceId": "v1"}));
    bare.input(0, text(A, "words")).unwrap();
    bare.input(0, text(B, "words")).unwrap();
    bare.message(0, &audio("1", &[1]));
    bare.message(0, &audio("2", &[2]));
    bare.input(0, TtsInput::Cancel { context: A }).unwrap();
    let piece = Bytes::from_static(&[2]);
    assert_eq!(bare.out.events, [TtsEvent::Audio { context: B, audio: piece }]);
}

#[tokio::test(start_paused = true)]
async fn text_is_flushed_unless_the_document_leaves_the_cutting_to_elevenlabs() {
    let flushed = |document: Value| {
        let mut bare = Bare::new(document.clone());
        bare.input(0, text(A, "words")).unwrap();
        let voice = build(&document, &Server::nowhere(), &net()).unwrap();
        (bare.sent()[1]["flush"] == true, voice.capabilities().streams_text)
    };
    assert_eq!(flushed(json!({"voiceId": "v1"})), (true, false));
    assert_eq!(flushed(json!({"voiceId": "v1", "autoMode": true})), (false, false));
    let cut = json!({"voiceId": "v1", "chunkPlan": {"enabled": false}});
    assert_eq!(flushed(cut), (false, true));
}

#[test]
fn what_cannot_work_is_refused_when_it_is_set_up() {
    let refuse = |document: Value, access: Access| {
        build(&document, &access, &net()).err().unwrap().to_string()
    };
    let voice = json!({"voiceId": "v1"});
    assert!(refuse(voice, Access::default()).contains("ELEVENLABS_API_KEY"));
    let nowhere = Server::nowhere();
    assert!(refuse(json!({}), nowhere.clone()).contains("voiceId ``"));
    assert!(refuse(json!({"voiceId": "burt"}), nowhere.clone()).contains("voice library"));
    let v3 = json!({"voiceId": "v1", "model": "eleven_v3"});
    assert!(refuse(v3, nowhere).contains("eleven_turbo_v2"));
}

#[test]
fn a_stock_voice_is_known_by_its_name() {
    let options = Options::from_document(&json!({"voiceId": "sarah"})).unwrap();
    assert_eq!(options.voice_id(), "EXAVITQu4vr4xnSDxMaL");
}

/// What a field of a document adds to the query of the address, and to a context's first message.
fn sent(model: &str, field: &str, value: Value) -> (Vec<String>, Value) {
    let read = |document: Value| {
        let options = Options::from_document(&document).unwrap();
        let query = options.query(AudioFormat::mulaw(), INACTIVITY_LIMIT);
        let query = query.into_iter().map(|(name, value)| format!("{name}={value}"));
        (query.collect::<Vec<_>>(), options.opening("1"))
    };
    let mut document = json!({"provider": "11labs", "voiceId": "v1", "model": model});
    let (before, plain) = read(document.clone());
    document[field] = value;
    let (query, mut opening) = read(document);
    let opening = opening.as_object_mut().unwrap();
    opening.retain(|name, value| plain.get(name) != Some(value));
    (
        query.into_iter().filter(|pair| !before.contains(pair)).collect(),
        Value::from(opening.clone()),
    )
}

#[test]
fn each_field_of_the_contract_is_sent_where_elevenlabs_expects_it() {
    let (query, settings) = (
        |pair: &str| (vec![pair.to_owned()], json!({})),
        |settings: Value| (Vec::new(), json!({"voice_settings": settings})),
    );
    let nothing = || (Vec::new(), json!({}));
    let v2_5 = "eleven_flash_v2_5";
    for (field, value, expected) in [
        ("model", json!("eleven_flash_v2"), query("model_id=eleven_flash_v2")),
        ("language", json!("de"), query("language_code=de")),
        ("enableSsmlParsing", json!(true), query("enable_ssml_parsing=true")),
        ("autoMode", json!(true), query("auto_mode=true")),
        ("stability", json!(0.5), settings(json!({"stability": 0.5}))),
        ("similarityBoost", json!(0.75), settings(json!({"similarity_boost": 0.75}))),
        ("style", json!(0.1), settings(json!({"style": 0.1}))),
        ("useSpeakerBoost", json!(true), settings(json!({"use_speaker_boost": true}))),
        ("speed", json!(0.9), settings(json!({"speed": 0.9}))),
        (
            "pronunciationDictionaryLocators",
            json!([{"pronunciationDictionaryId": "d", "versionId": "2"},
                   {"pronunciationDictionaryId": "e"}]),
            (
                Vec::new(),
                json!({"pronunciation_dictionary_locators": [
                {"pronunciation_dictionary_id": "d", "version_id": "2"},
                {"pronunciation_dictionary_id": "e"}]}),
            ),
        ),
        ("optimizeStreamingLatency", json!(3), nothing()),
        ("cachingEnabled", json!(false), nothing()),
        ("chunkPlan", json!({"minCharacters": 20}), nothing()),
        ("fallbackPlan", json!({"voices": []}), nothing()),
    ] {
        assert_eq!(sent(v2_5, field, value), expected, "{field}");
    }
    assert_eq!(sent("eleven_turbo_v2", "language", json!("de")), nothing(), "it refuses it");
    let options = Options::from_document(&json!({"voiceId": "v1"})).unwrap();
    let query = options.query(AudioFormat::mulaw(), INACTIVITY_LIMIT);
    assert!(query.contains(&("output_format", "ulaw_8000".into())), "{query:?}");
}
