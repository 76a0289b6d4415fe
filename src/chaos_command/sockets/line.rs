//! A caller's client that comes back when its media socket breaks, as the contract lets it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::DuplexStream,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::Role},
};

type Server = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a lost call is tried again: what a server waits for.
const BACK_LIMIT: Duration = Duration::from_secs(30);

/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// Time for one try.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Bytes between the caller and its client.
const WIRE_BYTES: usize = 64 * 1024;

/// Connects to a call; the caller talks on what is returned, and does not notice reconnects.
pub async fn connect(url: &str) -> Result<WebSocketStream<DuplexStream>, String> {
    let server = open(url).await?;
    let (ours, theirs) = tokio::io::duplex(WIRE_BYTES);
    let caller = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
    tokio::spawn(carry(url.to_owned(), caller, server));
    Ok(WebSocketStream::from_raw_socket(theirs, Role::Client, None).await)
}

async fn open(url: &str) -> Result<Server, String> {
    match timeout(CONNECT_LIMIT, connect_async(url)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(format!("the call's media socket cannot be opened: {error}")),
        Err(_) => Err(format!("the call's media socket did not open within {CONNECT_LIMIT:?}")),
    }
}

async fn carry(url: String, mut caller: WebSocketStream<DuplexStream>, server: Server) {
    let mut server = Some(server);
    loop {
        let Some(connected) = &mut server else {
            match come_back(&url, &mut caller).await {
                Some(socket) => server = Some(socket),
                None => return,
            }
            continue;
        };
        tokio::select! {
            message = caller.next() => {
                let Some(Ok(message)) = message else { return };
                if connected.send(message).await.is_err() {
                    server = None;
                }
            }
            message = connected.next() => match message {
                Some(Ok(message)) => {
                    let closes = message.is_close();
                    if caller.send(message).await.is_err() || closes {
                        return;
                    }
                }
                Some(Err(_)) | None => server = None,
            },
        }
    }
}

/// Tries to connect again; what the caller says meanwhile is lost, and a caller who hangs up is gone.
async fn come_back(url: &str, caller: &mut WebSocketStream<DuplexStream>) -> Option<Server> {
    let until = Instant::now() + BACK_LIMIT;
    while Instant::now() < until {
        let attempt = async {
            sleep(TRY_EVERY).await;
            open(url).await
        };
        tokio::pin!(attempt);
        loop {
            tokio::select! {
                opened = &mut attempt => match opened {
                    Ok(server) => return Some(server),
                    Err(_) => break,
                },
                message = caller.next() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                },
            }
        }
    }
    None
}
