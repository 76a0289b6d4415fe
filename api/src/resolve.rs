//! The assistant of one call: its document, overridden, with its variables filled in.

use serde_json::{Map, Value, json};

use crate::{
    lenient,
    template::{self, Renderer},
};

/// Fields whose text is rendered later than at the start of a call, or never: what is asked of a
/// model after the call, what waits for a tool's answer or an event, patterns, secrets, and data
/// that is only kept.
const RAW_FIELDS: &[&str] = &[
    "analysisPlan",
    "summaryPlan",
    "structuredOutputs",
    "scorecards",
    "hooks",
    "rejectionPlan",
    "conditions",
    "variableExtractionPlan",
    "customEndpointingRules",
    "credentials",
    "metadata",
    "variableValues",
    "regex",
    "pattern",
];

/// Variables that belong to the call: no client's value replaces them, because tools trust them.
const RESERVED: &[&str] = &["call", "customer", "phoneNumber", "transport", "assistant"];

/// Objects within objects that are rendered; deeper ones stay as they are.
const DEPTH_MAX: usize = 64;

/// Warnings that one document collects; more of them say nothing new.
const WARNINGS_MAX: usize = 20;

/// An assistant ready for one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub document: Value,
    /// Every variable that its templates could use.
    pub variable_values: Value,
    /// Templates that could not be rendered, by path, and why.
    pub warnings: Vec<String>,
}

/// Applies `assistantOverrides` and renders every template of the result.
///
/// Overrides replace top-level fields whole (a `model` override is a whole model), `null` clears;
/// `tools:append` adds to `model.tools`, and `variableValues` are merged over the base's. `call` is the
/// call's document: its customer, phone number and transport are variables. A template that cannot
/// be rendered stays as it is.
pub fn resolve_assistant(
    base: &Value,
    overrides: Option<&Value>,
    call: &Value,
    now_ms: i64,
) -> Resolved {
    let mut document = base.as_object().cloned().unwrap_or_default();
    let mut given = take_variables(&mut document);
    if let Some(Value::Object(overrides)) = overrides {
        let mut overrides = overrides.clone();
        given.extend(take_variables(&mut overrides));
        let appended = overrides.shift_remove("tools:append");
        for (name, value) in overrides {
            if value.is_null() {
                document.shift_remove(&name);
            } else {
                document.insert(name, value);
            }
        }
        append_tools(&mut document, appended);
    }
    let mut document = Value::Object(document);
    let variable_values = variables(given, call, &document, now_ms);
    let mut renderer = Renderer::new(&variable_values, now_ms);
    let mut warnings = Vec::new();
    render(&mut document, &mut Path::default(), &mut renderer, &mut warnings);
    Resolved { document, variable_values, warnings }
}

fn take_variables(document: &mut Map<String, Value>) -> Map<String, Value> {
    match document.shift_remove("variableValues") {
        Some(Value::Object(variables)) => variables,
        _ => Map::new(),
    }
}

fn append_tools(document: &mut Map<String, Value>, appended: Option<Value>) {
    let Some(Value::Array(appended)) = appended else { return };
    if appended.is_empty() {
        return;
    }
    // The server's default model takes the tools of an assistant that names none.
    let Value::Object(model) = document.entry("model").or_insert_with(|| json!({})) else { return };
    if let Value::Array(tools) = model.entry("tools").or_insert_with(|| json!([])) {
        tools.extend(appended);
    }
}

