use axum::{
    Router,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::json;

use super::*;

/// A provider that takes the key `good`, in any header, and writes a word.
async fn provider() -> String {
    let is_good = |headers: &HeaderMap| {
        headers.values().any(|value| {
            value.to_str().is_ok_and(|value| value.split(' ').next_back() == Some("good"))
        })
    };
    let free = move |headers: HeaderMap| async move {
        if is_good(&headers) { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    };
    let write = move |headers: HeaderMap, body: String| async move {
        if !is_good(&headers) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if body.contains("no-such-model") {
            let refusal = r#"{"error": {"message": "no such model", "code": "model_not_found"}}"#;
            return (StatusCode::NOT_FOUND, refusal).into_response();
        }
        let reply = "data: {\"choices\":[{\"delta\":{\"content\":\"Yes.\"}}]}\n\ndata: [DONE]\n\n";
        ([(CONTENT_TYPE, "text/event-stream")], reply).into_response()
    };
    let router = Router::new()
        .route("/v1/projects", get(free))
        .route("/v1/models", get(free))
        .route("/v1/chat/completions", post(write))
        .route("/gateway/v1/user", get(free));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn settings(providers: &[(&str, &str, &str)]) -> Settings {
    let providers = providers.iter().map(|(name, key, url)| {
        let api_key = (!key.is_empty()).then(|| (*key).into());
        let base_url = (!url.is_empty()).then(|| (*url).to_owned());
        ((*name).to_owned(), Settled { api_key, base_url, ..Settled::default() })
    });
    Settings { providers: providers.collect(), ..Settings::default() }
}

async fn examined(settings: &Settings, uses: Vec<Use>, probe: bool) -> Examined {
    let net = Net::new(Duration::from_secs(2), "/nonexistent".into(), true).unwrap();
    let examined = examine(settings, &net, uses, &BTreeSet::from(["groq".into()]), probe).await;
    assert!(!format!("{:?}", examined.rows).contains("good"), "{:?}", examined.rows);
    examined
}

fn model(name: &str, is_needed: bool) -> Use {
    Use {
        stage: Stage::Model,
        provider: "openai".into(),
        subject: name.into(),
        options: json!({"provider": "openai", "model": name}),
        place: "assistant `a`, model".into(),
        documents: 1,
        is_needed,
    }
}

#[tokio::test]
async fn keys_are_tried_where_calls_would_use_them() {
    let url = provider().await;
    let gateway = format!("{url}/gateway");
    let settings = settings(&[
        ("11labs", "good", &gateway),
        ("cartesia", "good", "http://127.0.0.1:1"),
        ("deepgram", "good", &url),
        ("groq", "bad", &format!("{url}/v1")),
    ]);
    let rows = examined(&settings, Vec::new(), false).await.rows;
    let states: Vec<_> =
        rows.iter().map(|row| (row.provider.as_str(), row.stage, row.state)).collect();
    assert_eq!(
        states,
        [
            ("11labs", Stage::Voice, State::Ok),
            ("cartesia", Stage::Voice, State::Problem),
            ("deepgram", Stage::Transcriber, State::Ok),
            ("groq", Stage::Model, State::Problem),
        ]
    );
    assert_eq!(rows[0].verdict, "takes the key");
    assert!(rows[0].connect.is_some() && rows[0].first.is_none());
    assert!(rows[3].advice.as_ref().unwrap().contains("GROQ_API_KEY"));
}

#[tokio::test]
async fn with_probe_a_model_is_asked_for_a_word_and_timed() {
    let settings = settings(&[("openai", "good", &provider().await)]);
    let uses = vec![model("some-model", true), model("no-such-model", true)];
    let rows = examined(&settings, uses, true).await.rows;
    assert_eq!((rows[0].state, rows[0].verdict.as_str()), (State::Ok, "works"));
    assert!(rows[0].connect.is_some() && rows[0].first.is_some());
    assert_eq!(rows[1].state, State::Problem);
    assert_eq!(rows[1].advice.as_deref(), Some("correct assistant `a`, model"));
    // Its voice, which no document uses, has one that everybody may use.
    assert_eq!((rows[2].stage, rows[2].subject.as_str()), (Stage::Voice, "alloy"));
}

#[tokio::test]
async fn a_missing_key_matters_where_a_document_has_nobody_else() {
    let settings = settings(&[]);
    let with_credential = Use { provider: "groq".into(), ..model("some-model", true) };
    let uses = vec![model("some-model", true), model("another", false), with_credential];
    let examined = examined(&settings, uses, false).await;
    let rows = &examined.rows;
    assert_eq!((rows[0].state, rows[1].state), (State::Problem, State::Warning));
    assert!(rows[0].advice.as_ref().unwrap().starts_with("set OPENAI_API_KEY"));
    assert_eq!(rows[0].key, "none");
    assert_eq!((rows[2].state, rows[2].provider.as_str()), (State::Ok, "groq"), "has a credential");
    assert_eq!(examined.findings[0].subject, "providers");
}

#[tokio::test]
async fn settings_of_providers_that_there_are_not_are_named() {
    let settings = settings(&[("deepgramm", "good", ""), ("playht", "good", "")]);
    let examined = examined(&settings, Vec::new(), false).await;
    let found: Vec<_> = examined.findings.iter().map(|it| it.found.as_str()).collect();
    assert!(found[0].contains("no provider of this name"), "{found:?}");
    assert!(found[1].contains("gone since 2025-12-31"), "{found:?}");
}
