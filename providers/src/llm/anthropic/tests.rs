use std::time::Duration;

use offhook_core::{Finish, Message, ToolCall, ToolKind, ToolSpec};
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
    Message::Assistant { content: content.into(), interrupted: false }
}

fn system(content: &str) -> Message {
    Message::System { content: content.into() }
}

fn called(id: &str, arguments: Value) -> ToolCall {
    ToolCall { id: id.into(), name: "weather".into(), arguments }
}

fn result(id: &str, content: &str) -> Message {
    Message::ToolResult { call_id: id.into(), name: "weather".into(), content: content.into() }
}

fn tool(name: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: "Tells something".into(),
        parameters,
        kind: ToolKind::Function,
        is_async: false,
        messages: Vec::new(),
    }
}

fn request(messages: Vec<Message>) -> LlmRequest {
    LlmRequest { messages, tools: Vec::new() }
}

fn model(server: &Server, document: Value) -> Box<dyn Llm> {
    build(&document, &server.access(), &net()).unwrap()
}

fn claude(server: &Server) -> Box<dyn Llm> {
    model(server, json!({"provider": "anthropic", "model": "claude-haiku-4-5"}))
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

#[tokio::test]
async fn a_reply_that_broke_off_is_begun_with_what_was_said_where_the_model_goes_on() {
    for (name, goes_on) in [("claude-haiku-4-5", true), ("claude-sonnet-4-6", false)] {
        let (sender, mut bodies) = tokio::sync::mpsc::channel(1);
        let server = Server::http(|mut server| async move {
            let mut asked = server.accept().await;
            sender.send(asked.body.clone()).await.unwrap();
            asked.answer(200, "", "").await;
        })
        .await;
        let model = model(&server, json!({"provider": "anthropic", "model": name}));
        assert_eq!(model.capabilities().assistant_prefill, goes_on, "{name}");
        let hi = request(vec![Message::User { content: "hi".into() }]);
        within(model.resume(hi, "We are open ")).await.unwrap();
        server.finished().await;
        let body = bodies.recv().await.unwrap();
        assert_eq!(body["messages"][1]["content"][0]["text"], "We are open", "{name}");
        assert_eq!(body["messages"].as_array().unwrap().len(), if goes_on { 2 } else { 3 });
    }
}

/// The messages that a conversation leads to, without the mark for the cache at their end.
async fn messages(conversation: Vec<Message>) -> Value {
    let mut body = body(json!({"model": "claude-haiku-4-5"}), request(conversation)).await;
    let mut messages = body["messages"].take();
    let last = messages.as_array_mut().unwrap().last_mut().unwrap()["content"].as_array_mut();
    let mark = last.unwrap().last_mut().unwrap().as_object_mut().unwrap().remove("cache_control");
    assert_eq!(mark, Some(json!({"type": "ephemeral"})));
    messages
}

/// An event as the endpoint writes it, with its type twice.
async fn send(asked: &mut Asked, event: Value) {
    let name = event["type"].as_str().unwrap();
    asked.stream(&format!("event: {name}\ndata: {event}\n\n")).await;
}

fn start() -> Value {
    let usage = json!({"input_tokens": 9, "cache_creation_input_tokens": 100,
                       "cache_read_input_tokens": 2_000, "output_tokens": 1});
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
           "role": "assistant", "content": [], "stop_reason": null, "usage": usage}})
}

fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn words(text: &str) -> Value {
    delta(0, json!({"type": "text_delta", "text": text}))
}

fn stop(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
           "usage": {"output_tokens": 15}})
}

/// A reply of which the server sends these events, and then ends in order.
async fn reply(events: Vec<Value>) -> LlmStream {
    let server = Server::http(|mut server: HttpServer| async move {
        let mut asked = server.accept().await;
        asked.begin_stream().await;
        for event in events {
            send(&mut asked, event).await;
        }
        asked.end_stream().await;
    })
    .await;
    let stream = within(claude(&server).generate(request(vec![user("hi")]))).await.unwrap();
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
    let error = within(claude(&server).generate(request(vec![user("hi")]))).await.err().unwrap();
    server.finished().await;
    error
}

