//! When the caller's turn is over (`startSpeakingPlan`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{TextPattern, WaitFunction};

/// When the caller's turn is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StartSpeaking {
    /// The least silence after the end of speech before the assistant answers
    /// (`startSpeakingPlan.waitSeconds`).
    pub wait: Duration,
    /// Silence after text that ends in punctuation.
    pub on_punctuation: Duration,
    /// Silence after text that does not.
    pub on_no_punctuation: Duration,
    /// Silence after text that ends in a number.
    pub on_number: Duration,
    /// Rules that come before everything else; the first that matches counts.
    pub rules: Vec<EndpointingRule>,
    pub judge: TurnJudge,
    /// The transcriber's own end of turn comes before `judge`, where it has one: so it is unless a
    /// `smartEndpointingPlan` was chosen.
    pub native_end_of_turn: bool,
    /// The language that is spoken, as a BCP 47 tag; `multi`: several.
    pub language: String,
    /// The model may be asked before the turn is surely over.
    pub speculation: bool,
}

impl Default for StartSpeaking {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(400),
            on_punctuation: Duration::from_millis(100),
            on_no_punctuation: Duration::from_millis(1_500),
            on_number: Duration::from_millis(500),
            rules: Vec::new(),
            judge: TurnJudge::default(),
            native_end_of_turn: true,
            language: "en".into(),
            speculation: false,
        }
    }
}

/// What decides how long a silence must be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum TurnJudge {
    /// What the text ends in (`transcriptionEndpointingPlan`).
    #[default]
    Ending,
    /// The estimate of how likely the turn is over, made a time by a function of the doubt.
    Estimate { wait: WaitFunction },
    /// A server that is asked about each transcript; `until_answered` counts where it is late.
    Server { until_answered: WaitFunction },
}

/// A silence that counts where a text matches (`customEndpointingRules`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointingRule {
    /// Searched for in the assistant's last words.
    pub assistant: Option<TextPattern>,
    /// Searched for in what the caller has said in this turn.
    pub customer: Option<TextPattern>,
    pub timeout: Duration,
}

impl EndpointingRule {
    /// Whether all that it asks for is there. The assistant has to have spoken for a rule on its
    /// words.
    pub fn matches(&self, assistant: &str, customer: &str) -> bool {
        let found = |pattern: &Option<TextPattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| !text.is_empty() && pattern.is_found_in(text))
        };
        found(&self.assistant, assistant) && found(&self.customer, customer)
    }
}
