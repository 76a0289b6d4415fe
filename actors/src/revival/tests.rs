use std::time::Duration;

use offhook_core::{Finish, FirstMessageMode, ToolKind, ToolSpec};

use super::*;

fn opening() -> Vec<u8> {
    let tool = ToolSpec {
        name: "book".into(),
        description: String::new(),
        parameters: json!({"type": "object"}),
        kind: ToolKind::Function,
        is_async: false,
        messages: Vec::new(),
    };
    let opening = Opening {
        org: "org".into(),
        assistant: json!({}),
        options: CallOptions {
            first_message_mode: FirstMessageMode::AssistantSpeaksFirstWithModelGeneratedMessage,
            tools: vec![tool],
            ..CallOptions::default()
        },
        started_ms: 0,
        variable_values: Value::Null,
        recording: None,
        keys: CallKeys::default(),
    };
    serde_json::to_vec(&opening).unwrap()
}

fn line(at_ms: u64, event: Event) -> Vec<u8> {
    let input = CallInput::Event(event);
    serde_json::to_vec(&JournalEntry { at: CallTime::from_millis(at_ms), input }).unwrap()
}

/// A call whose model has asked for a tool.
fn tool_asked_for() -> Vec<Vec<u8>> {
    let turn = TurnId(1);
    let call = ToolCall { id: "c1".into(), name: "book".into(), arguments: json!({}) };
    vec![
        opening(),
        line(100, Event::LegConnected),
        line(300, Event::ReplyToolCalls { turn, calls: vec![call] }),
        line(310, Event::ReplyFinished { turn, finish: Finish::Stop }),
    ]
}

fn revived() -> Event {
    Event::Revived { reason: EndedReason::WorkerDied, wait: Duration::from_secs(30) }
}

#[test]
fn a_tool_was_begun_when_its_intent_was_written_down() {
    let mut lines = tool_asked_for();
    let left = |lines: &[Vec<u8>]| -> Vec<bool> {
        let revival = Revival::read(lines).unwrap();
        assert_eq!(revival.obstacle(), None);
        assert_eq!(revival.connected_at, Some(CallTime::from_millis(100)));
        revival.tools.iter().map(|tool| tool.was_begun).collect()
    };
    assert_eq!(left(&lines), [false]);
    lines.push(json!({"tool": {"id": "c1", "name": "book"}}).to_string().into_bytes());
    assert_eq!(left(&lines), [true]);
    let outcome = ToolOutcome::Done { result: "booked".into(), message: None };
    lines.push(line(900, Event::ToolFinished { turn: TurnId(1), call_id: "c1".into(), outcome }));
    assert!(left(&lines).is_empty());
}

#[test]
fn a_journal_with_gaps_is_nothing_to_go_on_from() {
    for line in [gap(3), b"{}".to_vec()] {
        let lines = [tool_asked_for(), vec![line]].concat();
        let obstacle = Revival::read(&lines).unwrap().obstacle().unwrap();
        assert!(obstacle.contains("lines of its journal are missing"), "{obstacle}");
    }
    assert!(Revival::read(&[b"{}".to_vec()]).is_none());
}

#[test]
fn a_call_that_processes_die_of_is_not_taken_up_for_ever() {
    let mut lines = tool_asked_for();
    lines.extend((0..TAKEN_UP_MAX).map(|n| line(1_000 + n as u64, revived())));
    assert!(Revival::read(&lines).unwrap().obstacle().unwrap().contains("died"));
    lines.insert(5, line(1_000, Event::LegBack { bridge: None }));
    assert_eq!(Revival::read(&lines).unwrap().obstacle(), None);
}

#[test]
fn a_call_that_was_about_to_end_ends_with_its_own_reason() {
    let reason = EndedReason::CustomerEndedCall;
    let ended = line(500, Event::LegClosed { reason: reason.clone() });
    let revival = Revival::read(&[tool_asked_for(), vec![ended]].concat()).unwrap();
    assert_eq!(revival.ended, Some(reason));
    assert!(revival.obstacle().is_some());
}

#[test]
fn a_call_whose_caller_is_with_somebody_else_is_not_taken_up() {
    let lines = [tool_asked_for(), vec![forwarded()]].concat();
    let revival = Revival::read(&lines).unwrap();
    assert_eq!(revival.ended, Some(EndedReason::AssistantForwardedCall));
    assert!(revival.obstacle().is_some());
}
