use offhook_media::{AudioFormat, Encoding};
use serde::Deserialize;
use serde_json::Value;

/// The model when the document names none: Deepgram's newest for `/v1/listen`.
const MODEL: &str = "nova-3";

/// Silence after which Deepgram says `speech_final`, in ms, when the document does not say: its
/// own default, and the contract's.
const ENDPOINTING_MS: f64 = 10.0;

/// From this `endpointing` on, `speech_final` is a judgement about the turn and not the first
/// pause for breath, in ms: what the contract recommends in place of 10.
const END_OF_TURN_MS: f64 = 300.0;

/// Silence between words after which Deepgram says `UtteranceEnd`, in ms: the least that it takes.
const UTTERANCE_END_MS: u32 = 1_000;

/// Confidence below which a transcript is discarded: the contract's default.
pub(super) const CONFIDENCE_THRESHOLD: f64 = 0.4;

/// The `transcriber` object of an assistant, provider `deepgram`.
///
/// Not acted on here: `fallbackPlan` (the transcriber stage's), `eotThreshold`, `eotTimeoutMs` and
/// `languages` (of the Flux models). `keyterm` is sent to Nova-3 and `keywords` to the older models,
/// because each refuses the other's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    model: Option<String>,
    language: Option<String>,
    smart_format: Option<bool>,
    mip_opt_out: Option<bool>,
    numerals: Option<bool>,
    profanity_filter: Option<bool>,
    redaction: Option<Vec<String>>,
    confidence_threshold: Option<f64>,
    keywords: Option<Vec<String>>,
    keyterm: Option<Vec<String>>,
    endpointing: Option<f64>,
}

impl Options {
    pub fn from_document(document: &Value) -> Result<Self, String> {
        Self::deserialize(document).map_err(|error| error.to_string())
    }

    pub fn judges_end_of_turn(&self) -> bool {
        self.endpointing_ms() >= END_OF_TURN_MS
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
            ("model", self.model().to_owned()),
            ("encoding", encoding.to_owned()),
            ("sample_rate", format.sample_rate_hz.to_string()),
            ("channels", "1".to_owned()),
            ("interim_results", "true".to_owned()),
            ("vad_events", "true".to_owned()),
            // The call's endpointing waits by the punctuation it sees.
            ("punctuate", "true".to_owned()),
            ("endpointing", (self.endpointing_ms() as u32).to_string()),
            ("utterance_end_ms", UTTERANCE_END_MS.to_string()),
        ];
        query.extend(self.language.iter().map(|language| ("language", language.clone())));
        let switches = [
            ("smart_format", self.smart_format),
            ("numerals", self.numerals),
            ("profanity_filter", self.profanity_filter),
            ("mip_opt_out", self.mip_opt_out),
        ];
        query.extend(
            switches.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))),
        );
        let (words, name) = if self.model().starts_with("nova-3") {
            (&self.keyterm, "keyterm")
        } else {
            (&self.keywords, "keywords")
        };
        query.extend(self.redaction.iter().flatten().map(|kind| ("redact", kind.clone())));
        query.extend(words.iter().flatten().map(|word| (name, word.clone())));
        query
    }

    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(MODEL)
    }

    fn endpointing_ms(&self) -> f64 {
        self.endpointing.unwrap_or(ENDPOINTING_MS)
    }
}
