//! ElevenLabs: both text-to-speech websockets, and what tells about an account and its voices.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    extract::{
        OriginalUri, Path, Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_media::AudioFormat;
use offhook_testkit::tones::{SOUND, WORD};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    App,
    hearing::raw_format,
    report::Counts,
    speech::{Speech, SpokenWord},
    wire::{self, Asked, Dialogue, Link, Out},
};

const PROVIDER: &str = "elevenlabs";

/// Contexts that may be open at once.
const CONTEXTS_MAX: usize = 5;

/// Seconds of inactivity that end a context, and the most that can be asked for.
const INACTIVITY_S: u64 = 20;
const INACTIVITY_S_MAX: u64 = 180;

/// Characters that are waited for before speech begins, for each chunk in turn.
const CHUNK_SCHEDULE: [usize; 4] = [120, 160, 250, 290];

/// The voice that is not there.
const UNKNOWN_VOICE: &str = "no-such-voice";

type Pairs = Vec<(String, String)>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/text-to-speech/{voice}/multi-stream-input", get(multi))
        .route("/v1/text-to-speech/{voice}/stream-input", get(single))
        .route("/v1/user", get(user))
        .route("/v1/user/subscription", get(subscription))
        .route("/v1/voices/{voice}", get(voice))
        .route("/v1/models", get(models))
}

/// Whether a socket has contexts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Multi,
    Single,
}

async fn multi(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(voice): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
    upgrade: Upgrade,
) -> Response {
    open(&app, &uri, (&voice, &headers, &query), upgrade, Kind::Multi)
}

async fn single(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(voice): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
    upgrade: Upgrade,
) -> Response {
    open(&app, &uri, (&voice, &headers, &query), upgrade, Kind::Single)
}

fn open(
    app: &App,
    uri: &Uri,
    (voice, headers, query): (&str, &HeaderMap, &Pairs),
    upgrade: Upgrade,
    kind: Kind,
) -> Response {
    let asked = Asked { method: &Method::GET, uri, headers, query };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused.into_response(),
    };
    let link = Link::new(app, PROVIDER, &asked, |counts| counts.connections += 1);
    let dialogue = Speaking::new(app, kind, key_of(headers), Settings::from_query(voice, query));
    with_id(app, wire::accept(upgrade, link, dialogue))
}

fn with_id(app: &App, mut response: Response) -> Response {
    let id = HeaderValue::from_str(&app.chance.id()).expect("ids are hexadecimal");
    response.headers_mut().insert("request-id", id);
    response
}

fn key_of(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("xi-api-key").and_then(|value| value.to_str().ok());
    key.map(str::to_owned)
}

struct Settings {
    format: AudioFormat,
    auto_mode: bool,
    inactivity: Duration,
}

