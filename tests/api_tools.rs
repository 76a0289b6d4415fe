//! `/tool` as a client sees it, and what calls do with tools that are named by id.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use serde_json::{Value, json};
use support::{Calls, Leg, Receiver, Server};

const MISSING: &str = "00000000-0000-4000-8000-000000000000";

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

fn path(tool: &Value) -> String {
    format!("/tool/{}", id(tool))
}

/// A tool that asks a server for the weather.
fn weather(url: &str) -> Value {
    json!({
        "type": "function", "messages": [], "server": {"url": url},
        "function": {"name": "weather", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}}},
    })
}

fn model(fields: Value) -> Value {
    let mut model = json!({"provider": "openai", "model": "gpt-4.1-mini"});
    model.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"model": model})
}

/// A server whose weather is always this.
async fn forecast(weather: &'static str) -> Receiver {
    Receiver::answering(move |message| match message["toolCallList"][0]["id"].as_str() {
        Some(id) => (200, json!({"results": [{"toolCallId": id, "result": weather}]})),
        None => (200, json!({})),
    })
    .await
}

async fn asks_for_weather(calls: &Calls, leg: &mut Leg, answer: &str) {
    calls.providers.caller_says("How is the weather?").await;
    leg.event_where(answer, |event| event.to_string().contains(&format!("They say {answer}")))
        .await;
}

#[tokio::test]
async fn a_tool_is_created_read_changed_listed_and_deleted() {
    let server = Server::start().await;
    let client = &server.client;
    let sent = weather("https://tools.example");
    let created = client.create("/tool", &sent).await;
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&created[name], value, "{name}");
    }
    assert_eq!(created.as_object().unwrap().len(), sent.as_object().unwrap().len() + 4);
    assert_eq!(client.get(&path(&created)).await.body, created);
    let changes = json!({"async": true, "messages": null});
    let changed = client.patch(&path(&created), &changes).await;
    assert_eq!((changed.status, &changed.body["async"]), (200, &json!(true)), "{}", changed.text);
    assert_eq!(changed.body.get("messages"), None);
    assert_eq!(changed.body["function"], sent["function"]);
    assert_eq!(client.ids("/tool").await, [id(&created)]);
    assert_eq!(client.get("/tool?limit=0").await.body, json!([]));

    let stranger = server.stranger();
    assert_eq!(stranger.get(&path(&created)).await.status, 404);
    assert_eq!(stranger.delete(&path(&created)).await.status, 404);
    let server = server.kill_and_restart().await;
    let client = &server.client;
    assert_eq!(client.delete(&path(&created)).await.body, changed.body);
    let answer = client.get(&path(&created)).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body["message"], format!("tool {} does not exist", id(&created)));
}

#[tokio::test]
async fn a_tool_is_checked_as_its_type_has_it() {
    let server = Server::start().await;
    let client = &server.client;
    let body = json!({"type": "function", "fuction": {}, "async": "yes"});
    let answer = client.post("/tool", &body).await;
    assert_eq!(
        answer.messages(),
        ["property fuction should not exist", "async must be a boolean value"]
    );
    let answer = client.post("/tool", &json!({"type": "magic"})).await;
    assert!(answer.messages()[0].starts_with("type must be one of the following values: "));
    let created = client.create("/tool", &weather("https://tools.example")).await;
    let change = async |changes: Value| client.patch(&path(&created), &changes).await;
    // A transferCall tool may have them, a function tool may not.
    let answer = change(json!({"destinations": []})).await;
    assert_eq!(answer.messages(), ["property destinations should not exist"]);
    let answer = change(json!({"type": "endCall"})).await;
    assert_eq!(answer.messages(), ["type must be function: it cannot be changed"]);
    assert_eq!(change(json!({"type": "function", "async": false})).await.status, 200);
    assert_eq!(client.patch(&format!("/tool/{MISSING}"), &json!({})).await.status, 404);
}

