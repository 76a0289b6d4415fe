//! Speech by plain requests, and what tells about an account and its voices.

use axum::{
    body::Bytes,
    extract::{OriginalUri, Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::{
        App,
        report::Counts,
        speech::Speech,
        wire::{self, Asked, Link, Piece},
    },
    PROVIDER, Pairs, Settings, UNKNOWN_VOICE, key_of, with_id,
};

/// `POST /v1/text-to-speech/{voice}` and `.../stream`: raw audio in parts.
pub async fn speak(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(voice): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
    body: Bytes,
) -> Response {
    let now = Instant::now();
    let asked = Asked { method: &Method::POST, uri: &uri, headers: &headers, query: &query };
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = document["text"].as_str().filter(|text| !text.is_empty());
    let accepted = match (app.admits(key_of(&headers).as_deref()), text) {
        (false, _) => Err((StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key".into())),
        (true, None) => Err((StatusCode::BAD_REQUEST, "invalid_text", "text is missing".into())),
        (true, Some(text)) => Settings::from_query(&voice, &query)
            .map(|settings| (settings.format, text))
            .map_err(|(name, message)| (StatusCode::BAD_REQUEST, name, message)),
    };
    let link = Link::new(&app, PROVIDER, &asked, |counts| match accepted {
        Ok(_) => counts.requests += 1,
        Err(_) => counts.refused += 1,
    });
    link.note(&String::from_utf8_lossy(&body));
    let (format, text) = match accepted {
        Ok(accepted) => accepted,
        Err((status, name, message)) => return refused(&app, status, name, &message),
    };
    let mut speech = Speech::new(&app, format);
    speech.note(text);
    let words = speech.say(now, text).into_iter();
    let pieces =
        words.map(|word| Piece { due: word.due, bytes: word.audio, mark: word.mark }).collect();
    let kind = HeaderValue::from_static("application/octet-stream");
    with_id(&app, ([(CONTENT_TYPE, kind)], wire::body(link, pieces)).into_response())
}

fn refused(app: &App, status: StatusCode, name: &str, message: &str) -> Response {
    let body = json!({"detail": {"status": name, "message": message}});
    let json = HeaderValue::from_static("application/json");
    with_id(app, (status, [(CONTENT_TYPE, json)], body.to_string()).into_response())
}

pub async fn user(
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

pub async fn subscription(
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

pub async fn voice(
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

pub async fn models(
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
    match found {
        Ok(document) => {
            let json = HeaderValue::from_static("application/json");
            let response = (StatusCode::OK, [(CONTENT_TYPE, json)], document.to_string());
            with_id(app, response.into_response())
        }
        Err((status, name, message)) => refused(app, status, name, message),
    }
}
