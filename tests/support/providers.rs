//! Fakes of the three cloud providers, behind one address, speaking the real protocols.
//!
//! - Deepgram (`/v1/listen`): transcribes nothing by itself; [`Providers::caller_says`] is what it
//!   hears.
//! - OpenAI (`/v1/chat/completions`): repeats the last sentence of the user; when tools are offered and it
//!   has the word `weather`, it calls the first of them, and repeats the tool's result.
//! - ElevenLabs (`/v1/text-to-speech/VOICE/multi-stream-input`): a tone, 20 ms a character.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{
        Request, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast};

use super::eventually;

/// Sentences waiting for a transcriber that is slow to take them.
const SENTENCES_MAX: usize = 64;

/// The running fakes.
pub struct Providers {
    url: String,
    shared: Arc<Shared>,
}

/// What a caller says, and the language it is in where a transcriber is to tell.
#[derive(Clone)]
struct Sentence {
    text: String,
    language: Option<String>,
}

struct Shared {
    /// Sentences for every open transcription.
    said: broadcast::Sender<Sentence>,
    /// The path of each request, and the key it was made with.
    keys: Mutex<Vec<(String, String)>>,
}

impl Providers {
    pub async fn start() -> Self {
        let said = broadcast::Sender::new(SENTENCES_MAX);
        let shared = Arc::new(Shared { said, keys: Mutex::default() });
        let router = Router::new()
            .route("/v1/listen", get(listen))
            .route("/v1/chat/completions", post(complete))
            .route("/v1/text-to-speech/{voice}/multi-stream-input", get(speak))
            .layer(middleware::from_fn_with_state(shared.clone(), note_key))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The keys that requests to this path were made with, each as its header had it; waited for.
    /// Asked again, it waits for others: what a voice said before is heard without it.
    pub async fn keys_of(&self, path: &str) -> Vec<String> {
        eventually(&format!("request to {path}"), async || {
            let mut keys = self.shared.keys.lock().unwrap();
            let (found, others): (Vec<_>, Vec<_>) =
                keys.drain(..).partition(|(asked, _)| asked.starts_with(path));
            *keys = others;
            let found: Vec<String> = found.into_iter().map(|(_, key)| key).collect();
            (!found.is_empty()).then_some(found)
        })
        .await
    }

    /// Has every open transcription hear a sentence, once there is one.
    pub async fn caller_says(&self, sentence: &str) {
        self.hear(Sentence { text: sentence.into(), language: None }).await;
    }

    /// The same, in a language that the transcriber recognises.
    pub async fn caller_says_in(&self, language: &str, sentence: &str) {
        self.hear(Sentence { text: sentence.into(), language: Some(language.into()) }).await;
    }

    async fn hear(&self, sentence: Sentence) {
        let said = &self.shared.said;
        eventually("transcription", async || said.send(sentence.clone()).ok()).await;
    }
}

async fn note_key(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let key = headers.get("authorization").or_else(|| headers.get("xi-api-key"));
    let key = key.map(|key| key.to_str().unwrap().to_owned()).unwrap_or_default();
    shared.keys.lock().unwrap().push((request.uri().path().to_owned(), key));
    next.run(request).await
}

async fn listen(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    let mut said = shared.said.subscribe();
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        let (mut heard_bytes, mut has_heard) = (0, false);
        loop {
            let answer = tokio::select! {
                sentence = said.recv() => match sentence {
                    Ok(sentence) => results(&sentence, heard_bytes),
                    Err(_) => return,
                },
                message = socket.recv() => match message {
                    Some(Ok(Message::Binary(audio))) => {
                        heard_bytes += audio.len();
                        if has_heard || !is_loud(&audio) {
                            continue;
                        }
                        has_heard = true;
                        json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.0})
                    }
                    Some(Ok(Message::Text(text))) if text.contains("CloseStream") => {
                        json!({"type": "Metadata"})
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return,
                },
            };
            if socket.send(Message::Text(answer.to_string().into())).await.is_err() {
                return;
            }
        }
    })
}

/// Whether there is sound in audio of 16-bit samples.
fn is_loud(audio: &[u8]) -> bool {
    audio.chunks_exact(2).any(|it| i16::from_le_bytes([it[0], it[1]]).unsigned_abs() > 1_000)
}

/// A final of which the end is where the audio ends, at 16 kHz.
fn results(sentence: &Sentence, heard_bytes: usize) -> Value {
    let mut best = json!({"transcript": sentence.text, "confidence": 0.99});
    if let Some(language) = &sentence.language {
        let words = sentence.text.split(' ');
        best["words"] = words.map(|word| json!({"word": word, "language": language})).collect();
        best["languages"] = json!([language]);
    }
    json!({
        "type": "Results", "start": heard_bytes as f64 / 32_000.0, "duration": 0.0,
        "is_final": true, "speech_final": true,
        "channel": {"alternatives": [best]},
    })
}

async fn complete(Json(request): Json<Value>) -> Response {
    let messages = request["messages"].as_array().unwrap();
    let last = messages.last().unwrap();
    // What was said without an answer between comes as lines of one message.
    let content = last["content"].as_str().and_then(|all| all.lines().last()).unwrap_or_default();
    let tool = request["tools"][0]["function"]["name"].as_str();
    let delta = match (last["role"].as_str(), tool) {
        (Some("user"), Some(tool)) if content.contains("weather") => json!({"tool_calls": [{
            "index": 0, "id": "call_1", "type": "function",
            "function": {"name": tool, "arguments": "{\"city\":\"Lund\"}"},
        }]}),
        (Some("tool"), _) => json!({"content": format!("They say {content}")}),
        _ => json!({"content": format!("You said {content}")}),
    };
    let finish = if delta.get("tool_calls").is_some() { "tool_calls" } else { "stop" };
    let chunks = [
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]}).to_string(),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}).to_string(),
        "[DONE]".to_owned(),
    ];
    let events = chunks.map(|chunk| Ok::<_, Infallible>(Event::default().data(chunk)));
    Sse::new(stream::iter(events)).into_response()
}

async fn speak(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            let context = &message["context_id"];
            let answer = if message["close_context"] == true {
                json!({"audio": null, "isFinal": true, "contextId": context})
            } else {
                match message["text"].as_str() {
                    Some(text) if !text.trim().is_empty() => spoken(text, context),
                    _ => continue,
                }
            };
            if socket.send(Message::Text(answer.to_string().into())).await.is_err() {
                return;
            }
        }
    })
}

/// A tone at 16 kHz, and when each character of the text sounds in it.
fn spoken(text: &str, context: &Value) -> Value {
    const CHARACTER_MS: usize = 20;
    let chars: Vec<String> = text.chars().map(String::from).collect();
    let samples = (0..chars.len() * CHARACTER_MS * 16).map(|at| match at / 20 % 2 {
        0 => 3_000_i16,
        _ => -3_000,
    });
    let audio: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let starts: Vec<usize> = (0..chars.len()).map(|at| at * CHARACTER_MS).collect();
    json!({
        "audio": BASE64_STANDARD.encode(audio), "contextId": context, "isFinal": null,
        "alignment": {
            "charDurationsMs": vec![CHARACTER_MS; chars.len()],
            "charStartTimesMs": starts,
            "chars": chars,
        },
    })
}
