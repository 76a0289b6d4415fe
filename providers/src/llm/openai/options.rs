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

/// Whether a vendor's names of models end with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::llm) enum Regions {
    /// As the contract writes it: `gpt-4o-2024-11-20:swedencentral`.
    AfterColon,
    /// A colon is part of the name: `deepseek/deepseek-r1:free`, `llama3:8b`.
    None,
}

impl Options {
    pub fn from_document(document: &Value, regions: Regions) -> Result<Self, String> {
        let mut options = Self::deserialize(document).map_err(|error| error.to_string())?;
        if options.model.is_empty() {
            return Err("model is missing, expected a name such as `gpt-4.1-mini`".into());
        }
        // A fine-tuned model (`ft:base:organisation::id`) has colons of its own.
        if regions == Regions::AfterColon
            && let Some((model, region)) = options.model.split_once(':')
            && model != "ft"
            && !region.contains(':')
        {
            options.model = model.to_owned();
        }
        Ok(options)
    }

    /// The model's name, without a region.
    pub fn model(&self) -> &str {
        &self.model
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
        let read = |name: &str, regions| {
            Options::from_document(&json!({ "model": name }), regions).unwrap().model().to_owned()
        };
        let model = |name| read(name, Regions::AfterColon);
        assert_eq!(model("gpt-4o-2024-11-20:swedencentral"), "gpt-4o-2024-11-20");
        assert_eq!(model("gpt-4o"), "gpt-4o");
        assert_eq!(model("ft:gpt-4o-mini:acme::7p4l"), "ft:gpt-4o-mini:acme::7p4l");
        assert_eq!(read("llama3:8b", Regions::None), "llama3:8b");
    }

    #[test]
    fn a_document_without_a_model_is_refused() {
        assert!(Options::from_document(&json!({}), Regions::None)
            .unwrap_err()
            .contains("model is missing"));
    }
}
