use offhook_core::{FailureClass, Finish, Message, ToolCall};
use offhook_media::AudioFormat;
use offhook_providers::llm::{LlmEvent, Usage};
use serde_json::{Value, json};

use crate::support::{Bench, KEY, speak, text_of, tool, user};

/// Every field of the contract's `OpenAIModel` that the provider is concerned with.
fn document() -> Value {
    json!({
        "provider": "openai", "model": "gpt-4.1-mini", "temperature": 0.3, "maxTokens": 100,
        "promptCacheKey": "agent-7", "promptCacheRetention": "24h", "reasoningEffort": "low",
        "emotionRecognitionEnabled": false, "numFastTurns": 1,
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
    let events = bench.ask("openai", document(), vec![user("17 3.")], Vec::new()).await;
    assert_eq!(text_of(&events), "17 3 1 2 3 4 5 6 7 8.");
    let usage = Usage { prompt_tokens: 2, completion_tokens: 10, ..Usage::default() };
    assert!(events.contains(&Ok(LlmEvent::Usage(usage))), "{events:?}");
    assert_eq!(events.last(), Some(&Ok(LlmEvent::Finished(Finish::Stop))));
}

#[tokio::test]
async fn every_field_reaches_the_request() {
    let bench = Bench::start().await;
    let messages = vec![Message::System { content: "Count.".into() }, user("17 3.")];
    bench.ask("openai", document(), messages, vec![tool("weather", city())]).await;
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/openai/v1/chat/completions");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    // A model that does not think takes no effort.
    assert_eq!(
        request.messages()[0],
        json!({
            "model": "gpt-4.1-mini",
            "messages": [
                {"role": "system", "content": "Count."}, {"role": "user", "content": "17 3."}
            ],
            "tools": [{"type": "function", "function": {
                "name": "weather", "description": "the weather", "parameters": city()
            }}],
            "stream": true,
            "stream_options": {"include_usage": true, "include_obfuscation": false},
            "temperature": 0.3,
            "max_completion_tokens": 100,
            "prompt_cache_key": "agent-7",
            "prompt_cache_retention": "24h",
        })
    );
}

#[tokio::test]
async fn a_model_that_thinks_is_asked_as_it_accepts() {
    let bench = Bench::start().await;
    let mut thinking = document();
    thinking["model"] = "gpt-5.4-mini".into();
    let events = bench.ask("openai", thinking, vec![user("17 3.")], Vec::new()).await;
    assert_eq!(text_of(&events), "17 3 1 2 3 4 5 6 7 8.", "{events:?}");
    let body = bench.last_request().await.messages()[0].clone();
    assert_eq!((&body["reasoning_effort"], &body["temperature"]), (&json!("low"), &Value::Null));
}

#[tokio::test]
async fn tools_are_called_at_once_and_their_results_answered() {
    let bench = Bench::start().await;
    let tools = || vec![tool("weather", city()), tool("now", json!({}))];
    let asked = user("1 2 2001");
    let events = bench.ask("openai", document(), vec![asked.clone()], tools()).await;
    let calls: Vec<ToolCall> = events
        .iter()
        .filter_map(|event| match event {
            Ok(LlmEvent::ToolCall(call)) => Some(call.clone()),
            _ => None,
        })
        .collect();
    let called: Vec<_> = calls.iter().map(|call| (call.name.as_str(), &call.arguments)).collect();
    assert_eq!(called, [("weather", &json!({"city": "1 2"})), ("now", &json!({}))]);

    let mut messages = vec![asked, Message::ToolCalls { calls: calls.clone() }];
    messages.extend(calls.into_iter().map(|call| Message::ToolResult {
        call_id: call.id,
        name: call.name,
        content: "fine".into(),
    }));
    let events = bench.ask("openai", document(), messages, tools()).await;
    assert_eq!(text_of(&events), "1 2 1 2 3 4 5 6 7 8.", "{events:?}");
}

#[tokio::test]
async fn a_limit_and_a_filter_are_told_apart() {
    let bench = Bench::with_timing(json!({"llm_words": 100})).await;
    let mut short = document();
    short["maxTokens"] = 50.into();
    let events = bench.ask("openai", short, vec![user("17 3.")], Vec::new()).await;
    assert_eq!(events.last(), Some(&Ok(LlmEvent::Finished(Finish::Length))));
    let events = bench.ask("openai", document(), vec![user("1 2 2002")], Vec::new()).await;
    assert_eq!(events.last(), Some(&Ok(LlmEvent::Finished(Finish::ContentFilter))));
}

#[tokio::test]
async fn a_reply_that_nobody_waits_for_is_cancelled() {
    let bench = Bench::with_timing(json!({"llm_token_gap": {"fixed": 1000}})).await;
    bench.ask_and_leave("openai", document(), "17 3.").await;
    bench.until_count("openai", "cancelled", 1).await;
}

#[tokio::test]
async fn an_unknown_model_is_a_bad_request() {
    let bench = Bench::start().await;
    let mut unknown = document();
    unknown["model"] = "no-such-model".into();
    let events = bench.ask("openai", unknown, vec![user("17 3.")], Vec::new()).await;
    let Some(Err(error)) = events.last() else { panic!("{events:?}") };
    assert_eq!(error.class, FailureClass::BadRequest);
}

#[tokio::test]
async fn every_field_of_a_voice_reaches_the_request_and_it_is_spoken() {
    let bench = Bench::start().await;
    let format = AudioFormat::pcm16(24_000);
    let document = json!({
        "provider": "openai", "voiceId": "alloy", "model": "gpt-4o-mini-tts", "speed": 1.5,
        "instructions": "Speak kindly.", "cachingEnabled": false,
    });
    let mut session = bench.tts("openai", document, format).await;
    let heard = speak(&mut session, format, &["17 3 1 2.", "3 4."]).await;
    assert_eq!(heard.text, "17 3 1 2 3 4");
    let request = bench.last_request().await;
    assert_eq!(request.path(), "/openai/v1/audio/speech");
    assert_eq!(
        request.messages()[0],
        json!({
            "model": "gpt-4o-mini-tts", "input": "3 4.", "voice": "alloy",
            "response_format": "pcm", "speed": 1.5, "instructions": "Speak kindly.",
        })
    );
}
