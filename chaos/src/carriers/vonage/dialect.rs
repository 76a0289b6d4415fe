//! Websocket endpoints.

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::carriers::stream::{Dialect, Down};

pub struct Endpoint {
    pub format: AudioFormat,
    pub headers: Value,
}

impl Dialect for Endpoint {
    fn format(&self) -> AudioFormat {
        self.format
    }

    fn open(&mut self) -> Vec<Message> {
        let content = format!("audio/l16;rate={}", self.format.sample_rate_hz);
        let mut connected = json!({"event": "websocket:connected", "content-type": content});
        for (name, value) in self.headers.as_object().into_iter().flatten() {
            connected[name] = value.clone();
        }
        vec![Message::text(connected.to_string())]
    }

    fn audio(&mut self, audio: &[u8]) -> Vec<Message> {
        vec![Message::binary(Bytes::copy_from_slice(audio))]
    }

    fn key(&mut self, key: char) -> Message {
        let event = json!({"event": "websocket:dtmf", "digit": key.to_string(), "duration": 260});
        Message::text(event.to_string())
    }

    /// A mark is a notification, whose payload is kept as text.
    fn mark(&mut self, name: &str) -> Message {
        let payload: Value = serde_json::from_str(name).unwrap_or_default();
        Message::text(json!({"event": "websocket:notify", "payload": payload}).to_string())
    }

    fn cleared(&mut self) -> Option<Message> {
        Some(Message::text(json!({"event": "websocket:cleared"}).to_string()))
    }

    fn stop(&mut self) -> Option<Message> {
        None
    }

    fn read(&mut self, message: &Message) -> Down {
        if let Message::Binary(audio) = message {
            return match audio.len() {
                0 => Down::Bad("empty audio".into(), None),
                length if length.is_multiple_of(2) => Down::Audio(audio.clone()),
                _ => Down::Bad("half a sample".into(), None),
            };
        }
        let text: Option<Value> =
            message.to_text().ok().and_then(|text| serde_json::from_str(text).ok());
        let text = text.unwrap_or_default();
        match text["action"].as_str() {
            Some("notify") => Down::Mark(text["payload"].to_string()),
            Some("clear") => Down::Clear,
            Some(_) | None => Down::Bad("an unknown action".into(), None),
        }
    }
}
