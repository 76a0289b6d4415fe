use bytes::{Bytes, BytesMut};
use offhook_core::FailureClass;
use serde::Deserialize;
use tokio::time::Instant;

use super::{FORMAT, PEER};
use crate::{
    ProviderError,
    net::{
        refusal::shortened,
        session::{Dialogue, Outbox},
    },
    stt::{SttEvent, SttInput},
};

/// The caller's channel, and the agent's.
pub(super) const CHANNELS: usize = 2;

/// One session with the server.
#[derive(Default)]
pub(super) struct Listening {
    samples_sent: u64,
}

impl Listening {
    /// Text is for all audio that was sent before it: the protocol has no times.
    fn handle_answer(&self, answer: Answer, out: &mut Outbox<SttEvent>) {
        let text = answer.transcription.trim().to_owned();
        // What the agent says is known better here.
        if text.is_empty() || answer.channel != Channel::Customer {
            return;
        }
        out.events.push_back(match answer.transcript_type {
            TranscriptType::Partial => SttEvent::Partial { text },
            TranscriptType::Final => {
                SttEvent::Final { text, until: FORMAT.duration_of(self.samples_sent) }
            }
        });
    }
}

impl Dialogue for Listening {
    type Input = SttInput;
    type Event = SttEvent;

    fn handle_input(
        &mut self,
        _now: Instant,
        input: SttInput,
        out: &mut Outbox<SttEvent>,
    ) -> Result<(), ProviderError> {
        match input {
            SttInput::Audio(audio) if audio.is_empty() => {}
            SttInput::Audio(audio) => {
                self.samples_sent += FORMAT.samples_in_bytes(audio.len());
                out.binary(beside_silence(&audio));
            }
            // The protocol has no word for either.
            SttInput::Finalize | SttInput::KeepAlive => {}
        }
        Ok(())
    }

    fn handle_end_of_input(&mut self, _now: Instant, out: &mut Outbox<SttEvent>) {
        // The protocol ends with the socket.
        out.finish();
    }

    fn handle_message(
        &mut self,
        _now: Instant,
        text: &str,
        out: &mut Outbox<SttEvent>,
    ) -> Result<(), ProviderError> {
        match serde_json::from_str(text).map_err(|error| PEER.unreadable(&error))? {
            Message::Answer(answer) => self.handle_answer(answer, out),
            Message::Error { error } => {
                let reason = shortened(&error).unwrap_or_default();
                let detail = format!("sent an error: {reason}");
                return Err(PEER.error(FailureClass::Unavailable, detail));
            }
            Message::Other => {}
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn handle_deadline(
        &mut self,
        _now: Instant,
        _out: &mut Outbox<SttEvent>,
    ) -> Result<(), ProviderError> {
        Ok(())
    }
}

/// The caller on the first channel, and silence on the agent's: what the agent says is not fed
/// back.
fn beside_silence(audio: &[u8]) -> Bytes {
    let mut stereo = BytesMut::with_capacity(audio.len() * CHANNELS);
    for sample in audio.chunks_exact(FORMAT.bytes_per_sample()) {
        stereo.extend_from_slice(sample);
        stereo.extend_from_slice(&[0; 2]);
    }
    stereo.freeze()
}

/// What a server sends, as far as it is acted on.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Message {
    #[serde(rename = "transcriber-response")]
    Answer(Answer),
    Error {
        #[serde(default)]
        error: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    transcription: String,
    #[serde(default)]
    channel: Channel,
    #[serde(default)]
    transcript_type: TranscriptType,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Channel {
    #[default]
    Customer,
    Assistant,
    #[serde(other)]
    Other,
}

/// Servers written before there were partial answers do not say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TranscriptType {
    Partial,
    #[default]
    #[serde(other)]
    Final,
}
