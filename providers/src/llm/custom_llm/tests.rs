use offhook_core::{FailureClass, Message};
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::{
    llm::LlmRequest,
    net::testing::{Asked, Server, net, within},
};

fn hi() -> LlmRequest {
    LlmRequest { messages: vec![Message::User { content: "hi".into() }], tools: Vec::new() }
}

/// The request that reaches a server whose address a document names, with these fields beside.
async fn asked(path: &str, fields: Value, api_key: Option<&str>) -> Asked {
    let (sender, mut seen) = tokio::sync::mpsc::channel(1);
    let server = Server::http(|mut server| async move {
        let mut asked = server.accept().await;
        asked.answer(200, "", "").await;
        sender.send(asked).await.ok().unwrap();
    })
    .await;
    let mut document = json!({"provider": "custom-llm", "model": "llama3:8b",
                              "url": format!("{}{path}", server.base_url)});
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let access = Access { api_key: api_key.map(SecretString::from), base_url: None };
    let model = crate::llm::build(&document, &access, &net()).unwrap();
    within(model.generate(hi())).await.unwrap();
    server.finished().await;
    seen.recv().await.unwrap()
}

fn refused(document: Value) -> String {
    build(&document, &Access::default(), &net()).err().unwrap().to_string()
}

#[tokio::test]
async fn the_document_s_address_is_asked_without_a_key() {
    let asked = asked("/my/v1/", json!({}), None).await;
    assert!(asked.head.starts_with("post /my/v1/chat/completions http/1.1\r\n"), "{}", asked.head);
    assert!(!asked.head.contains("authorization"), "{}", asked.head);
    assert_eq!(
        asked.body,
        json!({
            "model": "llama3:8b",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "temperature": 0.5,
            "max_tokens": 250,
        })
    );
}

#[tokio::test]
async fn an_address_with_the_whole_path_or_none_is_understood() {
    let whole = asked("/chat/completions?zone=eu", json!({}), None).await;
    assert!(whole.head.starts_with("post /chat/completions?zone=eu http"), "{}", whole.head);
    let bare = asked("", json!({}), None).await;
    assert!(bare.head.starts_with("post /chat/completions http"), "{}", bare.head);
}

#[tokio::test]
async fn the_operator_s_gateway_stands_for_every_address() {
    let access = Access { api_key: None, base_url: Some("http://gateway/llm".into()) };
    let url = url("https://models.example/v1", &access).unwrap();
    assert_eq!(url.as_str(), "http://gateway/llm/chat/completions");
}

#[tokio::test]
async fn headers_of_the_document_are_sent_and_the_operator_s_key_is_not() {
    let headers = json!({"X-Custom": "One", "User-Agent": "mine", "Authorization": "Bearer theirs",
                         "Content-Length": "0", "Host": "elsewhere"});
    let asked = asked("/v1", json!({ "headers": headers }), Some("key-1")).await;
    assert!(asked.head.contains("x-custom: one\r\n") && asked.head.contains("user-agent: mine\r\n"));
    assert!(asked.head.contains("authorization: bearer theirs\r\n"), "{}", asked.head);
    assert!(!asked.head.contains("key-1") && !asked.head.contains("elsewhere"), "{}", asked.head);
}

#[test]
fn the_operator_s_key_goes_to_the_operator_s_address() {
    let access = Access {
        api_key: Some(SecretString::from("key-1")),
        base_url: Some("http://gateway/llm".into()),
    };
    let document = json!({"url": "https://models.example/v1",
                          "headers": {"Authorization": "Bearer theirs"}});
    let endpoint = endpoint(&document, &access).unwrap();
    assert_eq!(endpoint.headers[AUTHORIZATION], "Bearer key-1");
    assert_eq!(endpoint.headers.get_all(AUTHORIZATION).iter().count(), 1);
}

#[test]
fn a_private_address_is_refused_unless_the_operator_allows_such() {
    let net = Net::new(Duration::from_secs(1), "offhook".into(), false).unwrap();
    let document = json!({"model": "m", "url": "http://169.254.169.254/v1"});
    let refusal = build(&document, &Access::default(), &net).err().unwrap().to_string();
    assert!(refusal.contains("`169.254.169.254` is a private address"), "{refusal}");
}

#[tokio::test]
async fn the_call_is_told_of_as_the_document_says() {
    let context = json!({"call": {"id": "c-1"}, "customer": {"number": "+1"},
                         "metadata": {"plan": "gold", "stream": false}});
    let told = async |mode: Value| {
        let mut fields = json!({ "callContext": context });
        if !mode.is_null() {
            fields["metadataSendMode"] = mode;
        }
        let body = asked("/v1", fields, None).await.body;
        ["call", "customer", "metadata", "plan", "stream"].map(|name| body[name].clone())
    };
    let (call, customer) = (json!({"id": "c-1"}), json!({"number": "+1"}));
    let metadata = context["metadata"].clone();
    let variable = [call.clone(), customer.clone(), metadata, Value::Null, true.into()];
    assert_eq!(told(Value::Null).await, variable);
    assert_eq!(told("variable".into()).await, variable);
    let destructured = [call, customer, Value::Null, "gold".into(), true.into()];
    assert_eq!(told("destructured".into()).await, destructured);
    let off = [Value::Null, Value::Null, Value::Null, Value::Null, true.into()];
    assert_eq!(told("off".into()).await, off);
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_a_timeout() {
    let server = Server::http(|mut server| async move { server.accept().await.gone().await }).await;
    let document = json!({"model": "m", "url": server.base_url, "timeoutSeconds": 0.05});
    let model = build(&document, &Access::default(), &net()).unwrap();
    let error = within(model.generate(hi())).await.err().unwrap();
    assert_eq!(error.class, FailureClass::Timeout);
    assert!(error.detail.contains("50ms"), "{error}");
    server.finished().await;
}

#[test]
fn the_limit_of_an_answer_is_the_document_s_within_reason() {
    assert_eq!(answer_limit(None), ANSWER_LIMIT);
    assert_eq!(answer_limit(Some(0.0)), ANSWER_LIMIT);
    assert_eq!(answer_limit(Some(2.5)), Duration::from_millis(2_500));
    assert_eq!(answer_limit(Some(1e9)), ANSWER_LIMIT_MAX);
}

#[test]
fn what_cannot_be_sent_is_refused_when_it_is_set_up() {
    let document = |fields: Value| {
        let mut document = json!({"model": "m", "url": "https://a.io"});
        document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        document
    };
    assert!(refused(json!({"model": "m"})).contains("url is no address"));
    assert!(refused(document(json!({"url": "ftp://a.io"}))).contains("scheme `ftp`"));
    assert!(refused(document(json!({"url": "a.io/v1"}))).contains("url is no address"));
    let name = refused(document(json!({"headers": {"no name": "x"}})));
    assert!(name.contains("`no name`"), "{name}");
    let value = refused(document(json!({"headers": {"X-Key": "my\nsecret"}})));
    assert!(value.contains("headers.X-Key") && !value.contains("secret"), "{value}");
    assert!(refused(document(json!({"model": ""}))).contains("model is missing"));
}
