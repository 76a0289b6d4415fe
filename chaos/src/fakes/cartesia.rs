//! Cartesia: the text-to-speech websocket and its contexts.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    extract::{
        OriginalUri, Path, Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_media::AudioFormat;
use offhook_testkit::tones::SOUND;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    App,
    hearing::raw_format,
    report::Counts,
    speech::Speech,
    wire::{self, Asked, Dialogue, Link, Out},
};

const PROVIDER: &str = "cartesia";

/// How long a context stays open after its last text.
const CONTEXT_LIMIT: Duration = Duration::from_secs(5);

/// How long a socket stays open without a message.
const IDLE_LIMIT: Duration = Duration::from_secs(300);

/// How long text may be kept back to be spoken together with more of it.
const BUFFER_DELAY_MS: u64 = 3_000;
const BUFFER_DELAY_MS_MAX: u64 = 5_000;

/// The voice and the model that are not there.
const UNKNOWN_VOICE: &str = "no-such-voice";
const UNKNOWN_MODEL: &str = "no-such-model";

type Pairs = Vec<(String, String)>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub fn router() -> Router<App> {
    Router::new().route("/tts/websocket", get(websocket)).route("/voices/{voice}", get(voice))
}

async fn websocket(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
    upgrade: Upgrade,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &query };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused.into_response(),
    };
    match admit(&app, &headers, &query) {
        Ok(()) => {
            let link = Link::new(&app, PROVIDER, &asked, |counts| counts.connections += 1);
            with_id(&app, wire::accept(upgrade, link, Speaking::new(&app)))
        }
        Err(refusal) => refused(&app, &asked, refusal),
    }
}

async fn voice(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(voice): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &query };
    let found = admit(&app, &headers, &query).and_then(|()| match voice == UNKNOWN_VOICE {
        true => Err(Refusal { status: StatusCode::NOT_FOUND, ..VOICE_NOT_FOUND }),
        false => Ok(()),
    });
    if let Err(refusal) = found {
        return refused(&app, &asked, refusal);
    }
    drop(Link::new(&app, PROVIDER, &asked, |counts| counts.requests += 1));
    let voice = json!({
        "id": voice, "name": "Tones", "description": "Pairs of tones", "language": "en",
        "is_owner": false, "is_public": true, "created_at": "2026-01-01T00:00:00Z",
    });
    with_id(&app, json_response(StatusCode::OK, &voice))
}

/// An error as Cartesia tells it.
#[derive(Clone, Copy)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    message: &'static str,
}

const VOICE_NOT_FOUND: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    code: "voice_not_found",
    title: "Voice not found",
    message: "The voice was not found.",
};

const MODEL_NOT_FOUND: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    code: "model_not_found",
    title: "Model not found",
    message: "The model was not found.",
};

const fn invalid(message: &'static str) -> Refusal {
    let (code, title) = ("invalid_request", "Invalid request");
    Refusal { status: StatusCode::BAD_REQUEST, code, title, message }
}

fn admit(app: &App, headers: &HeaderMap, query: &Pairs) -> Result<(), Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let parameter =
        |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let key = header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .or(header("x-api-key"))
        .or(parameter("api_key"))
        .or(parameter("access_token"));
    if !app.admits(key) {
        let (code, title, message) = ("unauthorized", "Unauthorized", "Invalid API key.");
        return Err(Refusal { status: StatusCode::UNAUTHORIZED, code, title, message });
    }
    if header("cartesia-version").or(parameter("cartesia_version")).is_none() {
        return Err(invalid("the header Cartesia-Version is missing"));
    }
    Ok(())
}

fn refused(app: &App, asked: &Asked<'_>, refusal: Refusal) -> Response {
    drop(Link::new(app, PROVIDER, asked, |counts: &mut Counts| counts.refused += 1));
    let Refusal { status, code, title, message } = refusal;
    let request_id = app.chance.id();
    let body =
        json!({"error_code": code, "title": title, "message": message, "request_id": request_id});
    with_id(app, json_response(status, &body))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], body.to_string()).into_response()
}

fn with_id(app: &App, mut response: Response) -> Response {
    let id = HeaderValue::from_str(&app.chance.id()).expect("ids are hexadecimal");
    response.headers_mut().insert("x-request-id", id);
    response
}

