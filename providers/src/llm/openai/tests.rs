mod tool_calls;

use std::time::Duration;

use offhook_core::{FailureClass, Finish, Message, ToolCall, ToolKind, ToolSpec};
use serde_json::json;

use super::*;
use crate::{
    ProviderError,
    llm::{LlmEvent, Unheard, Usage},
    net::testing::{Asked, HttpServer, Server, failure, net, next, within},
};

fn user(content: &str) -> Message {
    Message::User { content: content.into() }
}

fn assistant(content: &str) -> Message {
    Message::Assistant { content: content.into(), interrupted: true }
}

fn request(messages: Vec<Message>) -> LlmRequest {
    LlmRequest { messages, tools: Vec::new() }
}

fn weather() -> ToolSpec {
    ToolSpec {
        name: "weather".into(),
        description: "Tells the weather".into(),
        parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
        kind: ToolKind::Function,
        is_async: false,
        messages: Vec::new(),
    }
}

fn called(id: &str, arguments: Value) -> ToolCall {
    ToolCall { id: id.into(), name: "weather".into(), arguments }
}

fn chunk(delta: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "usage": null,
           "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finished(reason: &str) -> Value {
    json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn model(server: &Server, document: Value) -> Box<dyn Llm> {
    build(&document, &server.access(), &net()).unwrap()
}

fn chat(server: &Server) -> Box<dyn Llm> {
    model(server, json!({"provider": "openai", "model": "gpt-4.1-mini"}))
}

/// The body that a document and a request lead to.
async fn body(document: Value, request: LlmRequest) -> Value {
    let (sender, mut bodies) = tokio::sync::mpsc::channel(1);
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        sender.send(asked.body.clone()).await.unwrap();
        asked.answer(200, "", "").await;
    })
    .await;
    within(model(&server, document).generate(request)).await.unwrap();
    server.finished().await;
    bodies.recv().await.unwrap()
}

/// A reply of which the server sends this.
async fn reply<F, Fut>(script: F) -> LlmStream
where
    F: FnOnce(Asked) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let server = Server::http(|mut server: HttpServer| async move {
        let mut asked = server.accept().await;
        asked.begin_stream().await;
        script(asked).await;
    })
    .await;
    let stream = within(chat(&server).generate(request(vec![user("hi")]))).await.unwrap();
    server.finished().await;
    stream
}

/// What is told of a reply.
async fn events(stream: LlmStream) -> Vec<LlmEvent> {
    let mut events = all_events(stream).await;
    events.retain(|event| !matches!(event, LlmEvent::Unheard(_)));
    events
}

async fn all_events(mut stream: LlmStream) -> Vec<LlmEvent> {
    let mut events = Vec::new();
    while let Some(event) = within(stream.events.recv()).await {
        events.push(event.unwrap());
    }
    events
}

async fn refusal(status: u16, headers: &'static str, body: &'static str) -> ProviderError {
    let server = Server::refusing(status, headers, body).await;
    let error = within(chat(&server).generate(request(vec![user("hi")]))).await.err().unwrap();
    server.finished().await;
    error
}