#[tokio::test]
async fn a_reply_is_streamed_piece_by_piece() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert!(asked.head.starts_with("post /v1/messages http/1.1"), "{}", asked.head);
        assert!(asked.head.contains("x-api-key: key-1\r\n"));
        assert!(asked.head.contains("anthropic-version: 2023-06-01\r\n"));
        let cached = json!({"type": "ephemeral"});
        assert_eq!(
            asked.body,
            json!({
                "model": "claude-haiku-4-5",
                "max_tokens": 250,
                "system": [
                    {"type": "text", "text": "Be brief."},
                    {"type": "text", "text": "Speak English.", "cache_control": cached},
                ],
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "hello\nanyone?"}]},
                    {"role": "assistant", "content": [{"type": "text", "text": "Yes, I"}]},
                    {"role": "user",
                     "content": [{"type": "text", "text": "good", "cache_control": cached}]},
                ],
                "tools": [
                    {"name": "time", "description": "Tells something",
                     "input_schema": {"type": "object", "properties": {}}},
                    {"name": "weather", "description": "Tells something",
                     "input_schema": {"properties": {"city": {"type": "string"}}, "type": "object"},
                     "cache_control": cached},
                ],
                "stream": true,
                "temperature": 0.5,
            })
        );
        asked.begin_stream().await;
        send(&mut asked, start()).await;
        send(&mut asked, block(0, json!({"type": "text", "text": ""}))).await;
        send(&mut asked, json!({"type": "ping"})).await;
        send(&mut asked, words("How can")).await;
        send(&mut asked, json!({"type": "something_new", "index": "x"})).await;
        send(&mut asked, delta(0, json!({"type": "citations_delta", "citation": {}}))).await;
        send(&mut asked, words(" I help?")).await;
        send(&mut asked, json!({"type": "content_block_stop", "index": 0})).await;
        send(&mut asked, stop("end_turn")).await;
        send(&mut asked, json!({"type": "message_stop"})).await;
        asked.end_stream().await;
    })
    .await;
    let messages = vec![
        system("Be brief."),
        system("Speak English."),
        user("hello"),
        user("anyone?"),
        assistant("Yes, I"),
        assistant(""),
        user("good"),
    ];
    let city = json!({"properties": {"city": {"type": "string"}}});
    let tools = vec![tool("time", json!({})), tool("weather", city)];
    let request = LlmRequest { messages, tools };
    let stream = within(claude(&server).generate(request)).await.unwrap();
    let asked = Usage {
        prompt_tokens: 2_109,
        cached_prompt_tokens: 2_000,
        cache_write_tokens: 100,
        ..Usage::default()
    };
    let usage = Usage { completion_tokens: 15, ..Usage::default() };
    assert_eq!(
        events(stream).await,
        [
            LlmEvent::Usage(asked),
            LlmEvent::Text("How can".into()),
            LlmEvent::Text(" I help?".into()),
            LlmEvent::Usage(usage),
            LlmEvent::Finished(Finish::Stop),
        ]
    );
    server.finished().await;
}

#[tokio::test]
async fn tool_calls_are_put_together_by_index_and_thoughts_are_not_told() {
    let use_block = |index, id| {
        block(index, json!({"type": "tool_use", "id": id, "name": "weather", "input": {}}))
    };
    let json_part =
        |index, part: &str| delta(index, json!({"type": "input_json_delta", "partial_json": part}));
    let stream = reply(vec![
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, json!({"type": "signature_delta", "signature": "s"})),
        block(1, json!({"type": "text", "text": "Let me see."})),
        use_block(2, "toolu_a"),
        json_part(2, ""),
        json_part(2, "{\"city\":"),
        json_part(2, " \"Ulm\"}"),
        use_block(3, "toolu_b"),
        block(4, json!({"type": "server_tool_use", "id": "s", "name": "x", "input": {}})),
        json_part(4, "{"),
        stop("tool_use"),
        json!({"type": "message_stop"}),
    ])
    .await;
    assert_eq!(
        events(stream).await,
        [
            LlmEvent::Text("Let me see.".into()),
            LlmEvent::ToolCall(called("toolu_a", json!({"city": "Ulm"}))),
            LlmEvent::ToolCall(called("toolu_b", json!({}))),
            LlmEvent::Finished(Finish::Stop),
        ]
    );
}

