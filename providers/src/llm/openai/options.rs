use serde::Deserialize;
use serde_json::Value;

/// The contract's default of `temperature`.
const TEMPERATURE: f64 = 0.5;

/// The contract's default of `maxTokens`: a long answer on the phone is a minute of speech.
const MAX_TOKENS: f64 = 250.0;

/// The `model` object of an assistant.
///
/// Not acted on here: `messages`, `tools`, `toolIds`, `toolRefs` and `knowledgeBase` (they come
/// with each request), `fallbackModels` and `numFastTurns` (the model stage's),
/// `emotionRecognitionEnabled`, and `toolStrictCompatibilityMode` (of Azure's).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    model: String,
    temperature: Option<f64>,
    max_tokens: Option<f64>,
    reasoning_effort: Option<String>,
    prompt_cache_key: Option<String>,
    prompt_cache_retention: Option<String>,
}

impl Options {
    pub fn from_document(document: &Value) -> Result<Self, String> {
        let options = Self::deserialize(document).map_err(|error| error.to_string())?;
        if options.model.is_empty() {
            return Err("model is missing, expected a name such as `gpt-4.1-mini`".into());
        }
        Ok(options)
    }

    /// The model's name without the region that the contract writes after a colon; a fine-tuned
    /// model (`ft:base:organisation::id`) has colons of its own.
    pub fn model(&self) -> &str {
        match self.model.split_once(':') {
            Some((model, region)) if model != "ft" && !region.contains(':') => model,
            Some(_) | None => &self.model,
        }
    }

    pub fn temperature(&self) -> f64 {
        self.temperature.unwrap_or(TEMPERATURE)
    }

    /// The limit of a reply in tokens. A model that thinks spends it before its first word, so
    /// that only a limit from the document counts for it.
    pub fn max_tokens(&self, thinks: bool) -> Option<u64> {
        let default = (!thinks).then_some(MAX_TOKENS);
        self.max_tokens.or(default).map(|tokens| tokens as u64)
    }

    pub fn reasoning_effort(&self) -> Option<&str> {
        self.reasoning_effort.as_deref()
    }

    pub fn prompt_cache(&self) -> [(&'static str, Option<&str>); 2] {
        [
            ("prompt_cache_key", self.prompt_cache_key.as_deref()),
            ("prompt_cache_retention", self.prompt_cache_retention.as_deref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_region_is_cut_off_and_a_fine_tuned_name_is_not() {
        let model = |name: &str| {
            Options::from_document(&json!({ "model": name })).unwrap().model().to_owned()
        };
        assert_eq!(model("gpt-4o-2024-11-20:swedencentral"), "gpt-4o-2024-11-20");
        assert_eq!(model("gpt-4o"), "gpt-4o");
        assert_eq!(model("ft:gpt-4o-mini:acme::7p4l"), "ft:gpt-4o-mini:acme::7p4l");
    }

    #[test]
    fn a_document_without_a_model_is_refused() {
        assert!(Options::from_document(&json!({})).unwrap_err().contains("model is missing"));
    }
}
