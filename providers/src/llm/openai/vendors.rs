//! The compatible vendors, in one table: each is built, reached and asked in its own way.

use offhook_core::{FailureClass, Finish, Message, ToolCall, ToolKind, ToolSpec};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    Access, ProviderError,
    llm::{
        ALL, LlmEvent, LlmRequest, LlmStream, Unheard, Usage, anyscale, build, cerebras,
        custom_llm, deep_seek, deepinfra, groq, inflection_ai, llama_cpp, minimax, mistral, ollama,
        openrouter, together_ai, vllm, xai,
    },
    net::testing::{Server, failure, net, within},
};

fn user(content: &str) -> Message {
    Message::User { content: content.into() }
}

fn hi() -> LlmRequest {
    LlmRequest { messages: vec![user("hi")], tools: Vec::new() }
}

fn weather() -> ToolSpec {
    ToolSpec {
        name: "weather".into(),
        description: String::new(),
        parameters: json!({"type": "object", "properties": {}}),
        kind: ToolKind::Function,
        is_async: false,
        messages: Vec::new(),
    }
}

fn document(provider: &str, model: &str) -> Value {
    json!({"provider": provider, "model": model, "temperature": 1.5})
}

/// The head and the body of the request that a document leads to.
async fn asked(document: Value, request: LlmRequest) -> (String, Value) {
    let (sender, mut seen) = tokio::sync::mpsc::channel(1);
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        sender.send((asked.head.clone(), asked.body.clone())).await.unwrap();
        asked.answer(200, "", "").await;
    })
    .await;
    let model = build(&document, &server.access(), &net()).unwrap();
    within(model.generate(request)).await.unwrap();
    server.finished().await;
    seen.recv().await.unwrap()
}

/// The body of the request that is sent for the rest of a reply.
async fn resumed(document: Value, said: &str) -> Value {
    let (sender, mut seen) = tokio::sync::mpsc::channel(1);
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        sender.send(asked.body.clone()).await.unwrap();
        asked.answer(200, "", "").await;
    })
    .await;
    let model = build(&document, &server.access(), &net()).unwrap();
    within(model.resume(hi(), said)).await.unwrap();
    server.finished().await;
    seen.recv().await.unwrap()
}

/// What of a body is not the same for all: everything but `model`, `messages` and the stream.
async fn parameters(provider: &str, model: &str, request: LlmRequest) -> Value {
    let (_, mut body) = asked(document(provider, model), request).await;
    let fields = body.as_object_mut().unwrap();
    assert_eq!(fields.remove("model"), Some(model.into()));
    assert_eq!(fields.remove("stream"), Some(true.into()));
    let usage = json!({"include_usage": true});
    let asked = (provider != "mistral").then_some(usage);
    assert_eq!(fields.remove("stream_options"), asked, "OpenAI's own option is not sent");
    fields.remove("messages");
    fields.remove("tools");
    body
}

/// A reply of which the server sends this, as it stands.
async fn reply(provider: &str, model: &str, body: &'static str) -> LlmStream {
    let server = Server::refusing(200, "", body).await;
    let model = build(&document(provider, model), &server.access(), &net()).unwrap();
    let stream = within(model.generate(hi())).await.unwrap();
    server.finished().await;
    stream
}

async fn refusal(provider: &str, status: u16, body: &'static str) -> ProviderError {
    let server = Server::refusing(status, "", body).await;
    let model = build(&document(provider, "m"), &server.access(), &net()).unwrap();
    let error = within(model.generate(hi())).await.err().unwrap();
    server.finished().await;
    error
}

