//! The body of a request: instructions apart, then turns of the two speakers by turns.

use offhook_core::{Message, ToolCall, ToolSpec};
use serde_json::{Map, Value, json};

use super::{
    models::{Depth, Quiet},
    options::Options,
};
use crate::llm::{
    LlmRequest,
    body::Body,
    calls::{CONNECTED, GO_ON, result, schema, stray_result, was_called},
};

/// Parameters that a reply can do without: given up when the model refuses them.
const DISPENSABLE: &[&str] = &["temperature", "thinking", "output_config"];

pub(super) fn body(options: &Options, request: &LlmRequest) -> Body {
    let family = options.family();
    let (system, turns) = split(&request.messages);
    let turns = Turns::new(turns);
    // Thoughts have to come back in front of the calls that they led to, or the request is
    // refused; a call does not keep them, so that what follows a tool is said without thinking.
    let after_tools = turns.end_with_results();
    let asked = options.budget().filter(|_| !after_tools);
    let thinks_unasked = matches!(family.quiet, Quiet::LowEffort | Quiet::BetweenTools);

    let mut body = Map::new();
    body.insert("model".into(), options.model().into());
    body.insert("max_tokens".into(), options.max_tokens(thinks_unasked).into());
    if !system.is_empty() {
        body.insert("system".into(), cached(system.into_iter().map(text).collect()));
    }
    let (called, mut messages) = (turns.called, turns.messages);
    if let Some(content) = messages.last_mut().and_then(|last| last.get_mut("content")) {
        // The next request begins with all of this one.
        *content = cached(content.as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    body.insert("messages".into(), messages.into());
    if !request.tools.is_empty() {
        body.insert("tools".into(), cached(request.tools.iter().map(tool).collect()));
    } else if !called.is_empty() {
        // Calls of tools that are offered no more: each has to be declared all the same.
        body.insert("tools".into(), called.iter().map(|name| bygone_tool(name)).collect());
        body.insert("tool_choice".into(), json!({"type": "none"}));
    }
    body.insert("stream".into(), true.into());
    match (asked, family.depth, family.quiet) {
        (Some(budget), Depth::Budget, _) => {
            let thinking = json!({"type": "enabled", "budget_tokens": budget});
            body.insert("thinking".into(), thinking);
        }
        (Some(_), Depth::Adaptive, _) => {
            body.insert("thinking".into(), json!({"type": "adaptive"}));
        }
        (None, _, Quiet::Unasked) => {}
        (None, _, Quiet::Disabled) => {
            body.insert("thinking".into(), json!({"type": "disabled"}));
        }
        (None, _, Quiet::BetweenTools) => {
            body.insert("thinking".into(), json!({"type": "between_tools"}));
        }
        (None, _, Quiet::LowEffort) => {
            body.insert("output_config".into(), json!({"effort": "low"}));
        }
    }
    if family.takes_temperature && asked.is_none() {
        body.insert("temperature".into(), options.temperature().into());
    }
    Body::new(body, DISPENSABLE.to_vec())
}

impl Body {
    /// The same, of a reply that begins with these words, which must not end with white space.
    pub(super) fn opened_with(mut self, said: &str) -> Self {
        if let Some(Value::Array(messages)) = self.json_mut().get_mut("messages") {
            messages.push(json!({"role": "assistant", "content": [text(said.trim_end())]}));
        }
        self
    }
}

/// The instructions that come before anything is said, and the rest.
fn split(messages: &[Message]) -> (Vec<&str>, &[Message]) {
    let mut system = Vec::new();
    let mut rest = messages;
    while let [Message::System { content }, later @ ..] = rest {
        system.extend((!content.trim().is_empty()).then_some(content.as_str()));
        rest = later;
    }
    (system, rest)
}

/// Marks the end of a part that is the same in each request of a call, to be read from the cache.
/// A part too short for the cache is taken without an error.
fn cached(mut blocks: Vec<Value>) -> Value {
    if let Some(last) = blocks.last_mut() {
        last["cache_control"] = json!({"type": "ephemeral"});
    }
    Value::Array(blocks)
}

fn tool(tool: &ToolSpec) -> Value {
    let mut schema = schema(tool);
    if schema.get("type").is_none() {
        schema["type"] = "object".into();
    }
    let mut out = json!({"name": tool.name, "input_schema": schema});
    if !tool.description.is_empty() {
        out["description"] = tool.description.as_str().into();
    }
    out
}

fn bygone_tool(name: &str) -> Value {
    json!({"name": name, "input_schema": {"type": "object", "properties": {}}})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// The conversation as the endpoint takes it: user and assistant by turns, and the calls of a turn
/// followed by all their results, though the conversation may have gone on before they came.
struct Turns {
    messages: Vec<Value>,
    /// The names of the tools that were called, each once.
    called: Vec<String>,
    /// Nothing came after the last calls yet but words that bridge the wait.
    waiting: bool,
}

impl Turns {
    fn new(conversation: &[Message]) -> Self {
        let mut turns = Self { messages: Vec::new(), called: Vec::new(), waiting: false };
        for (index, message) in conversation.iter().enumerate() {
            match message {
                Message::System { content } => turns.instruct(content),
                Message::User { content } => turns.say("user", content),
                Message::Assistant { content, .. } if turns.waiting => turns.bridge(content),
                Message::Assistant { content, .. } => turns.say("assistant", content),
                Message::ToolCalls { calls } => turns.call(calls, &conversation[index..]),
                Message::ToolResult { call_id, name, content } => {
                    turns.waiting = false;
                    // A result that no call precedes: its call was in a part that is not told.
                    if !was_called(&conversation[..index], call_id) {
                        turns.instruct(&stray_result(name, content));
                    }
                }
            }
        }
        if turns.messages.last().is_none_or(|last| last["role"] == "assistant") {
            let nobody_spoke = turns.messages.is_empty();
            turns.say("user", if nobody_spoke { CONNECTED } else { GO_ON });
        }
        turns
    }

    fn end_with_results(&self) -> bool {
        let last = self.messages.last().and_then(|message| message["content"].as_array());
        last.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
    }

    /// An instruction after the first words: only the user can bring it.
    fn instruct(&mut self, content: &str) {
        if !content.trim().is_empty() {
            self.say("user", &format!("<system>{content}</system>"));
        }
    }

    /// Adds words, to those that the same speaker said just before.
    fn say(&mut self, role: &str, content: &str) {
        // Words that are blank are refused.
        if content.trim().is_empty() {
            return;
        }
        self.waiting = false;
        let blocks = self.turn(role);
        match blocks.last_mut().and_then(|last| last.get_mut("text")) {
            Some(Value::String(before)) => {
                before.push('\n');
                before.push_str(content);
            }
            Some(_) | None => blocks.push(text(content)),
        }
    }

    /// Adds what the assistant said while its tools ran in front of their calls: after the results
    /// it would be the answer to them.
    fn bridge(&mut self, content: &str) {
        if content.trim().is_empty() {
            return;
        }
        let calling = self.messages.iter_mut().rev().find(|turn| turn["role"] == "assistant");
        let Some(blocks) = calling.and_then(|turn| turn["content"].as_array_mut()) else { return };
        let calls = blocks.iter().position(|block| block["type"] == "tool_use");
        blocks.insert(calls.unwrap_or(blocks.len()), text(content));
    }

    fn call(&mut self, calls: &[ToolCall], later: &[Message]) {
        if calls.is_empty() {
            return;
        }
        let uses = calls.iter().map(|call| {
            let (id, input) = (wire_id(&call.id), &call.arguments);
            json!({"type": "tool_use", "id": id, "name": call.name, "input": input})
        });
        self.turn("assistant").extend(uses);
        let results = calls.iter().map(|call| {
            let (id, content) = (wire_id(&call.id), result(call, later));
            json!({"type": "tool_result", "tool_use_id": id, "content": content})
        });
        self.turn("user").extend(results);
        self.waiting = true;
        for call in calls {
            if !self.called.contains(&call.name) {
                self.called.push(call.name.clone());
            }
        }
    }

    /// The blocks of the last turn, if it is this speaker's, else of a new one.
    fn turn(&mut self, role: &str) -> &mut Vec<Value> {
        if self.messages.is_empty() && role == "assistant" {
            self.messages.push(json!({"role": "user", "content": [text(CONNECTED)]}));
        }
        if self.messages.last().is_none_or(|last| last["role"] != role) {
            self.messages.push(json!({"role": role, "content": []}));
        }
        let last = self.messages.last_mut().and_then(|last| last["content"].as_array_mut());
        last.expect("every turn has a list of blocks")
    }
}

/// An id as the endpoint takes it: the calls of another provider may have others.
fn wire_id(id: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    id.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}
