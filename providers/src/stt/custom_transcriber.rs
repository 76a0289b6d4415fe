//! A transcriber of one's own: a websocket server that is sent the audio of the call and answers
//! with text (Vapi's page on custom transcribers).

use std::time::Duration;

use futures_util::SinkExt;
use offhook_media::AudioFormat;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use super::{Opening, Provider, Replay, Stt, SttCapabilities, SttRequest, SttSession};
use crate::{
    Access, BuildError, Net,
    net::{
        address,
        custom_server::CustomServer,
        session,
        socket::{Peer, connect},
    },
    probe::Probe,
};
use dialogue::Listening;

mod dialogue;
#[cfg(test)]
mod tests;

pub const PROVIDER: Provider = Provider {
    name: "custom-transcriber",
    key_variable: "",
    probe: Probe::Document,
    specimen: "",
    build,
};

/// What a server is told to expect, and gets: 16 bits, 16 kHz.
const FORMAT: AudioFormat = AudioFormat::pcm16(16_000);

/// Shortest and longest piece of audio in one message; the page names none.
const CHUNK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// Most servers of this kind pass the audio on to a vendor, and few of those take it much faster
/// than it was spoken.
const REPLAY_RATE: f32 = 1.25;

const PEER: Peer = Peer { provider: PROVIDER.name, reason_header: None, reasons: &[] };

struct CustomTranscriber {
    net: Net,
    url: Url,
    headers: HeaderMap,
}

fn build(document: &Value, access: &Access, net: &Net) -> Result<Box<dyn Stt>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Stt", name: PROVIDER.name.into(), reason };
    let CustomServer { url, headers, .. } =
        CustomServer::from_document(document, access).map_err(bad)?;
    // The operator's own address needs no guard.
    let net = match access.base_url {
        Some(_) => net.clone(),
        None => net.for_document(&url).map_err(bad)?,
    };
    Ok(Box::new(CustomTranscriber { net, url: address::websocket(url), headers }))
}

impl Stt for CustomTranscriber {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities {
            formats: vec![FORMAT],
            native_end_of_turn: false,
            word_timings: false,
            replay: Replay::Rate(REPLAY_RATE),
            chunk: CHUNK,
            // The protocol has neither.
            final_within: None,
            keep_alive: None,
        }
    }

    fn open(&self, request: SttRequest) -> Opening<SttSession> {
        let (net, url, headers) = (self.net.clone(), self.url.clone(), self.headers.clone());
        Box::pin(async move {
            if request.format != FORMAT {
                let detail = format!("{:?} is not sent, expected {FORMAT:?}", request.format);
                return Err(PEER.error(offhook_core::FailureClass::BadRequest, detail));
            }
            let (mut socket, _) = connect(&net, PEER, &url, headers).await?;
            let start = Message::text(start().to_string());
            socket.send(start).await.map_err(|error| PEER.broken(&error))?;
            let (audio, events) = session::start(socket, PEER, Listening::default());
            Ok(SttSession { audio, events })
        })
    }
}

/// The first message of a session.
fn start() -> Value {
    json!({
        "type": "start", "encoding": "linear16", "container": "raw",
        "sampleRate": FORMAT.sample_rate_hz, "channels": dialogue::CHANNELS,
    })
}
