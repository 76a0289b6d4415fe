use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use offhook_media::{AudioFormat, Hearing};
use serde_json::Value;

/// One websocket message, either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    Text(String),
    Binary(Bytes),
}

impl Wire {
    /// The length of the payload in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a message from the other party means.
#[derive(Clone, Debug, PartialEq)]
pub enum LegEvent {
    /// Whole samples, in the leg's [`LegCodec::format`]; never empty.
    Audio(Bytes),
    /// The party has played everything that was sent before this mark.
    MarkPlayed(String),
    /// A key that the caller pressed: `0` to `9`, `*`, `#`, `A` to `D`.
    Dtmf(char),
    /// A client's control message: a JSON object with a `type`.
    Client(Value),
    /// The party ends the call.
    HungUp,
    /// The message was dropped for the reason given; the party is told, the call goes on.
    Refused(String),
    /// A carrier's stream begins; nothing is heard before it. Whoever admits the leg reads on until
    /// it comes, and looks at the token in it.
    Started(LegStart),
    /// A carrier ends its stream. Whether the call is over too is told elsewhere: it may have been
    /// transferred.
    Stopped,
    /// The party could make nothing of what it was sent.
    Complained(String),
}

/// What a carrier says when its stream begins.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LegStart {
    /// The carrier's id of the call, where the stream tells it.
    pub carrier_call_id: Option<String>,
    /// The carrier's id of this stream, where it has one.
    pub stream_id: Option<String>,
    /// What we gave the carrier to hand back, the one-time token among it.
    pub parameters: BTreeMap<String, String>,
}

/// Without the values of the parameters: one is a token.
impl fmt::Debug for LegStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegStart")
            .field("carrier_call_id", &self.carrier_call_id)
            .field("stream_id", &self.stream_id)
            .field("parameters", &self.parameters.keys())
            .finish()
    }
}

/// What the peer did wrong, in words for that peer; the leg is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LegError {
    /// One of [`close_code`].
    pub close_code: u16,
    pub message: String,
}

impl LegError {
    pub fn new(close_code: u16, message: impl Into<String>) -> Self {
        Self { close_code, message: message.into() }
    }

    /// The answer to a message longer than [`crate::MAX_MESSAGE_BYTES`].
    pub fn message_too_long() -> Self {
        Self::new(
            close_code::TOO_BIG,
            format!(
                "message longer than {} bytes: send audio in messages of 20 ms, in real time",
                crate::MAX_MESSAGE_BYTES
            ),
        )
    }

    /// The name of the error for [`LegCodec::error`].
    pub const fn name(&self) -> &'static str {
        match self.close_code {
            close_code::INVALID_PAYLOAD => "invalid-messages",
            close_code::TOO_BIG => "message-too-long",
            _ => "rate-exceeded",
        }
    }

    /// The message, cut to what fits into a close frame (RFC 6455, section 5.5: 125 bytes, two of
    /// them the code).
    pub fn close_reason(&self) -> &str {
        let mut end = self.message.len().min(123);
        while !self.message.is_char_boundary(end) {
            end -= 1;
        }
        &self.message[..end]
    }
}

/// Close codes of RFC 6455, section 7.4.1.
pub mod close_code {
    /// The call is over.
    pub const NORMAL: u16 = 1000;
    /// The payload is not what the kind of message calls for.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// A rule of ours was broken, for instance a rate.
    pub const POLICY: u16 = 1008;
    /// The message is too long to be read.
    pub const TOO_BIG: u16 = 1009;
    /// The server restarts; the client is to connect again.
    pub const SERVICE_RESTART: u16 = 1012;
}

/// Reads and writes the messages of one leg.
pub trait LegCodec: Send {
    /// The format of audio in both directions.
    fn format(&self) -> AudioFormat;

    /// How it is known what the party has heard.
    fn hearing(&self) -> Hearing;

    /// Says what a message means. A message that cannot be used is [`LegEvent::Refused`]; the error
    /// is for a peer that does nothing else any more.
    fn decode(&mut self, message: Wire) -> Result<Vec<LegEvent>, LegError>;

    /// Writes audio, whole samples in [`LegCodec::format`].
    fn audio(&mut self, audio: Bytes) -> Wire;

    /// Asks the party to report when all audio before this point has been played; `None` where the
    /// protocol has no such thing.
    fn mark(&mut self, name: &str) -> Option<Wire>;

    /// Asks the party to forget audio that it has not played yet; `None` where the protocol has no
    /// such thing.
    fn clear(&mut self) -> Option<Wire>;

    /// Writes a client message (transcript, speech-update ...); `None` where nobody reads them.
    fn event(&mut self, message: &Value) -> Option<Wire>;

    /// Writes an error for the party; `name` is [`LegError::name`], or [`REFUSED`] for a message
    /// that was dropped. `None` where nobody reads them.
    fn error(&mut self, name: &str, message: &str) -> Option<Wire>;
}

/// The name of the error that tells a party of [`LegEvent::Refused`].
pub const REFUSED: &str = "message-refused";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_reason_fits_into_a_close_frame_and_keeps_characters_whole() {
        let error = LegError::new(close_code::POLICY, "é".repeat(100));
        assert_eq!(error.close_reason(), "é".repeat(61));
        assert_eq!(
            LegError::message_too_long().close_reason(),
            LegError::message_too_long().message
        );
    }
}
