//! The conversation as the model is told it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::CallTime;

/// A tool call that the model asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's id of the call, unique within the conversation.
    pub id: String,
    pub name: String,
    /// Parsed arguments: an object, or `{}` where the model gave none.
    pub arguments: Value,
}

/// One entry of the conversation's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it began: the caller's first sound, the assistant's first sound, or the tool's start.
    pub at: CallTime,
    /// When it ended; equal to `at` for what has no length.
    pub until: CallTime,
    pub message: Message,
}

/// What was said or done, in the roles that language models use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case")]
pub enum Message {
    System {
        content: String,
    },
    User {
        content: String,
    },
    Assistant {
        /// What the caller heard of it.
        content: String,
        /// The caller cut it off; `content` stops at the last word heard.
        interrupted: bool,
    },
    ToolCalls {
        calls: Vec<ToolCall>,
    },
    ToolResult {
        call_id: String,
        name: String,
        /// What the model is told: the tool's result, or the truth about its failure.
        content: String,
    },
}
