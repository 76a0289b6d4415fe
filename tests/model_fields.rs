//! Every field of the contract's models: what of it reaches the provider.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{collections::BTreeSet, time::Duration};

use axum::{Json, Router, extract::State, routing::post};
use offhook_core::Message;
use offhook_providers::{
    Access, Net,
    llm::{self, LlmRequest},
};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::mpsc};

/// Fields that come with each request as messages and tools, or say where it goes and where else.
const ELSEWHERE: &[&str] = &[
    "provider",
    "model",
    "messages",
    "tools",
    "toolIds",
    "toolRefs",
    "url",
    "headers",
    "timeoutSeconds",
    "metadataSendMode",
    "fallbackModels",
    "fallbackPlan",
];

/// Fields that become parameters of the request.
const SENT: &[&str] = &[
    "temperature",
    "maxTokens",
    "thinking",
    "reasoningEffort",
    "promptCacheKey",
    "promptCacheRetention",
];

/// Fields without effect, which `docs/assistants.md` has to name.
const NOT_ACTED_ON: &[&str] = &[
    "knowledgeBase",
    "knowledgeBaseId",
    "emotionRecognitionEnabled",
    "numFastTurns",
    "toolStrictCompatibilityMode",
    "wordLevelConfidenceEnabled",
];

/// The fields of each model that this version asks, by its provider.
fn fields() -> Vec<(String, BTreeSet<String>)> {
    let table = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
    let shapes = table(include_str!("../api/contract/shapes.json"));
    let own = table(include_str!("../api/contract/extensions.json"));
    let variants = [&shapes["AnyModel"]["of"], &own["+AnyModel"]["of"]];
    let variants = variants.into_iter().flat_map(|of| of.as_object().unwrap());
    variants
        .filter(|(provider, _)| llm::ALL.iter().any(|known| known.name == *provider))
        .filter(|(provider, _)| *provider != "scripted")
        .map(|(provider, shape)| {
            let name = shape.as_str().unwrap().trim_start_matches('@');
            let shape = shapes.get(name).or_else(|| own.get(name)).unwrap();
            let fields = shape["has"].as_object().unwrap().keys();
            (provider.clone(), fields.map(|field| field.trim_end_matches('!').into()).collect())
        })
        .collect()
}

#[test]
fn every_field_is_sent_or_comes_otherwise_or_is_listed_as_without_effect() {
    let docs = include_str!("../docs/assistants.md");
    let models = fields();
    assert_eq!(models.len(), llm::ALL.len() - 1, "all but the scripted one are documents");
    for (provider, fields) in models {
        for field in fields {
            let field = field.as_str();
            let is_known =
                [ELSEWHERE, SENT, NOT_ACTED_ON].iter().any(|fields| fields.contains(&field));
            assert!(is_known, "{provider}: {field}");
        }
    }
    for field in NOT_ACTED_ON {
        assert!(docs.contains(&format!("`model.{field}`")), "{field} is not listed");
    }
}

/// A server that keeps the bodies of requests and answers nothing of worth.
async fn server() -> (String, mpsc::Receiver<Value>) {
    async fn keep(State(bodies): State<mpsc::Sender<Value>>, Json(body): Json<Value>) {
        bodies.send(body).await.unwrap();
    }
    let (sender, bodies) = mpsc::channel(1);
    let router = Router::new().fallback(post(keep)).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, bodies)
}

/// What a document leads to, without what every request has.
async fn parameters(document: Value) -> Value {
    let (url, mut bodies) = server().await;
    let access = Access { base_url: Some(url), ..Access::default() };
    let net = Net::new(Duration::from_secs(5), "/nonexistent".into(), true).unwrap();
    let model = llm::build(&document, &access, &net).unwrap();
    let hi = Message::User { content: "hi".into() };
    let request = LlmRequest { messages: vec![hi], tools: Vec::new() };
    model.generate(request).await.unwrap();
    let mut body = bodies.recv().await.unwrap();
    let fields = body.as_object_mut().unwrap();
    assert_eq!(fields.remove("model"), Some(document["model"].clone()));
    for of_all in ["messages", "stream", "stream_options"] {
        fields.remove(of_all);
    }
    body
}