#[tokio::test]
async fn the_reason_to_stop_is_told() {
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("tool_use", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("refusal", Finish::ContentFilter),
        ("something_new", Finish::Stop),
    ] {
        let stream = reply(vec![stop(reason), json!({"type": "message_stop"})]).await;
        assert_eq!(events(stream).await, [LlmEvent::Finished(finish)], "{reason}");
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_is_closed_and_one_that_gave_its_reason_is_not() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        asked.begin_stream().await;
        send(&mut asked, words("Half a")).await;
    })
    .await;
    let mut cut = within(claude(&server).generate(request(vec![user("hi")]))).await.unwrap();
    assert_eq!(next(&mut cut.events).await, LlmEvent::Text("Half a".into()));
    assert_eq!(failure(&mut cut.events).await.class, FailureClass::Closed);
    server.finished().await;

    let mut ended = reply(vec![start(), words("Half a")]).await;
    assert_eq!(failure(&mut ended.events).await.class, FailureClass::Closed);
    let whole = reply(vec![words("All."), stop("end_turn")]).await;
    let told = events(whole).await;
    assert_eq!(told, [LlmEvent::Text("All.".into()), LlmEvent::Finished(Finish::Stop)]);
}

#[tokio::test]
async fn an_error_in_mid_stream_has_its_class() {
    for (kind, class) in [
        ("overloaded_error", FailureClass::Unavailable),
        ("api_error", FailureClass::Unavailable),
        ("timeout_error", FailureClass::Timeout),
        ("rate_limit_error", FailureClass::RateLimited { retry_after: None }),
        ("billing_error", FailureClass::Quota),
        ("invalid_request_error", FailureClass::BadRequest),
    ] {
        let error = json!({"type": "error", "error": {"type": kind, "message": "no"},
                           "request_id": "req_1"});
        let mut stream = reply(vec![start(), words("Half"), error]).await;
        let told = next(&mut stream.events).await;
        assert!(matches!(told, LlmEvent::Usage(_)), "the prompt is paid for: {told:?}");
        assert_eq!(next(&mut stream.events).await, LlmEvent::Text("Half".into()));
        assert_eq!(failure(&mut stream.events).await.class, class, "{kind}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_reported_without_its_words() {
    let broken = json!({"type": "content_block_delta", "index": "my secret", "delta": {}});
    let mut stream = reply(vec![broken]).await;
    let error = failure(&mut stream.events).await;
    assert_eq!(error.class, FailureClass::Protocol);
    assert!(!error.detail.contains("secret"), "{error}");
    let half_a_call = async |reason| {
        let events = vec![
            block(0, json!({"type": "tool_use", "id": "a", "name": "weather", "input": {}})),
            delta(0, json!({"type": "input_json_delta", "partial_json": "{\"my secret"})),
            stop(reason),
        ];
        reply(events).await
    };
    let error = failure(&mut half_a_call("tool_use").await.events).await;
    assert_eq!(error.class, FailureClass::Protocol);
    assert!(error.detail.contains("weather") && !error.detail.contains("secret"), "{error}");
    let told = events(half_a_call("max_tokens").await).await;
    assert_eq!(told, [LlmEvent::Finished(Finish::Length)], "half a call is none");
}

#[tokio::test]
async fn a_refused_request_has_the_class_of_its_status_and_type() {
    const CREDIT: &str = r#"{"type":"error","error":{"type":"invalid_request_error",
        "message":"Your credit balance is too low to access the API."}}"#;
    const SPENT: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"no",
        "details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"}"#;
    const LIMITED: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"no"}}"#;
    const BAD: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    const KEY: &str = r#"{"type":"error","error":{"type":"authentication_error",
        "message":"invalid x-api-key key-1"}}"#;
    const BUSY: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#;
    let limited = |seconds| FailureClass::RateLimited {
        retry_after: Option::map(seconds, Duration::from_secs),
    };
    for (status, headers, body, class) in [
        (400, "", BAD, FailureClass::BadRequest),
        (400, "", CREDIT, FailureClass::Quota),
        (401, "", KEY, FailureClass::Unauthorized),
        (402, "", "", FailureClass::Quota),
        (403, "", "", FailureClass::Unauthorized),
        (404, "", "", FailureClass::BadRequest),
        (413, "", "", FailureClass::BadRequest),
        (429, "", LIMITED, limited(None)),
        (429, "retry-after: 7\r\n", LIMITED, limited(Some(7))),
        (429, "retry-after: 7\r\n", SPENT, FailureClass::Quota),
        (500, "", "", FailureClass::Unavailable),
        (529, "", BUSY, FailureClass::Unavailable),
    ] {
        let error = refusal(status, headers, body).await;
        assert_eq!(error.class, class, "{error}");
        assert!(error.detail.contains(&format!("/v1/messages was answered with {status}")));
        assert!(!error.detail.contains("key-1"), "{error}");
    }
}

