//! `/credential` as a client sees it, and what calls do with credentials.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{Calls, Client, Receiver, Server};

const MISSING: &str = "00000000-0000-4000-8000-000000000000";

fn path(credential: &Value) -> String {
    format!("/credential/{}", id(credential))
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

/// Stores a key of the voice's provider.
async fn store_voice_key(client: &Client, key: &str) -> Value {
    client.create("/credential", &json!({"provider": "11labs", "apiKey": key})).await
}

/// The key that the voice of a new call is asked with.
async fn voice_key(calls: &Calls, assistant: Value) -> String {
    let (_, leg) = calls.connect(assistant).await;
    let keys = calls.providers.keys_of("/v1/text-to-speech/").await;
    leg.hang_up().await;
    keys.last().unwrap().clone()
}

/// The files below a folder that hold these bytes.
fn files_with(folder: &Path, bytes: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else {
            let content = std::fs::read(&path).unwrap();
            if content.windows(bytes.len()).any(|window| window == bytes.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_credential_comes_back_without_its_secrets() {
    let server = Server::start().await;
    let client = &server.client;
    let sent = json!({"provider": "twilio", "name": "Main line", "accountSid": "AC1",
        "authToken": "hush-1", "apiKey": "hush-2", "apiSecret": "hush-3"});
    let created = client.post("/credential", &sent).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let shown = &created.body;
    assert_eq!(
        (&shown["provider"], &shown["name"], &shown["accountSid"]),
        (&json!("twilio"), &json!("Main line"), &json!("AC1"))
    );
    assert_eq!(shown.as_object().unwrap().len(), 7, "{shown}");
    let read = client.get(&path(shown)).await;
    assert_eq!(&read.body, shown);
    let listed = client.get("/credential").await;
    assert_eq!(listed.body, json!([shown]));
    let changes = json!({"name": "Spare line", "authToken": "hush-4"});
    let changed = client.patch(&path(shown), &changes).await;
    assert_eq!((changed.status, &changed.body["name"]), (200, &json!("Spare line")));
    let gone = client.delete(&path(shown)).await;
    assert_eq!((gone.status, &gone.body["id"]), (200, &shown["id"]));
    assert_eq!(client.get(&path(shown)).await.status, 404);
    for answer in [created, read, listed, changed, gone] {
        assert!(!answer.text.contains("hush") && !answer.text.contains("seal"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_credential_is_checked_as_its_provider_has_it() {
    let server = Server::start().await;
    let client = &server.client;
    let refuse = async |body: Value| {
        let answer = client.post("/credential", &body).await;
        answer.messages().into_iter().map(String::from).collect::<Vec<_>>()
    };
    let missing = refuse(json!({"provider": "deepgram", "apiUrl": "https://dg.example"})).await;
    assert_eq!(missing, ["apiKey should not be null or undefined"]);
    let unknown = refuse(json!({"provider": "deepgram", "apiKey": "k", "orgId": "o"})).await;
    assert_eq!(unknown, ["property orgId should not exist"]);
    let nobody = refuse(json!({"provider": "nobody", "apiKey": "k"})).await;
    assert!(nobody[0].starts_with("provider must be one of the following values: "), "{nobody:?}");

    let created = store_voice_key(client, "hush").await;
    let change = async |changes: Value| client.patch(&path(&created), &changes).await;
    let moved = change(json!({"provider": "cartesia"})).await;
    assert_eq!(moved.messages(), ["provider must be 11labs: it cannot be changed"]);
    let cleared = change(json!({"apiKey": null})).await;
    assert_eq!(cleared.messages(), ["apiKey must be a string"]);
    let foreign = change(json!({"accountSid": "a"})).await;
    assert_eq!(foreign.messages(), ["property accountSid should not exist"]);
    let stranger = server.stranger();
    assert_eq!(stranger.get(&path(&created)).await.status, 404);
    assert_eq!(stranger.patch(&path(&created), &json!({"name": "x"})).await.status, 404);
    assert_eq!(stranger.ids("/credential").await, [""; 0]);
}

#[tokio::test]
async fn no_secret_is_in_any_file_or_log_or_answer() {
    let mut calls = Calls::start().await;
    let client = &calls.server.client;
    let key = |secret: &str| json!([{"provider": "11labs", "apiKey": secret}]);
    store_voice_key(client, "hush-stored").await;
    let fields = json!({"name": "marker-in-clear", "credentials": key("hush-assistant")});
    let assistant = client.create("/assistant", &calls.assistant(fields)).await;
    let assistant_path = format!("/assistant/{}", id(&assistant));
    let patched = json!({"credentials": key("hush-patched")});
    assert_eq!(client.patch(&assistant_path, &patched).await.status, 200);
    let token = json!({"provider": "webhook",
        "authenticationPlan": {"type": "bearer", "token": "hush-token"}});
    let webhook = client.create("/credential", &token).await;
    let server = json!({"url": calls.receiver.url(), "credentialId": webhook["id"]});
    let body = json!({
        "assistant": calls.assistant(json!({"credentials": key("hush-inline"), "server": server})),
        "assistantOverrides": {"credentials": key("hush-override")},
        "transport": {"provider": "vapi.websocket"},
    });
    let call = client.create("/call", &body).await;
    let url = call["transport"]["websocketCallUrl"].as_str().unwrap();
    let mut leg = support::Leg::open(url).await;
    leg.sound().await;
    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    let report = calls.receiver.report(id(&call)).await;
    for shown in [
        call,
        ended,
        report,
        client.get("/assistant").await.body,
        client.get(&assistant_path).await.body,
        client.delete(&assistant_path).await.body,
    ] {
        assert!(!shown.to_string().contains("hush"), "{shown}");
    }
    let log = calls.server.log().join("\n");
    assert!(!log.contains("hush"), "{log}");
    let store = calls.server.store();
    calls.server.terminate();
    assert!(calls.server.stopped().await.success());
    assert_eq!(files_with(&store, "hush"), [""; 0]);
    assert_ne!(files_with(&store, "marker-in-clear"), [""; 0], "the search finds what is there");
}

#[tokio::test]
async fn the_nearest_credential_counts() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    assert_eq!(voice_key(&calls, json!({})).await, "provider-key", "the settings' key");
    let first = store_voice_key(client, "stored-1").await;
    assert_eq!(voice_key(&calls, json!({})).await, "stored-1");
    support::eventually("a later millisecond", async || {
        let last = store_voice_key(client, "stored-2").await;
        (last["createdAt"] != first["createdAt"]).then_some(())
    })
    .await;
    assert_eq!(voice_key(&calls, json!({})).await, "stored-2", "the newest one");
    calls
        .server
        .stranger()
        .create("/credential", &json!({"provider": "11labs", "apiKey": "x"}))
        .await;
    assert_eq!(
        voice_key(&calls, json!({})).await,
        "stored-2",
        "another organisation's is not ours"
    );

    let named = json!({"credentialIds": [first["id"]]});
    assert_eq!(voice_key(&calls, named.clone()).await, "stored-1");
    let other = json!({"provider": "openai", "apiKey": "other"});
    let other = client.create("/credential", &other).await;
    let without = json!({"credentialIds": [other["id"]]});
    assert_eq!(voice_key(&calls, without).await, "provider-key", "none of those that it names");
    let brought = json!({"credentialIds": [first["id"]],
        "credentials": [{"provider": "11labs", "apiKey": "inline"}]});
    assert_eq!(voice_key(&calls, brought).await, "inline");
}

#[tokio::test]
async fn a_stored_assistant_brings_its_credentials_through_restarts_and_overrides() {
    let calls = Calls::start().await;
    let key = |key: &str| json!([{"provider": "11labs", "apiKey": key}]);
    let fields = calls.assistant(json!({"credentials": key("assistant-1")}));
    let assistant = calls.server.client.create("/assistant", &fields).await;
    assert_eq!(assistant["credentials"], json!([{"provider": "11labs"}]));
    let Calls { server, providers, receiver } = calls;
    let calls = Calls { server: server.kill_and_restart().await, providers, receiver };
    let start = async |overrides: Value| {
        let body = json!({"assistantId": assistant["id"], "assistantOverrides": overrides,
            "transport": {"provider": "vapi.websocket"}});
        let call = calls.server.client.create("/call", &body).await;
        let url = call["transport"]["websocketCallUrl"].as_str().unwrap();
        let mut leg = support::Leg::open(url).await;
        leg.sound().await;
        leg.hang_up().await;
        calls.providers.keys_of("/v1/text-to-speech/").await.pop().unwrap()
    };
    assert_eq!(start(json!({})).await, "assistant-1");
    assert_eq!(start(json!({"credentials": key("override-1")})).await, "override-1");
    assert_eq!(start(json!({"credentials": []})).await, "provider-key");

    // What came back cannot be sent back: it lacks what it must have.
    let path = format!("/assistant/{}", id(&assistant));
    let answer =
        calls.server.client.patch(&path, &json!({"credentials": assistant["credentials"]})).await;
    assert_eq!(answer.messages(), ["credentials.0.apiKey should not be null or undefined"]);
}

#[tokio::test]
async fn a_custom_model_is_asked_with_the_key_of_its_credential() {
    let calls = Calls::start().await;
    let credential = json!({"provider": "custom-llm", "apiKey": "model-1"});
    calls.server.client.create("/credential", &credential).await;
    let url = format!("{}/v1", calls.providers.url());
    let model = json!({"provider": "custom-llm", "model": "m", "url": url});
    let (_, mut leg) = calls.connect(json!({"model": model})).await;
    calls.providers.caller_says("I need a doctor.").await;
    leg.event_where("the reply", |event| event.to_string().contains("You said I need")).await;
    let keys = calls.providers.keys_of("/v1/chat/completions").await;
    assert_eq!(keys.last().unwrap(), "Bearer model-1");
}

#[tokio::test]
async fn ids_that_name_no_credential_are_refused_with_their_paths() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let theirs = store_voice_key(&calls.server.stranger(), "theirs").await;
    let oauth2_model = json!({"provider": "custom-llm", "apiKey": "k",
        "authenticationPlan": {"type": "oauth2", "url": "https://a.example", "clientId": "c",
            "clientSecret": "hush"}});
    client.create("/credential", &oauth2_model).await;
    let oauth2 =
        json!({"provider": "webhook", "authenticationPlan": oauth2_model["authenticationPlan"]});
    let oauth2 = client.create("/credential", &oauth2).await;
    let hmac = json!({"provider": "webhook", "authenticationPlan":
        {"type": "hmac", "secretKey": "hush", "algorithm": "sha256"}});
    let hmac = client.create("/credential", &hmac).await;
    let refuse = async |fields: Value| {
        let answer = calls.post(&calls.assistant(fields)).await;
        assert!(!answer.text.contains("hush"), "{}", answer.text);
        answer.messages().join("\n")
    };

    let problems = refuse(json!({"credentialIds": ["c", theirs["id"]]})).await;
    let expected = format!(
        "assistant.credentialIds.0: c does not name a credential\n\
         assistant.credentialIds.1: {} does not name a credential",
        id(&theirs)
    );
    assert_eq!(problems, expected);
    let server = json!({"url": "https://a.example", "credentialId": MISSING});
    let problems = refuse(json!({"server": server})).await;
    let expected = format!("assistant.server.credentialId: {MISSING} does not name a credential");
    assert_eq!(problems, expected);
    let server = json!({"url": "https://a.example", "credentialId": oauth2["id"]});
    let problems = refuse(json!({"server": server})).await;
    assert!(
        problems.starts_with(
            "assistant.server.credentialId names a credential with authenticationPlan.type `oauth2`"
        ),
        "{problems}"
    );
    let server = json!({"url": "https://a.example", "credentialId": hmac["id"]});
    let problems = refuse(json!({"voice": {"provider": "custom-voice", "server": server}})).await;
    assert!(problems.starts_with("assistant.voice.server.credentialId names"), "{problems}");
    let model = json!({"provider": "custom-llm", "model": "m", "url": "https://a.example"});
    let problems = refuse(json!({"model": model})).await;
    assert!(problems.contains("authenticationPlan of a custom-llm credential"), "{problems}");

    let fields = calls.assistant(json!({"credentialIds": [MISSING]}));
    let assistant = client.create("/assistant", &fields).await;
    let body = json!({"assistantId": assistant["id"], "transport": {"provider": "vapi.websocket"}});
    let answer = client.post("/call", &body).await;
    let expected = format!(
        "credentialIds.0 of assistant {}: {MISSING} does not name a credential",
        id(&assistant)
    );
    assert_eq!(answer.messages(), [expected]);
    assert_eq!(client.ids("/call").await, [""; 0]);
}

#[tokio::test]
async fn a_server_is_convinced_by_the_credential_that_it_names() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let create = async |plan: Value| {
        let body = json!({"provider": "custom-credential", "authenticationPlan": plan});
        client.create("/credential", &body).await["id"].clone()
    };
    let bearer = create(json!({"type": "bearer", "token": "token-1"})).await;
    let hmac = create(json!({"type": "hmac", "secretKey": "key-1", "algorithm": "sha256"})).await;
    let tools = Receiver::answering(|message| match message["toolCallList"][0]["id"].as_str() {
        Some(id) => (200, json!({"results": [{"toolCallId": id, "result": "sunny"}]})),
        None => (200, json!({})),
    })
    .await;
    let tool = json!({"type": "function", "messages": [], "function": {"name": "weather"},
        "server": {"url": tools.url(), "credentialId": hmac}});
    let server = json!({"url": calls.receiver.url(), "credentialId": bearer});
    let model = json!({"provider": "openai", "model": "gpt-4.1-mini", "tools": [tool]});
    let (call, mut leg) = calls.connect(json!({"server": server, "model": model})).await;
    calls.providers.caller_says("How is the weather?").await;
    leg.event_where("the answer", |event| event.to_string().contains("They say sunny")).await;
    leg.hang_up().await;
    calls.receiver.report(id(&call)).await;
    for delivery in calls.receiver.deliveries() {
        assert_eq!(delivery.header("authorization"), "Bearer token-1", "{}", delivery.kind());
    }
    let asked = tools.event("tool-calls").await;
    let mut mac = Hmac::<Sha256>::new_from_slice(b"key-1").unwrap();
    mac.update(format!("{}.", asked.header("x-timestamp")).as_bytes());
    mac.update(&asked.bytes);
    let expected: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(asked.header("x-signature"), expected);
}

#[tokio::test]
async fn another_key_opens_nothing_until_the_secrets_are_stored_again() {
    let calls = Calls::start().await;
    let credential = store_voice_key(&calls.server.client, "hush-1").await;
    let key_file = calls.server.store().join("secret-key");
    std::fs::remove_file(&key_file).unwrap();
    let Calls { server, providers, receiver } = calls;
    let calls = Calls { server: server.kill_and_restart().await, providers, receiver };

    let answer = calls.post(&calls.assistant(json!({}))).await;
    assert_eq!(answer.status, 409, "{}", answer.text);
    let message = answer.body["message"].as_str().unwrap();
    let expected = format!("the secrets of credential {} cannot be opened", id(&credential));
    assert!(message.starts_with(&expected) && message.contains("store.secret_key"), "{message}");

    let again = json!({"apiKey": "hush-2"});
    assert_eq!(calls.server.client.patch(&path(&credential), &again).await.status, 200);
    assert_eq!(voice_key(&calls, json!({})).await, "hush-2");
}
