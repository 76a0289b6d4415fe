//! The caller's end of a websocket call.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::StatusCode},
};

use super::within;

/// A connected socket.
pub struct Leg {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Bytes of audio that came.
    pub audio_bytes: usize,
    /// The messages that came, in order.
    pub events: Vec<Value>,
}

/// What came from the server.
#[derive(Debug, PartialEq)]
pub enum Frame {
    Audio(Bytes),
    Event(Value),
    /// The server closed, with code and reason.
    Closed(u16, String),
    /// The connection ended without a close frame.
    Lost(String),
}

impl Leg {
    pub async fn open(request: impl IntoClientRequest + Unpin) -> Self {
        match Self::try_open(request).await {
            Ok(leg) => leg,
            Err((status, body)) => panic!("the socket was refused with {status}: {body}"),
        }
    }

    /// Opens a socket, or says how it was refused: status and body.
    pub async fn try_open(request: impl IntoClientRequest + Unpin) -> Result<Self, (u16, Value)> {
        match within("websocket handshake", connect_async(request)).await {
            Ok((socket, _)) => Ok(Self { socket, audio_bytes: 0, events: Vec::new() }),
            Err(Error::Http(answer)) => {
                assert_ne!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
                let body = answer.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                Err((answer.status().as_u16(), body))
            }
            Err(error) => panic!("no websocket: {error}"),
        }
    }

    pub async fn send_audio(&mut self, audio: impl Into<Bytes>) {
        self.send(Message::Binary(audio.into())).await.unwrap();
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::Text(text.into())).await.unwrap();
    }

    pub async fn send_json(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends what the server may refuse to read.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        within("room in the socket", self.socket.send(message)).await
    }

    /// Hands a message over without waiting for the socket to write it.
    pub async fn feed(&mut self, message: Message) -> Result<(), Error> {
        within("room in the socket", self.socket.feed(message)).await
    }

    /// Hangs up as clients do.
    pub async fn hang_up(mut self) {
        self.send_json(&serde_json::json!({"type": "hangup"})).await;
        self.closed().await;
    }

    /// What comes next.
    pub async fn next(&mut self) -> Frame {
        within("message on the leg", async {
            loop {
                let message = match self.socket.next().await {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => return Frame::Lost(error.to_string()),
                    None => return Frame::Lost("end of stream".into()),
                };
                match message {
                    Message::Binary(audio) => {
                        self.audio_bytes += audio.len();
                        return Frame::Audio(audio);
                    }
                    Message::Text(text) => {
                        let event: Value = serde_json::from_str(&text).unwrap();
                        self.events.push(event.clone());
                        return Frame::Event(event);
                    }
                    Message::Close(Some(frame)) => {
                        return Frame::Closed(frame.code.into(), frame.reason.to_string());
                    }
                    Message::Close(None) => return Frame::Closed(1005, String::new()),
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                }
            }
        })
        .await
    }

    /// The next message of this `type`; what comes before it is kept in [`Leg::events`].
    pub async fn event(&mut self, kind: &str) -> Value {
        self.event_where(kind, |event| event["type"] == kind).await
    }

    /// The next message of which this is true.
    pub async fn event_where(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        within(what, async {
            loop {
                match self.next().await {
                    Frame::Event(event) if is_it(&event) => return event,
                    Frame::Event(_) | Frame::Audio(_) => {}
                    Frame::Closed(code, reason) => panic!("no {what}, but closed: {code} {reason}"),
                    Frame::Lost(why) => panic!("no {what}, but lost: {why}"),
                }
            }
        })
        .await
    }

    /// Reads until audio that is not silence comes, in 16-bit samples.
    pub async fn sound(&mut self) {
        within("sound", async {
            loop {
                match self.next().await {
                    Frame::Audio(audio) if audio.iter().any(|byte| *byte != 0) => return,
                    Frame::Audio(_) | Frame::Event(_) => {}
                    Frame::Closed(code, reason) => panic!("no sound, but closed: {code} {reason}"),
                    Frame::Lost(why) => panic!("no sound, but lost: {why}"),
                }
            }
        })
        .await
    }

    /// Reads to the server's close frame: code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        within("close frame", async {
            loop {
                match self.next().await {
                    Frame::Closed(code, reason) => return (code, reason),
                    Frame::Audio(_) | Frame::Event(_) => {}
                    Frame::Lost(why) => panic!("lost without a close frame: {why}"),
                }
            }
        })
        .await
    }
}
