use serde::Deserialize;
use serde_json::Value;

use super::models::{self, Family};

/// The contract's default of `temperature`.
const TEMPERATURE: f64 = 0.5;

/// The highest `temperature` of the protocol; the contract's is 2.
const TEMPERATURE_MAX: f64 = 1.0;

/// The contract's default of `maxTokens`: a long answer on the phone is a minute of speech.
const MAX_TOKENS: u64 = 250;

/// Room for thoughts where a model thinks unasked and the document sets no limit: thoughts count
/// as a part of the reply.
const THOUGHT_TOKENS: u64 = 1_024;

/// The `model` object of an assistant.
///
/// Not acted on here: `messages`, `tools`, `toolIds`, `toolRefs` and `knowledgeBase` (they come
/// with each request), `numFastTurns` (the model stage's) and `emotionRecognitionEnabled`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    model: String,
    temperature: Option<f64>,
    max_tokens: Option<f64>,
    thinking: Option<Thinking>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    budget_tokens: f64,
}

impl Options {
    pub fn from_document(document: &Value) -> Result<Self, String> {
        let options = Self::deserialize(document).map_err(|error| error.to_string())?;
        if options.model.is_empty() {
            return Err("model is missing, expected a name such as `claude-haiku-4-5`".into());
        }
        if let (Some(tokens), Some(budget)) = (options.max_tokens, options.budget())
            && tokens as u64 <= budget
        {
            return Err(format!(
                "maxTokens is {tokens}, expected more than thinking.budgetTokens ({budget})"
            ));
        }
        Ok(options)
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn family(&self) -> &'static Family {
        models::find(&self.model)
    }

    /// Whether it goes on from a last message of the assistant; with thoughts, it does not.
    pub fn prefills(&self) -> bool {
        self.family().prefills && self.thinking.is_none()
    }

    pub fn temperature(&self) -> f64 {
        self.temperature.unwrap_or(TEMPERATURE).min(TEMPERATURE_MAX)
    }

    /// The tokens that the document gives to thinking, where it asks for it.
    pub fn budget(&self) -> Option<u64> {
        self.thinking.map(|thinking| thinking.budget_tokens as u64)
    }

    /// The limit of a reply in tokens, thoughts included.
    pub fn max_tokens(&self, thinks_unasked: bool) -> u64 {
        let thoughts = match self.budget() {
            Some(budget) => budget,
            None if thinks_unasked => THOUGHT_TOKENS,
            None => 0,
        };
        self.max_tokens.map_or(MAX_TOKENS + thoughts, |tokens| tokens as u64)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: Value) -> Result<Options, String> {
        Options::from_document(&document)
    }

    #[test]
    fn a_document_without_a_model_is_refused() {
        assert!(read(json!({})).unwrap_err().contains("model is missing"));
    }

    #[test]
    fn a_limit_that_leaves_nothing_to_say_after_thinking_is_refused() {
        let thinking = json!({"type": "enabled", "budgetTokens": 1024});
        let refused = read(json!({"model": "m", "maxTokens": 1024, "thinking": thinking}));
        assert!(refused.unwrap_err().contains("thinking.budgetTokens (1024)"));
        let options = read(json!({"model": "m", "thinking": thinking})).unwrap();
        assert_eq!(options.max_tokens(false), 1_274);
    }

    #[test]
    fn a_temperature_beyond_the_protocol_s_is_its_highest() {
        assert_eq!(read(json!({"model": "m", "temperature": 1.5})).unwrap().temperature(), 1.0);
        assert_eq!(read(json!({"model": "m"})).unwrap().temperature(), 0.5);
    }
}
