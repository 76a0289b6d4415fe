//! Deepgram's Flux models, `/v2/listen`: they report turns, not utterances.

use std::time::Duration;

use offhook_core::FailureClass;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;
use url::Url;

use super::{
    super::{Opening, Replay, Stt, SttCapabilities, SttRequest, SttSession},
    ADDRESS, FORMATS, PEER, PROVIDER, REPLAY_RATE,
};
use crate::{
    Access, BuildError, Net,
    net::{
        address, session,
        socket::{connect, key_header},
    },
};
use dialogue::Listening;
use options::Options;

mod clock;
mod dialogue;
mod options;
#[cfg(test)]
mod tests;

/// Shortest and longest piece of audio in one message. 80 ms are recommended, and shorter pieces
/// are taken: the end of a turn then does not wait for the rest of its piece.
const CHUNK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// Whether a document's model is one of Flux.
pub(super) fn serves(document: &Value) -> bool {
    document.get("model").and_then(Value::as_str).is_some_and(|model| model.starts_with("flux"))
}

pub(super) struct Flux {
    net: Net,
    url: Url,
    headers: HeaderMap,
    options: Options,
}

impl Flux {
    pub fn new(document: &Value, access: &Access, net: &Net) -> Result<Self, BuildError> {
        let bad = |reason| BuildError::Options { kind: "Stt", name: PROVIDER.name.into(), reason };
        access.require_key("Stt", PROVIDER.name, PROVIDER.key_variable)?;
        let options = Options::from_document(document).map_err(bad)?;
        let url = address::endpoint(ADDRESS, access, &["v2", "listen"]).map_err(bad)?;
        let headers = key_header(AUTHORIZATION, "Token ", access.api_key.as_ref()).map_err(bad)?;
        Ok(Self { net: net.clone(), url: address::websocket(url), headers, options })
    }
}

impl Stt for Flux {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities {
            formats: FORMATS.to_vec(),
            native_end_of_turn: true,
            word_timings: false,
            replay: Replay::Rate(REPLAY_RATE),
            chunk: CHUNK,
            final_within: None,
            // The session fills pauses of the audio itself.
            keep_alive: None,
        }
    }

    fn model(&self) -> &str {
        self.options.model()
    }

    fn open(&self, request: SttRequest) -> Opening<SttSession> {
        let (net, headers) = (self.net.clone(), self.headers.clone());
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(self.options.query(request.format));
        let threshold = self.options.confidence_threshold();
        Box::pin(async move {
            if !FORMATS.contains(&request.format) {
                let format = request.format;
                let detail = format!("{format:?} is not taken, expected one of {FORMATS:?}");
                return Err(PEER.error(FailureClass::BadRequest, detail));
            }
            let (socket, answer) = connect(&net, PEER, &url, headers).await?;
            let request_id = answer.headers().get("dg-request-id");
            tracing::debug!(provider = PROVIDER.name, ?request_id, "transcription session open");
            let listening = Listening::new(request.format, threshold);
            let (audio, events) = session::start(socket, PEER, listening);
            Ok(SttSession { audio, events })
        })
    }
}
