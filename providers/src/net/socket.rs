use std::{fmt::Display, time::Duration};

use offhook_core::FailureClass;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{
        Error, client::IntoClientRequest, error::ProtocolError, handshake::client::Response,
        protocol::WebSocketConfig,
    },
};
use url::Url;

use super::{
    address::label,
    dial::{DialError, dial},
    refusal::{Refusal, shortened, unreadable},
    status::{class_of_close, class_of_reason, class_of_status, retry_after},
    tls,
};
use crate::{Net, ProviderError};

/// Longest websocket message that is taken from a provider, in bytes: ten seconds of 48 kHz audio
/// in base64 with its alignment is 2 MB.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Read buffer of one socket, in bytes; tungstenite would take 128 KiB for each call at once.
const READ_BUFFER_BYTES: usize = 16 << 10;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a websocket runs on: TCP, TLS, or a pipe in a test.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// The provider at the other end, as its errors are told and read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Its name in an assistant's document.
    pub provider: &'static str,
    /// Header of a refused handshake that holds the reason, if it has one.
    pub reason_header: Option<&'static str>,
    /// Reasons that tell more than a status or close code, wherever they appear.
    pub reasons: &'static [(&'static str, FailureClass)],
}

impl Peer {
    /// The class that a reason states, or `otherwise`.
    pub fn class_of(&self, reason: &str, otherwise: FailureClass) -> FailureClass {
        class_of_reason(self.reasons, reason, otherwise)
    }

    pub fn error(&self, class: FailureClass, detail: impl Display) -> ProviderError {
        ProviderError::new(class, format!("{}: {detail}", self.provider))
    }

    /// A message that cannot be read.
    pub fn unreadable(&self, error: &serde_json::Error) -> ProviderError {
        self.error(FailureClass::Protocol, unreadable(error))
    }

    /// The peer closed a session that we still needed.
    pub fn closed(&self, code: u16, reason: &str) -> ProviderError {
        let class = self.class_of(reason, class_of_close(code));
        let reason = shortened(reason).map(|reason| format!(" {reason}")).unwrap_or_default();
        self.error(class, format!("closed the session with code {code}{reason}"))
    }

    /// The socket of a session broke.
    pub fn broken(&self, error: &Error) -> ProviderError {
        // What would be an address out of reach is a session lost once it was reached.
        let class = Some(class_of_error(error)).filter(|c| *c != FailureClass::Unavailable);
        self.error(class.unwrap_or(FailureClass::Closed), format!("the session broke: {error}"))
    }

    fn refused(
        &self,
        place: &str,
        answer: &tokio_tungstenite::tungstenite::http::Response<Option<Vec<u8>>>,
    ) -> ProviderError {
        let status = answer.status().as_u16();
        let mut refusal = Refusal::from_body(answer.body().as_deref().unwrap_or_default());
        let header = self.reason_header.and_then(|name| answer.headers().get(name));
        if let Some(reason) = header.and_then(|value| value.to_str().ok()) {
            refusal.message = shortened(reason);
        }
        let wait = retry_after(answer.headers(), jiff::Timestamp::now());
        let reasons = [refusal.code.as_deref(), refusal.message.as_deref()];
        let class = reasons
            .into_iter()
            .flatten()
            .fold(class_of_status(status, wait), |class, reason| self.class_of(reason, class));
        let reason = refusal.describe(class);
        self.error(class, format!("connecting to {place} was answered with {status} {reason}"))
    }
}

/// Connects a websocket; the answer of the handshake comes along for its headers.
pub(crate) async fn connect(
    net: &Net,
    peer: Peer,
    url: &Url,
    headers: HeaderMap,
) -> Result<(Socket, Response), ProviderError> {
    let place = label(url);
    let mut request = url.as_str().into_client_request().map_err(|error| {
        peer.error(FailureClass::BadRequest, format!("{place} cannot be connected to: {error}"))
    })?;
    request.headers_mut().extend(headers);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MESSAGE_BYTES_MAX);
    let tls = Connector::Rustls(tls::websocket_client());
    let failed = |class, error: &dyn Display| {
        peer.error(class, format!("connecting to {place} failed: {error}"))
    };
    let connecting = async {
        let stream = dial(net, url).await.map_err(|error| match &error {
            DialError::Io(_) => failed(FailureClass::Unavailable, &error),
            DialError::Private(_) => failed(FailureClass::BadRequest, &error),
        })?;
        match client_async_tls_with_config(request, stream, Some(config), Some(tls)).await {
            Ok(connected) => Ok(connected),
            Err(Error::Http(answer)) => Err(peer.refused(&place, &answer)),
            Err(error) => Err(failed(class_of_error(&error), &error)),
        }
    };
    match timeout(net.connect_timeout, connecting).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let limit = net.connect_timeout;
            let detail = format!("connecting to {place} was not answered within {limit:?}");
            Err(peer.error(FailureClass::Timeout, detail))
        }
    }
}

/// A header that carries a key, kept out of debug output.
pub(crate) fn key_header(
    name: HeaderName,
    prefix: &str,
    key: Option<&SecretString>,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret()))
            .map_err(|_| "the API key has characters that no header can hold".to_owned())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// How long a polite goodbye may take when a session is dropped.
const GOODBYE_LIMIT: Duration = Duration::from_millis(250);

/// Says goodbye and lets go of the socket.
pub(crate) async fn hang_up<T: Transport>(mut socket: WebSocketStream<T>) {
    // A peer that does not take it loses nothing: the connection goes with the socket.
    let _ = timeout(GOODBYE_LIMIT, socket.close(None)).await;
}

fn class_of_error(error: &Error) -> FailureClass {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::Http(_)
        // The connection went away without a word.
        | Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::HandshakeIncomplete
            | ProtocolError::SendAfterClosing,
        ) => FailureClass::Unavailable,
        Error::WriteBufferFull(_) => FailureClass::Stalled,
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) | Error::AttackAttempt => {
            FailureClass::Protocol
        }
        Error::Url(_) | Error::HttpFormat(_) => FailureClass::BadRequest,
    }
}