#[tokio::test]
async fn each_vendor_is_reached_at_its_path_with_its_key() {
    for (name, path, variable) in [
        ("cerebras", "/v1/chat/completions", "CEREBRAS_API_KEY"),
        ("deep-seek", "/v1/chat/completions", "DEEPSEEK_API_KEY"),
        ("deepinfra", "/v1/openai/chat/completions", "DEEPINFRA_API_KEY"),
        ("groq", "/openai/v1/chat/completions", "GROQ_API_KEY"),
        ("minimax", "/v1/chat/completions", "MINIMAX_API_KEY"),
        ("mistral", "/v1/chat/completions", "MISTRAL_API_KEY"),
        ("openrouter", "/api/v1/chat/completions", "OPENROUTER_API_KEY"),
        ("together-ai", "/v1/chat/completions", "TOGETHER_API_KEY"),
        ("xai", "/v1/chat/completions", "XAI_API_KEY"),
    ] {
        let (head, body) = asked(document(name, "some/model:free"), hi()).await;
        assert!(head.starts_with(&format!("post {path} http/1.1\r\n")), "{head}");
        assert!(head.contains("authorization: bearer key-1\r\n"), "{head}");
        assert_eq!(body["model"], "some/model:free", "a colon is part of {name}'s names");

        let refused = build(&document(name, "m"), &Access::default(), &net()).err().unwrap();
        assert!(refused.to_string().contains(variable), "{refused}");
        let key = Access { api_key: Some(SecretString::from("k")), base_url: None };
        assert!(build(&document(name, "m"), &key, &net()).is_ok());
        assert_eq!(ALL.iter().find(|p| p.name == name).unwrap().key_variable, variable);
    }
}

#[tokio::test]
async fn each_model_gets_the_parameters_it_takes_and_no_others() {
    let max = |tokens: u64| json!({"temperature": 1.5, "max_tokens": tokens});
    let completion = json!({"temperature": 1.5, "max_completion_tokens": 250});
    let off = json!({"enabled": false});
    let untemplated = json!({"enable_thinking": false});
    let with = |mut fields: Value, name: &str, value: Value| {
        fields[name] = value;
        fields
    };
    let thinking = || json!({"temperature": 1.5});
    let low = || json!({"temperature": 1.5, "reasoning_effort": "low"});
    for (provider, model, expected) in [
        ("groq", "llama-3.3-70b-versatile", completion.clone()),
        ("groq", "openai/gpt-oss-20b", low()),
        ("groq", "qwen/qwen3-32b", with(completion.clone(), "reasoning_effort", "none".into())),
        (
            "groq",
            "deepseek-r1-distill-llama-70b",
            with(thinking(), "reasoning_format", "hidden".into()),
        ),
        ("together-ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", max(250)),
        ("together-ai", "zai-org/GLM-4.6", with(max(250), "reasoning", off.clone())),
        ("together-ai", "deepseek-ai/DeepSeek-R1", thinking()),
        ("openrouter", "meta-llama/llama-3.3", with(max(250), "reasoning", off.clone())),
        ("openrouter", "openai/gpt-5", with(thinking(), "reasoning", json!({"effort": "low"}))),
        ("openrouter", "deepseek/deepseek-r1:free", thinking()),
        ("deepinfra", "meta-llama/Llama-3.3-70B-Instruct", max(250)),
        ("deepinfra", "openai/gpt-oss-120b", low()),
        ("cerebras", "llama-3.3-70b", completion.clone()),
        ("cerebras", "gpt-oss-120b", low()),
        ("cerebras", "zai-glm-4.7", with(completion.clone(), "reasoning_effort", "none".into())),
        ("deep-seek", "deepseek-chat", with(max(250), "thinking", json!({"type": "disabled"}))),
        ("deep-seek", "deepseek-reasoner", thinking()),
        ("xai", "grok-3", completion.clone()),
        ("xai", "grok-3-mini", low()),
        ("xai", "grok-4.3", with(completion.clone(), "reasoning_effort", "none".into())),
        ("xai", "grok-4-fast-reasoning", thinking()),
        ("xai", "grok-4-fast-non-reasoning", completion.clone()),
        ("mistral", "mistral-medium-latest", max(250)),
        ("mistral", "magistral-small", thinking()),
        ("ollama", "llama3.3:70b", with(max(250), "reasoning_effort", "none".into())),
        ("ollama", "gpt-oss:20b", low()),
        ("vllm", "Qwen/Qwen3-8B", with(max(250), "chat_template_kwargs", untemplated.clone())),
        ("vllm", "openai/gpt-oss-20b", low()),
        ("llama-cpp", "any", with(max(250), "chat_template_kwargs", untemplated)),
        ("anyscale", "m", max(250)),
        ("inflection-ai", "inflection_3_pi", max(250)),
        ("minimax", "MiniMax-M2.7", json!({"temperature": 1.0, "reasoning_split": true})),
    ] {
        assert_eq!(parameters(provider, model, hi()).await, expected, "{provider} {model}");
    }
}

