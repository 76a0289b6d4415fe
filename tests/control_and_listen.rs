//! `monitor.controlUrl` and `monitor.listenUrl`.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Calls, Frame, KEY, Leg, OTHER_KEY};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

fn control_url(call: &Value) -> &str {
    call["monitor"]["controlUrl"].as_str().unwrap()
}

fn listen_url(call: &Value) -> &str {
    call["monitor"]["listenUrl"].as_str().unwrap()
}

/// Sends a control message as a client does that has nothing but the URL.
async fn control(calls: &Calls, call: &Value, message: &Value) -> Answer {
    calls.server.client.with_key(None).post(control_url(call), message).await
}

async fn controlled(calls: &Calls, call: &Value, message: Value) {
    let answer = control(calls, call, &message).await;
    assert_eq!(answer.status, 200, "{message}: {}", answer.text);
}

/// Waits until the history ends with this message.
async fn history_ends_with(leg: &mut Leg, role: &str, text: &str) {
    let what = format!("a history that ends with {role}: {text}");
    leg.event_where(&what, |event| {
        let last = event["messages"].as_array().and_then(|messages| messages.last());
        event["type"] == "conversation-update"
            && last.is_some_and(|last| last["role"] == role && last["message"] == text)
    })
    .await;
}

#[tokio::test]
async fn say_is_spoken_and_written_down() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    history_ends_with(&mut leg, "bot", "Hello.").await;
    controlled(&calls, &call, json!({"type": "say", "content": "The doctor is late."})).await;
    leg.sound().await;
    history_ends_with(&mut leg, "bot", "The doctor is late.").await;
}

#[tokio::test]
async fn say_can_be_the_last_word() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    history_ends_with(&mut leg, "bot", "Hello.").await;
    let heard = leg.audio_bytes;
    let message = json!({"type": "say", "content": "Good bye.", "endCallAfterSpoken": true});
    controlled(&calls, &call, message).await;
    let (code, reason) = leg.closed().await;
    assert_eq!((code, &*reason), (1000, "assistant-ended-call-after-message-spoken"));
    // Nine characters of 20 ms at 16 kHz, and no less.
    assert!(leg.audio_bytes - heard >= 9 * 20 * 32, "{} bytes", leg.audio_bytes - heard);
    let ended = calls.ended(&call).await;
    assert_eq!(ended["endedReason"], "assistant-ended-call-after-message-spoken");
    assert_eq!(ended["messages"].as_array().unwrap().last().unwrap()["message"], "Good bye.");
}

#[tokio::test]
async fn a_message_that_is_added_is_answered_unless_that_is_not_wanted() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    history_ends_with(&mut leg, "bot", "Hello.").await;
    let add = |content: &str, answer: bool| {
        json!({"type": "add-message", "triggerResponseEnabled": answer,
            "message": {"role": "user", "content": content}})
    };
    controlled(&calls, &call, add("Write this down.", false)).await;
    history_ends_with(&mut leg, "user", "Write this down.").await;
    controlled(&calls, &call, add("What is it?", true)).await;
    history_ends_with(&mut leg, "bot", "You said What is it?").await;
    let answers: Vec<&Value> =
        leg.events.iter().filter(|event| event["type"] == "model-output").collect();
    assert!(!answers.is_empty());
    assert!(!answers.iter().any(|answer| answer.to_string().contains("Write this down")));
}

#[tokio::test]
async fn a_muted_assistant_says_nothing_until_it_is_unmuted() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    history_ends_with(&mut leg, "bot", "Hello.").await;
    controlled(&calls, &call, json!({"type": "control", "control": "mute-assistant"})).await;
    calls.providers.caller_says("Are you there?").await;
    history_ends_with(&mut leg, "user", "Are you there?").await;
    controlled(&calls, &call, json!({"type": "control", "control": "unmute-assistant"})).await;
    calls.providers.caller_says("And now?").await;
    history_ends_with(&mut leg, "bot", "You said And now?").await;
    let said = leg.events.iter().any(|event| event.to_string().contains("You said Are you there"));
    assert!(!said, "a muted assistant answered");
    controlled(&calls, &call, json!({"type": "control", "control": "say-first-message"})).await;
    history_ends_with(&mut leg, "bot", "Hello.").await;
}

#[tokio::test]
async fn a_call_can_be_ended_from_outside() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    controlled(&calls, &call, json!({"type": "end-call"})).await;
    assert_eq!(leg.closed().await, (1000, "manually-canceled".into()));
    let last = leg.events.last().unwrap();
    assert_eq!((&last["type"], &last["status"]), (&json!("status-update"), &json!("ended")));
    assert_eq!(calls.ended(&call).await["endedReason"], "manually-canceled");
    let answer = control(&calls, &call, &json!({"type": "end-call"})).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn the_leg_takes_the_same_messages() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    history_ends_with(&mut leg, "bot", "Hello.").await;
    leg.send_json(&json!({"type": "say", "content": "Said by the client."})).await;
    history_ends_with(&mut leg, "bot", "Said by the client.").await;
    // As the contract's envelope has it.
    leg.send_json(&json!({"message": {"type": "add-message", "triggerResponseEnabled": false,
        "message": {"role": "system", "content": "Be brief."}}}))
        .await;
    history_ends_with(&mut leg, "system", "Be brief.").await;
    leg.send_json(&json!({"type": "end-call"})).await;
    assert_eq!(leg.closed().await, (1000, "customer-ended-call".into()));
    assert_eq!(calls.ended(&call).await["endedReason"], "customer-ended-call");
}

