use expect_test::{Expect, expect};
use offhook_core::{
    CallStatus, CallTime, EndedReason, Role, SpeechSource, SpeechStatus, SpeechTiming,
    TranscriptType,
};

use super::*;
use crate::AssistantView;

fn assistant() -> Value {
    json!({
        "name": "Nora",
        "server": {"url": "https://a.example", "secret": "hush", "headers": {"Authorization": "hush"}},
        "credentials": [{"provider": "openai", "apiKey": "hush"}],
        "model": {"provider": "openai", "tools": [{
            "type": "function",
            "function": {"name": "book"},
            "parameters": [{"key": "tenant", "value": "t1"}],
        }]},
    })
}

fn call() -> Value {
    json!({
        "id": "c1",
        "type": "vapi.websocketCall",
        "transport": {"provider": "vapi.websocket", "websocketCallUrl": "wss://hush"},
        "assistant": {"serverUrlSecret": "hush"},
        "customer": {"number": "+1555"},
        "phoneNumber": {"number": "+1666", "twilioAuthToken": "hush"},
        "startedAt": "2024-01-01T00:00:00.000Z",
        "endedAt": "2024-01-01T00:01:30.500Z",
        "cost": 0,
        "messages": [1], "artifact": {"big": 1},
    })
}

fn with_context<T>(run: impl FnOnce(&EnvelopeContext<'_>) -> T) -> T {
    let view = AssistantView::new(assistant()).unwrap();
    let history = [Entry {
        at: CallTime::from_millis(1_000),
        until: CallTime::from_millis(2_000),
        message: Message::User { content: "Hi".into() },
    }];
    let artifact = json!({"transcript": "User: Hi\n", "messages": [], "recordingUrl": "https://r"});
    run(&EnvelopeContext {
        call: &call(),
        assistant: &assistant(),
        tools: view.tools(),
        preamble: &[],
        history: &history,
        clock: CallClock { created_ms: 1_700_000_000_000, connected: CallTime::ZERO },
        artifact: Some(&artifact),
        now_ms: 1_700_000_003_000,
    })
}

fn check_client(event: ServerEvent, expected: Expect) {
    with_context(|context| expected.assert_eq(&client_message(&event, context).to_string()));
}

#[test]
fn client_frames_are_the_bare_message() {
    check_client(
        ServerEvent::StatusUpdate {
            status: CallStatus::Ended,
            ended_reason: Some(EndedReason::CustomerEndedCall),
        },
        expect![[
            r#"{"timestamp":1700000003000,"type":"status-update","status":"ended","endedReason":"customer-ended-call"}"#
        ]],
    );
    check_client(
        ServerEvent::SpeechUpdate { status: SpeechStatus::Started, role: Role::Assistant, turn: 2 },
        expect![[
            r#"{"timestamp":1700000003000,"type":"speech-update","status":"started","role":"assistant","turn":2}"#
        ]],
    );
    check_client(
        ServerEvent::Transcript {
            role: Role::User,
            transcript_type: TranscriptType::Partial,
            transcript: "I'd like".into(),
        },
        expect![[
            r#"{"timestamp":1700000003000,"type":"transcript","role":"user","transcriptType":"partial","transcript":"I'd like"}"#
        ]],
    );
    check_client(
        ServerEvent::AssistantSpeechStarted {
            text: "Hello".into(),
            turn: 0,
            source: SpeechSource::ForceSay,
            timing: None,
        },
        expect![[
            r#"{"timestamp":1700000003000,"type":"assistant.speechStarted","text":"Hello","turn":0,"source":"force-say"}"#
        ]],
    );
    check_client(
        ServerEvent::AssistantSpeechStarted {
            text: "Hello you".into(),
            turn: 1,
            source: SpeechSource::Model,
            timing: Some(SpeechTiming::WordAlignment {
                words: vec!["Hello".into(), " ".into(), "you".into()],
                words_start_times_ms: vec![0, 300, 350],
                words_end_times_ms: vec![300, 350, 600],
            }),
        },
        expect![[
            r#"{"timestamp":1700000003000,"type":"assistant.speechStarted","text":"Hello you","turn":1,"source":"model","timing":{"type":"word-alignment","words":["Hello"," ","you"],"wordsStartTimesMs":[0,300,350],"wordsEndTimesMs":[300,350,600]}}"#
        ]],
    );
    check_client(
        ServerEvent::ModelOutput { output: "Hel".into(), turn_id: "t".into() },
        expect![[
            r#"{"timestamp":1700000003000,"type":"model-output","output":"Hel","turnId":"t"}"#
        ]],
    );
    check_client(
        ServerEvent::UserInterrupted { turn_id: "t".into() },
        expect![[r#"{"timestamp":1700000003000,"type":"user-interrupted","turnId":"t"}"#]],
    );
    check_client(
        ServerEvent::ConversationUpdate,
        expect![[
            r#"{"timestamp":1700000003000,"type":"conversation-update","messages":[{"role":"user","message":"Hi","time":1700000001000,"endTime":1700000002000,"secondsFromStart":1.0,"duration":1000}],"messagesOpenAIFormatted":[{"role":"user","content":"Hi"}]}"#
        ]],
    );
}

fn tool_calls() -> ServerEvent {
    ServerEvent::ToolCalls {
        tool_calls: vec![ToolCall {
            id: "t1".into(),
            name: "book".into(),
            arguments: json!({"day": "Friday"}),
        }],
    }
}

#[test]
fn a_server_is_told_what_surrounds_the_event_and_no_secret() {
    let body = with_context(|context| server_message(&ServerEvent::Hang, context));
    expect![[r#"{"message":{"timestamp":1700000003000,"type":"hang","artifact":{"transcript":"User: Hi\n","messages":[],"recordingUrl":"https://r"},"call":{"id":"c1","type":"vapi.websocketCall","transport":{"provider":"vapi.websocket"},"assistant":{},"customer":{"number":"+1555"},"phoneNumber":{"number":"+1666"},"startedAt":"2024-01-01T00:00:00.000Z","endedAt":"2024-01-01T00:01:30.500Z","cost":0},"assistant":{"name":"Nora","server":{"url":"https://a.example"},"model":{"provider":"openai","tools":[{"type":"function","function":{"name":"book"},"parameters":[{"key":"tenant","value":"t1"}]}]}},"customer":{"number":"+1555"},"phoneNumber":{"number":"+1666"}}}"#]]
    .assert_eq(&body.to_string());
}

#[test]
fn a_tool_call_is_told_with_its_tool_and_its_static_arguments() {
    let body = with_context(|context| server_message(&tool_calls(), context));
    expect![[r#"[{"id":"t1","type":"function","function":{"name":"book","arguments":{"day":"Friday","tenant":"t1"}},"name":"book","arguments":{"day":"Friday","tenant":"t1"},"parameters":{"day":"Friday","tenant":"t1"}}]"#]]
    .assert_eq(&body["message"]["toolCallList"].to_string());
    expect![[r#"[{"type":"function","function":{"name":"book"},"parameters":[{"key":"tenant","value":"t1"}],"name":"book","toolCall":{"id":"t1","type":"function","function":{"name":"book","arguments":{"day":"Friday","tenant":"t1"}},"parameters":{"day":"Friday","tenant":"t1"}}}]"#]]
    .assert_eq(&body["message"]["toolWithToolCallList"].to_string());
    assert!(body["message"].get("toolCalls").is_none());
}

#[test]
fn a_client_does_not_see_static_arguments() {
    let frame = with_context(|context| client_message(&tool_calls(), context));
    assert_eq!(frame["toolCallList"][0]["arguments"], json!({"day": "Friday"}));
    assert!(!frame.to_string().contains("tenant"), "{frame}");
}

#[test]
fn the_started_assistant_is_told_without_secrets() {
    let frame = with_context(|context| client_message(&ServerEvent::AssistantStarted, context));
    assert_eq!(frame["newAssistant"]["name"], "Nora");
    assert!(!frame.to_string().contains("hush"), "{frame}");
}

#[test]
fn the_report_has_the_artifact_and_what_older_clients_look_for() {
    let event = ServerEvent::EndOfCallReport { ended_reason: EndedReason::CustomerEndedCall };
    let body = with_context(|context| server_message(&event, context));
    let message = &body["message"];
    assert_eq!(message["type"], "end-of-call-report");
    assert_eq!(message["endedReason"], "customer-ended-call");
    assert_eq!(message["durationSeconds"], 90.5);
    assert_eq!(message["artifact"]["transcript"], "User: Hi\n");
    assert_eq!(message["transcript"], "User: Hi\n");
    assert_eq!(message["recordingUrl"], "https://r");
    assert_eq!((&message["analysis"], &message["cost"]), (&json!({}), &json!(0)));
    assert!(message["call"].get("artifact").is_none());
}