#[tokio::test]
async fn a_server_of_one_s_own_needs_an_address_and_no_key() {
    for (name, example) in [
        ("anyscale", "https://localhost/v1"),
        ("inflection-ai", "https://localhost/v1"),
        ("llama-cpp", "http://localhost:8080/v1"),
        ("ollama", "http://localhost:11434/v1"),
        ("vllm", "http://localhost:8000/v1"),
    ] {
        let keyed = Access { api_key: Some(SecretString::from("k")), base_url: None };
        let refused = build(&document(name, "m"), &keyed, &net()).err().unwrap().to_string();
        assert!(refused.contains(&format!("providers.{name}.base_url")), "{refused}");
        assert!(refused.contains(example), "{refused}");

        let own = Access { api_key: None, base_url: Some("http://10.0.0.7:8000".into()) };
        assert!(build(&document(name, "m"), &own, &net()).is_ok());
        let (head, _) = asked(document(name, "llama3:8b"), hi()).await;
        assert!(head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{head}");
    }
}

#[tokio::test]
async fn mistral_is_told_the_conversation_in_the_order_and_with_the_ids_that_it_takes() {
    let call = |id: &str| ToolCall { id: id.into(), name: "weather".into(), arguments: json!({}) };
    let result = |id: &str| Message::ToolResult {
        call_id: id.into(),
        name: "weather".into(),
        content: "sunny".into(),
    };
    let said = |content: &str| Message::Assistant { content: content.into(), interrupted: false };
    let instruction = |content: &str| Message::System { content: content.into() };
    let messages = vec![
        instruction("Be brief."),
        said("Hello."),
        user("weather?"),
        Message::ToolCalls { calls: vec![call("call_of_another_provider"), call("Ab3dE6gH9")] },
        result("call_of_another_provider"),
        result("Ab3dE6gH9"),
        user("quick"),
        instruction("The caller is in a hurry."),
        said("It is sunny."),
    ];
    let request = LlmRequest { messages, tools: vec![weather()] };
    let (_, body) = asked(document("mistral", "mistral-medium-latest"), request).await;
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(
        roles,
        [
            "system",
            "assistant",
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
            "user",
            "assistant",
            "user"
        ]
    );
    let made_up = messages[3]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(made_up.len() == 9 && made_up.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(messages[4]["tool_call_id"], made_up);
    assert_eq!(messages[3]["tool_calls"][1]["id"], "Ab3dE6gH9");
    assert_eq!(messages[5]["tool_call_id"], "Ab3dE6gH9");
    assert_eq!(messages[7]["content"], "quick\nThe caller is in a hurry.");

    let first = LlmRequest { messages: vec![instruction("Greet.")], tools: Vec::new() };
    let (_, body) = asked(document("mistral", "mistral-medium-latest"), first).await;
    assert_eq!(body["messages"][1], json!({"role": "user", "content": "(The call is connected.)"}));
}

#[tokio::test]
async fn a_reply_that_broke_off_is_gone_on_with_as_each_vendor_has_it() {
    let assistant = |content: &str| json!({"role": "assistant", "content": content});
    for (provider, model) in [("vllm", "Qwen/Qwen3-8B"), ("llama-cpp", "any")] {
        let body = resumed(document(provider, model), "We are open ").await;
        assert_eq!(body["messages"][1], assistant("We are open"), "{provider}");
        assert_eq!(body["continue_final_message"], true, "{provider}");
        assert_eq!(body["add_generation_prompt"], false, "{provider}");
    }
    let body = resumed(document("mistral", "mistral-small"), "We are open ").await;
    let begun = json!({"role": "assistant", "content": "We are open", "prefix": true});
    assert_eq!(body["messages"].as_array().unwrap().last(), Some(&begun));

    for (provider, model) in [("groq", "llama"), ("vllm", "openai/gpt-oss-20b")] {
        let body = resumed(document(provider, model), "We are open ").await;
        assert_eq!(body["messages"][1], assistant("We are open"), "{provider}");
        assert_eq!(body["messages"][2]["role"], "system", "told to go on: {provider}");
        assert!(body.get("continue_final_message").is_none(), "{provider}");
    }
}

#[tokio::test]
async fn what_a_router_says_that_a_reply_cost_is_told() {
    const BODY: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\
        \"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"cost\":0.000021}}\n\n";
    let mut stream = reply("openrouter", "m", BODY).await;
    let usage = Usage {
        prompt_tokens: 9,
        completion_tokens: 4,
        cost_nano_usd: Some(21_000),
        ..Usage::default()
    };
    assert_eq!(within(stream.events.recv()).await, Some(Ok(LlmEvent::Usage(usage))));
}

#[tokio::test]
async fn deepseek_s_reasoner_does_not_think_where_tools_are_offered() {
    let calls = vec![ToolCall { id: "a".into(), name: "weather".into(), arguments: json!({}) }];
    let messages = vec![user("weather?"), Message::ToolCalls { calls }];
    let request = LlmRequest { messages, tools: vec![weather()] };
    let (_, body) = asked(document("deep-seek", "deepseek-reasoner"), request).await;
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert_eq!(body["messages"][1]["content"], "", "a message without content is refused");
}

#[tokio::test]
async fn later_instructions_for_gemini_come_from_the_user() {
    let messages = vec![
        Message::System { content: "Be brief.".into() },
        user("hi"),
        Message::System { content: "Say goodbye.".into() },
    ];
    let request = LlmRequest { messages, tools: Vec::new() };
    let (_, body) = asked(document("openrouter", "google/gemini-2.5-flash"), request).await;
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi\nSay goodbye."},
        ])
    );
}

