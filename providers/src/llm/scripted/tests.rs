use std::time::Duration;

use offhook_core::ToolSpec;
use serde_json::json;
use tokio::time::Instant;

use super::*;

fn user(content: &str) -> Message {
    Message::User { content: content.into() }
}

fn result(name: &str, content: &str) -> Message {
    Message::ToolResult { call_id: "call_1".into(), name: name.into(), content: content.into() }
}

fn clinic() -> Value {
    json!({"provider": "scripted", "rules": [
        {"when": "^$", "reply": "Welcome."},
        {"when": "book", "reply": "For which day?"},
        {"when": "(?<day>monday|thursday) at (\\w+)", "reply": "One moment.",
         "call": {"name": "book", "arguments": {"slot": {"day": "{day}", "at": "{2}"}, "persons": 1}}},
        {"when": "*", "reply": "Please say that again."},
        {"when": "goodbye", "reply": "Goodbye.", "end": true},
        {"tool": "book", "when": "taken", "reply": "That is taken."},
        {"tool": "book", "when": "*", "reply": "Your number is {result.slot.number}."},
    ]})
}

fn answer(options: &Value, messages: &[Message]) -> Answer {
    scripted(options).unwrap().rules.answer(messages)
}

fn reply(options: &Value, messages: &[Message]) -> String {
    answer(options, messages).reply.unwrap()
}

fn refusal(rules: Value) -> String {
    scripted(&json!({"rules": rules})).map(|_| ()).unwrap_err()
}

#[test]
fn the_first_pattern_that_matches_answers_and_the_star_only_what_none_does() {
    let rules = clinic();

    assert_eq!(reply(&rules, &[user("I want to BOOK for monday at ten")]), "For which day?");
    assert_eq!(reply(&rules, &[user("goodbye")]), "Goodbye.");
    assert_eq!(reply(&rules, &[user("what?")]), "Please say that again.");
    assert_eq!(reply(&rules, &[]), "Welcome.");
    assert_eq!(reply(&rules, &[user("book"), result("book", "it is taken")]), "That is taken.");
    assert_eq!(
        reply(&rules, &[user("book"), result("book", r#"{"slot": {"number": 42}}"#)]),
        "Your number is 42."
    );
    assert_eq!(reply(&rules, &[result("other", "{}")]), "Please say that again.");
}

#[test]
fn without_a_star_what_no_rule_matches_is_apologised_for() {
    let rules = json!({"rules": [{"when": "yes", "reply": "Good."}]});

    assert_eq!(reply(&rules, &[user("no")]), "Sorry, I did not get that.");
}

#[test]
fn groups_fill_the_arguments_of_a_call() {
    let answer = answer(&clinic(), &[user("Thursday at ten please")]);

    assert_eq!(
        answer.call,
        Some(("book".into(), json!({"slot": {"day": "Thursday", "at": "ten"}, "persons": 1})))
    );
}

#[test]
fn bad_rules_are_refused_with_their_index_and_reason() {
    assert_eq!(refusal(json!({})), "`rules` must be an array of rules");
    assert_eq!(
        refusal(json!([{"when": "a", "reply": "b"}, {"when": "(", "reply": "b"}])),
        "rules[1]: bad pattern in `when`: unclosed group"
    );
    assert_eq!(
        refusal(json!([{"when": "a", "replly": "b"}])),
        "rules[0]: unknown field `replly`, expected one of `when`, `tool`, `examples`, `reply`, \
         `call`, `end`"
    );
    assert_eq!(refusal(json!([{"when": "a"}])), "rules[0]: expected a `reply`, a `call` or `end`");
    assert_eq!(
        refusal(json!([{"when": "a", "reply": "hello {name}"}])),
        "rules[0]: nothing fills `{name}`, expected a group of `when`"
    );
    assert_eq!(
        refusal(json!([{"when": "a", "reply": "{result.id}"}])),
        "rules[0]: nothing fills `{result.id}`, expected a group of `when` (only rules with `tool` \
         have a result)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_streams_word_by_word_at_its_pace_and_ends_with_its_calls() {
    let scripted = scripted(&json!({"tokenDelayMs": 50, "rules": [
        {"when": "bye", "reply": "See you soon.", "call": {"name": "log"}, "end": true},
    ]}))
    .unwrap();
    let hang_up = ToolSpec {
        name: "hang_up".into(),
        description: String::new(),
        parameters: json!({}),
        kind: ToolKind::EndCall,
        is_async: false,
        messages: Vec::new(),
    };
    let start = Instant::now();
    let earlier = Message::ToolCalls {
        calls: vec![ToolCall { id: "call_1".into(), name: "log".into(), arguments: json!({}) }],
    };
    let request = LlmRequest { messages: vec![earlier, user("bye now")], tools: vec![hang_up] };

    let mut stream = scripted.generate(request).await.unwrap();
    let mut log = Vec::new();
    while let Some(event) = stream.events.recv().await {
        log.push((start.elapsed().as_millis(), event.unwrap()));
    }

    let call = |id: &str, name: &str| {
        let (id, name) = (id.into(), name.into());
        LlmEvent::ToolCall(ToolCall { id, name, arguments: json!({}) })
    };
    let usage = Usage { prompt_tokens: 3, completion_tokens: 3, ..Usage::default() };
    assert_eq!(
        log,
        [
            (50, LlmEvent::Text("See ".into())),
            (100, LlmEvent::Text("you ".into())),
            (150, LlmEvent::Text("soon.".into())),
            (200, call("call_2", "log")),
            (250, call("call_3", "hang_up")),
            (250, LlmEvent::Usage(usage)),
            (250, LlmEvent::Finished(Finish::Stop)),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_stream_stops_the_model() {
    let (output, stream) = mpsc::channel(EVENT_QUEUE);
    let events = vec![LlmEvent::Text("word ".into()); 100];
    let streaming = tokio::spawn(stream_events(events, Duration::from_secs(10), output));
    let start = Instant::now();

    drop(stream);
    streaming.await.unwrap();

    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[test]
fn what_is_said_while_a_tool_runs_does_not_hide_its_result() {
    let waiting = Message::Assistant { content: "One moment.".into(), interrupted: false };
    let mut messages = vec![user("book"), result("book", "it is taken"), waiting];
    assert_eq!(reply(&clinic(), &messages), "That is taken.");
    messages.push(user("goodbye"));
    assert_eq!(reply(&clinic(), &messages), "Goodbye.");
}
