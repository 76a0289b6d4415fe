//! `/call` as a client sees it, up to the first sound.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use serde_json::{Value, json};
use support::{Calls, Leg, Options, Server, assistant, eventually};

fn path(call: &Value) -> String {
    format!("/call/{}", id(call))
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

fn websocket() -> Value {
    json!({"provider": "vapi.websocket"})
}

#[tokio::test]
async fn a_new_call_is_queued_and_says_how_it_is_reached() {
    let calls = Calls::with(Options::default().set("calls.concurrency_limit=5")).await;
    let client = &calls.server.client;
    let stored = client.create("/assistant", &calls.assistant(json!({}))).await;
    let call = client
        .create(
            "/call",
            &json!({
                "assistantId": stored["id"], "name": "a call", "transport": websocket(),
                "assistantOverrides": {"variableValues": {"doctor": "Ek"}},
            }),
        )
        .await;
    assert_eq!(call["status"], "queued");
    assert_eq!(call["type"], "vapi.websocketCall");
    assert_eq!(call["name"], "a call");
    assert_eq!(call["assistantId"], stored["id"]);
    assert_eq!(call["orgId"], stored["orgId"]);
    assert_eq!(call["cost"], 0);
    assert_eq!(
        call["subscriptionLimits"],
        json!({"concurrencyBlocked": false, "concurrencyLimit": 5, "remainingConcurrentCalls": 4})
    );
    let (http, sockets) = (&client.url, client.url.replacen("http", "ws", 1));
    for (url, start) in [
        (&call["monitor"]["controlUrl"], format!("{http}/{}/control", id(&call))),
        (&call["monitor"]["listenUrl"], format!("{sockets}/{}/listen", id(&call))),
        (&call["transport"]["websocketCallUrl"], format!("{sockets}/{}/transport", id(&call))),
    ] {
        assert!(url.as_str().unwrap().starts_with(&start), "{url}");
    }
    assert_eq!(call["transport"]["provider"], "vapi.websocket");
    assert_eq!(
        call["transport"]["audioFormat"],
        json!({"format": "pcm_s16le", "container": "raw", "sampleRate": 16_000})
    );
    let read = client.get(&path(&call)).await.body;
    assert_eq!(read["id"], call["id"]);
    assert_eq!(read.get("subscriptionLimits"), None);
}

#[tokio::test]
async fn a_call_that_cannot_be_is_refused_with_what_would_work() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let unknown = "00000000-0000-4000-8000-000000000000";
    let theirs = calls.server.stranger().create("/assistant", &json!({})).await;
    let theirs_refused = format!("assistantId {} does not name an assistant", id(&theirs));
    let audio = |format: &str, rate: u32| {
        json!({"provider": "vapi.websocket",
            "audioFormat": {"format": format, "container": "raw", "sampleRate": rate}})
    };
    for (body, expected) in [
        (
            json!({"transport": websocket()}),
            "assistantId or assistant must be given: a call needs an assistant",
        ),
        (
            json!({"assistant": {}}),
            "one of `transport`, `customer`, `customerId` or `customers` must be set",
        ),
        (
            json!({"assistantId": unknown, "transport": websocket()}),
            "assistantId 00000000-0000-4000-8000-000000000000 does not name an assistant",
        ),
        (json!({"assistantId": theirs["id"], "transport": websocket()}), &theirs_refused),
        (
            json!({"assistant": {}, "transport": websocket(), "squadId": unknown}),
            "squadId is not supported by this version: name one assistant with assistantId or \
             assistant",
        ),
        (
            json!({"assistant": {}, "transport": websocket(),
                "schedulePlan": {"earliestAt": "2030-01-01T00:00:00Z"}}),
            "schedulePlan is for phone calls (phoneNumberId and customer): whoever opens the media \
             socket of a websocket call decides when it begins",
        ),
        (
            json!({"assistant": {"model": {"provider": "openai"}}, "transport": websocket()}),
            "assistant.model.model should not be null or undefined",
        ),
        (
            json!({"assistant": {}, "transport": websocket(), "asistant": {}}),
            "property asistant should not exist",
        ),
        (
            json!({"assistant": {}, "transport": {"provider": "twilio"}}),
            "transport.provider is a carrier's: phoneNumberId (who calls) and customer (who is \
             called) must be given",
        ),
        (
            json!({"assistant": {}, "transport": audio("mulaw", 16_000)}),
            "transport.audioFormat.sampleRate",
        ),
        (
            json!({"assistant": {}, "transport": audio("pcm_s16le", 4_000)}),
            "transport.audioFormat.sampleRate",
        ),
        (
            json!({"assistant": {}, "transport": audio("opus", 16_000)}),
            "transport.audioFormat.format",
        ),
    ] {
        let answer = client.post("/call", &body).await;
        let messages = answer.messages();
        assert!(messages.iter().any(|said| said.starts_with(expected)), "{body}: {messages:?}");
    }
    assert_eq!(client.ids("/call").await, [""; 0], "a refused call leaves nothing behind");
}