#[tokio::test]
async fn a_model_that_must_think_is_asked_again_without_being_told_not_to() {
    const COMPLAINT: &str = r#"{"error":{"code":400,
        "message":"Reasoning is mandatory for this endpoint and cannot be disabled."}}"#;
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        assert_eq!(asked.body["reasoning"], json!({"enabled": false}));
        asked.answer(400, "", COMPLAINT).await;
        let mut asked = server.accept().await;
        assert!(asked.body.get("reasoning").is_none());
        asked.answer(200, "", "").await;
    })
    .await;
    let model = build(&document("openrouter", "some/thinker"), &server.access(), &net()).unwrap();
    within(model.generate(hi())).await.unwrap();
    server.finished().await;
}

#[tokio::test]
async fn each_vendor_s_own_errors_have_their_class() {
    let groq = r#"{"error":{"message":"Failed to call a function","code":"tool_use_failed"}}"#;
    assert_eq!(refusal("groq", 400, groq).await.class, FailureClass::Protocol);
    assert_eq!(refusal("groq", 498, "").await.class, FailureClass::Unavailable);
    let xai = r#"{"code":"Client specified an invalid argument",
                  "error":"Incorrect API key provided: xa***1"}"#;
    let error = refusal("xai", 400, xai).await;
    assert_eq!(error.class, FailureClass::Unauthorized);
    assert!(!error.detail.contains("xa***1"), "{error}");
    let none = r#"{"error":{"code":402,"message":"Insufficient credits"}}"#;
    assert_eq!(refusal("openrouter", 402, none).await.class, FailureClass::Quota);
}

