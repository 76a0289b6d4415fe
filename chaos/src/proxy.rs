//! Stands between a server and real providers, and breaks what passes, as the fakes do.
//!
//! `http://ADDRESS/NAME/...` is the provider `NAME`: requests go on to its own address, websockets and
//! streams included, with the headers that they came with. What passes is changed by the same faults
//! as at the fake providers.

use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{
        FromRequestParts, Path, Request, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use offhook_providers::Net;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, client::IntoClientRequest},
};

use crate::{
    chance::Chance,
    fakes::{
        faults::{Fault, Faults, Manner},
        wire::{GARBAGE, Lateness, Traffic, length},
    },
};

/// Longest request that is passed on, in bytes: a long conversation.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Longest wait for a provider to accept a websocket.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// Longest wait for either side to take a message.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// How often a connection that is to end, or is not read, is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Parts of an answer, or messages, that were not passed on yet: some seconds of the fastest voice.
const WAITING_MAX: usize = 1_024;

/// A wait that is never reached.
const FAR: Duration = Duration::from_secs(86_400);

/// What belongs to a connection and not to a request (RFC 9110, section 7.6.1), and what the client
/// of the other side writes itself.
const OWN_HEADERS: &[HeaderName] = &[
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::ACCEPT_ENCODING,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_ACCEPT,
];

/// A proxy that is being served; it stops when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    /// Each provider's own address.
    upstreams: HashMap<String, String>,
    faults: Faults,
    chance: Chance,
    net: Net,
}

type Upstream = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Proxy {
    /// Serves at a free port of this machine. `upstreams`: names and addresses of providers.
    pub async fn start(upstreams: HashMap<String, String>) -> io::Result<Self> {
        let net = Net::new(CONNECT_LIMIT, "/nonexistent".into(), true).map_err(io::Error::other)?;
        let faults = Faults::of(upstreams.keys().cloned().collect());
        let shared = Arc::new(Shared { upstreams, faults, chance: Chance::new(1), net });
        let router = Router::new()
            .route("/{provider}", any(pass))
            .route("/{provider}/{*path}", any(pass))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, serving })
    }

    /// What stands in for the provider's own address.
    pub fn base_url(&self, provider: &str) -> String {
        format!("http://{}/{provider}", self.address)
    }

    /// Breaks a provider from now on, as `POST /fakes/fault` does a fake one.
    pub fn fault(&self, fault: &Value) -> Result<(), String> {
        let fault: Fault = serde_json::from_value(fault.clone())
            .map_err(|error| format!("the fault cannot be read: {error}"))?;
        self.shared.faults.add(Instant::now(), &fault)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn manner(&self, provider: &str) -> Manner {
        self.faults.manner(Instant::now(), provider).unwrap_or_default()
    }
}

async fn pass(
    State(shared): State<Arc<Shared>>,
    Path(parts): Path<HashMap<String, String>>,
    request: Request,
) -> Response {
    let provider = parts.get("provider").cloned().unwrap_or_default();
    let Some(upstream) = shared.upstreams.get(&provider) else {
        return (StatusCode::NOT_FOUND, "no such provider").into_response();
    };
    let url = behind(upstream, &provider, request.uri());
    if let Some(refused) = shared.faults.stand_in_the_way(&provider).await {
        return refused;
    }
    let (mut parts, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &shared).await;
    match upgrade {
        Ok(upgrade) => pass_socket(shared, provider, &url, &parts.headers, upgrade).await,
        Err(_) => {
            let request = Request::from_parts(parts, body);
            pass_request(shared, provider, &url, request).await
        }
    }
}