#[tokio::test]
async fn a_call_without_a_free_slot_is_turned_away_until_one_is_free() {
    let calls = Calls::with(Options::default().set("calls.concurrency_limit=1")).await;
    let (first, leg) = calls.connect(json!({})).await;
    let answer = calls.post(&calls.assistant(json!({}))).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.body["error"], "Too Many Requests");
    assert_eq!(answer.headers["retry-after"], "1");
    let message = answer.body["message"].as_str().unwrap();
    assert!(message.contains("calls.concurrency_limit"), "{message}");

    leg.hang_up().await;
    calls.ended(&first).await;
    let answer = eventually("a free slot", async || {
        let answer = calls.post(&calls.assistant(json!({}))).await;
        (answer.status == 201).then_some(answer)
    })
    .await;
    assert_eq!(answer.body["subscriptionLimits"]["remainingConcurrentCalls"], 0);
}

#[tokio::test]
async fn a_provider_that_is_not_driven_ends_the_call_and_is_named() {
    let calls = Calls::start().await;
    for (fields, reason) in [
        (
            json!({"voice": {"provider": "tavus", "voiceId": "r52da2535a"}}),
            "pipeline-error-tavus-voice-failed",
        ),
        (
            json!({"transcriber": {"provider": "gladia", "model": "fast"}}),
            "pipeline-error-gladia-transcriber-failed",
        ),
        (
            json!({"model": {"provider": "google", "model": "gemini-2.5-flash"}}),
            "pipeline-error-google-llm-failed",
        ),
    ] {
        let provider = reason.split('-').nth(2).unwrap();
        let call = calls.create(fields).await;
        assert_eq!(call["status"], "ended");
        assert_eq!(call["endedReason"], reason);
        let message = call["endedMessage"].as_str().unwrap();
        assert!(message.contains(&format!("`{provider}` is not driven by this version")));

        let report = calls.receiver.report(id(&call)).await;
        assert_eq!(report["endedReason"], reason);
        assert_eq!(report["endedMessage"], message);
        let kinds = calls.receiver.deliveries().into_iter();
        let kinds: Vec<String> = kinds
            .filter(|one| one.message["call"]["id"] == call["id"])
            .map(|one| one.kind().to_owned())
            .collect();
        assert_eq!(kinds, ["status-update", "end-of-call-report"]);

        let url = call["transport"]["websocketCallUrl"].as_str().unwrap();
        let (status, body) = Leg::try_open(url).await.err().unwrap();
        assert_eq!((status, &body["error"]), (404, &json!("Not Found")));
    }
}

#[tokio::test]
async fn a_provider_without_its_key_ends_the_call_and_names_the_variable() {
    let server = Server::start().await;
    let body = json!({"assistant": assistant(), "transport": websocket()});
    let call = server.client.create("/call", &body).await;
    assert_eq!(call["status"], "ended");
    let message = call["endedMessage"].as_str().unwrap();
    assert!(message.ends_with("needs an API key: set DEEPGRAM_API_KEY"), "{message}");
}

