//! Cartesia's Sonic voices over its websocket (`/tts/websocket`).

use std::{sync::Arc, time::Duration};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
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
    name: "cartesia",
    key_variable: "CARTESIA_API_KEY",
    // Page "List Voices".
    probe: Probe::Resource(FreeResource {
        address: ADDRESS,
        path: &["voices"],
        headers: &[("cartesia-version", VERSION)],
        ..BEARER
    }),
    specimen: "",
    build,
};

/// Cartesia's own address.
const ADDRESS: &str = "https://api.cartesia.ai";

/// The version of the API that this file is written for (header `Cartesia-Version`).
const VERSION: &str = "2026-03-01";

/// Raw formats that it produces; 44.1 kHz is Sonic's own rate, which no phone carries.
const FORMATS: [AudioFormat; 7] = [
    AudioFormat::pcm16(24_000),
    AudioFormat::pcm16(16_000),
    AudioFormat::pcm16(22_050),
    AudioFormat::mulaw(),
    AudioFormat::pcm16(8_000),
    AudioFormat::pcm16(44_100),
    AudioFormat::pcm16(48_000),
];

/// A socket without text is closed after this (page on concurrency limits and timeouts).
const IDLE_LIMIT: Duration = Duration::from_secs(300);

/// Longest text of one message, in characters. No limit is documented; sentences are shorter.
const TEXT_CHARS_MAX: usize = 1_000;

/// Cartesia's error codes that say more than the status they come with (page on API errors).
const PEER: Peer = Peer {
    provider: PROVIDER.name,
    reason_header: None,
    reasons: &[
        ("quota_exceeded", FailureClass::Quota),
        ("concurrency_limited", FailureClass::RateLimited { retry_after: None }),
        ("model_not_found", FailureClass::BadRequest),
        ("voice_not_found", FailureClass::BadRequest),
    ],
};

struct Cartesia {
    net: Net,
    url: Url,
    headers: HeaderMap,
    options: Arc<Options>,
}

fn build(options: &Value, access: &Access, net: &Net) -> Result<Box<dyn Tts>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Tts", name: PROVIDER.name.into(), reason };
    access.require_key("Tts", PROVIDER.name, PROVIDER.key_variable)?;
    let options = Options::from_document(options).map_err(bad)?;
    let url = address::endpoint(ADDRESS, access, &["tts", "websocket"]).map_err(bad)?;
    let mut headers = key_header(AUTHORIZATION, "Bearer ", access.api_key.as_ref()).map_err(bad)?;
    headers.insert(HeaderName::from_static("cartesia-version"), HeaderValue::from_static(VERSION));
    Ok(Box::new(Cartesia {
        net: net.clone(),
        url: address::websocket(url),
        headers,
        options: Arc::new(options),
    }))
}

impl Tts for Cartesia {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities {
            formats: FORMATS.to_vec(),
            word_timings: true,
            idle_limit: Some(IDLE_LIMIT),
            text_chars_max: TEXT_CHARS_MAX,
            streams_text: self.options.provider_cuts_text(),
        }
    }

    fn model(&self) -> &str {
        self.options.model()
    }

    fn open(&self, request: TtsRequest) -> Opening<TtsSession> {
        let (net, headers, url) = (self.net.clone(), self.headers.clone(), self.url.clone());
        let speaking = Speaking::new(Arc::clone(&self.options), request.format);
        Box::pin(async move {
            if !FORMATS.contains(&request.format) {
                let format = request.format;
                let detail = format!("{format:?} is not produced, expected one of {FORMATS:?}");
                return Err(PEER.error(FailureClass::BadRequest, detail));
            }
            let (socket, answer) = connect(&net, PEER, &url, headers).await?;
            let request_id = answer.headers().get("x-request-id");
            tracing::debug!(provider = PROVIDER.name, ?request_id, "voice session open");
            let (input, events) = session::start(socket, PEER, speaking);
            Ok(TtsSession { input, events })
        })
    }
}
