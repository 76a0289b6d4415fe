//! Scripted providers on this machine, for the tests of the real ones.

use std::{future::Future, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use url::Url;

use crate::{Access, Net, ProviderError};

/// Longest wait of a test for anything. What is awaited of a socket comes within milliseconds; in
/// virtual time it is longer than the limits that are tested.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn within<F: Future>(what: F) -> F::Output {
    timeout(PATIENCE, what).await.expect("nothing happened")
}

/// The next event of a session or stream that has not ended.
pub(crate) async fn next<T>(events: &mut mpsc::Receiver<Result<T, ProviderError>>) -> T {
    within(events.recv()).await.expect("ended").expect("failed")
}

/// The error that ends a session; events before it are skipped.
pub(crate) async fn failure<T>(
    events: &mut mpsc::Receiver<Result<T, ProviderError>>,
) -> ProviderError {
    loop {
        if let Err(error) = within(events.recv()).await.expect("ended without an error") {
            assert!(within(events.recv()).await.is_none(), "nothing follows an error");
            return error;
        }
    }
}

pub(crate) fn net() -> Net {
    Net::new(Duration::from_secs(5), PathBuf::from("offhook"), true).unwrap()
}

/// A server for one connection, whose script is over when the server is.
pub(crate) struct Server {
    pub base_url: String,
    script: JoinHandle<()>,
}

impl Server {
    /// A server that gives each of its connections, one after the other, to the script.
    async fn start<F, Fut>(script: F) -> Self
    where
        F: FnOnce(TcpListener) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        Self { base_url, script: tokio::spawn(script(listener)) }
    }

    /// Serves one websocket.
    pub async fn websocket<F, Fut>(script: F) -> Self
    where
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        Self::start(|listener| async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut request = None;
            #[allow(clippy::result_large_err)] // Tungstenite's own signature.
            let note = |asked: &Request, answer: Response| {
                request = Some((asked.uri().to_string(), asked.headers().clone()));
                Ok(answer)
            };
            let socket = accept_hdr_async(stream, note).await.unwrap();
            let (uri, headers) = request.unwrap();
            let url = Url::parse("ws://server").unwrap().join(&uri).unwrap();
            script(Client { url, headers, socket }).await;
        })
        .await
    }

    /// Serves plain HTTP/1.1, as many connections as the script accepts.
    pub async fn http<F, Fut>(script: F) -> Self
    where
        F: FnOnce(HttpServer) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::start(|listener| script(HttpServer { listener })).await
    }

    /// Answers one request, also one for a websocket, with this status.
    pub async fn refusing(status: u16, headers: &'static str, body: &'static str) -> Self {
        Self::http(move |mut server| async move {
            let mut asked = server.accept().await;
            asked.answer(status, headers, body).await;
        })
        .await
    }

    /// An address of this machine where nobody listens, and no key.
    pub fn nowhere() -> Access {
        Access { api_key: None, base_url: Some("http://127.0.0.1:1".into()) }
    }

    pub fn access(&self) -> Access {
        Access { api_key: Some(SecretString::from("key-1")), base_url: Some(self.base_url.clone()) }
    }

    /// Waits for the end of the script; its panics are the test's.
    pub async fn finished(self) {
        within(self.script).await.unwrap();
    }
}

/// A client that connected to a scripted websocket.
pub(crate) struct Client {
    pub url: Url,
    pub headers: HeaderMap,
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub fn query(&self) -> Vec<(String, String)> {
        self.url.query_pairs().into_owned().collect()
    }

    pub async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The next message, as JSON.
    pub async fn json(&mut self) -> Value {
        match self.message().await {
            Some(Message::Text(text)) => serde_json::from_str(text.as_str()).unwrap(),
            other => panic!("expected a text message, got {other:?}"),
        }
    }

    pub async fn binary(&mut self) -> Bytes {
        match self.message().await {
            Some(Message::Binary(bytes)) => bytes,
            other => panic!("expected a binary message, got {other:?}"),
        }
    }

    /// Closes, and reads until the client has, too.
    pub async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        self.socket.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = within(self.socket.next()).await {}
    }

    /// Waits for the client to go away without another word.
    pub async fn gone(mut self) {
        let message = self.message().await;
        assert!(message.is_none(), "expected the end, got {message:?}");
    }

    async fn message(&mut self) -> Option<Message> {
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(message)) => return Some(message),
            }
        }
    }
}

pub(crate) struct HttpServer {
    listener: TcpListener,
}

impl HttpServer {
    /// Reads the next request, on a connection of its own.
    pub async fn accept(&mut self) -> Asked {
        let (mut stream, _) = within(self.listener.accept()).await.unwrap();
        let mut read = Vec::new();
        let head_end = loop {
            if let Some(at) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(within(stream.read_buf(&mut read)).await.unwrap() > 0, "half a request");
        };
        let head = String::from_utf8(read[..head_end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body_end = head_end + length.map_or(0, |length| length.parse().unwrap());
        while read.len() < body_end {
            assert!(within(stream.read_buf(&mut read)).await.unwrap() > 0, "half a request");
        }
        let body = serde_json::from_slice(&read[head_end..body_end]).unwrap_or_default();
        Asked { head, body, stream }
    }
}

/// A request that a scripted server has read.
pub(crate) struct Asked {
    /// Request line and headers, in lower case.
    pub head: String,
    pub body: Value,
    stream: TcpStream,
}

impl Asked {
    /// Writes a whole answer and closes.
    pub async fn answer(&mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}"
        );
        self.write(&format!("{head}\r\n{body}")).await;
        self.stream.shutdown().await.unwrap();
    }

    /// Begins an answer that ends when the connection does.
    pub async fn begin_stream(&mut self) {
        self.begin_stream_with("content-type: text/event-stream\r\n").await;
    }

    pub async fn begin_stream_with(&mut self, headers: &str) {
        let head = format!(
            "HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\nx-request-id: req-1\r\n\r\n"
        );
        self.write(&head).await;
    }

    pub async fn stream(&mut self, part: &str) {
        self.write(&format!("{:x}\r\n{part}\r\n", part.len())).await;
    }

    pub async fn event(&mut self, data: Value) {
        self.stream(&format!("data: {data}\n\n")).await;
    }

    pub async fn end_stream(&mut self) {
        self.write("0\r\n\r\n").await;
    }

    /// Waits for the client to hang up.
    pub async fn gone(&mut self) {
        let mut rest = Vec::new();
        // A reset is as good as an orderly end.
        let _ = within(self.stream.read_to_end(&mut rest)).await;
    }

    async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }
}