#[tokio::test]
async fn a_control_message_that_makes_no_sense_is_refused() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    for (message, expected) in [
        (json!([]), "message must be an object"),
        (
            json!({}),
            "type must be one of the following values: say, add-message, control, end-call",
        ),
        (json!({"type": "say", "content": "  "}), "content should not be empty"),
        (
            json!({"type": "say", "content": "a".repeat(10_001)}),
            "content must be shorter than or equal to 10000 characters",
        ),
        (
            json!({"type": "say", "content": "a", "endCallAfterSpoken": "yes"}),
            "endCallAfterSpoken must be a boolean value",
        ),
        (
            json!({"type": "add-message", "message": {"role": "tool", "content": "a"}}),
            "message.role must be one of the following values: system, user, assistant",
        ),
        (
            json!({"type": "control", "control": "dance"}),
            "control must be one of the following values: mute-assistant, unmute-assistant, \
             say-first-message",
        ),
        (
            json!({"type": "transfer", "destination": {}}),
            "`transfer` is for phone calls: this call's leg is a websocket",
        ),
    ] {
        let answer = control(&calls, &call, &message).await;
        assert_eq!(answer.messages(), [expected], "{message}");
    }
    let client = calls.server.client.with_key(None);
    let answer = client.post_raw(control_url(&call), "say hello").await;
    assert!(answer.messages()[0].starts_with("the body is not JSON"), "{}", answer.text);
    history_ends_with(&mut leg, "bot", "Hello.").await;
}

#[tokio::test]
async fn the_token_of_a_url_opens_that_call_for_that_purpose_alone() {
    let calls = Calls::start().await;
    let (one, _leg) = calls.connect(json!({})).await;
    let two = calls.create(json!({})).await;
    let say = json!({"type": "say", "content": "Hi."});
    let (base, token) = control_url(&one).split_once("?token=").unwrap();
    let (_, others) = control_url(&two).split_once("?token=").unwrap();
    let (_, for_listening) = listen_url(&one).split_once("?token=").unwrap();
    for url in [
        base.to_owned(),
        format!("{base}?token=0{token}"),
        format!("{base}?token={others}"),
        format!("{base}?token={for_listening}"),
    ] {
        assert_eq!(calls.server.client.post(&url, &say).await.status, 401, "{url}");
    }
    let (base, _) = listen_url(&one).split_once("?token=").unwrap();
    assert_eq!(Leg::try_open(base).await.err().unwrap().0, 401);
    let crossed = format!("{base}?token={token}");
    assert_eq!(Leg::try_open(&crossed).await.err().unwrap().0, 401);
}

#[tokio::test]
async fn a_monitor_plan_can_ask_for_the_key_or_switch_it_off() {
    let calls = Calls::start().await;
    let plan = json!({"monitorPlan": {
        "controlAuthenticationEnabled": true, "listenAuthenticationEnabled": true,
    }});
    let (call, mut leg) = calls.connect(plan).await;
    let say = json!({"type": "say", "content": "Hi."});
    let client = &calls.server.client;
    for (key, expected) in
        [(None, 401), (Some("wrong"), 401), (Some(OTHER_KEY), 401), (Some(KEY), 200)]
    {
        let answer = client.with_key(key).post(control_url(&call), &say).await;
        assert_eq!(answer.status, expected, "{key:?}");
    }
    history_ends_with(&mut leg, "bot", "Hi.").await;
    assert_eq!(Leg::try_open(listen_url(&call)).await.err().unwrap().0, 401);
    let mut request = listen_url(&call).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
    Leg::open(request).await.event("start").await;

    let plan = json!({"monitorPlan": {"controlEnabled": false, "listenEnabled": false}});
    let call = calls.create(plan).await;
    assert_eq!(call.get("monitor"), None);
}

#[tokio::test]
async fn whoever_listens_hears_both_sides_until_the_end() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    history_ends_with(&mut leg, "bot", "Hello.").await;
    let mut listener = Leg::open(listen_url(&call)).await;
    let start = listener.next().await;
    assert_eq!(
        start,
        Frame::Event(json!({
            "type": "start", "channels": 1,
            "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16_000},
        }))
    );
    // What the caller says, and then what the assistant says.
    leg.send_audio([0x10, 0x27].repeat(3_200)).await;
    let is_loud = |frame: &Frame, level: i16| {
        matches!(frame, Frame::Audio(audio) if audio.chunks_exact(2).any(|sample| {
            i16::from_le_bytes([sample[0], sample[1]]) == level
        }))
    };
    while !is_loud(&listener.next().await, 10_000) {}
    controlled(&calls, &call, json!({"type": "say", "content": "The doctor is late."})).await;
    while !is_loud(&listener.next().await, -3_000) {}

    // One that only takes up room is not let speak.
    listener.send_audio(vec![0; 100]).await;
    leg.hang_up().await;
    assert_eq!(listener.closed().await, (1000, "the call is over".into()));
    assert_eq!(Leg::try_open(listen_url(&call)).await.err().unwrap().0, 404);
}