#[tokio::test]
async fn the_fields_of_a_document_reach_the_provider_in_its_own_words() {
    let all = || {
        json!({
            "temperature": 0.7, "maxTokens": 2_000.0, "emotionRecognitionEnabled": true,
            "numFastTurns": 2, "knowledgeBaseId": "kb",
        })
    };
    let limited = json!({"temperature": 0.7, "max_tokens": 2_000});
    let completion = json!({"temperature": 0.7, "max_completion_tokens": 2_000});
    let with = |base: &Value, more: Value| {
        let mut base = base.clone();
        base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        base
    };
    let of_openai = json!({
        "reasoningEffort": "low", "promptCacheKey": "k", "promptCacheRetention": "24h",
        "fallbackModels": ["gpt-4o"], "toolStrictCompatibilityMode": "strip-unsupported-validation",
    });
    let cache = json!({"prompt_cache_key": "k", "prompt_cache_retention": "24h"});
    let thinking = json!({"thinking": {"type": "enabled", "budgetTokens": 1_024}});
    let of_custom = json!({
        "url": "https://models.example", "headers": {"X-A": "b"}, "timeoutSeconds": 9,
        "metadataSendMode": "variable", "wordLevelConfidenceEnabled": true,
        "callContext": {"metadata": {"plan": "gold"}},
    });
    let no_thoughts = json!({"chat_template_kwargs": {"enable_thinking": false}});
    let nothing = json!({});
    for (provider, model, more, expected) in [
        // A model that does not think is not told how much.
        ("openai", "gpt-4.1", &of_openai, with(&completion, cache.clone())),
        (
            "openai",
            "gpt-5-mini",
            &of_openai,
            with(&cache, json!({"reasoning_effort": "low", "max_completion_tokens": 2_000})),
        ),
        ("anthropic", "claude-haiku-4-5", &nothing, limited.clone()),
        (
            "anthropic",
            "claude-haiku-4-5",
            &thinking,
            json!({"max_tokens": 2_000, "thinking": {"type": "enabled", "budget_tokens": 1_024}}),
        ),
        (
            "anthropic",
            "claude-sonnet-5",
            &thinking,
            json!({"max_tokens": 2_000, "thinking": {"type": "adaptive"}}),
        ),
        ("anyscale", "m", &nothing, limited.clone()),
        ("cerebras", "llama-3.3-70b", &nothing, completion.clone()),
        ("custom-llm", "m", &of_custom, with(&limited, json!({"metadata": {"plan": "gold"}}))),
        ("deepinfra", "m", &nothing, limited.clone()),
        (
            "deep-seek",
            "deepseek-chat",
            &nothing,
            with(&limited, json!({"thinking": {"type": "disabled"}})),
        ),
        ("groq", "llama-3.3-70b-versatile", &nothing, completion.clone()),
        ("inflection-ai", "inflection_3_pi", &nothing, limited.clone()),
        ("llama-cpp", "m", &nothing, with(&limited, no_thoughts.clone())),
        ("minimax", "MiniMax-M2.7", &nothing, with(&completion, json!({"reasoning_split": true}))),
        ("mistral", "mistral-medium-latest", &nothing, limited.clone()),
        ("ollama", "llama3:8b", &nothing, with(&limited, json!({"reasoning_effort": "none"}))),
        ("openrouter", "m", &nothing, with(&limited, json!({"reasoning": {"enabled": false}}))),
        ("together-ai", "m", &nothing, limited.clone()),
        ("vllm", "m", &nothing, with(&limited, no_thoughts)),
        ("xai", "grok-3", &nothing, completion.clone()),
    ] {
        let document = with(&all(), with(more, json!({"provider": provider, "model": model})));
        assert_eq!(parameters(document).await, expected, "{provider} {model}");
    }
}