#[tokio::test]
async fn a_reply_is_streamed_piece_by_piece() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert!(asked.head.starts_with("post /v1/chat/completions http/1.1"), "{}", asked.head);
        assert!(asked.head.contains("authorization: bearer key-1"));
        assert_eq!(
            asked.body,
            json!({
                "model": "gpt-4.1-mini",
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "hello\nis anyone there"},
                    {"role": "assistant", "content": "Yes, I"},
                    {"role": "user", "content": "good"},
                ],
                "stream": true,
                "stream_options": {"include_usage": true, "include_obfuscation": false},
                "temperature": 0.5,
                "max_completion_tokens": 250,
            })
        );
        asked.begin_stream().await;
        asked.event(chunk(json!({"role": "assistant", "content": ""}))).await;
        asked.event(chunk(json!({"content": "How can"}))).await;
        asked.stream(": keep-alive\n\n").await;
        asked.event(chunk(json!({"content": " I help?"}))).await;
        asked.event(finished("stop")).await;
        let usage = json!({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
                           "prompt_tokens_details": {"cached_tokens": 5}});
        asked.event(json!({"id": "chatcmpl-1", "choices": [], "usage": usage})).await;
        asked.stream("data: [DONE]\n\n").await;
        asked.end_stream().await;
    })
    .await;
    let conversation = vec![
        Message::System { content: "Be brief.".into() },
        user("hello"),
        user("is anyone there"),
        assistant("Yes, I"),
        assistant(""),
        user("good"),
    ];
    let stream = within(chat(&server).generate(request(conversation))).await.unwrap();
    let usage = Usage {
        prompt_tokens: 9,
        completion_tokens: 4,
        cached_prompt_tokens: 5,
        ..Usage::default()
    };
    assert_eq!(
        events(stream).await,
        [
            LlmEvent::Text("How can".into()),
            LlmEvent::Text(" I help?".into()),
            LlmEvent::Usage(usage),
            LlmEvent::Finished(Finish::Stop),
        ]
    );
    server.finished().await;
}

#[tokio::test]
async fn parts_of_content_are_told_as_far_as_they_are_text() {
    let stream = reply(|mut asked| async move {
        let thoughts = json!({"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]});
        let words = json!({"type": "text", "text": "Yes."});
        asked.event(chunk(json!({"content": [thoughts, words]}))).await;
        asked.event(finished("stop")).await;
        asked.end_stream().await;
    })
    .await;
    let told = [LlmEvent::Text("Yes.".into()), LlmEvent::Finished(Finish::Stop)];
    assert_eq!(events(stream).await, told);
}

#[tokio::test]
async fn a_filter_ends_the_reply_and_not_the_call_wherever_it_says_so() {
    let azure = r#"{"error":{"code":"content_filter","message":"The prompt was filtered",
        "param":"prompt","status":400}}"#;
    let server = Server::refusing(400, "", azure).await;
    let stream = within(chat(&server).generate(request(vec![user("hi")]))).await.unwrap();
    assert_eq!(events(stream).await, [LlmEvent::Finished(Finish::ContentFilter)]);
    server.finished().await;

    let stream = reply(|mut asked| async move {
        asked.event(chunk(json!({"content": "Well,"}))).await;
        asked.event(json!({"error": {"code": "content_filter", "message": "no"}})).await;
        asked.end_stream().await;
    })
    .await;
    let told = [LlmEvent::Text("Well,".into()), LlmEvent::Finished(Finish::ContentFilter)];
    assert_eq!(events(stream).await, told);
}

