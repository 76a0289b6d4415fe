//! The body of a request: the conversation in the roles and order that the endpoint demands.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use offhook_core::{Message, ToolCall, ToolSpec};
use serde_json::{Map, Value, json};

use super::{families::Family, options::Options};
use crate::llm::LlmRequest;

/// Parameters that a reply can do without: given up when the model refuses them.
const DISPENSABLE: &[&str] = &[
    "temperature",
    "reasoning_effort",
    "stream_options",
    "prompt_cache_key",
    "prompt_cache_retention",
];

/// The two names of the limit of a reply: where one is refused, the other is meant.
const TOKEN_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// What the model is told of a tool that has not answered when it is asked again: the endpoint
/// refuses a call without a result.
const NO_RESULT_YET: &str = "No result yet.";

/// A request's JSON.
pub(super) struct Body(Map<String, Value>);

/// A parameter that a model refused, as a path, and the name that takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    path: Vec<String>,
    renamed: Option<&'static str>,
}

impl Body {
    pub fn new(options: &Options, family: &Family, request: &LlmRequest) -> Self {
        let mut body = Map::new();
        body.insert("model".into(), options.model().into());
        body.insert("messages".into(), messages(&request.messages));
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(tool).collect();
            body.insert("tools".into(), Value::Array(tools));
        }
        body.insert("stream".into(), true.into());
        // Obfuscation pads each chunk with random text: bytes that nobody needs.
        let stream_options = json!({"include_usage": true, "include_obfuscation": false});
        body.insert("stream_options".into(), stream_options);

        let silent = family.effort_excludes_tools && !request.tools.is_empty();
        let effort = family
            .lowest_effort
            .map(|lowest| options.reasoning_effort().unwrap_or(lowest))
            .filter(|_| !silent);
        let thinks = family.lowest_effort.is_some() && effort != Some("none");
        if let Some(effort) = effort {
            body.insert("reasoning_effort".into(), effort.into());
        }
        if effort == Some("none") || !family.refused.contains(&"temperature") {
            body.insert("temperature".into(), options.temperature().into());
        }
        if let Some(tokens) = options.max_tokens(thinks) {
            body.insert(family.token_limit.into(), tokens.into());
        }
        for (name, value) in options.prompt_cache() {
            body.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        Self(body)
    }

    pub fn json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Takes out the parameter that the endpoint refused, if it was sent and is dispensable.
    pub fn give_up(&mut self, param: &str) -> Option<Change> {
        let path: Vec<String> = param.split('.').map(Into::into).collect();
        let first = path.first()?.as_str();
        let limit = TOKEN_LIMITS.iter().position(|name| *name == first);
        let renamed = limit.map(|index| TOKEN_LIMITS[1 - index]);
        if renamed.is_none() && !DISPENSABLE.contains(&first) {
            return None;
        }
        let change = Change { path, renamed };
        self.apply(&change).then_some(change)
    }

    fn apply(&mut self, change: &Change) -> bool {
        let Some((last, parents)) = change.path.split_last() else { return false };
        let mut object = &mut self.0;
        for name in parents {
            match object.get_mut(name) {
                Some(Value::Object(inner)) => object = inner,
                Some(_) | None => return false,
            }
        }
        let Some(value) = object.shift_remove(last) else { return false };
        if let Some(name) = change.renamed {
            object.insert(name.into(), value);
        }
        true
    }
}

/// What a model refused before, so that only the first reply pays for it. At most one entry for
/// each parameter that can be given up.
#[derive(Clone, Default)]
pub(super) struct Learned(Arc<Mutex<BTreeMap<String, Change>>>);

impl Learned {
    pub fn apply(&self, body: &mut Body) {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in learned.values() {
            body.apply(change);
        }
    }

    pub fn remember(&self, change: Change) {
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.insert(change.path.join("."), change);
    }
}

fn tool(tool: &ToolSpec) -> Value {
    let parameters = match &tool.parameters {
        Value::Object(schema) if !schema.is_empty() => tool.parameters.clone(),
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => json!({"type": "object", "properties": {}}),
    };
    let mut function = json!({"name": tool.name, "parameters": parameters});
    if !tool.description.is_empty() {
        function["description"] = tool.description.as_str().into();
    }
    json!({"type": "function", "function": function})
}

/// The conversation as the endpoint takes it: turns of one speaker joined, and each tool call
/// followed by its results, though the conversation may have gone on before they came.
fn messages(messages: &[Message]) -> Value {
    let mut out: Vec<Value> = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        match message {
            Message::System { content } => out.push(said("system", content)),
            Message::User { content } => say(&mut out, "user", content),
            // Nothing of it was heard.
            Message::Assistant { content, .. } if content.is_empty() => {}
            Message::Assistant { content, .. } => say(&mut out, "assistant", content),
            Message::ToolCalls { calls } => {
                call(&mut out, calls);
                out.extend(calls.iter().map(|call| result(call, &messages[index..])));
            }
            Message::ToolResult { call_id, name, content } => {
                // A result that no call precedes: its call was in a part that is not told.
                if !was_called(&messages[..index], call_id) {
                    out.push(said("system", &format!("Result of the tool {name}: {content}")));
                }
            }
        }
    }
    Value::Array(out)
}

fn said(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

/// Appends what someone said, to their last message where nobody spoke in between.
fn say(out: &mut Vec<Value>, role: &str, content: &str) {
    let last = out.last_mut().filter(|last| last["role"] == role);
    match last.and_then(|last| last.get_mut("content")) {
        Some(Value::String(before)) => {
            before.push('\n');
            before.push_str(content);
        }
        Some(_) | None => out.push(said(role, content)),
    }
}

/// Appends calls, to the assistant's words that led to them.
fn call(out: &mut Vec<Value>, calls: &[ToolCall]) {
    let calls: Vec<Value> = calls
        .iter()
        .map(|call| {
            let arguments = call.arguments.to_string();
            let function = json!({"name": call.name, "arguments": arguments});
            json!({"id": call.id, "type": "function", "function": function})
        })
        .collect();
    let spoken = out.last_mut().filter(|l| l["role"] == "assistant" && l["tool_calls"].is_null());
    match spoken {
        Some(last) => last["tool_calls"] = Value::Array(calls),
        None => out.push(json!({"role": "assistant", "tool_calls": calls})),
    }
}

fn result(call: &ToolCall, later: &[Message]) -> Value {
    let content = later.iter().find_map(|message| match message {
        Message::ToolResult { call_id, content, .. } if *call_id == call.id => Some(content),
        Message::ToolResult { .. }
        | Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. }
        | Message::ToolCalls { .. } => None,
    });
    let content = content.map_or(NO_RESULT_YET, String::as_str);
    json!({"role": "tool", "tool_call_id": call.id, "content": content})
}

fn was_called(earlier: &[Message], id: &str) -> bool {
    earlier.iter().any(|message| match message {
        Message::ToolCalls { calls } => calls.iter().any(|call| call.id == id),
        Message::ToolResult { .. }
        | Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. } => false,
    })
}
