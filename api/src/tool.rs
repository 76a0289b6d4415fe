//! The tools of an assistant: what the model is offered, and where a call of one goes.

mod phone;

use std::{collections::HashSet, time::Duration};

use offhook_core::{ToolKind, ToolMessage, ToolSpec};
use serde_json::{Map, Value, json};

use crate::{
    lenient::{self, text},
    server::ServerTarget,
};

pub use phone::PhoneAction;

/// Spoken when a function tool starts and its document has no message for that: one of those that
/// the contract names.
const FILLER: &str = "Hold on a sec.";
/// Name and description of the tool that ends the call, where its document has none.
const END_CALL_NAME: &str = "endCall";
const END_CALL_DESCRIPTION: &str =
    "Ends the call. Use it when the conversation is over and goodbyes were said.";

/// A tool that the model is offered.
#[derive(Clone, Debug)]
pub struct Tool {
    pub spec: ToolSpec,
    pub target: ToolTarget,
    /// The tool as the assistant has it.
    pub document: Value,
}

/// Where a call of a tool goes, and with what.
#[derive(Clone, Debug)]
pub struct ToolTarget {
    /// The tool's own server, or the assistant's.
    pub server: Option<ServerTarget>,
    /// Arguments that the model neither sees nor can override (`parameters`).
    pub static_parameters: Map<String, Value>,
}

impl Tool {
    /// The arguments that the tool's server is sent: the model's, overridden by the static ones.
    pub fn arguments(&self, from_model: &Value) -> Value {
        let mut arguments = from_model.as_object().cloned().unwrap_or_default();
        arguments.extend(self.target.static_parameters.clone());
        Value::Object(arguments)
    }
}

/// A tool that is not offered to the model, because nothing here can run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedTool {
    /// The tool's `type`, or `toolId` for a stored tool that is not among the model's.
    pub kind: String,
    pub name: String,
}

/// Reads the tools of an assistant: `model.tools`, `model.toolIds`, `model.functions`, and
/// `endCallFunctionEnabled`.
pub(crate) fn read_all(
    model: &Value,
    end_call_enabled: bool,
    assistant_server: Option<&ServerTarget>,
) -> (Vec<Tool>, Vec<UnsupportedTool>) {
    let mut reader = Reader { assistant_server, ..Reader::default() };
    for document in list(model, "tools") {
        reader.read(document);
    }
    for function in list(model, "functions") {
        reader.read_legacy(function);
    }
    // Whoever starts a call puts the stored tools among the others.
    let is_there = |id: &str| list(model, "tools").iter().any(|tool| text(tool, "id") == Some(id));
    for id in list(model, "toolIds").iter().filter_map(Value::as_str).filter(|id| !is_there(id)) {
        reader.unsupported("toolId", id);
    }
    let has_end_call = reader.tools.iter().any(|tool| tool.spec.kind == ToolKind::EndCall);
    if end_call_enabled && !has_end_call {
        reader.read(&json!({"type": "endCall"}));
    }
    (reader.tools, reader.unsupported)
}

/// Of stored tools, those whose names no tool has that `model` or `appended` brings along: these
/// count before what is named by id.
pub fn not_replaced(stored: Vec<Value>, model: &Value, appended: &Value) -> Vec<Value> {
    let appended = appended.as_array().map_or(&[][..], Vec::as_slice);
    let tools = list(model, "tools").iter().chain(appended).filter_map(name_of);
    let functions = list(model, "functions").iter().filter_map(|function| text(function, "name"));
    let brought: HashSet<&str> = tools.chain(functions).collect();
    let is_new = |tool: &Value| name_of(tool).is_none_or(|name| !brought.contains(name));
    stored.into_iter().filter(is_new).collect()
}

/// What a model calls the tool; `None` where its document does not say.
fn name_of(tool: &Value) -> Option<&str> {
    let own = lenient::get(tool, "function").and_then(|function| text(function, "name"));
    own.or_else(|| match text(tool, "type")? {
        "endCall" => Some(END_CALL_NAME),
        kind => phone::default_name(kind),
    })
}

#[derive(Default)]
struct Reader<'a> {
    assistant_server: Option<&'a ServerTarget>,
    tools: Vec<Tool>,
    names: HashSet<String>,
    unsupported: Vec<UnsupportedTool>,
}

