use offhook_core::{FailureClass, Finish, Message, ToolCall};
use offhook_providers::llm::LlmEvent;
use serde_json::{Value, json};

use crate::support::{Bench, KEY, text_of, tool, user};

/// Every field of the contract's `AnthropicModel` that the provider is concerned with, but
/// `thinking`.
fn document() -> Value {
    json!({
        "provider": "anthropic", "model": "claude-haiku-4-5", "temperature": 0.3,
        "maxTokens": 100, "emotionRecognitionEnabled": false, "numFastTurns": 1,
    })
}

fn city() -> Value {
    json!({
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]
    })
}

#[tokio::test]
async fn a_reply_is_streamed_with_its_usage() {
    let bench = Bench::start().await;
    let events = bench.ask("anthropic", document(), vec![user("17 3.")], Vec::new()).await;
    assert_eq!(text_of(&events), "17 3 1 2 3 4 5 6 7 8.", "{events:?}");
    // What went in is counted at the beginning, what came out at the end.
    let counted: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| match event {
            Ok(LlmEvent::Usage(usage)) => Some((usage.prompt_tokens, usage.completion_tokens)),
            _ => None,
        })
        .collect();
    assert_eq!(counted, [(2, 0), (0, 10)]);
    assert_eq!(events.last(), Some(&Ok(LlmEvent::Finished(Finish::Stop))));
}

#[tokio::test]
async fn every_field_reaches_the_request() {
    let bench = Bench::start().await;
    let messages = vec![Message::System { content: "Count.".into() }, user("17 3.")];
    bench.ask("anthropic", document(), messages.clone(), vec![tool("weather", city())]).await;
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/anthropic/v1/messages");
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    let cached = json!({"type": "ephemeral"});
    assert_eq!(
        request.messages()[0],
        json!({
            "model": "claude-haiku-4-5",
            "max_tokens": 100,
            "system": [{"type": "text", "text": "Count.", "cache_control": cached}],
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": "17 3.", "cache_control": cached}
            ]}],
            "tools": [{
                "name": "weather", "description": "the weather", "input_schema": city(),
                "cache_control": cached,
            }],
            "stream": true,
            "temperature": 0.3,
        })
    );

    let mut thinking = document();
    thinking["thinking"] = json!({"type": "enabled", "budgetTokens": 1024});
    thinking["maxTokens"] = 2_000.into();
    bench.ask("anthropic", thinking, messages, Vec::new()).await;
    let body = bench.last_request().await.messages()[0].clone();
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(2_000), &Value::Null));
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_answered() {
    let bench = Bench::start().await;
    let tools = || vec![tool("weather", city())];
    let asked = user("1 2 2000");
    let events = bench.ask("anthropic", document(), vec![asked.clone()], tools()).await;
    let call = events.iter().find_map(|event| match event {
        Ok(LlmEvent::ToolCall(call)) => Some(call.clone()),
        _ => None,
    });
    let ToolCall { id, name, arguments } = call.clone().unwrap();
    assert_eq!((name.as_str(), &arguments), ("weather", &json!({"city": "1 2"})));

    let messages = vec![
        asked,
        Message::ToolCalls { calls: call.into_iter().collect() },
        Message::ToolResult { call_id: id, name, content: "fine".into() },
    ];
    let events = bench.ask("anthropic", document(), messages, tools()).await;
    assert_eq!(text_of(&events), "1 2 1 2 3 4 5 6 7 8.", "{events:?}");
}

#[tokio::test]
async fn a_limit_a_refusal_and_an_unknown_model_are_told_apart() {
    let bench = Bench::with_timing(json!({"llm_words": 200})).await;
    let events = bench.ask("anthropic", document(), vec![user("17 3.")], Vec::new()).await;
    assert_eq!(events.last(), Some(&Ok(LlmEvent::Finished(Finish::Length))));
    let events = bench.ask("anthropic", document(), vec![user("1 2 2002")], Vec::new()).await;
    assert_eq!(events.last(), Some(&Ok(LlmEvent::Finished(Finish::ContentFilter))));
    let mut unknown = document();
    unknown["model"] = "no-such-model".into();
    let events = bench.ask("anthropic", unknown, vec![user("17 3.")], Vec::new()).await;
    let Some(Err(error)) = events.last() else { panic!("{events:?}") };
    assert_eq!(error.class, FailureClass::BadRequest);
}

#[tokio::test]
async fn a_reply_that_nobody_waits_for_is_cancelled() {
    let bench = Bench::with_timing(json!({"llm_token_gap": {"fixed": 1000}})).await;
    bench.ask_and_leave("anthropic", document(), "17 3.").await;
    bench.until_count("anthropic", "cancelled", 1).await;
}
