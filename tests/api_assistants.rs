//! `/assistant` as a client sees it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::{Client, Options, Server, eventually};

/// Creates assistants whose `createdAt` differ, oldest first.
async fn create_at_different_times(client: &Client, names: &[&str]) -> Vec<Value> {
    let mut created: Vec<Value> = Vec::new();
    for name in names {
        let before = created.last().map(|last| last["createdAt"].clone());
        let next = eventually("a later millisecond", async || {
            let next = client.create("/assistant", &json!({"name": name})).await;
            if Some(&next["createdAt"]) == before.as_ref() {
                client.delete(&path(&next)).await;
                return None;
            }
            Some(next)
        })
        .await;
        created.push(next);
    }
    created
}

fn path(assistant: &Value) -> String {
    format!("/assistant/{}", assistant["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_document_comes_back_as_it_was_sent_with_the_servers_fields() {
    let server = Server::start().await;
    let sent = json!({
        "name": "Front desk",
        "firstMessage": "Hello {{customer.name | default: \"there\"}}",
        "transcriber": {"provider": "assembly-ai", "language": "en"},
        "model": {
            "provider": "anthropic", "model": "claude-3-5-sonnet-20241022", "temperature": 0.25,
            "messages": [{"role": "system", "content": "Be kind."}],
        },
        "voice": {"provider": "cartesia", "voiceId": "a"},
        "endCallPhrases": ["bye now"],
        "metadata": {"tier": 3, "nested": {"empty": {}, "list": [1, 2.5, null]}},
        "analysisPlan": {"summaryPlan": {"enabled": false}},
    });
    let answer = server.client.post("/assistant", &sent).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let created = answer.body;
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&created[name], value, "{name}");
    }
    assert_eq!(created["id"].as_str().unwrap().len(), 36);
    assert_eq!(created["orgId"].as_str().unwrap().len(), 36);
    assert_eq!(created["createdAt"], created["updatedAt"]);
    let at = created["createdAt"].as_str().unwrap();
    assert!(at.len() == 24 && at.ends_with('Z'), "not ISO 8601 with milliseconds: {at}");
    assert_eq!(created.as_object().unwrap().len(), sent.as_object().unwrap().len() + 4);

    assert_eq!(server.client.get(&path(&created)).await.body, created);
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let server = Server::start().await;
    let created = server.client.create("/assistant", &json!({"name": "kept"})).await;
    let server = server.kill_and_restart().await;
    assert_eq!(server.client.get(&path(&created)).await.body, created);
}

