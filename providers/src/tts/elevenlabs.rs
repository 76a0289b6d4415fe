//! ElevenLabs's voices over the multi-context websocket
//! (`/v1/text-to-speech/{voice_id}/multi-stream-input`).

use std::{sync::Arc, time::Duration};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;
use url::Url;

use super::{Opening, Provider, Tts, TtsCapabilities, TtsRequest, TtsSession};
use crate::{
    Access, BuildError, Net,
    net::{
        address, session,
        socket::{Peer, connect, key_header},
    },
    probe::{BEARER, FreeResource, Probe},
};
use dialogue::Speaking;
use options::Options;

mod context;
mod dialogue;
mod options;
#[cfg(test)]
mod tests;

pub const PROVIDER: Provider = Provider {
    name: "11labs",
    key_variable: "ELEVENLABS_API_KEY",
    // Page "Get user". A key may be good for speech and for nothing else.
    probe: Probe::Resource(FreeResource {
        address: ADDRESS,
        path: &["v1", "user"],
        header: "xi-api-key",
        scheme: "",
        good_anyway: "missing_permissions",
        ..BEARER
    }),
    specimen: r#"{"voiceId": "EXAVITQu4vr4xnSDxMaL"}"#,
    build,
};

/// ElevenLabs's own address.
const ADDRESS: &str = "https://api.elevenlabs.io";

/// Raw formats that it produces; the higher rates need higher plans.
const FORMATS: [AudioFormat; 7] = [
    AudioFormat::pcm16(24_000),
    AudioFormat::pcm16(16_000),
    AudioFormat::pcm16(22_050),
    AudioFormat::mulaw(),
    AudioFormat::pcm16(8_000),
    AudioFormat::pcm16(44_100),
    AudioFormat::pcm16(48_000),
];

/// The session's own limit of idleness, the longest that ElevenLabs allows: a caller may talk for
/// minutes between two replies.
const INACTIVITY_LIMIT: Duration = Duration::from_secs(180);

/// Longest text of one message, in characters. No limit is documented; sentences are shorter.
const TEXT_CHARS_MAX: usize = 1_000;

/// ElevenLabs's reasons that say more than the code they come with (API reference, errors).
const PEER: Peer = Peer {
    provider: PROVIDER.name,
    reason_header: None,
    reasons: &[
        ("quota_exceeded", FailureClass::Quota),
        ("payment_required", FailureClass::Quota),
        ("invalid_api_key", FailureClass::Unauthorized),
        ("missing_permissions", FailureClass::Unauthorized),
        ("voice_id_does_not_exist", FailureClass::BadRequest),
        ("voice_not_found", FailureClass::BadRequest),
        ("model_not_found", FailureClass::BadRequest),
        ("too_many_concurrent_requests", FailureClass::RateLimited { retry_after: None }),
        ("system_busy", FailureClass::RateLimited { retry_after: None }),
        ("max_active_conversations", FailureClass::Protocol),
        ("input_timeout_exceeded", FailureClass::Closed),
    ],
};

struct ElevenLabs {
    net: Net,
    url: Url,
    headers: HeaderMap,
    options: Arc<Options>,
}

fn build(options: &Value, access: &Access, net: &Net) -> Result<Box<dyn Tts>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Tts", name: PROVIDER.name.into(), reason };
    access.require_key("Tts", PROVIDER.name, PROVIDER.key_variable)?;
    let options = Options::from_document(options).map_err(bad)?;
    let path = ["v1", "text-to-speech", options.voice_id(), "multi-stream-input"];
    let url = address::endpoint(ADDRESS, access, &path).map_err(bad)?;
    let name = HeaderName::from_static("xi-api-key");
    let headers = key_header(name, "", access.api_key.as_ref()).map_err(bad)?;
    Ok(Box::new(ElevenLabs {
        net: net.clone(),
        url: address::websocket(url),
        headers,
        options: Arc::new(options),
    }))
}

impl Tts for ElevenLabs {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities {
            formats: FORMATS.to_vec(),
            word_timings: true,
            idle_limit: Some(INACTIVITY_LIMIT),
            text_chars_max: TEXT_CHARS_MAX,
            streams_text: self.options.provider_cuts_text(),
        }
    }

    fn model(&self) -> &str {
        self.options.model()
    }

    fn open(&self, request: TtsRequest) -> Opening<TtsSession> {
        let (net, headers) = (self.net.clone(), self.headers.clone());
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(self.options.query(request.format, INACTIVITY_LIMIT));
        let speaking = Speaking::new(Arc::clone(&self.options), request.format);
        Box::pin(async move {
            if !FORMATS.contains(&request.format) {
                let format = request.format;
                let detail = format!("{format:?} is not produced, expected one of {FORMATS:?}");
                return Err(PEER.error(FailureClass::BadRequest, detail));
            }
            let (socket, answer) = connect(&net, PEER, &url, headers).await?;
            let request_id = answer.headers().get("request-id");
            tracing::debug!(provider = PROVIDER.name, ?request_id, "voice session open");
            let (input, events) = session::start(socket, PEER, speaking);
            Ok(TtsSession { input, events })
        })
    }
}
