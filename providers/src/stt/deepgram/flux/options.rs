use offhook_media::{AudioFormat, Encoding};
use serde::Deserialize;
use serde_json::Value;

use super::super::options::CONFIDENCE_THRESHOLD;

/// What Flux can take out of its transcripts.
const REDACTIONS: [&str; 2] = ["numbers", "aggressive_numbers"];

/// The model that is told which languages to expect; the others refuse the parameter.
const MULTILINGUAL: &str = "flux-general-multi";

/// Flux's own `eot_threshold`, when the document does not say.
const EOT_THRESHOLD: f64 = 0.7;

/// The `transcriber` object of an assistant, provider `deepgram`, with a model of Flux.
///
/// Not acted on here: `fallbackPlan` (the transcriber stage's), and what `/v2/listen` has no
/// parameter for: `language`, `smartFormat`, `endpointing`, `keywords`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    model: String,
    eot_threshold: Option<f64>,
    /// No field of the contract. Without it Flux never says that a turn may be over.
    eager_eot_threshold: Option<f64>,
    eot_timeout_ms: Option<f64>,
    languages: Option<Vec<String>>,
    keyterm: Option<Vec<String>>,
    numerals: Option<bool>,
    profanity_filter: Option<bool>,
    mip_opt_out: Option<bool>,
    redaction: Option<Vec<String>>,
    confidence_threshold: Option<f64>,
}

impl Options {
    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn from_document(document: &Value) -> Result<Self, String> {
        let options = Self::deserialize(document).map_err(|error| error.to_string())?;
        let end = options.eot_threshold.unwrap_or(EOT_THRESHOLD);
        if let Some(eager) = options.eager_eot_threshold.filter(|eager| *eager > end) {
            return Err(format!(
                "eagerEotThreshold {eager} is above eotThreshold {end}, expected at most as much"
            ));
        }
        // Leaving one out in silence would put into transcripts what must not be there.
        let unknown =
            options.redaction.iter().flatten().find(|kind| !REDACTIONS.contains(&kind.as_str()));
        if let Some(kind) = unknown {
            return Err(format!(
                "redaction `{kind}` is not done by model `{}`, expected one of: {}, or a Nova model",
                options.model,
                REDACTIONS.join(", ")
            ));
        }
        Ok(options)
    }

    pub fn confidence_threshold(&self) -> f64 {
        self.confidence_threshold.unwrap_or(CONFIDENCE_THRESHOLD)
    }

    /// The query of the session's address.
    pub fn query(&self, format: AudioFormat) -> Vec<(&'static str, String)> {
        let encoding = match format.encoding {
            Encoding::Pcm16 => "linear16",
            Encoding::Mulaw => "mulaw",
        };
        let mut query = vec![
            ("model", self.model.clone()),
            ("encoding", encoding.to_owned()),
            ("sample_rate", format.sample_rate_hz.to_string()),
        ];
        let settings = [
            ("eot_threshold", self.eot_threshold.map(|threshold| threshold.to_string())),
            (
                "eager_eot_threshold",
                self.eager_eot_threshold.map(|threshold| threshold.to_string()),
            ),
            ("eot_timeout_ms", self.eot_timeout_ms.map(|ms| (ms as u32).to_string())),
            ("numerals", self.numerals.map(|on| on.to_string())),
            ("profanity_filter", self.profanity_filter.map(|on| on.to_string())),
            ("mip_opt_out", self.mip_opt_out.map(|on| on.to_string())),
        ];
        query.extend(settings.into_iter().filter_map(|(name, value)| Some((name, value?))));
        query.extend(self.redaction.iter().flatten().map(|kind| ("redact", kind.clone())));
        query.extend(self.keyterm.iter().flatten().map(|term| ("keyterm", term.clone())));
        if self.model == MULTILINGUAL {
            let hints = self.languages.iter().flatten().filter(|language| !language.is_empty());
            query.extend(hints.map(|language| ("language_hint", language.clone())));
        }
        query
    }
}
