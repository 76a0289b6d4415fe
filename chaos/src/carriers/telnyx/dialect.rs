//! Media streaming.

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_media::AudioFormat;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::carriers::stream::{Dialect, Down};

pub struct MediaStreaming {
    pub format: AudioFormat,
    pub encoding: String,
    pub call_control_id: String,
    pub stream_id: String,
    pub from: String,
    pub to: String,
    pub parameters: Value,
    /// Audio back is played only in this mode.
    pub is_bidirectional: bool,
    /// Every other frame changes places with the next.
    pub shuffles: bool,
    pub sequence: u64,
    pub chunk: u64,
    pub held: Option<Message>,
}

impl MediaStreaming {
    fn message(&mut self, event: &str, key: &str, value: Value) -> Message {
        self.sequence += 1;
        let message = json!({
            "event": event,
            "sequence_number": self.sequence.to_string(),
            "stream_id": self.stream_id,
            key: value,
        });
        Message::text(message.to_string())
    }

    fn error(code: u32, title: &str) -> Down {
        let detail = format!("{title}, says the fake");
        let payload = json!({"code": code, "title": title, "detail": detail});
        let message = json!({"event": "error", "payload": payload});
        Down::Bad(format!("{code} {title}"), Some(Message::text(message.to_string())))
    }
}

impl Dialect for MediaStreaming {
    fn format(&self) -> AudioFormat {
        self.format
    }

    fn open(&mut self) -> Vec<Message> {
        let connected = json!({"event": "connected", "version": "1.0.0"});
        let start = json!({
            "user_id": "user",
            "call_control_id": self.call_control_id,
            "call_session_id": "session",
            "from": self.from,
            "to": self.to,
            "client_state": null,
            "custom_parameters": self.parameters,
            "media_format": {
                "encoding": self.encoding,
                "sample_rate": self.format.sample_rate_hz,
                "channels": 1,
            },
        });
        vec![Message::text(connected.to_string()), self.message("start", "start", start)]
    }

    fn audio(&mut self, audio: &[u8]) -> Vec<Message> {
        self.chunk += 1;
        let media = json!({
            "track": "inbound",
            "chunk": self.chunk.to_string(),
            "timestamp": ((self.chunk - 1) * 20).to_string(),
            "payload": BASE64_STANDARD.encode(audio),
        });
        let message = self.message("media", "media", media);
        if !self.shuffles {
            return vec![message];
        }
        // One in three waits for the next.
        match self.held.take() {
            Some(held) => vec![message, held],
            None if self.chunk.is_multiple_of(3) => {
                self.held = Some(message);
                Vec::new()
            }
            None => vec![message],
        }
    }

    fn key(&mut self, key: char) -> Message {
        self.message("dtmf", "dtmf", json!({"digit": key.to_string()}))
    }

    fn mark(&mut self, name: &str) -> Message {
        self.message("mark", "mark", json!({"name": name}))
    }

    fn cleared(&mut self) -> Option<Message> {
        None
    }

    fn stop(&mut self) -> Option<Message> {
        let stop = json!({"user_id": "user", "call_control_id": self.call_control_id});
        Some(self.message("stop", "stop", stop))
    }

    fn read(&mut self, message: &Message) -> Down {
        let message: Option<Value> =
            message.to_text().ok().and_then(|text| serde_json::from_str(text).ok());
        let Some(message) = message else { return Self::error(100_003, "malformed_frame") };
        match message["event"].as_str().unwrap_or_default() {
            "media" => {
                let payload = message["media"]["payload"].as_str().unwrap_or_default();
                match BASE64_STANDARD.decode(payload) {
                    Ok(_) if !self.is_bidirectional => {
                        Down::Bad("audio without stream_bidirectional_mode rtp".into(), None)
                    }
                    Ok(audio) => Down::Audio(audio.into()),
                    Err(_) => Self::error(100_004, "invalid_media"),
                }
            }
            "mark" => match message["mark"]["name"].as_str() {
                Some(name) => Down::Mark(name.to_owned()),
                None => Self::error(100_003, "malformed_frame"),
            },
            "clear" => Down::Clear,
            _ => Self::error(100_002, "unknown_error"),
        }
    }
}