/// An error that ends a session: its name, and what it says.
type Complaint = (&'static str, String);

impl Settings {
    fn from_query(voice: &str, query: &Pairs) -> Result<Self, Complaint> {
        let get =
            |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if voice == UNKNOWN_VOICE {
            let message = format!("A voice with voice_id {voice} does not exist.");
            return Err(("voice_id_does_not_exist", message));
        }
        let model = get("model_id").unwrap_or("eleven_flash_v2_5");
        if model.starts_with("eleven_v3") {
            let message = format!("The model {model} is not available on this endpoint.");
            return Err(("model_not_found", message));
        }
        let takes_language = model.ends_with("flash_v2_5") || model.ends_with("turbo_v2_5");
        if get("language_code").is_some() && !takes_language {
            let message = format!("Model {model} does not support the language_code parameter.");
            return Err(("unsupported_language", message));
        }
        let asked = get("output_format").unwrap_or("mp3_44100_128");
        let format = asked
            .split_once('_')
            .and_then(|(encoding, rate)| raw_format(encoding, rate.parse().ok()?));
        let format = format.ok_or_else(|| {
            let expected = "this server speaks ulaw_8000 and pcm_8000 to pcm_48000";
            ("invalid_output_format", format!("{asked}: {expected}"))
        })?;
        let inactivity = get("inactivity_timeout").and_then(|s| s.parse().ok());
        Ok(Self {
            format,
            auto_mode: get("auto_mode") == Some("true"),
            inactivity: Duration::from_secs(
                inactivity.unwrap_or(INACTIVITY_S).min(INACTIVITY_S_MAX),
            ),
        })
    }
}

struct Speaking {
    app: App,
    kind: Kind,
    key: Option<String>,
    settings: Result<Settings, Complaint>,
    contexts: BTreeMap<String, Context>,
    /// Lanes that were given to contexts.
    lanes: u64,
    last_message: Instant,
    ended: bool,
}

struct Context {
    lane: u64,
    speech: Speech,
    /// Text that is not spoken yet.
    buffer: String,
    /// Chunks that were spoken because enough text had come.
    chunks: usize,
    schedule: Vec<usize>,
    last_message: Instant,
}

impl Speaking {
    fn new(
        app: &App,
        kind: Kind,
        key: Option<String>,
        settings: Result<Settings, Complaint>,
    ) -> Self {
        Self {
            app: app.clone(),
            kind,
            key,
            settings,
            contexts: BTreeMap::new(),
            lanes: 0,
            last_message: Instant::now(),
            ended: false,
        }
    }

    fn complain(&mut self, name: &str, message: &str, out: &mut Out) {
        self.ended = true;
        self.contexts.values().for_each(|context| out.drop_lane(context.lane));
        out.text(json!({"message": message, "error": name, "code": 1008}));
        out.close(1008, name);
    }

    fn handle(&mut self, now: Instant, message: &Value, out: &mut Out) {
        let format = match &self.settings {
            Ok(settings) => settings.format,
            Err((name, message)) => {
                let (name, message) = (*name, message.clone());
                return self.complain(name, &message, out);
            }
        };
        let brought = ["xi-api-key", "xi_api_key"].iter().find_map(|name| message[name].as_str());
        self.key = self.key.take().or(brought.map(str::to_owned));
        if !self.app.admits(self.key.as_deref()) {
            return self.complain("invalid_api_key", "Invalid API key.", out);
        }
        if message["close_socket"] == true {
            self.ended = true;
            let ends = self.contexts.values().map(|context| context.speech.free_at(now)).max();
            return out.close_at(ends.unwrap_or(now), 1000, "");
        }
        let id = message["context_id"].as_str().unwrap_or(DEFAULT_CONTEXT).to_owned();
        let is_new = !self.contexts.contains_key(&id);
        if is_new && (message["close_context"] == true || message["text"].is_null()) {
            return;
        }
        if is_new && self.contexts.len() >= CONTEXTS_MAX {
            let message = "Maximum simultaneous contexts per WebSocket connection exceeded (5).";
            return self.complain("max_active_conversations", message, out);
        }
        let settings = ["voice_settings", "generation_config", "pronunciation_dictionary_locators"];
        if !is_new && settings.iter().any(|name| !message[name].is_null()) {
            let message = "Settings can only be provided in the first message of a context.";
            return self.complain("invalid_message", message, out);
        }
        if let Some(refused) = refused_setting(&message["voice_settings"]) {
            return self.complain("invalid_voice_settings", &refused, out);
        }
        if is_new {
            self.lanes += 1;
            let asked = message["generation_config"]["chunk_length_schedule"].as_array();
            let asked = asked.into_iter().flatten().filter_map(Value::as_u64);
            let mut schedule: Vec<usize> = asked.filter_map(|n| n.try_into().ok()).collect();
            if schedule.is_empty() {
                schedule = CHUNK_SCHEDULE.to_vec();
            }
            let speech = Speech::new(&self.app, format);
            let (lane, buffer) = (self.lanes, String::new());
            let context = Context { lane, speech, buffer, chunks: 0, schedule, last_message: now };
            self.contexts.insert(id.clone(), context);
        }
        self.handle_context(now, &id, message, out);
    }

    fn handle_context(&mut self, now: Instant, id: &str, message: &Value, out: &mut Out) {
        let is_single = self.kind == Kind::Single;
        let auto_mode = self.settings.as_ref().is_ok_and(|settings| settings.auto_mode);
        let Some(context) = self.contexts.get_mut(id) else { return };
        context.last_message = now;
        let text = message["text"].as_str();
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            context.speech.note(text);
            context.buffer.push_str(text);
        }
        let ends = match self.kind {
            Kind::Single => text == Some(""),
            Kind::Multi => message["close_context"] == true,
        };
        let flush = message["flush"] == true
            || (is_single && (ends || message["try_trigger_generation"] == true));
        let wanted = context.schedule[context.chunks.min(context.schedule.len() - 1)];
        let is_enough = context.buffer.chars().count() >= wanted;
        if flush || auto_mode || is_enough {
            context.chunks += 1;
            let text = std::mem::take(&mut context.buffer);
            for word in context.speech.say(now, &text) {
                let audio = audio_message(&word, id, is_single);
                out.text_at(word.due, Some(context.lane), audio, word.mark);
            }
        }
        if ends {
            let done = context.speech.free_at(now);
            let mut message = json!({"audio": null, "isFinal": true});
            if !is_single {
                message["contextId"] = id.into();
            }
            out.text_at(done, None, message, None);
            self.contexts.remove(id);
            if is_single {
                self.ended = true;
                out.close_at(done, 1000, "");
            }
        }
    }
}

