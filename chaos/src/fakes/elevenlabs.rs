//! ElevenLabs: both text-to-speech websockets, and speech by plain requests.

use std::time::Duration;

use axum::{
    Router,
    extract::{
        OriginalUri, Path, Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, Method, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use offhook_media::AudioFormat;

use super::{
    App,
    hearing::raw_format,
    wire::{self, Asked, Link},
};
use speaking::Speaking;

mod account;
mod speaking;

const PROVIDER: &str = "elevenlabs";

/// Seconds of inactivity that end a context, and the most that can be asked for.
const INACTIVITY_S: u64 = 20;
const INACTIVITY_S_MAX: u64 = 180;

/// The voice that is not there.
const UNKNOWN_VOICE: &str = "no-such-voice";

type Pairs = Vec<(String, String)>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/text-to-speech/{voice}/multi-stream-input", get(multi))
        .route("/v1/text-to-speech/{voice}/stream-input", get(single))
        .route("/v1/text-to-speech/{voice}", post(account::speak))
        .route("/v1/text-to-speech/{voice}/stream", post(account::speak))
        .route("/v1/user", get(account::user))
        .route("/v1/user/subscription", get(account::subscription))
        .route("/v1/voices/{voice}", get(account::voice))
        .route("/v1/models", get(account::models))
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

#[cfg(test)]
mod tests;