#[tokio::test]
async fn a_parameter_that_a_model_complains_of_is_given_up_once_and_remembered() {
    const COMPLAINT: &str = r#"{"type":"error","error":{"type":"invalid_request_error",
        "message":"`temperature` is deprecated for this model."}}"#;
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert_eq!(asked.body["temperature"], 0.5);
        asked.answer(400, "", COMPLAINT).await;
        for _ in 0..2 {
            let mut asked = server.accept().await;
            assert!(asked.body.get("temperature").is_none());
            asked.answer(200, "", "").await;
        }
    })
    .await;
    let claude = claude(&server);
    for _ in 0..2 {
        within(claude.generate(request(vec![user("hi")]))).await.unwrap();
    }
    server.finished().await;
}

#[tokio::test]
async fn dropping_the_stream_hangs_up() {
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        asked.begin_stream().await;
        send(&mut asked, words("One")).await;
        asked.gone().await;
    })
    .await;
    let mut stream = within(claude(&server).generate(request(vec![user("hi")]))).await.unwrap();
    assert_eq!(next(&mut stream.events).await, LlmEvent::Text("One".into()));
    drop(stream);
    server.finished().await;
}

#[tokio::test]
async fn the_user_begins_and_ends_whoever_spoke() {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let connected = text("(The call is connected.)");
    assert_eq!(messages(vec![]).await, json!([{"role": "user", "content": connected}]));
    assert_eq!(
        messages(vec![assistant("Hello!")]).await,
        json!([
            {"role": "user", "content": connected},
            {"role": "assistant", "content": text("Hello!")},
            {"role": "user", "content": text("(Please go on.)")},
        ])
    );
    assert_eq!(
        messages(vec![assistant("Hello!"), user("hi"), system("Say goodbye.")]).await,
        json!([
            {"role": "user", "content": connected},
            {"role": "assistant", "content": text("Hello!")},
            {"role": "user", "content": text("hi\n<system>Say goodbye.</system>")},
        ])
    );
}

#[tokio::test]
async fn calls_are_followed_by_all_their_results_wherever_those_are() {
    let use_of = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "weather", "input": input});
    let result_of = |id: &str, content: &str| json!({"type": "tool_result", "tool_use_id": id, "content": content});
    let text = |text: &str| json!({"type": "text", "text": text});
    let conversation = vec![
        user("weather?"),
        assistant("Let me see."),
        Message::ToolCalls {
            calls: vec![called("call:a", json!({"city": "Ulm"})), called("b", json!({}))],
        },
        assistant("One moment."),
        result("call:a", "sunny"),
        user("quick"),
        result("lost", "rain"),
    ];
    assert_eq!(
        messages(conversation).await,
        json!([
            {"role": "user", "content": [text("weather?")]},
            {"role": "assistant", "content": [
                text("Let me see."),
                text("One moment."),
                use_of("call_a", json!({"city": "Ulm"})),
                use_of("b", json!({})),
            ]},
            {"role": "user", "content": [
                result_of("call_a", "sunny"),
                result_of("b", "No result yet."),
                text("quick\n<system>Result of the tool weather: rain</system>"),
            ]},
        ])
    );
}

