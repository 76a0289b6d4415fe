//! Media Streams.

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_media::AudioFormat;
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::carriers::stream::{Dialect, Down};

pub struct MediaStreams {
    pub account_sid: String,
    pub call_sid: String,
    pub stream_sid: String,
    pub parameters: Vec<(String, String)>,
    pub sequence: u64,
    pub chunk: u64,
}

impl MediaStreams {
    fn message(&mut self, event: &str, key: &str, value: Value) -> Message {
        self.sequence += 1;
        let message = json!({
            "event": event,
            "sequenceNumber": self.sequence.to_string(),
            "streamSid": self.stream_sid,
            key: value,
        });
        Message::text(message.to_string())
    }
}

impl Dialect for MediaStreams {
    fn format(&self) -> AudioFormat {
        AudioFormat::mulaw()
    }

    fn open(&mut self) -> Vec<Message> {
        let connected = json!({"event": "connected", "protocol": "Call", "version": "1.0.0"});
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let start = json!({
            "streamSid": self.stream_sid,
            "accountSid": self.account_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "customParameters": parameters,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
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
        vec![self.message("media", "media", media)]
    }

    fn key(&mut self, key: char) -> Message {
        self.message("dtmf", "dtmf", json!({"track": "inbound_track", "digit": key.to_string()}))
    }

    fn mark(&mut self, name: &str) -> Message {
        self.message("mark", "mark", json!({"name": name}))
    }

    fn cleared(&mut self) -> Option<Message> {
        None
    }

    fn stop(&mut self) -> Option<Message> {
        let stop = json!({"accountSid": self.account_sid, "callSid": self.call_sid});
        Some(self.message("stop", "stop", stop))
    }

    fn read(&mut self, message: &Message) -> Down {
        match message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()) {
            Some(message) => self.understand(&message),
            None => Down::Bad("31924 not a text of JSON".into(), None),
        }
    }
}

impl MediaStreams {
    fn understand(&self, message: &Value) -> Down {
        let bad = |problem: &str| Down::Bad(format!("31924 {problem}"), None);
        if message["streamSid"] != self.stream_sid {
            return bad("another stream's streamSid");
        }
        match message["event"].as_str().unwrap_or_default() {
            "media" => {
                let payload = message["media"]["payload"].as_str().unwrap_or_default();
                match BASE64_STANDARD.decode(payload) {
                    Ok(audio) => Down::Audio(audio.into()),
                    Err(_) => bad("media whose payload is no base64"),
                }
            }
            "mark" => match message["mark"]["name"].as_str() {
                Some(name) => Down::Mark(name.to_owned()),
                None => bad("mark without a name"),
            },
            "clear" => Down::Clear,
            _ => bad("an unknown event"),
        }
    }
}