#[tokio::test]
async fn lists_are_filtered_by_what_calls_have() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let stored = client.create("/assistant", &calls.assistant(json!({}))).await;
    let of_assistant = json!({"assistantId": stored["id"], "transport": websocket()});
    let first = client.create("/call", &of_assistant).await;
    let second = calls.create(json!({})).await;
    let (one, two) = (id(&first), id(&second));
    let at = second["createdAt"].as_str().unwrap();
    for (query, expected) in [
        (String::new(), vec![two, one]),
        ("?limit=1".into(), vec![two]),
        (format!("?assistantId={}", id(&stored)), vec![one]),
        (format!("?id={two}"), vec![two]),
        (format!("?phoneNumberId={two}"), vec![]),
        (format!("?id={one}&createdAtGt={at}"), vec![]),
        ("?updatedAtGe=2020-01-01&createdAtLt=2020-01-01".into(), vec![]),
    ] {
        assert_eq!(client.ids(&format!("/call{query}")).await, expected, "{query}");
    }
    assert_eq!(calls.server.stranger().ids("/call").await, [""; 0]);
    let answer = client.get("/call?limit=-1&squadId=a").await;
    assert_eq!(
        answer.messages(),
        ["limit must not be less than 0", "property squadId should not exist"]
    );
}

#[tokio::test]
async fn only_the_name_of_a_call_can_be_changed() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let (call, leg) = calls.connect(json!({})).await;
    let answer = client.patch(&path(&call), &json!({"name": "renamed"})).await;
    assert_eq!((answer.status, &answer.body["name"]), (200, &json!("renamed")));
    let answer = client.patch(&path(&call), &json!({"status": "ended", "name": 1})).await;
    assert_eq!(answer.messages(), ["property status should not exist", "name must be a string"]);
    let stranger = calls.server.stranger();
    assert_eq!(stranger.patch(&path(&call), &json!({"name": "x"})).await.status, 404);
    assert_eq!(stranger.get(&path(&call)).await.status, 404);
    assert_eq!(stranger.delete(&path(&call)).await.status, 404);

    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    assert_eq!(ended["name"], "renamed", "the end of a call keeps its name");
}

#[tokio::test]
async fn an_ended_call_tells_what_happened() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({"artifactPlan": {"recordingEnabled": true}})).await;
    calls.providers.caller_says("I need a doctor.").await;
    leg.event_where("the reply", |event| {
        event["type"] == "conversation-update" && event.to_string().contains("You said I need")
    })
    .await;
    leg.hang_up().await;
    let ended = calls.ended(&call).await;
    assert_eq!(ended["endedReason"], "customer-ended-call");
    assert!(ended["createdAt"].as_str() <= ended["startedAt"].as_str());
    assert!(ended["startedAt"].as_str() < ended["endedAt"].as_str());
    let messages: Vec<_> = ended["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["role"].as_str().unwrap(), one["message"].as_str().unwrap()))
        .collect();
    assert_eq!(messages[..2], [("bot", "Hello."), ("user", "I need a doctor.")]);
    assert_eq!(messages[2..], [("bot", "You said I need a doctor.")]);
    let artifact = &ended["artifact"];
    let transcript = artifact["transcript"].as_str().unwrap();
    assert!(
        transcript.starts_with("AI: Hello.\nUser: I need a doctor.\nAI: You said"),
        "{transcript}"
    );
    let performance = &artifact["performanceMetrics"];
    assert!(performance["turnLatencyAverage"].as_f64().unwrap() > 0.0);
    // The model may have answered before the turn was surely over.
    assert!(performance["modelLatencyAverage"].as_f64().unwrap() >= 0.0);
    assert_eq!(ended["cost"], ended["costBreakdown"]["total"]);

    // The recording is found without a key by whoever was redirected to it.
    let client = &calls.server.client;
    for (kind, channels) in [("mono", 1), ("stereo", 2)] {
        let answer = client.get(&format!("{}/{kind}-recording", path(&call))).await;
        assert_eq!(answer.status, 302, "{}", answer.text);
        let location = answer.headers["location"].to_str().unwrap();
        let request = client.with_key(None).request(reqwest::Method::GET, location);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "audio/wav");
        let wav = response.bytes().await.unwrap();
        let reader = hound::WavReader::new(std::io::Cursor::new(wav)).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (channels, 16_000));
        assert!(reader.duration() > 4_000, "{} samples", reader.duration());
        let forged = location.replace("token=", "token=0");
        assert_eq!(client.get(&forged).await.status, 401);
    }
    let url = artifact["stereoRecordingUrl"].as_str().unwrap();
    assert_eq!(
        client.with_key(None).send(client.request(reqwest::Method::HEAD, url)).await.status,
        200
    );
}

