//! Listens, with limits on what a client may hold open.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

/// A bound address.
pub struct Listener(TcpListener);

/// Longest wait for the head of a request: a client that sends it byte by byte holds a socket.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Wait after an `accept` that failed, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES_MAX);
        builder.http2().timer(TokioTimer::new());
        let service = TowerToHyperService::new(router.clone());
        let connection =
            builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "connection ended");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await;
}
