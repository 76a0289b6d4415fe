//! The plans of an assistant that are read one by one: speaking, artifacts, monitoring.

use std::time::Duration;

use offhook_core::{KeypadPlan, StopSpeaking};
use serde::Deserialize;

use crate::lenient;

/// Voice that silences an assistant that is heard, where the document names no time and nobody knows
/// the words.
///
/// Whoever has something to say is understood after half a second, and a word interrupts at once; a
/// transcriber that has fallen silent is noticed after 1.5 s. What goes on for longer than that and has
/// no words is mostly talk behind the caller. The contract's 0.2 s would make every "yeah" and every
/// cough an interruption.
const VOICE_OVER_SPEECH: Duration = Duration::from_secs(2);

/// Words that never interrupt, when `stopSpeakingPlan` does not say (its default in the contract).
const ACKNOWLEDGEMENT_PHRASES: &[&str] = &[
    "i understand",
    "i see",
    "i got it",
    "i hear you",
    "im listening",
    "im with you",
    "right",
    "okay",
    "ok",
    "sure",
    "alright",
    "got it",
    "understood",
    "yeah",
    "yes",
    "uh-huh",
    "mm-hmm",
    "gotcha",
    "mhmm",
    "ah",
    "yeah okay",
    "yeah sure",
];

/// Words that always interrupt, when `stopSpeakingPlan` does not say (its default in the contract).
const INTERRUPTION_PHRASES: &[&str] = &[
    "stop",
    "shut",
    "up",
    "enough",
    "quiet",
    "silence",
    "but",
    "dont",
    "not",
    "no",
    "hold",
    "wait",
    "cut",
    "pause",
    "nope",
    "nah",
    "nevermind",
    "never",
    "bad",
    "actually",
];

/// What is made of a call once it is over (`artifactPlan`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPlan {
    pub recording_enabled: bool,
    pub transcript_enabled: bool,
    /// The assistant's name in the transcript.
    pub assistant_name: String,
    /// The caller's name in the transcript.
    pub user_name: String,
}

impl Default for ArtifactPlan {
    fn default() -> Self {
        Self {
            recording_enabled: true,
            transcript_enabled: true,
            assistant_name: "AI".into(),
            user_name: "User".into(),
        }
    }
}

/// Who may listen to and control a running call (`monitorPlan`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorPlan {
    pub listen_enabled: bool,
    pub listen_authentication_enabled: bool,
    pub control_enabled: bool,
    pub control_authentication_enabled: bool,
}

impl Default for MonitorPlan {
    fn default() -> Self {
        Self {
            listen_enabled: true,
            listen_authentication_enabled: false,
            control_enabled: true,
            control_authentication_enabled: false,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArtifactPlanFields {
    recording_enabled: Option<bool>,
    transcript_plan: Option<TranscriptPlanFields>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TranscriptPlanFields {
    enabled: Option<bool>,
    assistant_name: Option<String>,
    user_name: Option<String>,
}

impl ArtifactPlanFields {
    /// `recording_default` holds where the plan does not say: no recording under HIPAA.
    pub fn read(&self, recording_default: bool) -> ArtifactPlan {
        let default = ArtifactPlan::default();
        let transcript = self.transcript_plan.clone().unwrap_or_default();
        ArtifactPlan {
            recording_enabled: self.recording_enabled.unwrap_or(recording_default),
            transcript_enabled: transcript.enabled.unwrap_or(default.transcript_enabled),
            assistant_name: transcript.assistant_name.unwrap_or(default.assistant_name),
            user_name: transcript.user_name.unwrap_or(default.user_name),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MonitorPlanFields {
    listen_enabled: Option<bool>,
    listen_authentication_enabled: Option<bool>,
    control_enabled: Option<bool>,
    control_authentication_enabled: Option<bool>,
}

impl MonitorPlanFields {
    pub fn read(&self) -> MonitorPlan {
        let default = MonitorPlan::default();
        MonitorPlan {
            listen_enabled: self.listen_enabled.unwrap_or(default.listen_enabled),
            listen_authentication_enabled: self
                .listen_authentication_enabled
                .unwrap_or(default.listen_authentication_enabled),
            control_enabled: self.control_enabled.unwrap_or(default.control_enabled),
            control_authentication_enabled: self
                .control_authentication_enabled
                .unwrap_or(default.control_authentication_enabled),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StopSpeakingFields {
    num_words: Option<f64>,
    voice_seconds: Option<f64>,
    backoff_seconds: Option<f64>,
    acknowledgement_phrases: Option<Vec<String>>,
    interruption_phrases: Option<Vec<String>>,
}

impl StopSpeakingFields {
    pub fn read(&self) -> StopSpeaking {
        let default = StopSpeaking::default();
        let phrases = |given: &Option<Vec<String>>, default: &[&str]| {
            given.clone().unwrap_or_else(|| default.iter().map(ToString::to_string).collect())
        };
        StopSpeaking {
            num_words: self.num_words.map_or(default.num_words, lenient::count),
            voice: time(self.voice_seconds, default.voice),
            voice_over_speech: self.voice_seconds.is_none().then_some(VOICE_OVER_SPEECH),
            backoff: time(self.backoff_seconds, default.backoff),
            acknowledgement_phrases: phrases(
                &self.acknowledgement_phrases,
                ACKNOWLEDGEMENT_PHRASES,
            ),
            interruption_phrases: phrases(&self.interruption_phrases, INTERRUPTION_PHRASES),
        }
    }
}

/// Keys that the caller presses (`keypadInputPlan`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeypadFields {
    enabled: Option<bool>,
    timeout_seconds: Option<f64>,
    delimiters: Option<Delimiters>,
}

/// One delimiter, or, as the contract's words have it, a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Delimiters {
    One(String),
    Several(Vec<String>),
}

impl KeypadFields {
    pub fn read(&self) -> Option<KeypadPlan> {
        let timeout = match self.timeout_seconds.map(lenient::seconds) {
            None => KeypadPlan::default().timeout,
            Some(timeout) => (!timeout.is_zero()).then_some(timeout),
        };
        let delimiter = match &self.delimiters {
            Some(Delimiters::One(key)) => Some(key),
            Some(Delimiters::Several(keys)) => keys.first(),
            None => None,
        };
        let plan = KeypadPlan { timeout, delimiter: delimiter.and_then(|key| key.chars().next()) };
        self.enabled.unwrap_or(false).then_some(plan)
    }
}

pub(crate) fn time(given: Option<f64>, default: Duration) -> Duration {
    given.map_or(default, lenient::seconds)
}