#[tokio::test]
async fn a_tool_that_the_model_names_by_id_is_run() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let tools = forecast("sunny").await;
    let stored = client.create("/tool", &weather(tools.url())).await;
    for fields in [
        json!({"toolIds": [stored["id"], stored["id"]]}),
        json!({"toolRefs": [{"toolId": stored["id"], "version": "v1"}]}),
    ] {
        let (_, mut leg) = calls.connect(model(fields.clone())).await;
        asks_for_weather(&calls, &mut leg, "sunny").await;
        leg.hang_up().await;
    }
    let asked = tools.event("tool-calls").await;
    assert_eq!(asked.message["toolCallList"][0]["name"], "weather");
    assert_eq!(tools.deliveries().len(), 2);

    // The assistant lies in the store with the id alone: a change of the tool is a change of it.
    let assistant = calls.assistant(model(json!({"toolIds": [stored["id"]]})));
    let assistant = client.create("/assistant", &assistant).await;
    let other = forecast("rainy").await;
    let moved = json!({"server": {"url": other.url()}});
    assert_eq!(client.patch(&path(&stored), &moved).await.status, 200);
    let body = json!({"assistantId": assistant["id"], "transport": {"provider": "vapi.websocket"}});
    let call = client.create("/call", &body).await;
    let mut leg = Leg::open(call["transport"]["websocketCallUrl"].as_str().unwrap()).await;
    leg.sound().await;
    asks_for_weather(&calls, &mut leg, "rainy").await;
}

#[tokio::test]
async fn a_tool_of_the_document_counts_before_a_stored_one_of_its_name() {
    let calls = Calls::start().await;
    let (stored, inline) = (forecast("stored").await, forecast("inline").await);
    let tool = calls.server.client.create("/tool", &weather(stored.url())).await;
    let fields = json!({"toolIds": [tool["id"]], "tools": [weather(inline.url())]});
    let (_, mut leg) = calls.connect(model(fields)).await;
    asks_for_weather(&calls, &mut leg, "inline").await;
    assert!(stored.deliveries().is_empty());
}

#[tokio::test]
async fn ids_that_name_no_tool_are_refused_with_their_paths() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let ours = client.create("/tool", &weather("https://tools.example")).await;
    let theirs = calls.server.stranger().create("/tool", &weather("https://tools.example")).await;
    let fields = json!({"toolIds": [ours["id"], theirs["id"], "t-1"],
        "toolRefs": [{"toolId": MISSING, "version": "v2"}]});
    let answer = calls.post(&calls.assistant(model(fields))).await;
    assert_eq!(
        answer.messages(),
        [
            format!("assistant.model.toolIds.1: {} does not name a tool", id(&theirs)),
            "assistant.model.toolIds.2: t-1 does not name a tool".into(),
            format!("assistant.model.toolRefs.0.toolId: {MISSING} does not name a tool"),
        ]
    );
    let ids = vec![MISSING; 200].iter().enumerate().map(|(n, _)| json!(n.to_string())).collect();
    let many = model(json!({"toolIds": Value::Array(ids)}));
    let answer = calls.post(&calls.assistant(many)).await;
    let expected = "assistant.model.toolIds must contain no more than 128 elements";
    assert_eq!(answer.messages(), [expected]);

    // An assistant may be stored before its tools are; a call of it may not begin.
    let assistant = calls.assistant(model(json!({"toolIds": ["t-1"]})));
    let assistant = client.create("/assistant", &assistant).await;
    let mut body =
        json!({"assistantId": assistant["id"], "transport": {"provider": "vapi.websocket"}});
    let expected =
        format!("model.toolIds.0 of assistant {}: t-1 does not name a tool", id(&assistant));
    assert_eq!(client.post("/call", &body).await.messages(), [expected]);
    body["assistantOverrides"] = model(json!({"toolIds": ["t-2"]}));
    let expected = "assistantOverrides.model.toolIds.0: t-2 does not name a tool";
    assert_eq!(client.post("/call", &body).await.messages(), [expected]);
    assert_eq!(client.ids("/call").await, [""; 0]);
}