/// The context of messages that name none.
const DEFAULT_CONTEXT: &str = "default";

/// A setting out of its range.
fn refused_setting(settings: &Value) -> Option<String> {
    let ranges = [
        ("stability", 0.0, 1.0),
        ("similarity_boost", 0.0, 1.0),
        ("style", 0.0, 1.0),
        ("speed", 0.7, 1.2),
    ];
    ranges.into_iter().find_map(|(name, from, to)| {
        let value = settings[name].as_f64()?;
        (!(from..=to).contains(&value))
            .then(|| format!("{name} is {value}, expected {from} to {to}"))
    })
}

/// A word's audio, and when each of its characters is spoken.
fn audio_message(word: &SpokenWord, context: &str, is_single: bool) -> Value {
    let chars: Vec<String> = word.text.chars().map(String::from).chain([" ".to_owned()]).collect();
    let count = chars.len() - 1;
    let (sound, pause) = (SOUND.as_millis() as usize, (WORD - SOUND).as_millis() as usize);
    let starts: Vec<usize> = (0..=count).map(|index| sound * index / count.max(1)).collect();
    let durations: Vec<usize> =
        starts.windows(2).map(|pair| pair[1] - pair[0]).chain([pause]).collect();
    let alignment = match is_single {
        false => json!({"chars": chars, "charStartTimesMs": starts, "charDurationsMs": durations}),
        true => json!({"chars": chars, "charStartTimesMs": starts, "charsDurationsMs": durations}),
    };
    let mut message = json!({
        "audio": BASE64_STANDARD.encode(&word.audio),
        "isFinal": null,
        "normalizedAlignment": alignment,
        "alignment": alignment,
    });
    if !is_single {
        message["contextId"] = context.into();
    }
    message
}

