use axum::{
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_media::AudioFormat;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::{
        App,
        speech::Speech,
        wire::{self, Asked, Piece},
    },
    Refusal, begin, is_known, with_id,
};

/// What `pcm` is: raw, 16 bits, 24 kHz, one channel.
const FORMAT: AudioFormat = AudioFormat::pcm16(24_000);

/// Longest `input`, in characters.
const INPUT_CHARS_MAX: usize = 4_096;

pub async fn speak(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = Instant::now();
    let asked = Asked { method: &Method::POST, uri: &uri, headers: &headers, query: &[] };
    let (link, request) = match begin(&app, &asked, &body, check) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let input = request["input"].as_str().unwrap_or_default();
    let mut speech = Speech::new(&app, FORMAT);
    speech.note(input);
    let as_events = request["stream_format"] == "sse";
    let mut pieces: Vec<Piece> = speech
        .say(now, input)
        .into_iter()
        .map(|word| {
            let bytes = match as_events {
                true => event(&json!({
                    "type": "speech.audio.delta", "audio": BASE64_STANDARD.encode(&word.audio)
                })),
                false => word.audio,
            };
            Piece { due: word.due, bytes, mark: word.mark }
        })
        .collect();
    if as_events {
        let tokens = input.split_whitespace().count();
        let usage =
            json!({"input_tokens": tokens, "output_tokens": tokens, "total_tokens": 2 * tokens});
        let bytes = event(&json!({"type": "speech.audio.done", "usage": usage}));
        pieces.push(Piece { due: speech.free_at(now), bytes, mark: None });
    }
    let kind = if as_events { "text/event-stream" } else { "audio/pcm" };
    let kind = HeaderValue::from_static(kind);
    with_id(&app, ([(CONTENT_TYPE, kind)], wire::body(link, pieces)).into_response())
}

fn event(document: &Value) -> Bytes {
    format!("data: {document}\n\n").into()
}

fn check(request: &Value) -> Result<(), Refusal> {
    let Some(model) = request["model"].as_str().filter(|model| !model.is_empty()) else {
        return Err(Refusal::bad("model", None, "you must provide a model parameter"));
    };
    is_known(model)?;
    let input = request["input"].as_str().unwrap_or_default();
    if input.is_empty() || input.chars().count() > INPUT_CHARS_MAX {
        let error = format!("input has 1 to {INPUT_CHARS_MAX} characters");
        return Err(Refusal::bad("input", None, error));
    }
    if request["voice"].as_str().is_none() && request["voice"]["id"].as_str().is_none() {
        return Err(Refusal::bad("voice", None, "you must provide a voice parameter"));
    }
    if request["response_format"] != "pcm" {
        let error = "this server speaks no format but pcm";
        return Err(Refusal::bad("response_format", Some("invalid_value"), error));
    }
    let is_old = model.starts_with("tts-1");
    if is_old && !request["instructions"].is_null() {
        return Err(Refusal::bad("instructions", None, "tts-1 takes no instructions"));
    }
    if is_old && request["stream_format"] == "sse" {
        return Err(Refusal::bad("stream_format", None, "tts-1 does not send events"));
    }
    let speed = request["speed"].as_f64();
    if speed.is_some_and(|speed| !(0.25..=4.0).contains(&speed)) {
        return Err(Refusal::bad("speed", None, "speed is 0.25 to 4.0"));
    }
    Ok(())
}
