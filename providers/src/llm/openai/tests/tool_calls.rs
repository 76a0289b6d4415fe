//! Tool calls, as servers stream them and as they are told back.

use super::*;

#[tokio::test]
async fn tool_calls_are_put_together_by_index_and_follow_the_text() {
    let stream = reply(|mut asked| async move {
        asked.event(chunk(json!({"content": "Let me see."}))).await;
        for part in [
            json!({"index": 0, "id": "a", "type": "function",
                   "function": {"name": "weather", "arguments": ""}}),
            json!({"index": 0, "function": {"arguments": "{\"city\":"}}),
            json!({"index": 1, "id": "b", "function": {"name": "weather", "arguments": ""}}),
            json!({"index": 0, "function": {"arguments": "\"Ulm\"}"}}),
        ] {
            asked.event(chunk(json!({"tool_calls": [part]}))).await;
        }
        asked.event(finished("tool_calls")).await;
        asked.stream("data: [DONE]\n\n").await;
        asked.end_stream().await;
    })
    .await;
    assert_eq!(
        events(stream).await,
        [
            LlmEvent::Text("Let me see.".into()),
            LlmEvent::ToolCall(called("a", json!({"city": "Ulm"}))),
            LlmEvent::ToolCall(called("b", json!({}))),
            LlmEvent::Finished(Finish::Stop),
        ]
    );
}

#[tokio::test]
async fn tool_calls_of_lenient_servers_are_understood() {
    let stream = reply(|mut asked| async move {
        // Whole calls, arguments as an object, all numbered 0, a stop for a reason, no `[DONE]`.
        for id in ["a", "b"] {
            let function = json!({"name": "weather", "arguments": {"city": id}});
            let call = json!({"index": 0, "id": id, "function": function});
            asked.event(chunk(json!({"content": null, "tool_calls": [call]}))).await;
        }
        asked.event(finished("stop")).await;
        asked.end_stream().await;
    })
    .await;
    let expected = ["a", "b"].map(|id| LlmEvent::ToolCall(called(id, json!({"city": id}))));
    let [first, second] = expected;
    assert_eq!(events(stream).await, [first, second, LlmEvent::Finished(Finish::Stop)]);

    let stream = reply(|mut asked| async move {
        for arguments in ["{\"city\":", "\"Ulm\"}"] {
            let call = json!({"function": {"name": "weather", "arguments": arguments}});
            asked.event(chunk(json!({"tool_calls": [call]}))).await;
        }
        asked.event(finished("tool_calls")).await;
        asked.end_stream().await;
    })
    .await;
    let told = events(stream).await;
    let LlmEvent::ToolCall(call) = &told[0] else { panic!("{told:?}") };
    assert!(call.id.starts_with("call_") && call.id.len() > 20, "{}", call.id);
    assert_eq!(call.arguments, json!({"city": "Ulm"}));
}

#[tokio::test]
async fn pieces_of_calls_find_their_call_however_they_are_marked() {
    let part = |index: Value, id: Value, name: &str, arguments: &str| {
        let mut call = json!({"function": {"arguments": arguments}});
        for (field, value) in [("index", index), ("id", id)] {
            if !value.is_null() {
                call[field] = value;
            }
        }
        if !name.is_empty() {
            call["function"]["name"] = name.into();
        }
        call
    };
    let (none, city) = (Value::Null, "{\"city\":\"Ulm\"}");
    let (head, tail) = city.split_at(6);
    let ulm = || json!({"city": "Ulm"});
    for (what, parts, expected) in [
        (
            "two calls in turns",
            vec![
                part(0.into(), "a".into(), "weather", head),
                part(1.into(), "b".into(), "weather", head),
                part(0.into(), none.clone(), "", tail),
                part(1.into(), none.clone(), "", tail),
            ],
            vec![("a", ulm()), ("b", ulm())],
        ),
        (
            "whole calls without a number",
            vec![
                part(none.clone(), "a".into(), "weather", city),
                part(none.clone(), "b".into(), "weather", ""),
            ],
            vec![("a", ulm()), ("b", json!({}))],
        ),
        (
            "an id of its own for every piece",
            vec![
                part(0.into(), "a1".into(), "weather", head),
                part(0.into(), "a2".into(), "", tail),
                part(1.into(), "b1".into(), "weather", ""),
            ],
            vec![("a1", ulm()), ("b1", json!({}))],
        ),
        (
            "one id in every piece",
            vec![
                part(0.into(), "a".into(), "weather", head),
                part(0.into(), "a".into(), "weather", tail),
            ],
            vec![("a", ulm())],
        ),
        (
            "one id for two calls",
            vec![
                part(0.into(), "a".into(), "weather", city),
                part(1.into(), "a".into(), "weather", ""),
            ],
            vec![("a", ulm()), ("a", json!({}))],
        ),
        (
            "null for no arguments",
            vec![part(0.into(), "a".into(), "weather", "null")],
            vec![("a", json!({}))],
        ),
    ] {
        let stream = reply(move |mut asked| async move {
            for part in parts {
                asked.event(chunk(json!({"tool_calls": [part]}))).await;
            }
            asked.event(finished("tool_calls")).await;
            asked.end_stream().await;
        })
        .await;
        let calls = expected.into_iter().map(|(id, city)| LlmEvent::ToolCall(called(id, city)));
        let expected: Vec<_> = calls.chain([LlmEvent::Finished(Finish::Stop)]).collect();
        assert_eq!(events(stream).await, expected, "{what}");
    }
}

