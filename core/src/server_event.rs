//! What we tell the outside world, and how it is spelled on the wire.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EndedReason, ToolCall};

/// Something a subscriber may be told about a call.
///
/// Webhooks, the sockets and the call's log all serialise this one type. The envelope (`call`,
/// `timestamp`, `artifact` ...) is added by whoever delivers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ServerEvent {
    StatusUpdate {
        status: CallStatus,
        #[serde(skip_serializing_if = "Option::is_none")]
        ended_reason: Option<EndedReason>,
    },
    /// The assistant is ready to speak and listen.
    #[serde(rename = "assistant.started")]
    AssistantStarted,
    SpeechUpdate {
        status: SpeechStatus,
        role: Role,
        /// 0-based number of the turn.
        turn: u32,
    },
    #[serde(rename = "assistant.speechStarted")]
    AssistantSpeechStarted {
        /// All text of the present turn so far.
        text: String,
        turn: u32,
        /// `model`, or `force-say` for messages that no model made.
        source: SpeechSource,
    },
    Transcript {
        role: Role,
        transcript_type: TranscriptType,
        transcript: String,
    },
    /// The caller speaks another language than before.
    LanguageChangeDetected {
        /// As the transcriber names it.
        language: String,
    },
    /// The history changed; the deliverer fills in the messages from the conversation.
    ConversationUpdate,
    /// Asks a server how long to wait for the caller; the deliverer fills in the messages.
    #[serde(rename = "call.endpointing.request")]
    CallEndpointingRequest,
    ModelOutput {
        output: Value,
        turn_id: String,
    },
    UserInterrupted {
        turn_id: String,
    },
    ToolCalls {
        tool_calls: Vec<ToolCall>,
    },
    /// The assistant took so long that the caller may have noticed.
    Hang,
    /// The last event of a call; the deliverer fills in the artifacts.
    EndOfCallReport {
        ended_reason: EndedReason,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    Scheduled,
    Queued,
    Ringing,
    InProgress,
    Forwarding,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpeechStatus {
    Started,
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TranscriptType {
    Partial,
    Final,
}

impl ServerEvent {
    /// The name by which `serverMessages` and `clientMessages` ask for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StatusUpdate { .. } => "status-update",
            Self::AssistantStarted => "assistant.started",
            Self::SpeechUpdate { .. } => "speech-update",
            Self::AssistantSpeechStarted { .. } => "assistant.speechStarted",
            Self::Transcript { .. } => "transcript",
            Self::LanguageChangeDetected { .. } => "language-change-detected",
            Self::ConversationUpdate => "conversation-update",
            Self::CallEndpointingRequest => "call.endpointing.request",
            Self::ModelOutput { .. } => "model-output",
            Self::UserInterrupted { .. } => "user-interrupted",
            Self::ToolCalls { .. } => "tool-calls",
            Self::Hang => "hang",
            Self::EndOfCallReport { .. } => "end-of-call-report",
        }
    }

    /// Whether it tells that the call is over; a call has each such event once.
    pub fn is_of_the_end(&self) -> bool {
        matches!(
            self,
            Self::StatusUpdate { status: CallStatus::Ended, .. } | Self::EndOfCallReport { .. }
        )
    }
}

/// Who composed what is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpeechSource {
    Model,
    /// The first message, a `say`, a tool's message.
    ForceSay,
}
