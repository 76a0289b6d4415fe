//! Listens, with limits on what a client may hold open.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

/// A bound address.
pub struct Listener(TcpListener);

/// Longest wait for the head of a request: a client that sends it byte by byte holds a socket.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Wait after an `accept` that failed, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections at once, requests and media sockets together: ten times the calls that a machine of
/// a few cores holds, and within what systems allow a process to open.
const CONNECTIONS_MAX: usize = 8_192;

/// How long requests under way are given at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

impl Listener {
    pub async fn bind(address: SocketAddr) -> Result<Self, String> {
        let bound = TcpListener::bind(address).await.map_err(|error| {
            format!("cannot listen on {address}: {error}; set server.listen to a free address")
        })?;
        Ok(Self(bound))
    }

    pub fn address(&self) -> Result<SocketAddr, String> {
        self.0.local_addr().map_err(|error| format!("the listening socket has no address: {error}"))
    }
}

/// Serves until `stop` resolves; then takes no new connection and lets requests finish.
pub async fn serve(listener: Listener, router: Router, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.0.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Audio frames are small and urgent.
        let _ = stream.set_nodelay(true);
        let Ok(place) = places.clone().try_acquire_owned() else {
            metrics::counter!("offhook_connections_refused_total").increment(1);
            continue;
        };
        // HTTP/2 without TLS is for proxies, which speak HTTP/1.1 as well; telling the two apart
        // would wait for the first bytes without a limit.
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES_MAX);
        let service = TowerToHyperService::new(router.clone());
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            // A connection that says nothing at all is not a request that hyper would limit.
            if let Ok(Ok(1)) = timeout(HEADER_TIMEOUT, stream.peek(&mut [0])).await {
                let io = TokioIo::new(stream);
                let connection = builder.serve_connection_with_upgrades(io, service).into_owned();
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(error, "connection ended");
                }
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = timeout(SHUTDOWN_GRACE, graceful.shutdown()).await;
}
