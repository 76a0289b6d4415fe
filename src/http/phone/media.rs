//! Sockets on which carriers bring the audio of calls.
//!
//! Whose call it is, and whether the socket is meant, stands in its first message: nothing of it
//! reaches a call before.

use std::time::Duration;

use axum::{
    extract::{
        Path, State,
        ws::{WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use futures_util::{SinkExt, StreamExt};
use offhook_actors::{Incoming, LegSocket, Outgoing};
use offhook_transports::{
    self as transports, LegEvent, LegStart,
    carrier::{CALL_PARAMETER, TOKEN_PARAMETER},
    close_code,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    auth::parse_id,
    http::{
        App,
        leg::{READ_BYTES, REFUSAL_TIMEOUT, leg_socket},
    },
    signer,
};

/// How long a carrier may take to say whose call it is: it does so at once.
const START_DUE: Duration = Duration::from_secs(5);

/// Messages before that: there is one that says hello.
const BEFORE_START_MAX: usize = 5;

pub async fn twilio(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    admit(app, upgrade, json!({"provider": "twilio"}))
}

pub async fn telnyx(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    admit(app, upgrade, json!({"provider": "telnyx"}))
}

pub async fn telnyx_linear(
    State(app): State<App>,
    Path(rate): Path<u32>,
    upgrade: WebSocketUpgrade,
) -> Response {
    admit(app, upgrade, linear("telnyx", rate))
}

pub async fn vonage(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    admit(app, upgrade, json!({"provider": "vonage"}))
}

pub async fn vonage_at(
    State(app): State<App>,
    Path(rate): Path<u32>,
    upgrade: WebSocketUpgrade,
) -> Response {
    admit(app, upgrade, linear("vonage", rate))
}

fn linear(provider: &str, rate: u32) -> Value {
    json!({"provider": provider, "audioFormat": {"format": "pcm_s16le", "sampleRate": rate}})
}

fn admit(app: App, upgrade: WebSocketUpgrade, transport: Value) -> Response {
    upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(transports::SOCKET_MESSAGE_BYTES)
        .max_frame_size(transports::SOCKET_MESSAGE_BYTES)
        .on_upgrade(move |socket| serve(app, socket, transport))
}

async fn serve(app: App, socket: WebSocket, transport: Value) {
    let Ok(codec) = transports::build(&transport) else { return };
    let mut leg = leg_socket(socket, codec);
    let start = timeout(START_DUE, started(&mut leg)).await.ok().flatten();
    let named = start.as_ref().and_then(|start| {
        let call = parse_id(start.parameters.get(CALL_PARAMETER)?)?;
        Some((call, start.parameters.get(TOKEN_PARAMETER)?))
    });
    let (problem, mut leg) = match named {
        Some((call, token)) => match app.node.attach_carrier(call, token, signer::same, leg) {
            Ok(()) => return,
            Err((error, leg)) => (error.to_string(), leg),
        },
        None => ("it did not say which call it is for".to_owned(), leg),
    };
    tracing::warn!(carrier = %transport["provider"], problem, "media socket refused");
    metrics::counter!("offhook_media_sockets_refused_total").increment(1);
    let goodbye = leg.writer.send(Outgoing::Close { code: close_code::POLICY, reason: problem });
    // The peer may be gone as well.
    let _ = timeout(REFUSAL_TIMEOUT, goodbye).await;
}

/// What a carrier says when its stream begins.
async fn started(leg: &mut LegSocket) -> Option<LegStart> {
    for _ in 0..BEFORE_START_MAX {
        let wire = match leg.reader.next().await? {
            Ok(Incoming::Wire(wire)) => wire,
            Ok(Incoming::Alive) => continue,
            Ok(Incoming::Closed { .. } | Incoming::Broken { .. }) | Err(_) => return None,
        };
        let events = leg.codec.decode(wire).ok()?;
        for event in events {
            if let LegEvent::Started(start) = event {
                return Some(start);
            }
        }
    }
    None
}
