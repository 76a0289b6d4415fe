//! What calls cost, as a client of the API sees it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::convert::Infallible;

use axum::{
    Router,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::post,
};
use futures_util::stream;
use serde_json::{Value, json};
use support::{Calls, Options};
use tokio::net::TcpListener;

/// Prices that are easily reckoned with.
const PRICES: &str = r#"
as_of = "2026-11"
currency = "USD"

[[model]]
provider = "openai"
models = ["gpt-4.1-mini*"]
input = 10
cached_input = 1
cache_write = 20
output = 100

[[transcriber]]
provider = "deepgram"
models = ["nova*"]
per_minute = 0.07

[[voice]]
provider = "11labs"
per_million_characters = 1000
"#;

/// What the model says, and counts, in every reply.
const REPLY: &str = "We are open from nine to five.";

async fn reply() -> Response {
    let usage = json!({
        "prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 1_050,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 20},
    });
    let chunks = [
        json!({"choices": [{"index": 0, "delta": {"content": REPLY}, "finish_reason": null}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": usage}),
    ];
    let events = chunks.map(|chunk| Ok::<_, Infallible>(Event::default().data(chunk.to_string())));
    Sse::new(stream::iter(events)).into_response()
}

/// The address of a model that counts its tokens.
async fn counting_model() -> String {
    let router = Router::new().route("/v1/chat/completions", post(reply));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A call in which the caller asked once and heard the answer, over; its document and its report.
async fn call(options: Options) -> (Calls, Value, Value) {
    let options = options.set(format!("providers.openai.base_url={}", counting_model().await));
    let calls = Calls::with(options).await;
    let (call, mut leg) = calls.connect(json!({"fillerMessage": ""})).await;
    // Half a second of silence at 16 kHz.
    for _ in 0..25 {
        leg.send_audio(vec![0; 640]).await;
    }
    calls.providers.caller_says("When are you open?").await;
    let is_answer = |event: &Value| event["type"] == "transcript" && event["transcript"] == REPLY;
    leg.event_where("the answer", is_answer).await;
    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    let report = calls.receiver.report(call["id"].as_str().unwrap()).await;
    (calls, ended, report)
}

#[tokio::test]
async fn a_call_costs_what_its_stages_took_by_the_prices_of_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let prices = folder.path().join("prices.toml");
    std::fs::write(&prices, PRICES).unwrap();
    let set = format!("costs.prices_file={}", prices.display());
    let (_calls, ended, report) = call(Options::default().set(set)).await;

    let of = |kind: &str| {
        let costs = ended["costs"].as_array().unwrap();
        costs.iter().find(|cost| cost["type"] == kind).cloned().unwrap_or_default()
    };
    // 300 fresh tokens at 10, 600 at 1, 100 at 20, 50 at 100, in millionths.
    let model = json!({
        "type": "model", "model": {"provider": "openai", "model": "gpt-4.1-mini"},
        "promptTokens": 1_000, "completionTokens": 50, "cachedPromptTokens": 600,
        "reasoningTokens": 20, "cost": 0.0106,
    });
    assert_eq!(of("model"), model);
    let characters = "Hello.".len() + REPLY.len();
    let voice = of("voice");
    assert_eq!(voice["characters"], characters);
    assert_eq!(voice["cost"].as_f64().unwrap(), characters as f64 / 1_000.0);
    assert_eq!(
        voice["voice"],
        json!({"provider": "11labs", "model": "eleven_turbo_v2_5", "voiceId": "v1"})
    );
    let transcriber = of("transcriber");
    assert_eq!(transcriber["transcriber"], json!({"provider": "deepgram", "model": "nova-3"}));
    let minutes = transcriber["minutes"].as_f64().unwrap();
    assert!(minutes >= 0.008, "{minutes}");
    let by_minutes = transcriber["cost"].as_f64().unwrap() - minutes * 0.07;
    assert!(by_minutes.abs() < 0.000_01, "{transcriber}");
    assert_eq!(of("transport")["cost"], 0);
    assert_eq!(of("transport")["provider"], "vapi.websocket");
    assert_eq!(of("vapi"), Value::Null, "nobody is paid for the runtime");

    let breakdown = &ended["costBreakdown"];
    assert_eq!(breakdown["llm"], model["cost"]);
    assert_eq!(breakdown["tts"], voice["cost"]);
    assert_eq!(breakdown["stt"], transcriber["cost"]);
    let stages = ["stt", "llm", "tts"].map(|stage| breakdown[stage].as_f64().unwrap());
    let total = ended["cost"].as_f64().unwrap();
    assert!((total - stages.iter().sum::<f64>()).abs() < 1e-9, "{breakdown}");
    for field in ["cost", "costs", "costBreakdown"] {
        assert_eq!(report[field], ended[field], "the report tells the same {field}");
    }
}

#[tokio::test]
async fn what_has_no_price_costs_nothing_and_is_counted() {
    let (calls, ended, _) = call(Options::default()).await;
    assert_eq!(ended["costBreakdown"]["tts"], 0);
    assert_eq!(ended["costBreakdown"]["ttsCharacters"], "Hello.".len() + REPLY.len());
    // The built-in price of gpt-4.1-mini: 400 tokens at 0.4, 600 at 0.1, 50 at 1.6.
    assert_eq!(ended["costBreakdown"]["llm"], 0.000_3);
    let metrics = calls.server.client.get("/metrics").await.text;
    let counted = "offhook_unpriced_total{kind=\"voice\",provider=\"11labs\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    let warning = calls.server.log_line("no price known, add one in costs.prices_file").await;
    assert_eq!(warning["provider"], "11labs");
}