impl Reader<'_> {
    fn read(&mut self, document: &Value) {
        match (text(document, "type").unwrap_or_default(), name_of(document)) {
            ("function", Some(name)) => self.add(document, name, ToolKind::Function),
            ("endCall", Some(name)) => self.add(document, name, ToolKind::EndCall),
            ("dtmf" | "transferCall", Some(name)) if phone::is_usable(document) => {
                self.add(document, name, ToolKind::Function);
            }
            (kind, name) => self.unsupported(kind, name.unwrap_or_default()),
        }
    }

    /// `model.functions[]`: a function without a tool around it, and without static parameters.
    fn read_legacy(&mut self, function: &Value) {
        let mut document = json!({"type": "function", "function": function, "messages": []});
        if let Some(url) = text(function, "serverUrl") {
            document["server"] = json!({"url": url});
        }
        self.read(&document);
    }

    fn add(&mut self, document: &Value, name: &str, kind: ToolKind) {
        // Models refuse two tools of one name.
        if !self.names.insert(name.to_owned()) {
            return self.unsupported("duplicate", name);
        }
        let function = lenient::get(document, "function").unwrap_or(&Value::Null);
        let description = match kind {
            ToolKind::Function => {
                phone::default_description(text(document, "type").unwrap_or_default())
            }
            ToolKind::EndCall => END_CALL_DESCRIPTION,
        };
        let is_async = document.get("async").and_then(Value::as_bool).unwrap_or(false);
        self.tools.push(Tool {
            spec: ToolSpec {
                name: name.to_owned(),
                description: text(function, "description").unwrap_or(description).to_owned(),
                parameters: phone::parameters(document).unwrap_or_else(|| parameters(function)),
                kind,
                is_async,
                messages: messages(document, kind, is_async),
            },
            target: ToolTarget {
                server: lenient::get(document, "server")
                    .and_then(ServerTarget::read)
                    .or_else(|| self.assistant_server.cloned()),
                static_parameters: static_parameters(document),
            },
            document: document.clone(),
        });
    }

    fn unsupported(&mut self, kind: &str, name: &str) {
        self.unsupported.push(UnsupportedTool { kind: kind.to_owned(), name: name.to_owned() });
    }
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Models want an object schema, also of a function without parameters.
fn parameters(function: &Value) -> Value {
    match function.get("parameters") {
        Some(Value::Object(schema)) => {
            let mut schema = schema.clone();
            schema.entry("type").or_insert_with(|| "object".into());
            schema.entry("properties").or_insert_with(|| json!({}));
            Value::Object(schema)
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

fn static_parameters(document: &Value) -> Map<String, Value> {
    list(document, "parameters")
        .iter()
        .filter_map(|pair| {
            Some((text(pair, "key")?.to_owned(), pair.get("value").cloned().unwrap_or(Value::Null)))
        })
        .collect()
}

/// The messages around a call that can be spoken as they stand.
///
/// Left out are those that depend on the arguments (`conditions`) and those for the model alone
/// (`role: system`): without them the model answers by itself. Of several `request-start` the
/// first speaks, of several delayed ones with one timing likewise.
fn messages(document: &Value, kind: ToolKind, is_async: bool) -> Vec<ToolMessage> {
    let given = lenient::get(document, "messages").and_then(Value::as_array);
    let mut messages = Vec::new();
    let mut has_start = false;
    for message in given.map_or(&[][..], Vec::as_slice) {
        let message_type = text(message, "type").unwrap_or_default();
        let is_start = message_type == "request-start";
        if is_start && has_start {
            continue;
        }
        has_start |= is_start;
        let content = content(message);
        if content.is_empty() || !list(message, "conditions").is_empty() {
            continue;
        }
        let flag = |field: &str| message.get(field).and_then(Value::as_bool).unwrap_or(false);
        let is_spoken = text(message, "role") != Some("system");
        let end_call = flag("endCallAfterSpokenEnabled");
        match message_type {
            "request-start" if !is_async => {
                messages.push(ToolMessage::Start { content, blocking: flag("blocking") });
            }
            "request-response-delayed" => {
                let after = delay(message);
                let is_variant = messages.iter().any(
                    |other| matches!(other, ToolMessage::Delayed { after: at, .. } if *at == after),
                );
                if !is_variant {
                    messages.push(ToolMessage::Delayed { content, after });
                }
            }
            "request-complete" if is_spoken => {
                messages.push(ToolMessage::Complete { content, end_call });
            }
            "request-failed" if is_spoken && !is_async => {
                messages.push(ToolMessage::Failed { content, end_call });
            }
            _ => {}
        }
    }
    // An explicit empty list asks for silence.
    let wants_filler = given.is_none_or(|given| !given.is_empty()) && !has_start;
    if let Some(content) = phone::announcement(document).filter(|_| wants_filler) {
        messages.insert(0, ToolMessage::Start { content, blocking: true });
    } else if wants_filler && is_function(document, kind) && !is_async {
        messages.insert(0, ToolMessage::Start { content: FILLER.into(), blocking: false });
    }
    messages
}

/// Whether somebody else's function runs, which may take its time.
fn is_function(document: &Value, kind: ToolKind) -> bool {
    let asks = text(document, "type") == Some("function") || phone::asks_for_destination(document);
    kind == ToolKind::Function && asks
}

/// What a message says: its first variant by language, or its only content.
pub(crate) fn content(message: &Value) -> String {
    list(message, "contents")
        .first()
        .and_then(|variant| text(variant, "text"))
        .or_else(|| text(message, "content"))
        .unwrap_or_default()
        .to_owned()
}

fn delay(message: &Value) -> Duration {
    /// The contract names no default; its examples wait two seconds.
    const DELAY_DEFAULT_MS: f64 = 2_000.0;
    let ms = message.get("timingMilliseconds").and_then(Value::as_f64).unwrap_or(DELAY_DEFAULT_MS);
    lenient::seconds(ms / 1_000.0)
}

#[cfg(test)]
mod tests;