#[tokio::test]
async fn a_deleted_call_is_gone_with_its_recording() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    let (first, leg) = calls.connect(json!({})).await;
    leg.hang_up().await;
    let ended = calls.ended(&first).await;
    let second = calls.create(json!({})).await;
    let recording = ended["artifact"]["recordingUrl"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&recording).await.status, 200);

    // Ids of the body replace the one of the path, and a wrong one changes nothing.
    let delete = async |ids: &[&str]| {
        let request = client.request(reqwest::Method::DELETE, &path(&first));
        client.send(request.json(&json!({"ids": ids}))).await
    };
    assert_eq!(delete(&[id(&second), "no-uuid"]).await.status, 404);
    assert_eq!(client.ids("/call").await, [id(&second), id(&first)]);
    let answer = delete(&[id(&second)]).await;
    assert_eq!((answer.status, &answer.body["id"]), (200, &second["id"]), "{}", answer.text);
    assert_eq!(client.ids("/call").await, [id(&first)]);
    let answer = client.delete(&path(&first)).await;
    assert_eq!((answer.status, &answer.body["id"]), (200, &first["id"]));
    assert_eq!(client.get(&path(&first)).await.status, 404);
    assert_eq!(client.get(&recording).await.status, 404);
    assert_eq!(client.delete(&path(&first)).await.status, 404);
    let store = calls.server.store().join("recordings");
    assert_eq!(std::fs::read_dir(store).unwrap().count(), 0);
}

#[tokio::test]
async fn variables_are_filled_in_where_a_call_needs_them() {
    let calls = Calls::start().await;
    let assistant = calls.assistant(json!({
        "firstMessage": "Hello {{name}}, {{ doctor | upcase }} is in. It is {{\"now\" | date: \"%Y\"}}.",
        "variableValues": {"doctor": "Ek"},
    }));
    let body = json!({
        "assistant": assistant, "transport": websocket(),
        "assistantOverrides": {"variableValues": {"name": "Kim"}},
    });
    let answer = calls.server.client.post("/call", &body).await;
    // `variableValues` belongs to the overrides alone.
    assert_eq!(answer.messages(), ["assistant.property variableValues should not exist"]);

    let assistant = calls.assistant(json!({
        "firstMessage": "Hello {{name}}, {{ doctor | upcase }} is in. It is {{\"now\" | date: \"%Y\"}}.",
    }));
    let body = json!({
        "assistant": assistant, "transport": websocket(), "customer": {"number": "+4670"},
        "assistantOverrides": {"variableValues": {"name": "Kim", "doctor": "Ek"}},
    });
    let answer = calls.server.client.post("/call", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let url = answer.body["transport"]["websocketCallUrl"].as_str().unwrap();
    let mut leg = Leg::open(url).await;
    let update = leg
        .event_where("the greeting", |event| {
            event["type"] == "conversation-update" && event.to_string().contains("Hello Kim")
        })
        .await;
    let said = update["messages"][0]["message"].as_str().unwrap();
    assert!(said.starts_with("Hello Kim, EK is in. It is 20"), "{said}");
}
