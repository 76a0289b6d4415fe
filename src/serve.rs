//! `offhook serve`: wires everything together.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::get};
use offhook_config::Settings;
use offhook_core::slots::{Limit, Scope};
use offhook_providers::Net;
use offhook_store::{Store, StoreOptions};
use offhook_supervisors::Node;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::Instant,
};

use crate::{
    auth::{self, Keys},
    cli::SettingsArgs,
    http::{self, App, Listener},
    logs,
    signer::Signer,
    telemetry,
};

/// Longest wait for the store to write what it still holds.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(args: &SettingsArgs) -> Result<(), String> {
    let began = Instant::now();
    let mut settings = args.load()?;
    logs::init(&settings)?;
    let metrics = telemetry::init()?;
    let listener = Listener::bind(settings.server.listen).await?;
    let address = listener.address()?;
    let store = Store::open(&settings.store.path, StoreOptions::default())
        .map_err(|error| error.to_string())?;
    let (keys, new_key) = Keys::open(&settings)?;
    if settings.store.secret_key.is_none() {
        settings.store.secret_key = Some(auth::generated_secret_key(&settings.store.path)?);
    }
    let settings = Arc::new(settings);
    let net = net(&settings)?;
    let node = Node::start(settings.clone(), store.clone(), net)
        .await
        .map_err(|error| error.to_string())?;
    let app = App {
        keys,
        signer: Signer::open(&settings.store.path)?,
        public_url: public_url(&settings, address).into(),
        node: node.clone(),
        metrics,
        number_changes: Arc::default(),
        orgs: auth::organisations(&settings).into_iter().map(|org| org.id).collect(),
        desk: Arc::default(),
    };
    for org in app.orgs.iter() {
        let limit = settings.calls.concurrency_limit_per_org.map(Limit::of);
        node.slots().set_limit(Scope::Org(org.as_str().into()), limit);
    }
    let dialer = Arc::new(http::CallDialer::new(app.clone()));
    node.campaigns().run(dialer).await.map_err(|error| error.to_string())?;
    http::run_scheduled_calls(app.clone()).await;
    if let Some(key) = new_key {
        eprintln!("offhook: no API key is configured; made one, shown only now: {key}");
    }
    let (stop, stopped) = watch::channel(false);
    let metrics_server = metrics_listener(&settings, &app, stopped.clone()).await?;
    let mut signals = Signals::listen()?;
    let took_ms = began.elapsed().as_millis() as u64;
    tracing::info!(%address, url = %app.public_url, took_ms, "ready");
    let orgs = auth::organisations(&settings).into_iter().map(|org| org.id).collect();
    // Each number is given up after a while, and the process waits for none of them.
    tokio::spawn(http::finish_setups(app.clone(), orgs));
    let mut serving = tokio::spawn(http::serve(listener, http::router(app), until(stopped)));

    // A process that can do nothing more must not stand in the way of one that can.
    tokio::select! {
        () = signals.next() => {}
        () = node.died() => return Err("the supervisors gave up, see the log".into()),
        _ = &mut serving => return Err("the HTTP server stopped, see the log".into()),
    }
    tracing::info!(calls = node.active_calls(), "draining: no new calls, running ones finish");
    tokio::select! {
        () = node.drain() => {}
        () = signals.next() => {
            tracing::warn!(calls = node.active_calls(), "told to stop again");
        }
    }
    node.hand_over().await;
    node.stop().await;
    // Nobody is left who would not want to stop.
    let _ = stop.send(true);
    let _ = serving.await;
    if let Some(server) = metrics_server {
        let _ = server.await;
    }
    if tokio::time::timeout(FLUSH_TIMEOUT, store.close()).await.is_err() {
        tracing::error!("the store did not finish writing");
    }
    tracing::info!("stopped");
    Ok(())
}

/// What providers reach the world with.
pub fn net(settings: &Settings) -> Result<Net, String> {
    let worker_program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let allow_private = settings.webhooks.allow_private_addresses;
    Net::new(settings.calls.provider_connect_timeout, worker_program, allow_private)
        .map_err(|error| format!("cannot set up the HTTP client: {error}"))
}

/// Where clients reach this server: as configured, else where it listens.
fn public_url(settings: &Settings, address: SocketAddr) -> String {
    match &settings.server.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if address.ip().is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
        None => format!("http://{address}"),
    }
}

async fn metrics_listener(
    settings: &Settings,
    app: &App,
    stopped: watch::Receiver<bool>,
) -> Result<Option<tokio::task::JoinHandle<()>>, String> {
    let Some(address) = settings.server.metrics_listen else { return Ok(None) };
    let listener = Listener::bind(address).await?;
    let render = |State(app): State<App>| async move { http::metrics_text(&app) };
    let router = Router::new().route("/metrics", get(render)).with_state(app.clone());
    Ok(Some(tokio::spawn(http::serve(listener, router, until(stopped)))))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone stops it too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// SIGTERM and SIGINT, listened for from the start: one that comes while another is handled counts.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen =
            |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
