use offhook_media::{AudioFormat, Encoding};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The model when the document names none: Cartesia's newest stable one.
const MODEL: &str = "sonic-3.5";

/// Beginnings of the names of models that take a `generation_config` and a pronunciation
/// dictionary; the older ones ignore the first and refuse the second.
const STEERABLE_MODELS: [&str; 2] = ["sonic-3", "sonic-latest"];

/// The `voice` object of an assistant, provider `cartesia`.
///
/// Not acted on here: `cachingEnabled`, `fallbackPlan` and `chunkPlan` apart from its `enabled`
/// (the voice stage's), `experimentalControls` (of versions of the API before this one), and
/// `generationConfig.experimental`, which Cartesia does not document.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    voice_id: String,
    model: Option<String>,
    language: Option<String>,
    generation_config: Option<GenerationConfig>,
    pronunciation_dict_id: Option<String>,
    chunk_plan: Option<ChunkPlan>,
}

#[derive(Debug, Deserialize)]
struct GenerationConfig {
    speed: Option<f64>,
    volume: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct ChunkPlan {
    enabled: Option<bool>,
}

impl Options {
    pub fn from_document(document: &Value) -> Result<Self, String> {
        let options = Self::deserialize(document).map_err(|error| error.to_string())?;
        if options.voice_id.is_empty() {
            return Err("voiceId is missing, expected an id out of Cartesia's voice library".into());
        }
        Ok(options)
    }

    /// Whether Cartesia decides how much text it speaks at once: where the document switched our
    /// own cutting off.
    pub fn provider_cuts_text(&self) -> bool {
        self.chunk_plan.as_ref().and_then(|plan| plan.enabled) == Some(false)
    }

    /// What every message of a context repeats, apart from its id and text.
    pub fn generation(&self, format: AudioFormat) -> Map<String, Value> {
        let encoding = match format.encoding {
            Encoding::Pcm16 => "pcm_s16le",
            Encoding::Mulaw => "pcm_mulaw",
        };
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("model_id", self.model().into());
        put("voice", json!({"mode": "id", "id": self.voice_id}));
        put(
            "output_format",
            json!({"container": "raw", "encoding": encoding, "sample_rate": format.sample_rate_hz}),
        );
        put("add_timestamps", true.into());
        if let Some(language) = &self.language {
            put("language", language.as_str().into());
        }
        if !self.provider_cuts_text() {
            // What it gets is a whole clause: it need not wait for more.
            put("max_buffer_delay_ms", 0.into());
        }
        if STEERABLE_MODELS.iter().any(|name| self.model().starts_with(name)) {
            let config = self.generation_config.as_ref().map(GenerationConfig::fields);
            if let Some(config) = config.filter(|config| !config.is_empty()) {
                put("generation_config", config.into());
            }
            if let Some(dictionary) = &self.pronunciation_dict_id {
                put("pronunciation_dict_id", dictionary.as_str().into());
            }
        }
        fields
    }

    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(MODEL)
    }
}

impl GenerationConfig {
    fn fields(&self) -> Map<String, Value> {
        [("speed", self.speed), ("volume", self.volume)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect()
    }
}