#[tokio::test]
async fn the_reason_to_finish_is_told() {
    for (reason, finish) in [
        ("stop", Finish::Stop),
        ("length", Finish::Length),
        ("model_length", Finish::Length),
        ("content_filter", Finish::ContentFilter),
        ("something_new", Finish::Stop),
    ] {
        let stream = reply(move |mut asked| async move {
            asked.event(finished(reason)).await;
            asked.end_stream().await;
        })
        .await;
        assert_eq!(events(stream).await, [LlmEvent::Finished(finish)]);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_is_closed_however_it_is_cut() {
    let mut cut = reply(|mut asked| async move {
        asked.event(chunk(json!({"content": "Half a"}))).await;
    })
    .await;
    assert_eq!(next(&mut cut.events).await, LlmEvent::Text("Half a".into()));
    assert_eq!(failure(&mut cut.events).await.class, FailureClass::Closed);

    let mut ended = reply(|mut asked| async move {
        asked.event(chunk(json!({"content": "Half a"}))).await;
        asked.stream("data: {\"choices\":[{\"del").await;
        asked.end_stream().await;
    })
    .await;
    assert_eq!(failure(&mut ended.events).await.class, FailureClass::Closed);
}

#[tokio::test]
async fn an_error_in_mid_stream_has_its_class() {
    for (error, class) in [
        (json!({"message": "oops", "type": "server_error"}), FailureClass::Unavailable),
        (json!({"message": "pay", "code": "insufficient_quota"}), FailureClass::Quota),
        (
            json!({"message": "slow", "code": "rate_limit_exceeded"}),
            FailureClass::RateLimited { retry_after: None },
        ),
        (json!({"message": "bad gateway", "code": 502}), FailureClass::Unavailable),
    ] {
        let mut stream = reply(move |mut asked| async move {
            asked.event(chunk(json!({"content": "Half"}))).await;
            asked.event(json!({ "error": error })).await;
            asked.end_stream().await;
        })
        .await;
        assert_eq!(failure(&mut stream.events).await.class, class);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_reported_without_its_words() {
    for chunk in ["my secret", "{\"choices\": \"my secret\"}"] {
        let mut stream = reply(move |mut asked| async move {
            asked.stream(&format!("data: {chunk}\n\n")).await;
            asked.end_stream().await;
        })
        .await;
        let error = failure(&mut stream.events).await;
        assert_eq!(error.class, FailureClass::Protocol);
        assert!(!error.detail.contains("secret"), "{error}");
    }
    let mut stream = tool_calls::half_a_call("stop").await;
    let error = failure(&mut stream.events).await;
    assert_eq!(error.class, FailureClass::Protocol);
    assert!(error.detail.contains("weather") && !error.detail.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_refused_request_has_the_class_of_its_status_and_code() {
    let bad = r#"{"error":{"message":"no","type":"invalid_request_error","code":"c"}}"#;
    for (status, class) in [
        (400, FailureClass::BadRequest),
        (401, FailureClass::Unauthorized),
        (403, FailureClass::Unauthorized),
        (404, FailureClass::BadRequest),
        (429, FailureClass::RateLimited { retry_after: None }),
        (500, FailureClass::Unavailable),
        (503, FailureClass::Unavailable),
    ] {
        let error = refusal(status, "", bad).await;
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains(&format!("/v1/chat/completions was answered with {status}")));
    }
    let wait = Some(Duration::from_millis(1_200));
    let error = refusal(429, "retry-after-ms: 1200\r\nretry-after: 9\r\n", bad).await;
    assert_eq!(error.class, FailureClass::RateLimited { retry_after: wait });
    let quota = r#"{"error":{"message":"pay","type":"insufficient_quota","code":null}}"#;
    assert_eq!(refusal(429, "", quota).await.class, FailureClass::Quota);
    let key = r#"{"error":{"message":"Incorrect key: key-1","code":"invalid_api_key"}}"#;
    let error = refusal(401, "", key).await;
    assert!(error.detail.contains("invalid_api_key") && !error.detail.contains("key-1"), "{error}");
    assert_eq!(refusal(302, "location: http://127.0.0.1:1\r\n", "").await.class.name(), "protocol");
}

#[tokio::test]
async fn a_parameter_that_a_model_does_not_support_is_given_up_once_and_remembered() {
    const UNSUPPORTED: &str = r#"{"error":{"message":"Unsupported parameter","code":
        "unsupported_parameter","param":"temperature","type":"invalid_request_error"}}"#;
    const LIMIT: &str = r#"{"error":{"code":"unsupported_parameter","param":
        "max_completion_tokens","message":"use max_tokens"}}"#;
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert_eq!(asked.body["temperature"], 0.5);
        asked.answer(400, "", UNSUPPORTED).await;
        let mut asked = server.accept().await;
        assert!(asked.body.get("temperature").is_none());
        asked.answer(400, "", LIMIT).await;

        let mut asked = server.accept().await;
        assert!(asked.body.get("temperature").is_none(), "remembered");
        asked.answer(400, "", LIMIT).await;
        let mut asked = server.accept().await;
        assert_eq!(asked.body["max_tokens"], 250);
        assert!(asked.body.get("max_completion_tokens").is_none());
        asked.begin_stream().await;
        asked.event(finished("stop")).await;
        asked.end_stream().await;
    })
    .await;
    let chat = chat(&server);
    let error = within(chat.generate(request(vec![user("hi")]))).await.err().unwrap();
    assert_eq!(error.class, FailureClass::BadRequest, "one retry and no more");
    let stream = within(chat.generate(request(vec![user("hi")]))).await.unwrap();
    assert_eq!(events(stream).await, [LlmEvent::Finished(Finish::Stop)]);
    server.finished().await;
}

