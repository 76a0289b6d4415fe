//! One call of a bench: places it, holds its socket, and lets its caller speak and listen.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_media::AudioFormat;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::{
    caller::{Caller, Measured, Step},
    clock::Moment,
    phrase::FRAME,
    samples::Samples,
};
use crate::{
    call_command::{transport, websocket_url},
    client::{Client, without_query},
};

/// Time for the websocket's connection and handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A server that takes no frame for this long has stopped reading.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Time for the server's close frame after the caller hung up.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// What is read from a socket at once, in bytes: half a second of wide audio. The default of 128
/// KiB would be most of what a caller needs.
const READ_BYTES: usize = 16 * 1024;

/// The longest message that is read, in bytes: twenty seconds of the widest audio.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How the message that tells of an interruption is known, without reading the JSON of others.
pub const INTERRUPTED: &str = "\"user-interrupted\"";

/// A call that was tried.
#[derive(Debug)]
pub struct Outcome {
    /// Which call of the bench it was.
    pub nth: u32,
    /// From asking for the call until its socket was open.
    pub setup: Option<Duration>,
    /// When the greeting of a call over a carrier came.
    pub greeted: Option<Moment>,
    /// From the carrier's first webhook until then, without what the voice takes.
    pub first_audio: Option<Duration>,
    pub measured: Measured,
    /// How late the caller's frames were sent: what the bench itself lags by.
    pub lateness: Samples,
    /// Why the call came to no good end.
    pub failure: Option<String>,
}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The body of `POST /call`.
pub fn request(assistant: &Value, format: AudioFormat) -> Value {
    json!({"assistant": assistant, "transport": transport(format)})
}

/// Places a call and holds it to its end; `up` is told when its socket is open.
pub async fn hold(
    client: &Client,
    request: &Value,
    nth: u32,
    caller: impl FnOnce(Moment) -> Caller,
    up: impl FnOnce(),
) -> Outcome {
    let mut outcome = Outcome {
        nth,
        setup: None,
        greeted: None,
        first_audio: None,
        measured: Measured::default(),
        lateness: Samples::default(),
        failure: None,
    };
    let asked = Moment::now();
    let mut socket = match place(client, request).await {
        Ok(socket) => socket,
        Err(reason) => {
            outcome.failure = Some(reason);
            return outcome;
        }
    };
    let now = Moment::now();
    outcome.setup = Some(now.since(asked));
    up();
    let mut caller = caller(now);
    let ended = converse(&mut socket, &mut caller, &mut outcome.lateness).await;
    outcome.failure = match ended {
        Ok(()) => hang_up(&mut socket).await.err(),
        Err(reason) => Some(reason),
    };
    outcome.measured = caller.measured();
    outcome
}

/// Asks for a call and opens its socket.
pub async fn place(client: &Client, request: &Value) -> Result<Socket, String> {
    let call = client.post("/call", request).await?;
    let url = websocket_url(&call)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let failed = |reason: String| format!("connecting to {} failed: {reason}", without_query(url));
    // Nagle's algorithm holds small messages back: frames would arrive in pairs.
    let nodelay = true;
    let connecting = connect_async_with_config(url, Some(config), nodelay);
    match timeout(CONNECT_LIMIT, connecting).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", CONNECT_LIMIT.as_secs()))),
    }
}

/// Speaks and listens until the caller wants to hang up.
async fn converse(
    socket: &mut Socket,
    caller: &mut Caller,
    lateness: &mut Samples,
) -> Result<(), String> {
    let mut due = Instant::now();
    let tick = sleep_until(due);
    tokio::pin!(tick);
    loop {
        tokio::select! {
            biased;
            incoming = socket.next() => match incoming {
                Some(Ok(Message::Binary(audio))) => caller.hear(Moment::now(), &audio),
                Some(Ok(Message::Text(text))) if text.contains(INTERRUPTED) => {
                    caller.told_of_interruption(Moment::now());
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map(|frame| format!("{} {}", frame.code, frame.reason));
                    let reason = reason.unwrap_or_else(|| "no reason given".into());
                    return Err(format!("the server hung up: {reason}"));
                }
                Some(Ok(
                    Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                )) => {}
                Some(Err(error)) => return Err(format!("the connection broke: {error}")),
                None => return Err("the connection ended without a close frame".into()),
            },
            () = &mut tick => {
                lateness.add_coarse(due.elapsed());
                // A microphone does not wait for whoever was late.
                while due <= Instant::now() {
                    match caller.step(Moment::now()) {
                        Step::Send(frame) => send(socket, Message::Binary(frame)).await?,
                        Step::HangUp => return Ok(()),
                    }
                    due += FRAME;
                }
                tick.as_mut().reset(due);
            }
        }
    }
}

/// Ends a call, and hears the server out.
pub async fn hang_up(socket: &mut Socket) -> Result<(), String> {
    send(socket, Message::Text(json!({"type": "hangup"}).to_string().into())).await?;
    let closed = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(_))) | None => return,
                Some(Ok(_)) => {}
                // Whoever hung up does not mind how the line goes dead.
                Some(Err(_)) => return,
            }
        }
    };
    timeout(CLOSE_LIMIT, closed).await.map_err(|_| {
        format!(
            "the server did not close the call within {} s of hanging up",
            CLOSE_LIMIT.as_secs()
        )
    })
}

pub async fn send(socket: &mut Socket, message: Message) -> Result<(), String> {
    match timeout(SEND_LIMIT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the connection broke: {error}")),
        Err(_) => Err(format!("the server read nothing for {} s", SEND_LIMIT.as_secs())),
    }
}