impl Dialogue for Speaking {
    fn open(&mut self, _out: &mut Out) {}

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out) {
        self.last_message = now;
        if self.ended {
            return;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(message @ Value::Object(_)) => self.handle(now, &message, out),
            Ok(_) | Err(_) => self.complain("invalid_message", "The message is no object.", out),
        }
    }

    fn handle_audio(&mut self, _now: Instant, _audio: &[u8], out: &mut Out) {
        self.complain("invalid_message", "Binary messages are not understood.", out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let settings = self.settings.as_ref().ok().filter(|_| !self.ended)?;
        let contexts = self.contexts.values().map(|context| context.last_message);
        Some(contexts.chain([self.last_message]).min()? + settings.inactivity)
    }

    fn handle_deadline(&mut self, now: Instant, out: &mut Out) {
        let Ok(settings) = &self.settings else { return };
        let inactivity = settings.inactivity;
        let quiet: Vec<String> = self
            .contexts
            .iter()
            .filter(|(_, context)| context.last_message + inactivity <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in quiet {
            self.contexts.remove(&id);
            out.text(json!({"audio": null, "isFinal": true, "contextId": id}));
        }
        if self.last_message + inactivity <= now {
            let message = "Have not received a new text input within the timeout.";
            self.complain("input_timeout_exceeded", message, out);
        }
    }
}

async fn user(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let user = json!({
        "user_id": "fake", "is_new_user": false, "xi_api_key": null, "first_name": "Fake",
        "is_onboarding_completed": true, "can_use_delayed_payment_methods": false,
        "created_at": 1_767_225_600, "is_onboarding_checklist_completed": true,
        "seat_type": "workspace_admin", "subscription": plan(),
    });
    answer(&app, &uri, &headers, Ok(user))
}

async fn subscription(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    answer(&app, &uri, &headers, Ok(plan()))
}

fn plan() -> Value {
    json!({
        "tier": "pro", "status": "active", "character_count": 0, "character_limit": 500_000,
        "can_extend_character_limit": false, "allowed_to_extend_character_limit": false,
        "voice_slots_used": 1, "professional_voice_slots_used": 0, "voice_limit": 160,
        "voice_add_edit_counter": 0, "professional_voice_limit": 1,
        "can_extend_voice_limit": false, "can_use_instant_voice_cloning": true,
        "can_use_professional_voice_cloning": true, "currency": "usd",
        "billing_period": "monthly_period", "character_refresh_period": "monthly_period",
        "max_character_limit_extension": null, "next_character_count_reset_unix": 1_798_761_600,
    })
}

async fn voice(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(voice): Path<String>,
    headers: HeaderMap,
) -> Response {
    let found = match voice == UNKNOWN_VOICE {
        true => {
            Err((StatusCode::NOT_FOUND, "voice_not_found", "A voice with this id was not found."))
        }
        false => Ok(json!({
            "voice_id": voice, "name": "Tones", "category": "premade", "labels": {},
            "description": "Pairs of tones", "preview_url": null, "available_for_tiers": [],
            "high_quality_base_model_ids": ["eleven_flash_v2_5"], "samples": null,
        })),
    };
    answer(&app, &uri, &headers, found)
}

async fn models(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let models = ["eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_multilingual_v2"].map(
        |id| json!({"model_id": id, "name": id, "can_do_text_to_speech": true, "languages": []}),
    );
    answer(&app, &uri, &headers, Ok(json!(models)))
}

type Refused = (StatusCode, &'static str, &'static str);

fn answer(app: &App, uri: &Uri, headers: &HeaderMap, found: Result<Value, Refused>) -> Response {
    let asked = Asked { method: &Method::GET, uri, headers, query: &[] };
    let found = match app.admits(key_of(headers).as_deref()) {
        true => found,
        false => Err((StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key")),
    };
    let count = |counts: &mut Counts| match &found {
        Ok(_) => counts.requests += 1,
        Err(_) => counts.refused += 1,
    };
    drop(Link::new(app, PROVIDER, &asked, count));
    let (status, body) = match found {
        Ok(document) => (StatusCode::OK, document),
        Err((status, name, message)) => {
            (status, json!({"detail": {"status": name, "message": message}}))
        }
    };
    let json = HeaderValue::from_static("application/json");
    with_id(app, (status, [(CONTENT_TYPE, json)], body.to_string()).into_response())
}

#[cfg(test)]
mod tests;
