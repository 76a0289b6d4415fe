//! What we tell the outside world, and how it is spelled on the wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EndedReason, TimedWord, ToolCall};

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
        /// The words that sound from here on, where the voice times them.
        #[serde(skip_serializing_if = "Option::is_none")]
        timing: Option<SpeechTiming>,
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
    /// Asks a server where the caller is to be sent: a tool was run that names nobody.
    TransferDestinationRequest,
    /// The caller is with somebody else now: a destination as documents have it.
    TransferUpdate {
        destination: Value,
    },
    /// A server that asked for it is to do this in our place.
    PhoneCallControl {
        request: PhoneRequest,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination: Option<Value>,
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
            Self::TransferDestinationRequest => "transfer-destination-request",
            Self::TransferUpdate { .. } => "transfer-update",
            Self::PhoneCallControl { .. } => "phone-call-control",
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

/// What a server is to do with a phone call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhoneRequest {
    Forward,
    HangUp,
}

/// Who composed what is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpeechSource {
    Model,
    /// The first message, a `say`, a tool's message.
    ForceSay,
}

/// When the words of a stretch of speech sound, in milliseconds from its beginning.
///
/// The white space before a word is an entry of its own, so that all entries of a turn, joined, are
/// the beginning of its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum SpeechTiming {
    WordAlignment {
        words: Vec<String>,
        words_start_times_ms: Vec<u64>,
        words_end_times_ms: Vec<u64>,
    },
}

impl SpeechTiming {
    pub(crate) fn of_words(timed: &[TimedWord]) -> Self {
        let began = timed.first().map(|word| word.start).unwrap_or_default();
        let ms =
            |at: Duration| u64::try_from(at.saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
        let (mut words, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut entry = |text: &str, start: Duration, end: Duration| {
            if !text.is_empty() {
                words.push(text.to_owned());
                starts.push(ms(start));
                ends.push(ms(end));
            }
        };
        let mut before = began;
        for word in timed {
            let bare = word.text.trim_start();
            entry(&word.text[..word.text.len() - bare.len()], before, word.start);
            entry(bare, word.start, word.end);
            before = word.end;
        }
        Self::WordAlignment { words, words_start_times_ms: starts, words_end_times_ms: ends }
    }
}
