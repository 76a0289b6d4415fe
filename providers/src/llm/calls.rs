//! Tool calls on the wire, as far as endpoints agree about them.

use offhook_core::{FailureClass, Finish, Message, ToolCall, ToolSpec};
use serde_json::{Value, json};

use super::errors::Errors;
use crate::ProviderError;

/// What the model is told of a tool that has not answered when it is asked again: endpoints
/// refuse a call without a result.
const NO_RESULT_YET: &str = "No result yet.";

/// The caller's part where the assistant spoke first and an endpoint wants the user to begin.
pub(super) const CONNECTED: &str = "(The call is connected.)";

/// The caller's part where the assistant spoke last and an endpoint wants the user to end.
pub(super) const GO_ON: &str = "(Please go on.)";

/// Tool calls in one reply that are put together; more are no sensible reply.
const TOOL_CALLS_MAX: usize = 32;

/// Arguments of one tool call, in bytes.
const ARGUMENTS_BYTES_MAX: usize = 256 << 10;

/// A tool call of a reply, as far as it came.
#[derive(Default)]
pub(super) struct CallDraft {
    /// The endpoint's number of it.
    pub index: Option<u64>,
    pub id: Option<String>,
    pub name: String,
    pub arguments: String,
}

impl CallDraft {
    /// The whole call, once the reply said why it finished; nothing of a call in the middle of
    /// which the reply was cut off.
    pub fn read(self, errors: Errors, finish: Finish) -> Result<Option<ToolCall>, ProviderError> {
        let Self { name, arguments, .. } = self;
        let id = self.id.unwrap_or_else(|| format!("call_{}", uuid::Uuid::new_v4().simple()));
        if arguments.trim().is_empty() && finish == Finish::Stop {
            return Ok(Some(ToolCall { id, name, arguments: json!({}) }));
        }
        match (serde_json::from_str(&arguments), finish) {
            (Ok(arguments @ Value::Object(_)), _) => Ok(Some(ToolCall { id, name, arguments })),
            (Ok(Value::Null), _) => Ok(Some(ToolCall { id, name, arguments: json!({}) })),
            (_, Finish::Length) => {
                let provider = errors.provider;
                tracing::warn!(provider, tool = name, "out of tokens in a call, raise maxTokens");
                Ok(None)
            }
            (_, Finish::ContentFilter | Finish::Broken) => Ok(None),
            (_, Finish::Stop) => {
                let detail = format!("called `{name}` with arguments that are no JSON object");
                Err(errors.error(FailureClass::Protocol, detail))
            }
        }
    }

    /// Refuses arguments that grow beyond all sense.
    pub fn check_length(&self, errors: Errors) -> Result<(), ProviderError> {
        if self.arguments.len() <= ARGUMENTS_BYTES_MAX {
            return Ok(());
        }
        let detail = format!("sent arguments longer than {ARGUMENTS_BYTES_MAX} bytes");
        Err(errors.error(FailureClass::Protocol, detail))
    }
}

/// Adds a call to those of a reply, and tells its place among them.
pub(super) fn begin(
    calls: &mut Vec<CallDraft>,
    call: CallDraft,
    errors: Errors,
) -> Result<usize, ProviderError> {
    if calls.len() == TOOL_CALLS_MAX {
        let detail = format!("sent more than {TOOL_CALLS_MAX} tool calls in one reply");
        return Err(errors.error(FailureClass::Protocol, detail));
    }
    calls.push(call);
    Ok(calls.len() - 1)
}

/// A tool's parameters as a JSON schema that every endpoint takes.
pub(super) fn schema(tool: &ToolSpec) -> Value {
    match &tool.parameters {
        Value::Object(schema) if !schema.is_empty() => tool.parameters.clone(),
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => json!({"type": "object", "properties": {}}),
    }
}

/// What a call came to, by what the conversation has of it `later`.
pub(super) fn result<'a>(call: &ToolCall, later: &'a [Message]) -> &'a str {
    let content = later.iter().find_map(|message| match message {
        Message::ToolResult { call_id, content, .. } if *call_id == call.id => Some(content),
        Message::ToolResult { .. }
        | Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. }
        | Message::ToolCalls { .. } => None,
    });
    content.map_or(NO_RESULT_YET, String::as_str)
}

/// Whether the call of a result is in the `earlier` part of the conversation.
pub(super) fn was_called(earlier: &[Message], id: &str) -> bool {
    earlier.iter().any(|message| match message {
        Message::ToolCalls { calls } => calls.iter().any(|call| call.id == id),
        Message::ToolResult { .. }
        | Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. } => false,
    })
}

/// What the model is told of a result whose call it is not told of.
pub(super) fn stray_result(name: &str, content: &str) -> String {
    format!("Result of the tool {name}: {content}")
}