/// The clock's variables, then the client's, then those of the call.
fn variables(given: Map<String, Value>, call: &Value, assistant: &Value, now_ms: i64) -> Value {
    let mut variables = template::default_variables(now_ms);
    variables.extend(given.into_iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())));
    let pick = |document: &Value, fields: &[&str]| {
        let fields = fields.iter().filter_map(|field| {
            lenient::get(document, field).map(|value| ((*field).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    let mut transport = json!({"conversationType": "voice"});
    if let (Some(Value::Object(own)), Some(transport)) =
        (lenient::get(call, "transport"), transport.as_object_mut())
    {
        // The address of the leg's socket admits whoever has it: it is no variable.
        transport.extend(
            own.iter()
                .filter(|(name, _)| *name != "websocketCallUrl")
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    let object = |field: &str| lenient::get(call, field).cloned().unwrap_or_else(|| json!({}));
    variables.insert(
        "call".into(),
        pick(
            call,
            &["id", "orgId", "type", "status", "assistantId", "name", "createdAt", "startedAt"],
        ),
    );
    variables.insert("customer".into(), object("customer"));
    // A phone number's document may hold the carrier's keys.
    let number = lenient::get(call, "phoneNumber").unwrap_or(&Value::Null);
    let number = pick(number, &["id", "number", "name", "provider", "sipUri", "extension"]);
    variables.insert("phoneNumber".into(), number);
    variables.insert("transport".into(), transport);
    variables.insert("assistant".into(), pick(assistant, &["id", "name"]));
    Value::Object(variables)
}

/// Where in the document we are, for warnings: `model.messages.0.content`.
#[derive(Default)]
struct Path(Vec<String>);

fn render(value: &mut Value, path: &mut Path, renderer: &mut Renderer, warnings: &mut Vec<String>) {
    if path.0.len() > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) => match renderer.render(text) {
            Ok(std::borrow::Cow::Borrowed(_)) => {}
            Ok(std::borrow::Cow::Owned(rendered)) => *text = rendered,
            Err(reason) if warnings.len() < WARNINGS_MAX => {
                let path = path.0.join(".");
                warnings.push(format!("{path} is used as it is written: {reason}"));
            }
            Err(_) => {}
        },
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.0.push(index.to_string());
                render(item, path, renderer, warnings);
                path.0.pop();
            }
        }
        Value::Object(fields) => {
            let is_foreign_tool = is_foreign_tool(fields, path);
            for (name, field) in fields.iter_mut() {
                if is_foreign_tool || is_raw(name, path) {
                    continue;
                }
                path.0.push(name.clone());
                render(field, path, renderer, warnings);
                path.0.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The JSON Schema of a function is no text for anybody; its static parameters are a list.
fn is_raw(name: &str, path: &Path) -> bool {
    let is_schema = name == "parameters" && path.0.last().is_some_and(|last| last == "function");
    is_schema || RAW_FIELDS.contains(&name)
}

/// Templates of other tools than functions refer to the model's arguments (an `apiRequest`'s URL,
/// for example), which exist only when the tool is called.
fn is_foreign_tool(fields: &Map<String, Value>, path: &Path) -> bool {
    let [.., list, _] = path.0.as_slice() else { return false };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    list == "tools" && !matches!(kind, "function" | "endCall")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    /// 2024-01-01T12:00:00Z
    const NOW_MS: i64 = 1_704_110_400_000;

    fn call() -> Value {
        json!({
            "id": "c1", "type": "vapi.websocketCall", "customer": {"number": "+15551234567"},
            "transport": {"provider": "vapi.websocket", "websocketCallUrl": "wss://secret"},
        })
    }

    fn resolve(base: Value, overrides: Value) -> Resolved {
        resolve_assistant(&base, Some(&overrides), &call(), NOW_MS)
    }

    #[test]
    fn overrides_replace_whole_fields_and_null_clears() {
        let resolved = resolve(
            json!({"name": "Nora", "endCallMessage": "Bye",
                "voice": {"provider": "11labs", "voiceId": "a", "speed": 1}}),
            json!({"voice": {"provider": "local"}, "endCallMessage": null, "firstMessage": "Hi"}),
        );
        expect![[r#"{"name":"Nora","voice":{"provider":"local"},"firstMessage":"Hi"}"#]]
            .assert_eq(&resolved.document.to_string());
        assert_eq!(resolved.warnings, Vec::<String>::new());
    }

    #[test]
    fn tools_can_be_appended() {
        let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
        let resolved = resolve(
            json!({"model": {"provider": "openai", "tools": [tool("a")]}}),
            json!({"tools:append": [tool("b")]}),
        );
        assert_eq!(resolved.document["model"]["tools"], json!([tool("a"), tool("b")]));
        let resolved = resolve(json!({}), json!({"tools:append": [tool("b")]}));
        assert_eq!(resolved.document, json!({"model": {"tools": [tool("b")]}}));
    }

    #[test]
    fn variables_are_filled_in_wherever_text_is_used() {
        let resolved = resolve(
            json!({
                "firstMessage": "Hello {{name}}, it is {{time}}.",
                "variableValues": {"name": "nobody", "tier": "gold"},
                "model": {"messages": [{"role": "system", "content":
                    "{{tier}} {{customer.number}} {{call.id}} {{transport.conversationType}}{{transport.websocketCallUrl}}"}],
                    "tools": [{"type": "function",
                        "server": {"url": "https://a.example/{{call.id}}"},
                        "function": {"name": "f", "description": "For {{name}}",
                            "parameters": {"properties": {"a": {"description": "{{b}}"}}}},
                        "messages": [{"type": "request-start", "content": "{{name}}, wait."}],
                        "parameters": [{"key": "from", "value": {"n": "{{customer.number}}"}}],
                    }]},
            }),
            json!({"variableValues": {"name": "John", "customer": {"number": "forged"}}}),
        );
        let document = &resolved.document;
        assert_eq!(document["firstMessage"], "Hello John, it is 12:00 PM.");
        assert_eq!(document["model"]["messages"][0]["content"], "gold +15551234567 c1 voice");
        let tool = &document["model"]["tools"][0];
        assert_eq!(tool["server"]["url"], "https://a.example/c1");
        assert_eq!(tool["messages"][0]["content"], "John, wait.");
        assert_eq!(tool["parameters"][0]["value"]["n"], "+15551234567");
        assert_eq!(tool["function"]["description"], "For John");
        assert_eq!(tool["function"]["parameters"]["properties"]["a"]["description"], "{{b}}");
        assert!(document.get("variableValues").is_none());
        assert_eq!(resolved.variable_values["tier"], "gold");
        assert_eq!(resolved.variable_values["customer"]["number"], "+15551234567");
    }

    #[test]
    fn text_that_is_rendered_later_stays_as_it_is() {
        let base = json!({
            "analysisPlan": {"summaryPrompt": "{{transcript}}"},
            "metadata": {"a": "{{b}}"},
            "hooks": [{"on": "call.ending", "do": [{"prompt": "{{transcript}}"}]}],
            "startSpeakingPlan": {"customEndpointingRules": [{"regex": "{{"}]},
            "model": {"tools": [{"type": "apiRequest", "url": "https://a/{{city}}"}]},
        });
        assert_eq!(resolve(base.clone(), json!({})).document, base);
    }

    #[test]
    fn a_broken_template_stays_and_is_reported_with_its_path() {
        let resolved = resolve(
            json!({"model": {"messages": [{"role": "system", "content": "{{ name | shout }}"}]}}),
            json!({}),
        );
        assert_eq!(resolved.document["model"]["messages"][0]["content"], "{{ name | shout }}");
        assert_eq!(resolved.warnings.len(), 1);
        assert!(
            resolved.warnings[0].starts_with("model.messages.0.content is used as it is written: "),
            "{:?}",
            resolved.warnings
        );
    }

    #[test]
    fn a_base_that_is_no_object_is_an_empty_assistant() {
        assert_eq!(resolve_assistant(&json!(3), None, &Value::Null, 0).document, json!({}));
    }

    proptest! {
        #[test]
        fn a_document_without_templates_comes_back_unchanged(
            name in "[a-z {}%]{0,12}", count in 0..9_i32, tags in prop::collection::vec("[a-z]{0,3}", 0..4),
        ) {
            prop_assume!(!template::is_template(&name));
            let base = json!({"name": name, "maxDurationSeconds": count, "model": {"stop": tags}});
            prop_assert_eq!(resolve(base.clone(), json!({})).document, base);
        }
    }
}
