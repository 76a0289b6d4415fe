//! Which events a subscriber wants: `serverMessages` and `clientMessages`.

use offhook_core::{ServerEvent, TranscriptType};

/// Final transcripts without the partial ones.
const FINAL_TRANSCRIPT: &str = r#"transcript[transcriptType="final"]"#;

/// The name by which `clientMessages` asks for `language-change-detected`; `serverMessages` has both.
const LANGUAGE_CHANGED: &str = "language-changed";

/// What `serverMessages` is when an assistant does not say.
const SERVER_DEFAULT: &[&str] = &[
    "conversation-update",
    "end-of-call-report",
    "function-call",
    "hang",
    "speech-update",
    "status-update",
    "tool-calls",
    "transfer-destination-request",
    "handoff-destination-request",
    "user-interrupted",
    "assistant.started",
];

/// What `clientMessages` is when an assistant does not say.
const CLIENT_DEFAULT: &[&str] = &[
    "conversation-update",
    "function-call",
    "hang",
    "model-output",
    "speech-update",
    "status-update",
    "transfer-update",
    "transcript",
    "tool-calls",
    "user-interrupted",
    "voice-input",
    "workflow.node.started",
    "assistant.started",
];

/// The names of the events that a subscriber wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFilter {
    names: Vec<String>,
}

impl MessageFilter {
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The contract's default for `serverMessages`.
    pub fn server_default() -> Self {
        Self::new(SERVER_DEFAULT.iter().map(ToString::to_string).collect())
    }

    /// The contract's default for `clientMessages`.
    pub fn client_default() -> Self {
        Self::new(CLIENT_DEFAULT.iter().map(ToString::to_string).collect())
    }

    pub fn allows(&self, event: &ServerEvent) -> bool {
        let is_final_transcript =
            matches!(event, ServerEvent::Transcript { transcript_type: TranscriptType::Final, .. });
        let is_language = matches!(event, ServerEvent::LanguageChangeDetected { .. });
        self.has(event.name())
            || is_final_transcript && self.has(FINAL_TRANSCRIPT)
            || is_language && self.has(LANGUAGE_CHANGED)
    }

    /// Whether an event of this name is asked for.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }
}

#[cfg(test)]
mod tests {
    use offhook_core::Role;

    use super::*;

    fn transcript(transcript_type: TranscriptType) -> ServerEvent {
        ServerEvent::Transcript { role: Role::User, transcript_type, transcript: "hello".into() }
    }

    #[test]
    fn servers_are_not_sent_transcripts_unless_they_ask() {
        let filter = MessageFilter::server_default();
        assert!(filter.allows(&ServerEvent::Hang));
        assert!(filter.allows(&ServerEvent::ConversationUpdate));
        assert!(!filter.allows(&transcript(TranscriptType::Final)));
        let output = ServerEvent::ModelOutput { output: "a".into(), turn_id: "t".into() };
        assert!(!filter.allows(&output));
        assert!(MessageFilter::client_default().allows(&output));
    }

    #[test]
    fn changes_of_language_are_asked_for_by_either_name() {
        let change = ServerEvent::LanguageChangeDetected { language: "es".into() };
        for name in ["language-changed", "language-change-detected"] {
            assert!(MessageFilter::new(vec![name.into()]).allows(&change), "{name}");
        }
        assert!(!MessageFilter::client_default().allows(&change));
        let filter = MessageFilter::new(vec![LANGUAGE_CHANGED.into()]);
        assert!(!filter.allows(&ServerEvent::Hang));
    }

    #[test]
    fn final_transcripts_can_be_asked_for_alone() {
        let filter = MessageFilter::new(vec![FINAL_TRANSCRIPT.into()]);
        assert!(filter.allows(&transcript(TranscriptType::Final)));
        assert!(!filter.allows(&transcript(TranscriptType::Partial)));
        let all = MessageFilter::new(vec!["transcript".into()]);
        assert!(all.allows(&transcript(TranscriptType::Partial)));
        assert!(!MessageFilter::new(vec![]).allows(&ServerEvent::Hang));
    }
}