pub(super) async fn half_a_call(reason: &'static str) -> LlmStream {
    reply(move |mut asked| async move {
        let function = json!({"name": "weather", "arguments": "{\"my secret"});
        let call = json!({"index": 0, "id": "a", "function": function});
        asked.event(chunk(json!({"tool_calls": [call]}))).await;
        asked.event(finished(reason)).await;
        asked.end_stream().await;
    })
    .await
}

#[tokio::test]
async fn a_call_in_the_middle_of_which_the_reply_is_cut_off_is_none() {
    for (reason, finish) in [("length", Finish::Length), ("content_filter", Finish::ContentFilter)]
    {
        assert_eq!(events(half_a_call(reason).await).await, [LlmEvent::Finished(finish)]);
    }
}

#[tokio::test]
async fn each_tool_call_is_followed_by_its_result_wherever_that_is() {
    let calls = vec![called("a", json!({"city": "Ulm"})), called("b", json!({}))];
    let result = |id: &str, content: &str| Message::ToolResult {
        call_id: id.into(),
        name: "weather".into(),
        content: content.into(),
    };
    let conversation = vec![
        user("weather?"),
        assistant("Let me see."),
        Message::ToolCalls { calls },
        assistant("One moment."),
        user("quick"),
        result("a", "sunny"),
        result("lost", "rain"),
    ];
    let request = LlmRequest { messages: conversation, tools: vec![weather()] };
    let body = body(json!({"model": "gpt-4.1"}), request).await;
    let call = |id: &str, arguments: &str| {
        json!({"id": id, "type": "function",
               "function": {"name": "weather", "arguments": arguments}})
    };
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": "Let me see.",
             "tool_calls": [call("a", "{\"city\":\"Ulm\"}"), call("b", "{}")]},
            {"role": "tool", "tool_call_id": "a", "content": "sunny"},
            {"role": "tool", "tool_call_id": "b", "content": "No result yet."},
            {"role": "assistant", "content": "One moment."},
            {"role": "user", "content": "quick"},
            {"role": "system", "content": "Result of the tool weather: rain"},
        ])
    );
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let function = json!({"name": "weather", "parameters": schema,
                          "description": "Tells the weather"});
    assert_eq!(body["tools"], json!([{"type": "function", "function": function}]));
}

#[tokio::test]
async fn a_model_that_thinks_or_writes_a_call_shows_that_it_is_at_it() {
    let stream = reply(|mut asked| async move {
        asked.event(chunk(json!({"role": "assistant", "content": ""}))).await;
        asked.event(chunk(json!({"reasoning_content": "They want to know"}))).await;
        asked.event(chunk(json!({"content": "Let me see."}))).await;
        let function = json!({"name": "weather", "arguments": "{"});
        let call = json!({"index": 0, "id": "a", "function": function});
        asked.event(chunk(json!({"tool_calls": [call]}))).await;
        let more = json!({"index": 0, "function": {"arguments": "}"}});
        asked.event(chunk(json!({"tool_calls": [more]}))).await;
        asked.event(finished("tool_calls")).await;
        asked.stream("data: [DONE]\n\n").await;
        asked.end_stream().await;
    })
    .await;
    assert_eq!(
        all_events(stream).await,
        [
            LlmEvent::Unheard(Unheard::Thoughts),
            LlmEvent::Text("Let me see.".into()),
            LlmEvent::Unheard(Unheard::Call),
            LlmEvent::Unheard(Unheard::Call),
            LlmEvent::ToolCall(called("a", json!({}))),
            LlmEvent::Finished(Finish::Stop),
        ]
    );
}