struct Speaking {
    app: App,
    contexts: BTreeMap<String, Context>,
    /// Lanes that were given to contexts.
    lanes: u64,
    last_message: Instant,
    ended: bool,
}

struct Context {
    lane: u64,
    speech: Speech,
    /// What has to be the same in each message.
    prosody: Value,
    wants_timestamps: bool,
    /// Text that is not spoken yet, and when it has to be.
    buffer: String,
    speak_at: Option<Instant>,
    /// Flushes that were asked for.
    flushes: u64,
    last_message: Instant,
}

impl Speaking {
    fn new(app: &App) -> Self {
        Self {
            app: app.clone(),
            contexts: BTreeMap::new(),
            lanes: 0,
            last_message: Instant::now(),
            ended: false,
        }
    }

    fn complain(&mut self, context: Option<&str>, refusal: Refusal, out: &mut Out) {
        if let Some(context) = context.and_then(|id| self.contexts.remove(id)) {
            out.drop_lane(context.lane);
        }
        let Refusal { status, code, title, message } = refusal;
        out.text(json!({
            "type": "error", "context_id": context, "error_code": code, "title": title,
            "message": message, "status_code": status.as_u16(), "done": true,
            "request_id": self.app.chance.id(),
        }));
    }

    fn handle(&mut self, now: Instant, message: &Value, out: &mut Out) {
        let Some(id) = message["context_id"].as_str() else {
            return self.complain(None, invalid("context_id is missing"), out);
        };
        if message["cancel"] == true {
            if let Some(context) = self.contexts.remove(id) {
                out.drop_lane(context.lane);
            }
            return;
        }
        let Some(text) = message["transcript"].as_str() else {
            return self.complain(Some(id), invalid("transcript is missing"), out);
        };
        if !self.contexts.contains_key(id) {
            match Context::open(&self.app, message, now, self.lanes + 1) {
                Ok(context) => {
                    self.lanes += 1;
                    self.contexts.insert(id.to_owned(), context);
                }
                Err(refusal) => return self.complain(Some(id), refusal, out),
            }
        }
        let Some(context) = self.contexts.get_mut(id) else { return };
        if context.prosody != prosody_of(message) {
            let refusal = invalid("voice, model and format cannot change within a context");
            return self.complain(Some(id), refusal, out);
        }
        context.last_message = now;
        context.speech.note(text);
        context.buffer.push_str(text);
        let goes_on = message["continue"] == true;
        let flush = message["flush"] == true;
        let delay = message["max_buffer_delay_ms"].as_u64().unwrap_or(BUFFER_DELAY_MS);
        let is_sentence = context.buffer.trim_end().ends_with(['.', '?', '!']);
        if !goes_on || flush || delay == 0 || is_sentence {
            context.speak(now, id, out);
        } else if !context.buffer.trim().is_empty() {
            let delay = Duration::from_millis(delay.min(BUFFER_DELAY_MS_MAX));
            context.speak_at.get_or_insert(now + delay);
        }
        let spoken = context.speech.free_at(now);
        if flush {
            context.flushes += 1;
            let done = json!({
                "type": "flush_done", "context_id": id, "flush_id": context.flushes,
                "flush_done": true, "done": false, "status_code": 206,
            });
            out.text_at(spoken, Some(context.lane), done, None);
        }
        if !goes_on {
            out.text_at(spoken, Some(context.lane), done(id), None);
            self.contexts.remove(id);
        }
    }
}

/// The end of a context.
fn done(id: &str) -> Value {
    json!({"type": "done", "context_id": id, "done": true, "status_code": 200})
}

fn prosody_of(message: &Value) -> Value {
    json!([message["model_id"], message["voice"], message["output_format"]])
}

