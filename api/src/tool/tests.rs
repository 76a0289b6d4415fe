use super::*;

fn read(model: Value) -> (Vec<Tool>, Vec<UnsupportedTool>) {
    read_all(&model, false, None)
}

fn only(tool: Value) -> Tool {
    let (mut tools, unsupported) = read(json!({"tools": [tool]}));
    assert_eq!(unsupported, []);
    tools.remove(0)
}

fn messages_of(tool: Value) -> Vec<ToolMessage> {
    let mut tool = tool;
    tool["type"] = "function".into();
    tool["function"] = json!({"name": "f"});
    only(tool).spec.messages
}

fn filler() -> ToolMessage {
    ToolMessage::Start { content: "Hold on a sec.".into(), blocking: false }
}

#[test]
fn a_function_tool_is_offered_with_its_schema() {
    let tool = only(json!({
        "type": "function",
        "async": true,
        "function": {"name": "book", "description": "Books.", "parameters":
            {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}},
        "server": {"url": "https://a.example"},
        "parameters": [{"key": "tenant", "value": "t1"}, {"key": "day", "value": "Monday"}],
    }));
    assert_eq!((tool.spec.name.as_str(), tool.spec.description.as_str()), ("book", "Books."));
    assert_eq!(tool.spec.parameters["required"], json!(["day"]));
    assert!(tool.spec.is_async && tool.spec.kind == ToolKind::Function);
    assert_eq!(tool.target.server.as_ref().unwrap().url, "https://a.example");
    assert_eq!(
        tool.arguments(&json!({"day": "Friday", "n": 1})),
        json!({"day": "Monday", "n": 1, "tenant": "t1"})
    );
    assert_eq!(tool.arguments(&Value::Null), json!({"tenant": "t1", "day": "Monday"}));
}

#[test]
fn a_function_without_parameters_has_an_empty_object_schema() {
    let tool = only(json!({"type": "function", "function": {"name": "f"}}));
    assert_eq!(tool.spec.parameters, json!({"type": "object", "properties": {}}));
}

#[test]
fn a_tool_without_a_server_asks_the_assistants() {
    let server = ServerTarget::from_url("https://assistant.example", None);
    let model = json!({"tools": [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "b"}, "server": {"url": "https://b.example"}},
    ]});
    let (tools, _) = read_all(&model, false, Some(&server));
    let urls: Vec<_> =
        tools.iter().map(|tool| tool.target.server.as_ref().unwrap().url.as_str()).collect();
    assert_eq!(urls, ["https://assistant.example", "https://b.example"]);
}

#[test]
fn legacy_functions_are_tools_without_static_parameters() {
    let (tools, _) = read(json!({"functions": [
        {"name": "old", "parameters": {"properties": {"a": {}}}, "serverUrl": "https://old.example"},
    ]}));
    assert_eq!(tools[0].spec.name, "old");
    assert_eq!(tools[0].spec.parameters["type"], "object");
    assert_eq!(tools[0].target.server.as_ref().unwrap().url, "https://old.example");
    assert!(tools[0].target.static_parameters.is_empty());
}

#[test]
fn the_end_call_tool_is_added_once() {
    let (tools, _) = read_all(&json!({}), true, None);
    assert_eq!(tools[0].spec.name, "endCall");
    assert_eq!(tools[0].spec.kind, ToolKind::EndCall);
    assert!(!tools[0].spec.description.is_empty() && tools[0].spec.messages.is_empty());

    let named = json!({"tools": [{"type": "endCall", "function": {"name": "hang_up"}}]});
    let (tools, _) = read_all(&named, true, None);
    assert_eq!(tools.iter().map(|t| t.spec.name.as_str()).collect::<Vec<_>>(), ["hang_up"]);
}

#[test]
fn tools_that_nothing_here_runs_are_listed_and_not_offered() {
    let (tools, unsupported) = read(json!({
        "tools": [
            {"type": "transferCall", "destinations": [{"type": "assistant", "assistantName": "a"}]},
            {"type": "apiRequest", "function": {"name": "api"}},
            {"type": "function"},
            {"type": "function", "function": {"name": "a"}},
            {"type": "function", "function": {"name": "a"}},
        ],
        "toolIds": ["t-1"],
    }));
    assert_eq!(tools.len(), 1);
    let unsupported: Vec<_> =
        unsupported.iter().map(|tool| (tool.kind.as_str(), tool.name.as_str())).collect();
    assert_eq!(
        unsupported,
        [
            ("transferCall", "transferCall"),
            ("apiRequest", "api"),
            ("function", ""),
            ("duplicate", "a"),
            ("toolId", "t-1")
        ]
    );
}

#[test]
fn stored_tools_give_way_to_those_of_their_name_that_the_document_brings() {
    let tool = |name: &str| json!({"type": "function", "id": name, "function": {"name": name}});
    let model = json!({"tools": [tool("a"), {"type": "endCall"}], "functions": [{"name": "b"}]});
    let stored = vec![
        tool("a"),
        tool("b"),
        tool("c"),
        tool("d"),
        json!({"type": "endCall"}),
        json!({"type": "transferCall"}),
    ];
    let left = not_replaced(stored, &model, &json!([tool("c")]));
    assert_eq!(left, [tool("d"), json!({"type": "transferCall"})]);
}

#[test]
fn a_stored_tool_that_was_put_among_the_others_is_not_missed() {
    let (tools, unsupported) = read(json!({
        "tools": [{"type": "function", "id": "t-1", "function": {"name": "a"}}],
        "toolIds": ["t-1"],
    }));
    assert_eq!((tools.len(), unsupported), (1, vec![]));
}

#[test]
fn a_tool_without_messages_starts_with_a_filler() {
    assert_eq!(messages_of(json!({})), [filler()]);
    assert_eq!(messages_of(json!({"messages": []})), []);
    assert_eq!(messages_of(json!({"async": true})), []);
    assert_eq!(messages_of(json!({"messages": [{"type": "request-start", "content": ""}]})), []);
    let complete = json!({"messages": [{"type": "request-complete", "content": "Done."}]});
    assert_eq!(
        messages_of(complete),
        [filler(), ToolMessage::Complete { content: "Done.".into(), end_call: false }]
    );
}

#[test]
fn messages_around_a_call_are_read() {
    let messages = messages_of(json!({"messages": [
        {"type": "request-start", "content": "One moment.", "blocking": true},
        {"type": "request-start", "content": "A variant."},
        {"type": "request-response-delayed", "content": "Still on it.", "timingMilliseconds": 1500},
        {"type": "request-response-delayed", "content": "A variant.", "timingMilliseconds": 1500.0},
        {"type": "request-complete", "contents": [{"type": "text", "text": "Booked."}],
            "endCallAfterSpokenEnabled": true},
        {"type": "request-failed", "content": "It failed.", "conditions": [{"param": "a"}]},
        {"type": "request-failed", "content": "Tell them.", "role": "system"},
        {"type": "request-failed", "content": "Sorry.", "role": "assistant"},
    ]}));
    assert_eq!(
        messages,
        [
            ToolMessage::Start { content: "One moment.".into(), blocking: true },
            ToolMessage::Delayed {
                content: "Still on it.".into(),
                after: Duration::from_millis(1_500)
            },
            ToolMessage::Complete { content: "Booked.".into(), end_call: true },
            ToolMessage::Failed { content: "Sorry.".into(), end_call: false },
        ]
    );
}
