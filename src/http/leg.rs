//! The media socket of a websocket call.

use std::time::Duration;

use axum::{
    Router,
    extract::{
        Path, Query, State,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::get,
};
use futures_util::{SinkExt, StreamExt};
use offhook_actors::{Incoming, LegSocket, Outgoing};
use offhook_api::ApiError;
use offhook_supervisors::AttachError;
use offhook_transports::{self as transports, LegError, Wire};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{App, reply};
use crate::{auth::parse_id, signer};

/// Longest wait for a socket that is refused to take the reason.
pub const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes read from a leg at once: two messages of 20 ms in the widest format. The websocket library
/// zeroes as much before every read.
pub const READ_BYTES: usize = 4 << 10;

pub fn routes() -> Router<App> {
    Router::new().route("/{id}/transport", get(connect))
}

/// The token of a call's URL.
#[derive(Deserialize)]
pub struct Token {
    #[serde(default)]
    pub token: String,
}

async fn connect(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(Token { token }): Query<Token>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Some(call) = parse_id(&id) else { return reply::not_found("call", &id) };
    if let Err(error) = app.node.check_leg(call, &token, signer::same) {
        return reply::error(match error {
            AttachError::NoSuchCall => ApiError::not_found("call", &id),
            AttachError::WrongToken => ApiError::unauthorized(),
        });
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return reply::bad_request(vec![rejection.body_text()]),
    };
    let transport = app
        .node
        .call(call)
        .map(|context| context.record().as_value()["transport"].clone())
        .unwrap_or(Value::Null);
    upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(transports::SOCKET_MESSAGE_BYTES)
        .max_frame_size(transports::SOCKET_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            let Ok(codec) = transports::build(&transport) else { return };
            let leg = leg_socket(socket, codec);
            if let Err((error, mut leg)) = app.node.attach_leg(call, &token, signer::same, leg) {
                // The call ended between the request and now.
                tracing::info!(%call, %error, "media socket refused");
                let (code, reason) = (transports::close_code::POLICY, error.to_string());
                let goodbye = leg.writer.send(Outgoing::Close { code, reason });
                // The peer may be gone as well.
                let _ = timeout(REFUSAL_TIMEOUT, goodbye).await;
            }
        })
}

/// Brings a websocket into the shape that the transport actor knows.
pub fn leg_socket(socket: WebSocket, codec: Box<dyn transports::LegCodec>) -> LegSocket {
    let (writer, reader) = socket.split();
    let reader = reader.map(|message| match message {
        Ok(Message::Text(text)) => Ok(Incoming::Wire(Wire::Text(text.to_string()))),
        Ok(Message::Binary(bytes)) => Ok(Incoming::Wire(Wire::Binary(bytes))),
        Ok(Message::Ping(_) | Message::Pong(_)) => Ok(Incoming::Alive),
        Ok(Message::Close(frame)) => Ok(Incoming::Closed { code: frame.map(|frame| frame.code) }),
        Err(error) => match too_long(&error) {
            true => {
                let error = LegError::message_too_long();
                Ok(Incoming::Broken { close_code: error.close_code, message: error.message })
            }
            false => Err(error.to_string()),
        },
    });
    let writer = writer.sink_map_err(|error: axum::Error| error.to_string()).with(
        |message: Outgoing| async move {
            Ok::<_, String>(match message {
                Outgoing::Wire(Wire::Text(text)) => Message::Text(text.into()),
                Outgoing::Wire(Wire::Binary(bytes)) => Message::Binary(bytes),
                Outgoing::Ping => Message::Ping(bytes::Bytes::new()),
                Outgoing::Close { code, reason } => {
                    Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from(reason) }))
                }
            })
        },
    );
    LegSocket::new(Box::pin(reader), Box::pin(writer), codec)
}

/// Axum hides the websocket library's error; its words are what there is.
fn too_long(error: &axum::Error) -> bool {
    error.to_string().contains("too long")
}
