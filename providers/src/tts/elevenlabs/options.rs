use std::time::Duration;

use offhook_media::{AudioFormat, Encoding};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The model when the document names none: the contract's default.
const MODEL: &str = "eleven_turbo_v2";

/// Models that can be held to a language; the others refuse the parameter.
const MODELS_WITH_LANGUAGE: [&str; 2] = ["eleven_turbo_v2_5", "eleven_flash_v2_5"];

/// The contract's names of voices that are ElevenLabs's stock voices.
const STOCK_VOICES: [(&str, &str); 4] = [
    ("sarah", "EXAVITQu4vr4xnSDxMaL"),
    ("drew", "29vD33N1CtxCmqQRPOHJ"),
    ("paul", "5Q0t7uMcjvnagumLfvZi"),
    ("matilda", "XrExE9yKIg1WjnnlVkGX"),
];

/// The contract's names of voices whose ids are not public.
const UNKNOWN_VOICES: [&str; 11] = [
    "burt", "marissa", "andrea", "phillip", "steve", "joseph", "myra", "paula", "ryan", "mrb",
    "mark",
];

/// The `voice` object of an assistant, provider `11labs`.
///
/// Not acted on here: `cachingEnabled`, `fallbackPlan` and `chunkPlan` apart from its `enabled`
/// (the voice stage's), `optimizeStreamingLatency` (deprecated, and unknown to this socket), and
/// `language` for models that refuse it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    voice_id: String,
    model: Option<String>,
    language: Option<String>,
    stability: Option<f64>,
    similarity_boost: Option<f64>,
    style: Option<f64>,
    use_speaker_boost: Option<bool>,
    speed: Option<f64>,
    enable_ssml_parsing: Option<bool>,
    auto_mode: Option<bool>,
    chunk_plan: Option<ChunkPlan>,
    pronunciation_dictionary_locators: Option<Vec<Dictionary>>,
}

#[derive(Debug, Deserialize)]
struct ChunkPlan {
    enabled: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dictionary {
    pronunciation_dictionary_id: String,
    version_id: Option<String>,
}

impl Options {
    pub fn from_document(document: &Value) -> Result<Self, String> {
        let mut options = Self::deserialize(document).map_err(|error| error.to_string())?;
        let voice = options.voice_id.as_str();
        if voice.is_empty() || UNKNOWN_VOICES.contains(&voice) {
            return Err(format!(
                "voiceId `{voice}` is no voice of ElevenLabs, expected an id out of its voice library"
            ));
        }
        if let Some((_, id)) = STOCK_VOICES.iter().find(|(name, _)| *name == voice) {
            options.voice_id = (*id).into();
        }
        if options.model() == "eleven_v3" {
            return Err(format!(
                "model `eleven_v3` is not served by the streaming websocket, expected one such as \
                 `{MODEL}`"
            ));
        }
        Ok(options)
    }

    pub fn voice_id(&self) -> &str {
        &self.voice_id
    }

    /// Whether ElevenLabs decides how much text it speaks at once: where the document switched our
    /// own cutting off.
    pub fn provider_cuts_text(&self) -> bool {
        !self.auto_mode() && self.chunk_plan.as_ref().and_then(|plan| plan.enabled) == Some(false)
    }

    /// Whether each text must be flushed to be spoken at once: ElevenLabs otherwise waits for 120
    /// characters, though what it gets is a whole clause.
    pub fn flushes_each_text(&self) -> bool {
        !self.auto_mode() && !self.provider_cuts_text()
    }

    /// The query of the session's address.
    pub fn query(&self, format: AudioFormat, idle: Duration) -> Vec<(&'static str, String)> {
        let encoding = match format.encoding {
            Encoding::Pcm16 => "pcm",
            Encoding::Mulaw => "ulaw",
        };
        let mut query = vec![
            ("model_id", self.model().to_owned()),
            ("output_format", format!("{encoding}_{}", format.sample_rate_hz)),
            ("inactivity_timeout", idle.as_secs().to_string()),
            ("sync_alignment", "true".to_owned()),
            ("auto_mode", self.auto_mode().to_string()),
        ];
        if MODELS_WITH_LANGUAGE.contains(&self.model()) {
            query.extend(self.language.iter().map(|code| ("language_code", code.clone())));
        }
        query.extend(self.enable_ssml_parsing.map(|on| ("enable_ssml_parsing", on.to_string())));
        query
    }

    /// The first message of a context, the only one that may carry settings.
    pub fn opening(&self, context: &str) -> Value {
        let mut message = json!({"text": " ", "context_id": context});
        let numbers = [
            ("stability", self.stability),
            ("similarity_boost", self.similarity_boost),
            ("style", self.style),
            ("speed", self.speed),
        ];
        let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name, value?.into())));
        let boost = self.use_speaker_boost.map(|on| ("use_speaker_boost", on.into()));
        let settings: Map<String, Value> =
            numbers.chain(boost).map(|(name, value)| (name.to_owned(), value)).collect();
        if !settings.is_empty() {
            message["voice_settings"] = settings.into();
        }
        let dictionaries = self.pronunciation_dictionary_locators.iter().flatten();
        let locators: Vec<Value> = dictionaries.map(Dictionary::locator).collect();
        if !locators.is_empty() {
            message["pronunciation_dictionary_locators"] = locators.into();
        }
        message
    }

    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(MODEL)
    }

    fn auto_mode(&self) -> bool {
        self.auto_mode.unwrap_or(false)
    }
}

impl Dictionary {
    fn locator(&self) -> Value {
        let mut locator = json!({"pronunciation_dictionary_id": self.pronunciation_dictionary_id});
        if let Some(version) = &self.version_id {
            locator["version_id"] = version.as_str().into();
        }
        locator
    }
}
