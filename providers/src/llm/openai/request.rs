//! The body of a request: the conversation in the roles and order that the endpoint demands.

use std::borrow::Cow;

use offhook_core::{Message, ToolCall, ToolSpec};
use serde_json::{Map, Value, json};

use super::{
    families::{Family, Prefill},
    options::Options,
};
use crate::llm::{
    LlmRequest,
    body::Body,
    calls::{CONNECTED, GO_ON, result, schema, stray_result, was_called},
};

/// Parameters that a reply can do without: given up when the model refuses them.
const DISPENSABLE: &[&str] = &[
    "temperature",
    "reasoning_effort",
    "stream_options",
    "prompt_cache_key",
    "prompt_cache_retention",
];

/// Said by the assistant between a tool's result and the caller, where it did not say anything.
const TAKEN_NOTE: &str = "(Noted.)";

/// The body of a request; `fields` come with it where they do not contradict it.
pub(super) fn body(
    options: &Options,
    family: &Family,
    request: &LlmRequest,
    fields: &Map<String, Value>,
) -> Body {
    let mut body = Map::new();
    body.insert("model".into(), options.model().into());
    body.insert("messages".into(), messages(&request.messages, family));
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(tool).collect();
        body.insert("tools".into(), Value::Array(tools));
    }
    body.insert("stream".into(), true.into());
    if !family.counts_unasked {
        let mut stream_options = json!({"include_usage": true});
        if family.obfuscates {
            stream_options["include_obfuscation"] = false.into();
        }
        body.insert("stream_options".into(), stream_options);
    }

    let silent = family.effort_excludes_tools && !request.tools.is_empty();
    let effort = family
        .lowest_effort
        .map(|lowest| options.reasoning_effort().unwrap_or(lowest))
        .filter(|_| !silent);
    let thinks = family.thinks || (family.lowest_effort.is_some() && effort != Some("none"));
    if let Some(effort) = effort {
        body.insert("reasoning_effort".into(), effort.into());
    }
    if effort == Some("none") || !family.refused.contains(&"temperature") {
        let (coldest, hottest) = family.temperatures;
        body.insert("temperature".into(), options.temperature().clamp(coldest, hottest).into());
    }
    if let Some(tokens) = options.max_tokens(thinks) {
        body.insert(family.token_limit.into(), tokens.into());
    }
    for (name, value) in options.prompt_cache() {
        body.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    let mut dispensable = DISPENSABLE.to_vec();
    for (name, json) in family.extra(!request.tools.is_empty()) {
        dispensable.push(name);
        body.insert(name.into(), serde_json::from_str(json).expect("tables hold JSON"));
    }
    for (name, value) in fields {
        body.entry(name).or_insert_with(|| value.clone());
    }
    Body::new(body, dispensable)
}

impl Body {
    /// The same, of a reply that begins with these words.
    pub(super) fn begun_with(mut self, said: &str, prefill: Prefill) -> Self {
        let json = self.json_mut();
        if let Some(Value::Array(messages)) = json.get_mut("messages") {
            say(messages, "assistant", said.trim_end());
            if let (Prefill::Prefix, Some(last)) = (prefill, messages.last_mut()) {
                last["prefix"] = true.into();
            }
        }
        if prefill == Prefill::Open {
            json.insert("add_generation_prompt".into(), false.into());
            json.insert("continue_final_message".into(), true.into());
        }
        self
    }
}

fn tool(tool: &ToolSpec) -> Value {
    let mut function = json!({"name": tool.name, "parameters": schema(tool)});
    if !tool.description.is_empty() {
        function["description"] = tool.description.as_str().into();
    }
    json!({"type": "function", "function": function})
}

/// The conversation as the endpoint takes it: turns of one speaker joined, and each tool call
/// followed by its results, though the conversation may have gone on before they came.
fn messages(messages: &[Message], family: &Family) -> Value {
    let mut out: Vec<Value> = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        match message {
            Message::System { content } => instruct(&mut out, content, family),
            Message::User { content } => say(&mut out, "user", content),
            // Nothing of it was heard.
            Message::Assistant { content, .. } if content.is_empty() => {}
            Message::Assistant { content, .. } => say(&mut out, "assistant", content),
            Message::ToolCalls { calls } => {
                call(&mut out, calls, family);
                out.extend(calls.iter().map(|call| {
                    let content = result(call, &messages[index..]);
                    let id = wire_id(&call.id, family);
                    json!({"role": "tool", "tool_call_id": id, "content": content})
                }));
            }
            Message::ToolResult { call_id, name, content } => {
                // A result that no call precedes: its call was in a part that is not told.
                if !was_called(&messages[..index], call_id) {
                    instruct(&mut out, &stray_result(name, content), family);
                }
            }
        }
    }
    if family.strict_order {
        keep_order(&mut out);
    }
    Value::Array(out)
}

/// Puts words where an endpoint wants somebody to have spoken.
fn keep_order(out: &mut Vec<Value>) {
    let mut at = 1;
    while at < out.len() {
        if out[at - 1]["role"] == "tool" && out[at]["role"] == "user" {
            out.insert(at, said("assistant", TAKEN_NOTE));
        }
        at += 1;
    }
    match out.last().and_then(|last| last["role"].as_str()) {
        Some("user" | "tool") => {}
        Some("assistant") => out.push(said("user", GO_ON)),
        Some(_) | None => out.push(said("user", CONNECTED)),
    }
}

/// An id as the endpoint takes it; the same for a call and for its result.
fn wire_id<'a>(id: &'a str, family: &Family) -> Cow<'a, str> {
    const LENGTH: usize = 9;
    const SIGNS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let is_short = id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !family.short_ids || is_short {
        return Cow::Borrowed(id);
    }
    // FNV-1a: 62^9 values are too many for the calls of a conversation to meet in one.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let signs = std::iter::successors(Some(hash), |rest| Some(rest / SIGNS.len() as u64));
    let sign = |rest: u64| char::from(SIGNS[(rest % SIGNS.len() as u64) as usize]);
    Cow::Owned(signs.take(LENGTH).map(sign).collect())
}

fn said(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

/// Appends an instruction, in the words of the caller where the endpoint keeps only the first.
fn instruct(out: &mut Vec<Value>, content: &str, family: &Family) {
    match family.one_system_message && out.iter().any(|message| message["role"] == "system") {
        true => say(out, "user", content),
        false => out.push(said("system", content)),
    }
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
fn call(out: &mut Vec<Value>, calls: &[ToolCall], family: &Family) {
    let calls: Vec<Value> = calls
        .iter()
        .map(|call| {
            let arguments = call.arguments.to_string();
            let function = json!({"name": call.name, "arguments": arguments});
            json!({"id": wire_id(&call.id, family), "type": "function", "function": function})
        })
        .collect();
    let spoken = out.last_mut().filter(|l| l["role"] == "assistant" && l["tool_calls"].is_null());
    match spoken {
        Some(last) => last["tool_calls"] = Value::Array(calls),
        None if family.calls_need_content => {
            out.push(json!({"role": "assistant", "content": "", "tool_calls": calls}));
        }
        None => out.push(json!({"role": "assistant", "tool_calls": calls})),
    }
}
