//! Servers of a user's own, as Vapi's pages on custom transcribers and custom voices have them. A
//! custom model is chat completions, see [`super::openai`].

use axum::{
    Router,
    body::Bytes,
    extract::{
        OriginalUri, Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use offhook_media::AudioFormat;
use offhook_testkit::tones::text_of;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    App,
    hearing::{Hearing, sentence},
    report::Counts,
    speech::Speech,
    wire::{self, Asked, Dialogue, Link, Out, Piece},
};

/// The caller's channel and the agent's.
const CHANNELS: [&str; 2] = ["customer", "assistant"];

/// Rates that a voice is asked for.
const VOICE_RATES_HZ: [u32; 4] = [8_000, 16_000, 22_050, 24_000];

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub fn transcriber_router() -> Router<App> {
    Router::new().route("/", get(transcriber))
}

pub fn voice_router() -> Router<App> {
    Router::new().route("/", post(voice))
}

fn key_of(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("authorization").and_then(|value| value.strip_prefix("Bearer ")).or(text("x-vapi-secret"))
}

async fn transcriber(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
    upgrade: Upgrade,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &query };
    let refuse = |counts: &mut Counts| counts.refused += 1;
    match upgrade {
        Err(refused) => refused.into_response(),
        Ok(_) if !app.admits(key_of(&headers)) => {
            drop(Link::new(&app, TRANSCRIBER, &asked, refuse));
            StatusCode::UNAUTHORIZED.into_response()
        }
        Ok(upgrade) => {
            let link = Link::new(&app, TRANSCRIBER, &asked, |counts| counts.connections += 1);
            wire::accept(upgrade, link, Transcribing::new(&app))
        }
    }
}

const TRANSCRIBER: &str = "custom-transcriber";
const VOICE: &str = "custom-voice";

struct Transcribing {
    app: App,
    /// The rate, once the first message told it, and who is heard on which channel.
    channels: Vec<Hearing>,
    last_due: Instant,
}

impl Transcribing {
    fn new(app: &App) -> Self {
        Self { app: app.clone(), channels: Vec::new(), last_due: Instant::now() }
    }

    fn hear(&mut self, now: Instant, index: usize, audio: &[u8], out: &mut Out) {
        let news = self.channels[index].hear(now, audio);
        let name = CHANNELS[index];
        if news.words {
            let text = text_of(self.channels[index].words());
            let message = response(&text, name, "partial");
            out.text_at(self.last_due.max(now), None, message, None);
        }
        let silence = self.channels[index].silence();
        if silence.is_some_and(|silence| silence >= self.app.timing().stt_silence()) {
            let utterance = self.channels[index].take();
            if utterance.words.is_empty() {
                return;
            }
            let delay = self.app.delay(|timing| timing.stt_delay);
            self.last_due = self.last_due.max(now).max(utterance.sound_came + delay);
            let message = response(&sentence(&utterance.words), name, "final");
            // Only what the caller says begins a turn.
            let mark = utterance.mark().filter(|_| index == 0);
            out.text_at(self.last_due, None, message, mark);
        }
    }
}

fn response(text: &str, channel: &str, kind: &str) -> Value {
    json!({
        "type": "transcriber-response", "transcription": text, "channel": channel,
        "transcriptType": kind,
    })
}

impl Dialogue for Transcribing {
    fn open(&mut self, _out: &mut Out) {}

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out) {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        let is_start = message["type"] == "start"
            && message["encoding"] == "linear16"
            && message["container"] == "raw"
            && message["channels"] == CHANNELS.len();
        let rate = message["sampleRate"].as_u64().and_then(|rate| u32::try_from(rate).ok());
        match rate.filter(|rate| is_start && (8_000..=48_000).contains(rate)) {
            Some(rate) if self.channels.is_empty() => {
                let format = AudioFormat::pcm16(rate);
                self.channels = CHANNELS.map(|_| Hearing::new(format, now)).into();
            }
            Some(_) | None => {
                let error = "expected one `start` with linear16, raw, sampleRate and 2 channels";
                out.text(json!({"type": "error", "error": error}));
                out.close(1008, "start expected");
            }
        }
    }

    fn handle_audio(&mut self, now: Instant, audio: &[u8], out: &mut Out) {
        if self.channels.is_empty() {
            return out.close(1008, "start expected");
        }
        for index in 0..CHANNELS.len() {
            let frames = audio.chunks_exact(2 * CHANNELS.len());
            let channel: Vec<u8> =
                frames.flat_map(|frame| [frame[2 * index], frame[2 * index + 1]]).collect();
            self.hear(now, index, &channel, out);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn handle_deadline(&mut self, _now: Instant, _out: &mut Out) {}
}

async fn voice(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = Instant::now();
    let asked = Asked { method: &Method::POST, uri: &uri, headers: &headers, query: &[] };
    let message = serde_json::from_slice::<Value>(&body).unwrap_or_default()["message"].take();
    let rate = message["sampleRate"].as_u64().and_then(|rate| u32::try_from(rate).ok());
    let text = message["text"].as_str().filter(|_| message["type"] == "voice-request");
    let known = rate.filter(|rate| VOICE_RATES_HZ.contains(rate)).zip(text);
    let accepted = match known {
        _ if !app.admits(key_of(&headers)) => {
            Err((StatusCode::UNAUTHORIZED, "the key or secret is wrong".to_owned()))
        }
        None => {
            let rates = format!("sampleRate one of {VOICE_RATES_HZ:?}");
            Err((
                StatusCode::BAD_REQUEST,
                format!("expected a voice-request with text and {rates}"),
            ))
        }
        Some(known) => Ok(known),
    };
    let link = Link::new(&app, VOICE, &asked, |counts| match accepted {
        Ok(_) => counts.requests += 1,
        Err(_) => counts.refused += 1,
    });
    link.note(&String::from_utf8_lossy(&body));
    let (rate, text) = match accepted {
        Ok(accepted) => accepted,
        Err((status, error)) => {
            return (status, json!({"error": error}).to_string()).into_response();
        }
    };
    let mut speech = Speech::new(&app, AudioFormat::pcm16(rate));
    speech.note(text);
    let words = speech.say(now, text).into_iter();
    let pieces =
        words.map(|word| Piece { due: word.due, bytes: word.audio, mark: word.mark }).collect();
    let raw = HeaderValue::from_static("application/octet-stream");
    ([(CONTENT_TYPE, raw)], wire::body(link, pieces)).into_response()
}