/// The provider's own address of what was asked for.
fn behind(upstream: &str, provider: &str, uri: &Uri) -> String {
    let asked = uri.path_and_query().map_or("", |asked| asked.as_str());
    let path = asked.trim_start_matches('/').strip_prefix(provider).unwrap_or_default();
    format!("{}{path}", upstream.trim_end_matches('/'))
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let kept = headers.iter().filter(|(name, _)| !OWN_HEADERS.contains(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn pass_request(
    shared: Arc<Shared>,
    provider: String,
    url: &str,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the request is too long").into_response();
    };
    let began = Instant::now();
    let asked = shared.net.http.request(parts.method, url).headers(passed_on(&parts.headers));
    let answer = match asked.body(body).send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let (status, headers) = (answer.status(), passed_on(answer.headers()));
    let passing = Passing {
        shared: shared.clone(),
        provider: provider.clone(),
        began,
        late: Lateness::default(),
        pieces: 0,
        bytes: 0,
    };
    let (arrived, pieces) = mpsc::channel(WAITING_MAX);
    // It ends with the answer, or with whoever reads it.
    tokio::spawn(read(answer, arrived));
    let stream = stream::unfold(Some((pieces, passing)), |state| async move {
        let (mut pieces, mut passing) = state?;
        let piece = match pieces.recv().await? {
            Ok((at, piece)) => passing.changed(at, piece).await,
            Err(error) => Err(error),
        };
        let next = piece.is_ok().then_some((pieces, passing));
        Some((piece, next))
    });
    let mut response = (status, Body::from_stream(stream)).into_response();
    *response.headers_mut() = headers;
    shared.faults.relabelled(&provider, response)
}

/// Reads an answer as it comes, with the time of each part.
async fn read(answer: reqwest::Response, arrived: mpsc::Sender<io::Result<(Instant, Bytes)>>) {
    let mut pieces = answer.bytes_stream();
    loop {
        let piece = select! {
            () = arrived.closed() => return,
            piece = pieces.next() => piece,
        };
        let Some(piece) = piece else { return };
        let piece = piece.map(|piece| (Instant::now(), piece)).map_err(io::Error::other);
        if arrived.send(piece).await.is_err() {
            return;
        }
    }
}

/// An answer on its way.
struct Passing {
    shared: Arc<Shared>,
    provider: String,
    began: Instant,
    late: Lateness,
    pieces: u64,
    bytes: u64,
}

impl Passing {
    /// A piece of an answer that came at this time, as a fault has it arrive.
    async fn changed(&mut self, at: Instant, piece: Bytes) -> io::Result<Bytes> {
        let manner = self.shared.manner(&self.provider);
        let due = leaves(manner, &self.shared.chance, &mut self.late, at, piece.len());
        sleep_until(due).await;
        let now = Instant::now();
        if manner.half_open || self.shared.faults.silences(now, &self.provider, self.began) {
            // Until the client goes.
            pending::<()>().await;
        }
        let open = now - self.began;
        if manner.ends_after.is_some_and(|it| it.are_reached(self.pieces, self.bytes, open)) {
            return Err(io::Error::other("cut off on purpose"));
        }
        self.pieces += 1;
        self.bytes += piece.len() as u64;
        Ok(match manner {
            Manner { garbage: true, .. } => Bytes::from_static(GARBAGE.as_bytes()),
            Manner { truncate: true, .. } => piece.slice(..piece.len() / 2),
            Manner { duplicate: true, .. } => [&piece[..], &piece[..]].concat().into(),
            Manner { .. } => piece,
        })
    }
}

/// When something leaves that came at this time and is so many bytes long.
fn leaves(
    manner: Manner,
    chance: &Chance,
    lateness: &mut Lateness,
    at: Instant,
    bytes: usize,
) -> Instant {
    let late = manner.late.map(|late| late.draw(chance));
    let takes = manner.drip.map(|gap| gap * bytes as u32);
    match late.is_some() || takes.is_some() || lateness.is_behind(at) {
        true => lateness.leaves(at + late.unwrap_or_default(), takes.unwrap_or_default()),
        false => at,
    }
}

async fn pass_socket(
    shared: Arc<Shared>,
    provider: String,
    url: &str,
    headers: &HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upstream = match timeout(CONNECT_LIMIT, connect(url, headers)).await {
        Ok(Ok(upstream)) => upstream,
        // Why the provider refused is for the client to read.
        Ok(Err(tungstenite::Error::Http(refused))) => {
            let body = refused.body().clone().unwrap_or_default();
            return (refused.status(), body).into_response();
        }
        Ok(Err(error)) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        Err(_) => return StatusCode::GATEWAY_TIMEOUT.into_response(),
    };
    let wanted = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let protocols: Vec<String> =
        wanted.into_iter().flat_map(|all| all.split(',')).map(|it| it.trim().to_owned()).collect();
    upgrade.protocols(protocols).on_upgrade(move |client| relay(shared, provider, client, upstream))
}

async fn connect(url: &str, headers: &HeaderMap) -> Result<Upstream, tungstenite::Error> {
    let url = url.replacen("http", "ws", 1);
    let mut request = url.into_client_request()?;
    request.headers_mut().extend(passed_on(headers));
    let (socket, _) = connect_async(request).await?;
    Ok(socket)
}

/// Carries messages both ways; what the provider says is changed by faults.
async fn relay(
    shared: Arc<Shared>,
    provider: String,
    mut client: WebSocket,
    mut upstream: Upstream,
) {
    let began = Instant::now();
    let mut changes = shared.faults.drops();
    let mut traffic = Traffic::default();
    let (mut waiting, mut late) = (VecDeque::new(), Lateness::default());
    let mut is_over = false;
    loop {
        let now = Instant::now();
        let manner = shared.manner(&provider);
        let is_cut = shared.faults.drops_one(&provider, began);
        if is_cut || traffic.is_over(manner, now - began) || is_over && waiting.is_empty() {
            return;
        }
        let is_silent = shared.faults.silences(now, &provider, began) || manner.half_open;
        let looks = manner.half_open || manner.ends_after.is_some();
        let look = now + if looks { LOOK } else { FAR };
        let due = waiting.front().map_or(look, |(due, _)| look.min(*due));
        select! {
            biased;
            _ = changes.changed() => {}
            () = sleep_until(due) => {
                if waiting.front().is_none_or(|(due, _)| *due > Instant::now()) {
                    continue;
                }
                let Some((_, said)) = waiting.pop_front() else { continue };
                if is_silent {
                    continue;
                }
                let closes = matches!(said, Message::Close(_));
                for message in traffic.changed(said, manner) {
                    traffic.count_out(&message);
                    if !matches!(timeout(SEND_LIMIT, client.send(message)).await, Ok(Ok(()))) {
                        return;
                    }
                }
                if closes {
                    return;
                }
            }
            said = upstream.next(), if !is_over && waiting.len() < WAITING_MAX => {
                let Some(Ok(said)) = said else {
                    is_over = true;
                    continue;
                };
                let Some(said) = to_client(said) else { continue };
                let at = Instant::now();
                let due = leaves(manner, &shared.chance, &mut late, at, length(&said));
                waiting.push_back((due, said));
            }
            said = client.recv(), if !manner.half_open => {
                let Some(Ok(said)) = said else { return };
                if let Message::Binary(audio) = &said {
                    traffic.bytes_in += audio.len() as u64;
                    let cap = manner.rate_cap.filter(|cap| cap.is_broken(traffic.bytes_in, now - began));
                    if let Some(cap) = cap {
                        let reason = "audio came too fast".into();
                        // The connection ends either way.
                        let frame = CloseFrame { code: cap.code, reason };
                        let _ = client.send(Message::Close(Some(frame))).await;
                        return;
                    }
                }
                let Some(message) = to_upstream(said) else { continue };
                if !matches!(timeout(SEND_LIMIT, upstream.send(message)).await, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

fn to_client(message: tungstenite::Message) -> Option<Message> {
    Some(match message {
        tungstenite::Message::Text(text) => Message::text(text.as_str()),
        tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
        tungstenite::Message::Close(frame) => Message::Close(frame.map(|frame| CloseFrame {
            code: frame.code.into(),
            reason: frame.reason.as_str().into(),
        })),
        tungstenite::Message::Ping(_)
        | tungstenite::Message::Pong(_)
        | tungstenite::Message::Frame(_) => return None,
    })
}

fn to_upstream(message: Message) -> Option<tungstenite::Message> {
    Some(match message {
        Message::Text(text) => tungstenite::Message::text(text.as_str()),
        Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
        Message::Close(_) => tungstenite::Message::Close(None),
        Message::Ping(_) | Message::Pong(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::Delay;

    #[test]
    fn what_is_asked_for_is_asked_behind_the_provider_s_own_address() {
        let uri: Uri = "/openai/chat/completions?x=1".parse().unwrap();
        let url = behind("https://api.openai.com/v1", "openai", &uri);
        assert_eq!(url, "https://api.openai.com/v1/chat/completions?x=1");
        let uri: Uri = "/deepgram/v1/listen".parse().unwrap();
        assert_eq!(behind("http://a/deepgram/", "deepgram", &uri), "http://a/deepgram/v1/listen");
    }

    #[test]
    fn what_a_fault_has_come_late_is_late_once_and_in_order() {
        let (chance, mut late) = (Chance::new(1), Lateness::default());
        let manner = Manner { late: Some(Delay::Fixed(3_000.0)), ..Manner::default() };
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut leaves = |manner, ms| leaves(manner, &chance, &mut late, at(ms), 100);
        assert_eq!([leaves(manner, 0), leaves(manner, 40)], [at(3_000), at(3_040)]);
        // The fault is over, and nothing overtakes what it held back.
        assert_eq!(leaves(Manner::default(), 50), at(3_040));
        assert_eq!(leaves(Manner::default(), 4_000), at(4_000));
    }
}