impl Context {
    fn open(app: &App, message: &Value, now: Instant, lane: u64) -> Result<Self, Refusal> {
        let model = message["model_id"].as_str().ok_or(invalid("model_id is missing"))?;
        if model.starts_with(UNKNOWN_MODEL) {
            return Err(MODEL_NOT_FOUND);
        }
        // An id, alone or in an object, which newer versions of the API take without a mode.
        let voice = &message["voice"];
        let by_id = voice["mode"].as_str().is_none_or(|mode| mode == "id");
        let voice = voice.as_str().or(voice["id"].as_str()).filter(|_| by_id);
        if voice.ok_or(invalid("voice is missing"))? == UNKNOWN_VOICE {
            return Err(VOICE_NOT_FOUND);
        }
        let delay = &message["max_buffer_delay_ms"];
        if !delay.is_null() && delay.as_u64().is_none_or(|delay| delay > BUFFER_DELAY_MS_MAX) {
            return Err(invalid("max_buffer_delay_ms is 0 to 5000"));
        }
        let config = &message["generation_config"];
        for (name, from, to) in [("speed", 0.6, 1.5), ("volume", 0.5, 2.0)] {
            if config[name].as_f64().is_some_and(|value| !(from..=to).contains(&value)) {
                return Err(invalid("generation_config: speed is 0.6 to 1.5, volume 0.5 to 2.0"));
            }
        }
        Ok(Self {
            lane,
            speech: Speech::new(app, format_of(&message["output_format"])?),
            prosody: prosody_of(message),
            wants_timestamps: message["add_timestamps"] == true,
            buffer: String::new(),
            speak_at: None,
            flushes: 0,
            last_message: now,
        })
    }

    fn speak(&mut self, now: Instant, id: &str, out: &mut Out) {
        self.speak_at = None;
        let words = self.speech.say(now, &std::mem::take(&mut self.buffer));
        let Some(first) = words.first() else { return };
        if self.wants_timestamps {
            let starts: Vec<f64> = words.iter().map(|word| word.at.as_secs_f64()).collect();
            let ends: Vec<f64> = words.iter().map(|word| (word.at + SOUND).as_secs_f64()).collect();
            let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            let timestamps = json!({
                "type": "timestamps", "context_id": id, "done": false, "status_code": 206,
                "word_timestamps": {"words": texts, "start": starts, "end": ends},
            });
            out.text_at(first.due, Some(self.lane), timestamps, None);
        }
        let step_time = first.due.saturating_duration_since(now).as_secs_f64() * 1_000.0;
        for word in &words {
            for (index, (due, audio)) in word.halves().into_iter().enumerate() {
                let mut chunk = json!({
                    "type": "chunk", "context_id": id, "data": BASE64_STANDARD.encode(audio),
                    "done": false, "status_code": 206, "step_time": step_time,
                });
                if self.flushes > 0 {
                    chunk["flush_id"] = self.flushes.into();
                }
                let mark = word.mark.filter(|_| index == 0);
                out.text_at(due, Some(self.lane), chunk, mark);
            }
        }
    }
}

fn format_of(output: &Value) -> Result<AudioFormat, Refusal> {
    let rate = output["sample_rate"].as_u64().and_then(|rate| u32::try_from(rate).ok());
    let format = output["encoding"].as_str().zip(rate).filter(|_| output["container"] == "raw");
    format
        .and_then(|(encoding, rate)| raw_format(encoding, rate))
        .ok_or(invalid("output_format: this server speaks raw pcm_s16le, and pcm_mulaw at 8000"))
}

impl Dialogue for Speaking {
    fn open(&mut self, _out: &mut Out) {}

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out) {
        self.last_message = now;
        match serde_json::from_str::<Value>(text) {
            Ok(message @ Value::Object(_)) => self.handle(now, &message, out),
            Ok(_) | Err(_) => self.complain(None, invalid("the message is no object"), out),
        }
    }

    fn handle_audio(&mut self, _now: Instant, _audio: &[u8], out: &mut Out) {
        self.complain(None, invalid("binary messages are not understood"), out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let context = |context: &Context| {
            let expiry = context.speech.free_at(context.last_message) + CONTEXT_LIMIT;
            context.speak_at.map_or(expiry, |speak_at| speak_at.min(expiry))
        };
        let contexts = self.contexts.values().map(context);
        contexts.chain([self.last_message + IDLE_LIMIT]).min()
    }

    fn handle_deadline(&mut self, now: Instant, out: &mut Out) {
        for (id, context) in &mut self.contexts {
            if context.speak_at.is_some_and(|speak_at| speak_at <= now) {
                context.speak(now, id, out);
            }
        }
        self.contexts.retain(|id, context| {
            let expiry = context.speech.free_at(context.last_message) + CONTEXT_LIMIT;
            if expiry <= now {
                out.text_at(now, Some(context.lane), done(id), None);
            }
            expiry > now
        });
        if self.last_message + IDLE_LIMIT <= now {
            self.ended = true;
            out.close(1000, "");
        }
    }
}

#[cfg(test)]
mod tests;
