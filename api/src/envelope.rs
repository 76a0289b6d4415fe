//! Server messages: an event and what surrounds it on the wire.

use offhook_core::{Entry, Message, ServerEvent, ToolCall};
use serde_json::{Map, Value, json};

use crate::{
    artifact::{self, CallClock},
    lenient::{self, text},
    time,
    tool::Tool,
};

/// What an event is told with.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeContext<'a> {
    pub call: &'a Value,
    /// The assistant as resolved for the call.
    pub assistant: &'a Value,
    pub tools: &'a [Tool],
    pub preamble: &'a [Message],
    pub history: &'a [Entry],
    pub clock: CallClock,
    /// As [`artifact::build`] makes it, for events that are told with it.
    pub artifact: Option<&'a Value>,
    pub now_ms: i64,
}

/// The body of a webhook: `{"message": {...}}`.
pub fn server_message(event: &ServerEvent, context: &EnvelopeContext<'_>) -> Value {
    let mut message = fields_of(event, context, Audience::Server);
    if let Some(artifact) = context.artifact {
        message.entry("artifact").or_insert_with(|| artifact.clone());
    }
    message.insert("call".into(), public_call(context.call));
    message.insert("assistant".into(), public_assistant(context.assistant));
    for field in ["customer", "phoneNumber"] {
        if let Some(value) = lenient::get(context.call, field) {
            message.insert(field.into(), without_secrets(value));
        }
    }
    json!({ "message": message })
}

/// The frame that a client's socket is sent: the bare message, without the documents that whoever
/// started the call has.
pub fn client_message(event: &ServerEvent, context: &EnvelopeContext<'_>) -> Value {
    Value::Object(fields_of(event, context, Audience::Client))
}

/// An assistant without its secrets: credentials, and what its servers are authenticated with.
pub fn public_assistant(assistant: &Value) -> Value {
    without_secrets(assistant)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    Server,
    /// Static arguments of tools are no client's business.
    Client,
}

/// The event's own fields, completed with what only the deliverer knows.
fn fields_of(
    event: &ServerEvent,
    context: &EnvelopeContext<'_>,
    audience: Audience,
) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("timestamp".into(), context.now_ms.into());
    if let Ok(Value::Object(fields)) = serde_json::to_value(event) {
        message.extend(fields);
    }
    match event {
        ServerEvent::ConversationUpdate | ServerEvent::CallEndpointingRequest => {
            let messages = artifact::messages(context.preamble, context.history, context.clock);
            message.insert("messages".into(), messages.into());
            let openai = artifact::openai_messages(context.preamble, context.history);
            message.insert("messagesOpenAIFormatted".into(), openai.into());
        }
        ServerEvent::ToolCalls { tool_calls } => {
            message.shift_remove("toolCalls");
            let (plain, with_tools) = tool_calls
                .iter()
                .map(|call| tool_call(call, context.tools, audience))
                .unzip::<_, _, Vec<_>, Vec<_>>();
            message.insert("toolCallList".into(), plain.into());
            message.insert("toolWithToolCallList".into(), with_tools.into());
        }
        ServerEvent::AssistantStarted => {
            let assistant = match audience {
                Audience::Server => public_assistant(context.assistant),
                Audience::Client => {
                    json!({"name": lenient::get(context.assistant, "name").unwrap_or(&Value::Null)})
                }
            };
            message.insert("newAssistant".into(), assistant);
        }
        ServerEvent::EndOfCallReport { .. } => end_of_call(&mut message, context),
        ServerEvent::StatusUpdate { .. }
        | ServerEvent::SpeechUpdate { .. }
        | ServerEvent::AssistantSpeechStarted { .. }
        | ServerEvent::Transcript { .. }
        | ServerEvent::LanguageChangeDetected { .. }
        | ServerEvent::ModelOutput { .. }
        | ServerEvent::UserInterrupted { .. }
        | ServerEvent::TransferDestinationRequest
        | ServerEvent::TransferUpdate { .. }
        | ServerEvent::PhoneCallControl { .. }
        | ServerEvent::Hang => {}
    }
    message
}

/// One call for `toolCallList` and for `toolWithToolCallList`. Arguments are objects here, under
/// both of the names that the contract's pages use.
fn tool_call(call: &ToolCall, tools: &[Tool], audience: Audience) -> (Value, Value) {
    let tool = tools.iter().find(|tool| tool.spec.name == call.name);
    let arguments = match (tool, audience) {
        (Some(tool), Audience::Server) => tool.arguments(&call.arguments),
        (Some(_), Audience::Client) | (None, _) => call.arguments.clone(),
    };
    let function = json!({"name": call.name, "arguments": arguments});
    let plain = json!({
        "id": call.id,
        "type": "function",
        "function": function,
        "name": call.name,
        "arguments": arguments,
        "parameters": arguments,
    });
    let mut document =
        tool.map_or_else(|| json!({"type": "function"}), |tool| without_secrets(&tool.document));
    if let (Value::Object(fields), Audience::Client) = (&mut document, audience) {
        fields.shift_remove("parameters");
    }
    document["name"] = call.name.clone().into();
    document["toolCall"] = json!({
        "id": call.id, "type": "function", "function": function, "parameters": arguments,
    });
    (plain, document)
}

/// The report repeats at its top level what older clients look for there.
fn end_of_call(message: &mut Map<String, Value>, context: &EnvelopeContext<'_>) {
    let call = context.call;
    let artifact = context.artifact.cloned().unwrap_or_else(|| json!({}));
    for field in ["startedAt", "endedAt", "endedMessage", "cost", "costs", "costBreakdown"] {
        if let Some(value) = lenient::get(call, field) {
            message.insert(field.into(), value.clone());
        }
    }
    message.insert(
        "analysis".into(),
        lenient::get(call, "analysis").cloned().unwrap_or_else(|| json!({})),
    );
    for field in ["transcript", "messages", "recordingUrl", "stereoRecordingUrl"] {
        if let Some(value) = lenient::get(&artifact, field) {
            message.insert(field.into(), value.clone());
        }
    }
    let at = |field: &str| Some(time::parse(text(call, field)?)?.as_millisecond());
    if let (Some(started), Some(ended)) = (at("startedAt"), at("endedAt")) {
        let duration_ms = ended.saturating_sub(started).max(0);
        message.insert("durationMs".into(), duration_ms.into());
        message.insert("durationSeconds".into(), json!(duration_ms as f64 / 1_000.0));
    }
    message.insert("artifact".into(), artifact);
}

/// The call without what is told beside it, and without its secrets.
fn public_call(call: &Value) -> Value {
    let mut call = without_secrets(call);
    if let Value::Object(fields) = &mut call {
        for field in ["artifact", "messages"] {
            fields.shift_remove(field);
        }
    }
    call
}

fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !SECRET_FIELDS.contains(&name.as_str()))
            .map(|(name, value)| {
                let has_headers = matches!(name.as_str(), "server" | "model");
                let value = if has_headers { bare_server(value) } else { without_secrets(value) };
                (name.clone(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Fields that are left out of every message. The socket's address admits whoever has it.
const SECRET_FIELDS: &[&str] = &[
    "credentials",
    "serverUrlSecret",
    "twilioApiKey",
    "twilioApiSecret",
    "twilioAuthToken",
    "websocketCallUrl",
];

/// A server (or a custom model, which is one) without its secret and its headers, which often hold
/// one.
fn bare_server(server: &Value) -> Value {
    let mut server = without_secrets(server);
    if let Value::Object(fields) = &mut server {
        fields.shift_remove("secret");
        fields.shift_remove("headers");
    }
    server
}

#[cfg(test)]
mod tests;
