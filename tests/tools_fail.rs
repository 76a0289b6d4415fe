//! A tool that hangs or answers with an error: its own time-out and messages, a model that is told
//! the truth, and a conversation that goes on.

mod support;

use serde_json::{Value, json};
use support::{Calls, Leg, Receiver};
use tokio::net::TcpListener;

fn model(server: Value, messages: Value) -> Value {
    let tool = json!({
        "type": "function", "messages": messages, "server": server,
        "function": {"name": "weather", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}}},
    });
    json!({"model": {"provider": "openai", "model": "gpt-4.1-mini", "tools": [tool]}})
}

/// Waits until the agent has said this.
async fn says(leg: &mut Leg, text: &str) {
    leg.event_where(text, |event| {
        event["type"] == "transcript"
            && event["role"] == "assistant"
            && event["transcript"].as_str().is_some_and(|said| said.contains(text))
    })
    .await;
}

async fn goes_on(calls: &Calls, leg: &mut Leg) {
    calls.providers.caller_says("Never mind.").await;
    says(leg, "You said Never mind.").await;
}

#[tokio::test]
async fn a_tool_that_answers_with_an_error_is_one_that_the_model_is_told_of() {
    let calls = Calls::start().await;
    let broken = Receiver::answering(|_| (500, json!({"error": "out of order"}))).await;
    let (_, mut leg) = calls.connect(model(json!({"url": broken.url()}), json!([]))).await;
    calls.providers.caller_says("How is the weather?").await;
    says(&mut leg, "They say the tool's server answered with status 500").await;
    assert_eq!(broken.deliveries().len(), 1, "it is not run twice");
    goes_on(&calls, &mut leg).await;
}

#[tokio::test]
async fn a_tool_that_hangs_is_given_up_at_its_own_limit_and_its_messages_are_said() {
    let calls = Calls::start().await;
    // Accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tool", silent.local_addr().unwrap());
    let server = json!({"url": url, "timeoutSeconds": 2});
    let messages = json!([
        {"type": "request-start", "content": "Let me ask them."},
        {"type": "request-response-delayed", "content": "They take their time.", "timingMilliseconds": 700},
        {"type": "request-failed", "content": "They do not answer."},
    ]);
    let (_, mut leg) = calls.connect(model(server, messages)).await;
    calls.providers.caller_says("How is the weather?").await;
    for message in ["Let me ask them.", "They take their time.", "They do not answer."] {
        says(&mut leg, message).await;
    }
    goes_on(&calls, &mut leg).await;
}
