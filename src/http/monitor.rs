//! Control of and listening in on a running call.

use std::sync::Arc;

use axum::{
    Router,
    extract::{
        Path, Query, State,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use offhook_actors::{CallContext, listen::Listener};
use offhook_api::{
    ApiError,
    control::{self, Transfer},
};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

use super::{
    App,
    body::Json,
    leg::Token,
    reply::{self, Reply},
};
use crate::{auth::parse_id, signer::Purpose};

/// A listener that takes no audio for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest message a listener may send: it has nothing to say.
const LISTENER_MESSAGE_MAX: usize = 4 * 1024;

/// Normal closure (RFC 6455, section 7.4.1).
const CLOSE_NORMAL: u16 = 1000;

pub fn control_routes() -> Router<App> {
    Router::new().route("/{id}/control", post(control_call))
}

pub fn listen_routes() -> Router<App> {
    Router::new().route("/{id}/listen", get(listen))
}

async fn control_call(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(Token { token }): Query<Token>,
    headers: HeaderMap,
    Json(message): Json,
) -> Reply {
    let context = running(&app, &id, Purpose::Control, &token)?;
    let monitor = context.spec.assistant.monitor_plan();
    if monitor.control_authentication_enabled {
        authenticated(&app, &context, &headers)?;
    }
    if let Some(transfer) = control::parse_transfer(&message) {
        if context.spec.line.is_none() {
            let problem = "`transfer` is for phone calls: this call's leg is a websocket";
            return Err(reply::bad_request(vec![problem.into()]));
        }
        let Transfer { to, words } = transfer.map_err(reply::bad_request)?;
        if !context.transfer(to, words) {
            let problem = "another transfer of this caller is under way, or the call is ending";
            return Err(reply::error(ApiError::conflict(problem)));
        }
        return Ok(reply::ok(json!({})));
    }
    let control = control::parse(&message).map_err(reply::bad_request)?;
    if !context.control(control) {
        let problem = "too many requests for this call, at most 5 a second";
        return Err(reply::error(ApiError::too_many_requests(problem)));
    }
    Ok(reply::ok(json!({})))
}

async fn listen(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(Token { token }): Query<Token>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Reply {
    let context = running(&app, &id, Purpose::Listen, &token)?;
    let monitor = context.spec.assistant.monitor_plan();
    if monitor.listen_authentication_enabled {
        authenticated(&app, &context, &headers)?;
    }
    let upgrade = upgrade.map_err(|problem| reply::bad_request(vec![problem.body_text()]))?;
    Ok(upgrade.max_message_size(LISTENER_MESSAGE_MAX).on_upgrade(|socket| stream(context, socket)))
}

/// Sends a first message that says the format, then audio until the call or the listener ends.
async fn stream(context: Arc<CallContext>, mut socket: WebSocket) {
    let mut listener = Listener::new(context);
    let format = listener.format();
    let hello = json!({
        "type": "start",
        "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": format.sample_rate_hz},
        "channels": 1,
    });
    let mut message = Message::Text(hello.to_string().into());
    loop {
        if !matches!(timeout(SEND_TIMEOUT, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
        message = loop {
            tokio::select! {
                audio = listener.next() => match audio {
                    Some(audio) if audio.is_empty() => {}
                    Some(audio) => break Message::Binary(format.encode(&audio)),
                    None => {
                        let reason = Utf8Bytes::from_static("the call is over");
                        let close = CloseFrame { code: CLOSE_NORMAL, reason };
                        // The listener may be gone already.
                        let _ = timeout(SEND_TIMEOUT, socket.send(Message::Close(Some(close)))).await;
                        return;
                    }
                },
                incoming = socket.recv() => match incoming {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
        };
    }
}

fn running(
    app: &App,
    id: &str,
    purpose: Purpose,
    token: &str,
) -> Result<Arc<CallContext>, Response> {
    let call = parse_id(id).ok_or_else(|| reply::not_found("call", id))?;
    if !app.signer.admits(purpose, call, token) {
        return Err(reply::error(ApiError::unauthorized()));
    }
    // A call that is being ended takes no more part in anything.
    let running = app.node.call(call).filter(|context| context.ending().is_none());
    running.ok_or_else(|| reply::not_found("running call", id))
}

/// Whether the request carries a key of the call's own organisation.
fn authenticated(app: &App, context: &CallContext, headers: &HeaderMap) -> Result<(), Response> {
    match super::org_of(app, headers) {
        Some(org) if org == context.spec.org => Ok(()),
        Some(_) | None => Err(reply::error(ApiError::unauthorized())),
    }
}
