//! Deepgram's streaming transcription: `/v1/listen` (Nova and older models) here, `/v2/listen`
//! (the Flux models, which judge turns) in [`flux`].

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;
use url::Url;

use super::{Opening, Provider, Replay, Stt, SttCapabilities, SttRequest, SttSession};
use crate::{
    Access, BuildError, Net,
    net::{
        address, session,
        socket::{Peer, connect, key_header},
    },
    probe::{BEARER, FreeResource, Probe},
};
use dialogue::Listening;
use flux::Flux;
use options::Options;

mod dialogue;
mod flux;
mod language;
mod options;
#[cfg(test)]
mod tests;

pub const PROVIDER: Provider = Provider {
    name: "deepgram",
    key_variable: "DEEPGRAM_API_KEY",
    // Page "List Projects".
    probe: Probe::Resource(FreeResource {
        address: ADDRESS,
        path: &["v1", "projects"],
        scheme: "Token ",
        ..BEARER
    }),
    specimen: r#"{"model": "nova-3"}"#,
    build,
};

/// Deepgram's own address.
const ADDRESS: &str = "https://api.deepgram.com";

/// Formats that telephony and browsers send; the models were trained on 16 kHz.
const FORMATS: [AudioFormat; 5] = [
    AudioFormat::pcm16(16_000),
    AudioFormat::mulaw(),
    AudioFormat::pcm16(8_000),
    AudioFormat::pcm16(24_000),
    AudioFormat::pcm16(48_000),
];

/// Audio faster than this multiple of real time is not accepted for long.
const REPLAY_RATE: f32 = 1.25;

/// Deepgram's reasons (headers, bodies and close reasons) that say more than the code they come
/// with; from its pages on errors and on websocket DATA and NET errors.
const PEER: Peer = Peer {
    provider: PROVIDER.name,
    reason_header: Some("dg-error"),
    reasons: &[
        ("DATA-0000", FailureClass::BadRequest),
        ("NET-0000", FailureClass::Unavailable),
        // It had no audio for 10 s: the session is over, the provider is well.
        ("NET-0001", FailureClass::Closed),
        ("ASR_PAYMENT_REQUIRED", FailureClass::Quota),
        ("INVALID_AUTH", FailureClass::Unauthorized),
        ("INSUFFICIENT_PERMISSIONS", FailureClass::Unauthorized),
    ],
};

struct Deepgram {
    net: Net,
    url: Url,
    headers: HeaderMap,
    options: Options,
}

fn build(options: &Value, access: &Access, net: &Net) -> Result<Box<dyn Stt>, BuildError> {
    if flux::serves(options) {
        return Ok(Box::new(Flux::new(options, access, net)?));
    }
    Ok(Box::new(Deepgram::new(options, access, net)?))
}

impl Deepgram {
    fn new(options: &Value, access: &Access, net: &Net) -> Result<Self, BuildError> {
        let bad = |reason| BuildError::Options { kind: "Stt", name: PROVIDER.name.into(), reason };
        access.require_key("Stt", PROVIDER.name, PROVIDER.key_variable)?;
        let options = Options::from_document(options).map_err(bad)?;
        let url = address::endpoint(ADDRESS, access, &["v1", "listen"]).map_err(bad)?;
        let headers = key_header(AUTHORIZATION, "Token ", access.api_key.as_ref()).map_err(bad)?;
        Ok(Self { net: net.clone(), url: address::websocket(url), headers, options })
    }
}

impl Stt for Deepgram {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities {
            formats: FORMATS.to_vec(),
            native_end_of_turn: self.options.judges_end_of_turn(),
            word_timings: false,
            replay: Replay::Rate(REPLAY_RATE),
            chunk: dialogue::CHUNK,
            final_within: Some(dialogue::FINAL_WITHIN),
            keep_alive: Some(dialogue::KEEP_ALIVE),
        }
    }

    fn model(&self) -> &str {
        self.options.model()
    }

    fn open(&self, request: SttRequest) -> Opening<SttSession> {
        let (net, headers) = (self.net.clone(), self.headers.clone());
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(self.options.query(request.format));
        let listening = Listening::new(&self.options);
        Box::pin(async move {
            if !FORMATS.contains(&request.format) {
                let detail =
                    format!("{:?} is not taken, expected one of {FORMATS:?}", request.format);
                return Err(PEER.error(FailureClass::BadRequest, detail));
            }
            let (socket, answer) = connect(&net, PEER, &url, headers).await?;
            let request_id = answer.headers().get("dg-request-id");
            tracing::debug!(provider = PROVIDER.name, ?request_id, "transcription session open");
            let (audio, events) = session::start(socket, PEER, listening);
            Ok(SttSession { audio, events })
        })
    }
}