#[tokio::test]
async fn a_patch_replaces_top_level_fields_and_null_clears() {
    let server = Server::start().await;
    let [old] = &create_at_different_times(&server.client, &["old"]).await[..] else { panic!() };
    let changes = json!({"firstMessage": "Hi", "endCallPhrases": ["bye", "ciao"],
        "model": {"provider": "openai", "model": "gpt-4.1", "temperature": 1}});
    assert_eq!(server.client.patch(&path(old), &changes).await.status, 200);

    let changes = json!({"firstMessage": null, "name": "new", "endCallPhrases": ["so long"],
        "model": {"provider": "openai", "model": "gpt-4.1-mini"}});
    let answer = eventually("a later millisecond", async || {
        let answer = server.client.patch(&path(old), &changes).await;
        (answer.body["updatedAt"] != old["updatedAt"]).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 200);
    let new = answer.body;
    assert_eq!(new["name"], "new");
    assert_eq!(new.get("firstMessage"), None);
    assert_eq!(new["endCallPhrases"], json!(["so long"]));
    assert_eq!(new["model"], json!({"provider": "openai", "model": "gpt-4.1-mini"}));
    assert_eq!((&new["id"], &new["createdAt"]), (&old["id"], &old["createdAt"]));
    assert!(new["updatedAt"].as_str() > old["updatedAt"].as_str());
    assert_eq!(server.client.get(&path(old)).await.body, new);

    let answer = server.client.patch(&path(old), &json!({"id": "x", "orgId": "y"})).await;
    assert_eq!(
        answer.messages(),
        ["property id should not exist", "property orgId should not exist"]
    );
    let answer = server.client.patch(&path(old), &json!({"model": {"provider": "openai"}})).await;
    assert_eq!(answer.messages(), ["model.model should not be null or undefined"]);
    assert_eq!(server.client.get(&path(old)).await.body, new);
}

#[tokio::test]
async fn deleting_answers_with_what_is_gone() {
    let server = Server::start().await;
    let created = server.client.create("/assistant", &json!({})).await;
    let answer = server.client.delete(&path(&created)).await;
    assert_eq!((answer.status, answer.body), (200, created.clone()));
    assert_eq!(server.client.delete(&path(&created)).await.status, 404);
    assert_eq!(server.client.get(&path(&created)).await.status, 404);
    assert_eq!(server.client.ids("/assistant").await, [""; 0]);
}

#[tokio::test]
async fn lists_are_newest_first_and_keep_to_their_bounds() {
    let server = Server::start().await;
    let client = &server.client;
    let created = create_at_different_times(client, &["a", "b", "c"]).await;
    let id = |n: usize| created[n]["id"].as_str().unwrap();
    let at = created[1]["createdAt"].as_str().unwrap();

    assert_eq!(client.ids("/assistant").await, [id(2), id(1), id(0)]);
    for (query, expected) in [
        ("limit=2".to_owned(), vec![id(2), id(1)]),
        ("limit=2.0".into(), vec![id(2), id(1)]),
        ("limit=0".into(), vec![]),
        (format!("createdAtGt={at}"), vec![id(2)]),
        (format!("createdAtGe={at}"), vec![id(2), id(1)]),
        (format!("createdAtLt={at}"), vec![id(0)]),
        (format!("createdAtLe={at}"), vec![id(1), id(0)]),
        (format!("createdAtGe={at}&createdAtLe={at}"), vec![id(1)]),
        ("createdAtGt=2020-01-01T00:00:00.123456%2B02:00&limit=1".into(), vec![id(2)]),
        ("updatedAtLt=2020-01-01".into(), vec![]),
    ] {
        assert_eq!(client.ids(&format!("/assistant?{query}")).await, expected, "{query}");
    }

    // A change moves an assistant along the bounds of `updatedAt`, not within the list.
    let updated = eventually("a later millisecond", async || {
        let updated = client.patch(&path(&created[0]), &json!({"name": "z"})).await.body;
        (updated["updatedAt"].as_str() > created[2]["updatedAt"].as_str()).then_some(updated)
    })
    .await;
    let at = updated["updatedAt"].as_str().unwrap();
    for (query, expected) in [
        (format!("updatedAtGe={at}"), vec![id(0)]),
        (format!("updatedAtGt={at}"), vec![]),
        (format!("updatedAtLt={at}"), vec![id(2), id(1)]),
        (format!("updatedAtLe={at}"), vec![id(2), id(1), id(0)]),
    ] {
        assert_eq!(client.ids(&format!("/assistant?{query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let answer = server.client.get("/assistant?limit=1001&createdAtGt=soon&assistantId=a").await;
    assert_eq!(
        answer.messages(),
        [
            "limit must not be greater than 1000",
            "createdAtGt must be a valid ISO 8601 date string",
            "property assistantId should not exist",
        ]
    );
}

#[tokio::test]
async fn every_offending_path_of_a_document_is_named() {
    let server = Server::start().await;
    for (body, expected) in [
        (json!({"nmae": "x"}), &["property nmae should not exist"][..]),
        (json!({"name": 3}), &["name must be a string"]),
        (json!({"name": "a".repeat(41)}), &["name must be shorter than or equal to 40 characters"]),
        (
            json!({"model": {"provider": "openai", "model": "gpt-4.1", "temperature": 3,
                "tools": [{"type": "function", "functoin": {}}]}}),
            &[
                "model.temperature must not be greater than 2",
                "model.tools.0.property functoin should not exist",
            ],
        ),
        (
            json!({"voice": {"provider": "11labs"}, "maxDurationSeconds": 1}),
            &[
                "voice.voiceId should not be null or undefined",
                "maxDurationSeconds must not be less than 10",
            ],
        ),
        (json!([]), &["request body must be an object"]),
        (json!("text"), &["request body must be an object"]),
    ] {
        let answer = server.client.post("/assistant", &body).await;
        let mut messages = answer.messages();
        messages.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(messages, expected, "{body}");
    }
    let unknown = json!({"voice": {"provider": "eleven"}});
    let answer = server.client.post("/assistant", &unknown).await;
    let [message] = answer.messages()[..] else { panic!("{}", answer.text) };
    assert!(
        message.starts_with("voice.provider must be one of the following values: "),
        "{message}"
    );
    assert!(message.contains("11labs"), "{message}");
    assert_eq!(server.client.ids("/assistant").await, [""; 0]);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_the_place() {
    let server = Server::start().await;
    for (body, expected) in [
        (&b"{\"name\": }"[..], "the body is not JSON: expected value at line 1 column 10"),
        (b"{\"name\": \"\xFF\"}", "the body is not JSON: "),
        (b"{\"name\": \"a\"} x", "the body is not JSON: trailing characters at line 1 column 15"),
    ] {
        let answer = server.client.post_raw("/assistant", body.to_vec()).await;
        let [message] = answer.messages()[..] else { panic!("{}", answer.text) };
        assert!(message.starts_with(expected), "{message}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = server.client.post_raw("/assistant", deep).await;
    assert!(answer.messages()[0].contains("recursion limit exceeded"), "{}", answer.text);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_and_the_limit_named() {
    let server = Server::with(Options::default().set("server.body_limit=2KiB")).await;
    let answer = server.client.post("/assistant", &json!({"name": "a".repeat(3_000)})).await;
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.body,
        json!({
            "statusCode": 413, "error": "Payload Too Large",
            "message": "request body is too large, expected at most 2048 bytes",
        })
    );
}

#[tokio::test]
async fn who_has_no_key_gets_nowhere() {
    let server = Server::start().await;
    let created = server.client.create("/assistant", &json!({})).await;
    for client in [server.client.with_key(None), server.client.with_key(Some("wrong"))] {
        for (method, path) in [
            (Method::GET, path(&created)),
            (Method::PATCH, path(&created)),
            (Method::DELETE, path(&created)),
            (Method::GET, "/assistant".into()),
            (Method::POST, "/assistant".into()),
            (Method::GET, "/call".into()),
            (Method::POST, "/call".into()),
        ] {
            let answer = client.send(client.request(method.clone(), &path)).await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(
                answer.body,
                json!({
                    "statusCode": 401, "error": "Unauthorized",
                    "message": "invalid or missing API key, expected the header \
                                `Authorization: Bearer KEY`",
                })
            );
        }
    }
    assert_eq!(server.client.get(&path(&created)).await.status, 200);
}

#[tokio::test]
async fn another_organisations_documents_do_not_exist() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let created = server.client.create("/assistant", &json!({"name": "ours"})).await;
    let theirs = stranger.create("/assistant", &json!({"name": "theirs"})).await;
    assert_ne!(created["orgId"], theirs["orgId"]);

    let id = created["id"].as_str().unwrap();
    let missing = json!({
        "statusCode": 404, "error": "Not Found", "message": format!("assistant {id} does not exist"),
    });
    for answer in [
        stranger.get(&path(&created)).await,
        stranger.patch(&path(&created), &json!({"name": "stolen"})).await,
        stranger.delete(&path(&created)).await,
    ] {
        assert_eq!((answer.status, answer.body), (404, missing.clone()));
    }
    assert_eq!(stranger.ids("/assistant").await, [theirs["id"].as_str().unwrap()]);
    assert_eq!(server.client.get(&path(&created)).await.body, created);
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    let server = Server::start().await;
    let client = &server.client;
    for path in ["/assistant/no-uuid", "/assistant/00000000-0000-4000-8000-000000000000"] {
        let answer = client.get(path).await;
        assert_eq!((answer.status, &answer.body["error"]), (404, &json!("Not Found")), "{path}");
    }
    let answer = client.get("/assistants").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body["message"], "Cannot GET /assistants; the routes are listed at /docs");
    let answer = client.send(client.request(Method::PUT, "/assistant")).await;
    assert_eq!(answer.status, 404);
}