#[tokio::test]
async fn a_tool_that_was_called_is_declared_when_it_is_offered_no_more() {
    let calls = vec![called("a", json!({})), called("b", json!({}))];
    let conversation = vec![user("weather?"), Message::ToolCalls { calls }, result("a", "sunny")];
    let body = body(json!({"model": "claude-haiku-4-5"}), request(conversation)).await;
    let schema = json!({"type": "object", "properties": {}});
    assert_eq!(body["tools"], json!([{"name": "weather", "input_schema": schema}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[tokio::test]
async fn each_family_of_models_is_kept_from_thinking_or_told_to_in_its_own_way() {
    let sent = async |model: &str, asks: bool, conversation: Vec<Message>| {
        let mut document = json!({ "model": model });
        if asks {
            document["thinking"] = json!({"type": "enabled", "budgetTokens": 2_000});
        }
        let body = body(document, request(conversation)).await;
        ["thinking", "output_config", "temperature", "max_tokens"]
            .map(|name| body.get(name).map_or("-".to_owned(), Value::to_string))
            .join(" ")
    };
    let hi = || vec![user("hi")];
    assert_eq!(sent("claude-sonnet-4-6", false, hi()).await, "- - 0.5 250");
    assert_eq!(sent("claude-opus-4-7", false, hi()).await, "- - - 250");
    let disabled = r#"{"type":"disabled"} - - 250"#;
    assert_eq!(sent("claude-sonnet-5", false, hi()).await, disabled);
    let between = r#"{"type":"between_tools"} - - 1274"#;
    assert_eq!(sent("claude-sonnet-5-5", false, hi()).await, between);
    assert_eq!(sent("claude-opus-5-5", false, hi()).await, r#"- {"effort":"low"} - 1274"#);

    let budget = r#"{"type":"enabled","budget_tokens":2000} - - 2250"#;
    assert_eq!(sent("claude-3-7-sonnet-20250219", true, hi()).await, budget);
    assert_eq!(sent("claude-opus-5", true, hi()).await, r#"{"type":"adaptive"} - - 2250"#);
    let after_a_tool = vec![
        user("weather?"),
        Message::ToolCalls { calls: vec![called("a", json!({}))] },
        result("a", "sunny"),
    ];
    assert_eq!(sent("claude-sonnet-4-5", true, after_a_tool).await, "- - 0.5 2250");
}

#[test]
fn a_key_is_needed_unless_the_endpoint_is_one_s_own() {
    let document = json!({"model": "claude-haiku-4-5"});
    let refused = build(&document, &Access::default(), &net()).err().unwrap();
    assert!(refused.to_string().contains("ANTHROPIC_API_KEY"), "{refused}");
    assert!(build(&document, &Server::nowhere(), &net()).is_ok());
}

#[tokio::test]
async fn a_model_that_thinks_or_writes_a_call_shows_that_it_is_at_it() {
    let stream = reply(vec![
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        block(1, json!({"type": "text", "text": "Let me see."})),
        block(2, json!({"type": "tool_use", "id": "a", "name": "weather", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{}"})),
        stop("tool_use"),
        json!({"type": "message_stop"}),
    ])
    .await;
    let (thoughts, call) = (LlmEvent::Unheard(Unheard::Thoughts), LlmEvent::Unheard(Unheard::Call));
    let told = all_events(stream).await;
    let text = LlmEvent::Text("Let me see.".into());
    assert_eq!(told[..5], [thoughts.clone(), thoughts, text, call.clone(), call]);
}