#[tokio::test]
async fn a_parameter_that_matters_is_not_given_up() {
    let body = r#"{"error":{"code":"unsupported_value","param":"messages","message":"no"}}"#;
    assert_eq!(refusal(400, "", body).await.class, FailureClass::BadRequest);
}

#[tokio::test]
async fn dropping_the_stream_hangs_up() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        asked.begin_stream().await;
        asked.event(chunk(json!({"content": "One"}))).await;
        asked.gone().await;
    })
    .await;
    let mut stream = within(chat(&server).generate(request(vec![user("hi")]))).await.unwrap();
    assert_eq!(next(&mut stream.events).await, LlmEvent::Text("One".into()));
    drop(stream);
    server.finished().await;
}

#[tokio::test]
async fn a_stream_that_does_not_end_after_its_last_word_is_ended() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        asked.begin_stream().await;
        asked.event(finished("stop")).await;
        asked.gone().await;
    })
    .await;
    let stream = within(chat(&server).generate(request(vec![user("hi")]))).await.unwrap();
    assert_eq!(events(stream).await, [LlmEvent::Finished(Finish::Stop)]);
    server.finished().await;
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let access = Access { api_key: None, base_url: Some("http://127.0.0.1:1/v1".into()) };
    let chat = build(&json!({"model": "m"}), &access, &net()).unwrap();
    let error = within(chat.generate(request(vec![user("hi")]))).await.err().unwrap();
    assert_eq!(error.class, FailureClass::Unavailable);
    assert!(error.detail.contains("http://127.0.0.1:1/v1/chat/completions"), "{error}");
}

#[tokio::test]
async fn each_family_of_models_gets_the_parameters_it_takes() {
    let sent = async |document: Value, tools: Vec<ToolSpec>| {
        let body = body(document, LlmRequest { messages: vec![user("hi")], tools }).await;
        ["reasoning_effort", "temperature", "max_completion_tokens"]
            .map(|name| body.get(name).map_or("-".to_owned(), Value::to_string))
            .join(" ")
    };
    let none = Vec::new;
    assert_eq!(sent(json!({"model": "gpt-4o"}), none()).await, "- 0.5 250");
    assert_eq!(sent(json!({"model": "gpt-5-mini"}), none()).await, "\"minimal\" - -");
    assert_eq!(sent(json!({"model": "gpt-5.6-luna"}), none()).await, "\"none\" 0.5 250");
    let chosen = json!({"model": "gpt-5.6-luna", "reasoningEffort": "high", "temperature": 1,
                        "maxTokens": 900});
    assert_eq!(sent(chosen, none()).await, "\"high\" - 900");
    assert_eq!(sent(json!({"model": "gpt-5.4-mini"}), none()).await, "\"none\" 0.5 250");
    assert_eq!(sent(json!({"model": "gpt-5.4-mini"}), vec![weather()]).await, "- - -");
}

#[test]
fn a_key_is_needed_unless_the_endpoint_is_one_s_own() {
    let refused = build(&json!({"model": "gpt-4o"}), &Access::default(), &net()).err().unwrap();
    assert!(refused.to_string().contains("OPENAI_API_KEY"), "{refused}");
    let access = Access { api_key: None, base_url: Some("http://localhost:11434/v1".into()) };
    assert!(build(&json!({"model": "llama"}), &access, &net()).is_ok());
}