#[tokio::test]
async fn an_error_that_comes_with_a_status_of_success_has_its_class() {
    const MINIMAX: &str = r#"{"id":"","base_resp":{"status_code":1008,"status_msg":"no money"}}"#;
    const MINIMAX_CHUNK: &str =
        "data: {\"choices\":[],\"base_resp\":{\"status_code\":1002,\"status_msg\":\"slow\"}}\n\n";
    const GROQ: &str = "data: {\"choices\":[],\"x_groq\":{\"error\":\"over capacity\"}}\n\n";
    const ROUTER: &str = "data: {\"error\":{\"code\":502,\"message\":\"gone\"},\"choices\":\
        [{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n";
    const WHOLE: &str = r#"{"choices":[{"message":{"content":"my secret"}}]}"#;
    for (provider, body, class) in [
        ("minimax", MINIMAX, FailureClass::Quota),
        ("minimax", MINIMAX_CHUNK, FailureClass::RateLimited { retry_after: None }),
        ("groq", GROQ, FailureClass::Unavailable),
        ("openrouter", ROUTER, FailureClass::Unavailable),
        ("deepinfra", WHOLE, FailureClass::Protocol),
    ] {
        let mut stream = reply(provider, "m", body).await;
        let error = failure(&mut stream.events).await;
        assert_eq!(error.class, class, "{error}");
        assert!(!error.detail.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_filter_that_comes_with_a_status_of_success_ends_the_reply() {
    const MINIMAX: &str = r#"{"base_resp":{"status_code":1026,"status_msg":"sensitive"}}"#;
    let mut stream = reply("minimax", "m", MINIMAX).await;
    let filtered = LlmEvent::Finished(Finish::ContentFilter);
    assert_eq!(within(stream.events.recv()).await, Some(Ok(filtered)));
}

#[tokio::test]
async fn thoughts_in_the_text_are_not_told() {
    const BODY: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"<thi\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"nk>Hm.</think>\\n\\nYes.\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"reasoning\":\"Hm.\"},\"finish_reason\":\"stop\"}],\
        \"base_resp\":{\"status_code\":0,\"status_msg\":\"\"}}\n\ndata: [DONE]\n\n";
    let mut stream = reply("together-ai", "deepseek-ai/DeepSeek-R1", BODY).await;
    let mut told = Vec::new();
    while let Some(event) = within(stream.events.recv()).await {
        told.push(event.unwrap());
    }
    assert_eq!(
        told,
        [
            LlmEvent::Unheard(Unheard::Thoughts),
            LlmEvent::Text("Yes.".into()),
            LlmEvent::Finished(Finish::Stop),
        ]
    );
}

#[test]
fn every_table_ends_with_a_row_that_fits_all_models_and_holds_json() {
    for vendor in [
        &cerebras::VENDOR,
        &custom_llm::VENDOR,
        &deep_seek::VENDOR,
        &deepinfra::VENDOR,
        &anyscale::VENDOR,
        &groq::VENDOR,
        &inflection_ai::VENDOR,
        &llama_cpp::VENDOR,
        &minimax::VENDOR,
        &mistral::VENDOR,
        &ollama::VENDOR,
        &openrouter::VENDOR,
        &together_ai::VENDOR,
        &vllm::VENDOR,
        &xai::VENDOR,
    ] {
        assert_eq!(vendor.families.last().unwrap().prefix, "", "{}", vendor.name);
        for (name, json) in vendor.families.iter().flat_map(|family| family.extra(true)) {
            assert!(serde_json::from_str::<Value>(json).is_ok(), "{} {name}", vendor.name);
        }
    }
}
