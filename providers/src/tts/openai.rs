//! OpenAI's voices over HTTP (`/v1/audio/speech`), and every server that copies it: with a
//! `base_url`, model and voice are whatever that server knows.

use std::time::Duration;

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Opening, Provider, Tts, TtsCapabilities, TtsRequest, TtsSession,
    requests::{self, Voice},
};
use crate::{
    Access, BuildError, Net,
    net::{
        address,
        http::Resource,
        socket::{Peer, key_header},
    },
    probe::{BEARER, FreeResource, Probe},
};

#[cfg(test)]
mod tests;

pub const PROVIDER: Provider = Provider {
    name: "openai",
    key_variable: "OPENAI_API_KEY",
    probe: Probe::Resource(FreeResource { address: ADDRESS, ..BEARER }),
    specimen: r#"{"voiceId": "alloy"}"#,
    build,
};

/// OpenAI's own address.
const ADDRESS: &str = "https://api.openai.com/v1";

/// What `response_format` `pcm` is: raw, 16 bits, 24 kHz, one channel.
const FORMAT: AudioFormat = AudioFormat::pcm16(24_000);

/// The model when the document names none: the one of its three that begins to speak soonest.
const MODEL: &str = "gpt-4o-mini-tts";

/// Beginning of the names of models that take no instructions.
const UNINSTRUCTED: &str = "tts-1";

/// Beginning of the ids of voices of one's own, which are not given by name.
const OWN_VOICE: &str = "voice_";

/// Longest `input`, in characters (API reference).
const TEXT_CHARS_MAX: usize = 4_096;

/// Longest wait for an answer, and for more of one. The voice stage waits much less for a first
/// sound; this is for what it does not watch.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// Codes and types that say more than a status (OpenAI's guide to error codes).
const PEER: Peer = Peer {
    provider: PROVIDER.name,
    reason_header: None,
    reasons: &[
        ("insufficient_quota", FailureClass::Quota),
        ("billing", FailureClass::Quota),
        ("invalid_api_key", FailureClass::Unauthorized),
        ("model_not_found", FailureClass::BadRequest),
    ],
};

/// The `voice` object of an assistant, provider `openai`.
///
/// Not acted on here: `cachingEnabled`, `chunkPlan` and `fallbackPlan` (the voice stage's), and
/// `instructions` for models that take none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    voice_id: String,
    model: Option<String>,
    instructions: Option<String>,
    speed: Option<f64>,
}

struct OpenAi {
    net: Net,
    url: Url,
    headers: HeaderMap,
    options: Options,
}

fn build(options: &Value, access: &Access, net: &Net) -> Result<Box<dyn Tts>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Tts", name: PROVIDER.name.into(), reason };
    access.require_key("Tts", PROVIDER.name, PROVIDER.key_variable)?;
    let options = Options::from_document(options).map_err(bad)?;
    let url = address::endpoint(ADDRESS, access, &["audio", "speech"]).map_err(bad)?;
    let headers = key_header(AUTHORIZATION, "Bearer ", access.api_key.as_ref()).map_err(bad)?;
    Ok(Box::new(OpenAi { net: net.clone(), url: address::http(url), headers, options }))
}

impl Tts for OpenAi {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities {
            formats: vec![FORMAT],
            word_timings: false,
            idle_limit: None,
            text_chars_max: TEXT_CHARS_MAX,
            streams_text: false,
        }
    }

    fn warm(&self) {
        self.net.warm(&self.url);
    }

    fn model(&self) -> &str {
        self.options.model()
    }

    fn open(&self, request: TtsRequest) -> Opening<TtsSession> {
        let resource = Resource {
            http: self.net.http.clone(),
            peer: PEER,
            url: self.url.clone(),
            headers: self.headers.clone(),
        };
        let options = self.options.clone();
        Box::pin(async move {
            if request.format != FORMAT {
                let format = request.format;
                let detail = format!("{format:?} is not produced, expected {FORMAT:?}");
                return Err(PEER.error(FailureClass::BadRequest, detail));
            }
            Ok(requests::open(Voice {
                resource,
                format: FORMAT,
                silence_limit: SILENCE_LIMIT,
                body: Box::new(move |text| options.body(text)),
            }))
        })
    }
}

impl Options {
    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(MODEL)
    }

    fn from_document(document: &Value) -> Result<Self, String> {
        let options = Self::deserialize(document).map_err(|error| error.to_string())?;
        if options.voice_id.is_empty() {
            return Err("voiceId is missing, expected a voice such as `alloy`".into());
        }
        Ok(options)
    }

    fn body(&self, text: &str) -> Value {
        let model = self.model();
        let voice = match self.voice_id.starts_with(OWN_VOICE) {
            true => json!({"id": self.voice_id}),
            false => json!(self.voice_id),
        };
        let mut body =
            json!({"model": model, "input": text.trim(), "voice": voice, "response_format": "pcm"});
        if let Some(speed) = self.speed {
            body["speed"] = speed.into();
        }
        if let Some(instructions) = &self.instructions
            && !model.starts_with(UNINSTRUCTED)
        {
            body["instructions"] = instructions.as_str().into();
        }
        body
    }
}
