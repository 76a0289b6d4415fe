//! A voice of one's own: a server that is sent a `voice-request` for each piece of text and
//! answers with raw audio.

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Opening, Provider, Tts, TtsCapabilities, TtsRequest, TtsSession,
    requests::{self, Voice},
};
use crate::{
    Access, BuildError, Net,
    net::{address, custom_server::CustomServer, http::Resource, socket::Peer},
    probe::Probe,
};

#[cfg(test)]
mod tests;

pub const PROVIDER: Provider = Provider {
    name: "custom-voice",
    key_variable: "",
    probe: Probe::Document,
    specimen: "",
    build,
};

/// Rates that a server is to expect (Vapi's page on custom TTS): 16 bits, one channel, no header.
const FORMATS: [AudioFormat; 4] = [
    AudioFormat::pcm16(24_000),
    AudioFormat::pcm16(16_000),
    AudioFormat::pcm16(22_050),
    AudioFormat::pcm16(8_000),
];

/// Longest text of one request, in characters. A sentence or two is sent; no limit is documented.
const TEXT_CHARS_MAX: usize = 1_000;

const PEER: Peer = Peer { provider: PROVIDER.name, reason_header: None, reasons: &[] };

/// The `voice` object of an assistant, provider `custom-voice`, apart from its `server`.
///
/// Not acted on here: `cachingEnabled`, `chunkPlan` and `fallbackPlan` (the voice stage's).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    voice_id: Option<String>,
    /// `call`, `assistant` and `customer` of the running call. No field of the contract: whoever
    /// starts the call puts it there.
    call_context: Map<String, Value>,
}

struct CustomVoice {
    net: Net,
    server: CustomServer,
    options: Options,
}

fn build(document: &Value, access: &Access, net: &Net) -> Result<Box<dyn Tts>, BuildError> {
    Ok(Box::new(CustomVoice::new(document, access, net)?))
}

impl Tts for CustomVoice {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities {
            formats: FORMATS.to_vec(),
            word_timings: false,
            idle_limit: None,
            text_chars_max: TEXT_CHARS_MAX,
            streams_text: false,
        }
    }

    fn warm(&self) {
        self.net.warm(&address::http(self.server.url.clone()));
    }

    fn open(&self, request: TtsRequest) -> Opening<TtsSession> {
        let format = request.format;
        let voice = self.voice(format);
        Box::pin(async move {
            if !FORMATS.contains(&format) {
                let detail = format!("{format:?} is not asked for, expected one of {FORMATS:?}");
                return Err(PEER.error(FailureClass::BadRequest, detail));
            }
            Ok(requests::open(voice))
        })
    }
}

impl CustomVoice {
    fn new(document: &Value, access: &Access, net: &Net) -> Result<Self, BuildError> {
        let bad = |reason| BuildError::Options { kind: "Tts", name: PROVIDER.name.into(), reason };
        let options = Options::deserialize(document).map_err(|error| bad(error.to_string()))?;
        let server = CustomServer::from_document(document, access).map_err(bad)?;
        // The operator's own address needs no guard.
        let net = match access.base_url {
            Some(_) => net.clone(),
            None => net.for_document(&server.url).map_err(bad)?,
        };
        Ok(Self { net, server, options })
    }

    fn voice(&self, format: AudioFormat) -> Voice {
        let options = self.options.clone();
        Voice {
            resource: Resource {
                http: self.net.http.clone(),
                peer: PEER,
                url: address::http(self.server.url.clone()),
                headers: self.server.headers.clone(),
            },
            format,
            silence_limit: self.server.timeout,
            body: Box::new(move |text| {
                options.body(text, format, jiff::Timestamp::now().as_millisecond())
            }),
        }
    }
}

impl Options {
    fn body(&self, text: &str, format: AudioFormat, timestamp_ms: i64) -> Value {
        let mut message = self.call_context.clone();
        let mut put = |name: &str, value: Value| message.insert(name.to_owned(), value);
        put("type", "voice-request".into());
        put("text", text.trim().into());
        put("sampleRate", format.sample_rate_hz.into());
        put("timestamp", timestamp_ms.into());
        if let Some(voice) = &self.voice_id {
            put("voiceId", voice.as_str().into());
        }
        Value::Object(Map::from_iter([("message".to_owned(), message.into())]))
    }
}
