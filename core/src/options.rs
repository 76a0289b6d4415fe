//! The settings of one call that its conversation acts on, with defaults as the contract has them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Hook, KeypadPlan, StartSpeaking, VoicemailPlan};

/// Who speaks first, and what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstMessageMode {
    #[default]
    AssistantSpeaksFirst,
    AssistantSpeaksFirstWithModelGeneratedMessage,
    AssistantWaitsForUser,
}

/// When the caller interrupts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopSpeaking {
    /// Words that the caller must say to interrupt; 0: voice alone does (`numWords`).
    pub num_words: u32,
    /// Voice activity that interrupts when `num_words` is 0 (`voiceSeconds`).
    pub voice: Duration,
    /// The same while the assistant is heard, where that is another time: what can be told from an
    /// "mm-hm" or a cough only by waiting for it to end.
    #[serde(default)]
    pub voice_over_speech: Option<Duration>,
    /// How long the assistant stays silent after an interruption (`backoffSeconds`).
    pub backoff: Duration,
    /// Said by the caller, these never interrupt.
    pub acknowledgement_phrases: Vec<String>,
    /// Said by the caller, these always interrupt.
    pub interruption_phrases: Vec<String>,
}

impl Default for StopSpeaking {
    fn default() -> Self {
        Self {
            num_words: 0,
            voice: Duration::from_millis(200),
            voice_over_speech: None,
            backoff: Duration::from_secs(1),
            acknowledgement_phrases: Vec::new(),
            interruption_phrases: Vec::new(),
        }
    }
}

/// What a tool does when the model calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToolKind {
    /// Someone else's function: the tool executor asks them.
    Function,
    /// Ends the call after what is being said.
    EndCall,
}

/// A message spoken around a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToolMessage {
    /// Spoken when the call starts; `blocking` waits with the call until it has been heard.
    Start { content: String, blocking: bool },
    /// Spoken when no result has come after this long.
    Delayed { content: String, after: Duration },
    /// Spoken in place of a model's reply when it succeeded; `end_call` ends the call after it.
    Complete { content: String, end_call: bool },
    /// Spoken in place of a model's reply when it failed; `end_call` ends the call after it.
    Failed { content: String, end_call: bool },
}

/// A tool as the conversation and the model see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments: an object.
    pub parameters: Value,
    pub kind: ToolKind,
    /// The model is answered at once that the tool was started, and its result is not awaited.
    pub is_async: bool,
    pub messages: Vec<ToolMessage>,
}

/// What the caller hears who waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fillers {
    /// After the first silence of a turn.
    pub first: String,
    /// After each further one.
    pub further: String,
}

/// The settings of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallOptions {
    /// Messages that the model is given before the conversation: the system prompt first.
    pub preamble: Vec<crate::Message>,
    pub first_message: Option<String>,
    pub first_message_mode: FirstMessageMode,
    pub first_message_interruptions_enabled: bool,
    pub start_speaking: StartSpeaking,
    pub stop_speaking: StopSpeaking,
    /// What becomes of keys that the caller presses; `None`: they are passed over.
    #[serde(default)]
    pub keypad: Option<KeypadPlan>,
    /// Silence on both sides before the call is ended.
    pub silence_timeout: Duration,
    /// Age at which the call is ended, whatever happens in it.
    pub max_duration: Duration,
    /// Said by the assistant, any of these ends the call after it was spoken (case-insensitive).
    pub end_call_phrases: Vec<String>,
    /// Spoken before the assistant ends the call.
    pub end_call_message: Option<String>,
    /// Spoken before silence ends the call, in place of `end_call_message`.
    #[serde(default)]
    pub silence_timeout_message: Option<String>,
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// Absent: nobody listens for voicemails.
    #[serde(default)]
    pub voicemail: Option<VoicemailPlan>,
    pub tools: Vec<ToolSpec>,
    /// Spoken when the model or the transcriber has failed for good, before the call ends.
    pub apology: String,
    /// Spoken where the model's provider refuses to answer, or breaks off an answer, for what is
    /// in it.
    #[serde(default = "default_refusal")]
    pub refusal: String,
    /// Absent: a caller waits in silence.
    #[serde(default)]
    pub fillers: Option<Fillers>,
}

fn default_refusal() -> String {
    "I'm sorry, I can't help with that.".into()
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            preamble: Vec::new(),
            first_message: None,
            first_message_mode: FirstMessageMode::default(),
            first_message_interruptions_enabled: false,
            start_speaking: StartSpeaking::default(),
            stop_speaking: StopSpeaking::default(),
            keypad: None,
            silence_timeout: Duration::from_secs(30),
            max_duration: Duration::from_secs(600),
            end_call_phrases: Vec::new(),
            end_call_message: None,
            silence_timeout_message: None,
            hooks: Vec::new(),
            voicemail: None,
            tools: Vec::new(),
            apology: "I am sorry, something went wrong on our side. Please call again later."
                .into(),
            refusal: default_refusal(),
            fillers: None,
        }
    }
}
