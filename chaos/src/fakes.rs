//! Fake provider servers: one listener, a path prefix for each provider, the real protocols.
//!
//! They speak and understand the tones of `testkit::tones`, and are as quick as [`Timing`] says.
//! `POST /fakes/timing` changes that at run time, `GET /fakes/report` says when each turn passed,
//! `GET /fakes/requests` what was asked (as far as [`FakesOptions::requests_kept`] goes), and
//! `POST /fakes/fault` breaks a provider (see [`faults`]).
//!
//! - A transcriber's text is the words that it heard, with a full stop at the end. What an utterance
//!   is, is decided by the silence in its audio, so that audio may come faster than it was spoken.
//! - A transcriber of Deepgram whose first `keyterm` names a script (`script-17`) hears real speech:
//!   `POST /fakes/scripts` tells it which word lies where (see [`scripts`]).
//! - A model that is told `17 3` (a caller's number and his turn's) answers `17 3 1 2 3 ... 8.`, and
//!   `1 2 3 ... 8.` to anything else. The number 2000 makes it call the first tool that it is
//!   offered, 2001 all of them at once, and 2002 ends as a content filter does.
//! - Models, voices and languages are taken as they are, but for `no-such-model` and `no-such-voice`.
//!   Parameters that a provider refuses are refused in its words.
//! - The report has a turn for each pair of numbers, times in nanoseconds of `CLOCK_MONOTONIC`:
//!   `speech_end` and `final_sent` of the transcriber, `request` and `first_token` of the model,
//!   `text` and `first_audio` of the voice.
//!
//! A websocket protocol is a [`wire::Dialogue`]: a value without I/O. Whatever leaves does so in
//! [`wire`], the place for faults.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{Router, middleware, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use exchanges::Exchanges;
use faults::Faults;
use report::Report;
use scripts::Scripts;

mod anthropic;
mod cartesia;
mod control;
mod custom;
mod deepgram;
mod elevenlabs;
mod exchanges;
pub(crate) mod faults;
mod flux;
mod hearing;
mod model;
mod openai;
mod options;
mod report;
mod scripts;
mod speech;
pub(crate) mod wire;

pub use options::{Delay, FakesOptions, Timing};
pub(crate) use report::monotonic_ns;

use crate::{
    carriers::{self, Carriers},
    chance::Chance,
};

/// The prefix of each provider, and what of its own path comes before a resource's.
const BASES: &[(&str, &str)] = &[
    ("deepgram", "/deepgram"),
    ("openai", "/openai/v1"),
    ("anthropic", "/anthropic"),
    ("elevenlabs", "/elevenlabs"),
    ("cartesia", "/cartesia"),
    ("custom-llm", "/openai/v1"),
    ("custom-transcriber", "/custom-transcriber"),
    ("custom-voice", "/custom-voice"),
];

/// The same of each carrier, which are broken in their own way.
const CARRIER_BASES: &[(&str, &str)] =
    &[("twilio", "/twilio"), ("telnyx", "/telnyx/v2"), ("vonage", "/vonage")];

/// How long connections under way may take to end with the server.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Fake providers that are being served.
pub struct Fakes {
    address: SocketAddr,
    carriers: Arc<Carriers>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub api_key: Option<String>,
    pub timing: RwLock<Timing>,
    pub chance: Chance,
    pub report: Report,
    pub exchanges: Exchanges,
    pub faults: Faults,
    pub scripts: Scripts,
    pub stopped: watch::Receiver<bool>,
}

pub(crate) type App = Arc<Shared>;

impl Fakes {
    /// Serves all fakes at `listen`; port 0 takes a free one.
    pub async fn start(listen: SocketAddr, options: FakesOptions) -> io::Result<Self> {
        let timing = options.timing.check().map_err(io::Error::other)?;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let carriers = Carriers::new(options.carriers, options.seed);
        let shared = Arc::new(Shared {
            api_key: options.api_key,
            timing: RwLock::new(timing),
            chance: Chance::new(options.seed),
            report: Report::default(),
            exchanges: Exchanges::keeping(options.requests_kept),
            faults: Faults::default(),
            scripts: Scripts::default(),
            stopped: stopped.clone(),
        });
        // A connection that is not answered at once only waits longer.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let serving = tokio::spawn(
            axum::serve(listener, router(shared).merge(carriers::router(carriers.clone())))
                .with_graceful_shutdown(until(stopped))
                .into_future(),
        );
        Ok(Self { address, carriers, stop, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The carriers, for whoever runs them in the same program.
    pub fn carriers(&self) -> &Arc<Carriers> {
        &self.carriers
    }

    /// What stands in for a provider's own address: the `base_url` of its settings, and of its
    /// client.
    ///
    /// # Panics
    ///
    /// When there is no such fake.
    pub fn base_url(&self, provider: &str) -> String {
        let base = BASES.iter().chain(CARRIER_BASES).find(|(name, _)| *name == provider);
        let (_, path) = base.unwrap_or_else(|| panic!("there is no fake `{provider}`"));
        format!("http://{}{path}", self.address)
    }

    /// Ends all connections.
    pub async fn stop(mut self) {
        // The server is gone already when nobody listens.
        let _ = self.stop.send(true);
        if timeout(STOP_LIMIT, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

impl Shared {
    pub fn timing(&self) -> Timing {
        self.timing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn delay(&self, of: impl FnOnce(&Timing) -> Delay) -> Duration {
        let delay = of(&self.timing.read().unwrap_or_else(PoisonError::into_inner));
        delay.draw(&self.chance)
    }

    /// Whether a client may come in with the key that it brought.
    pub fn admits(&self, key: Option<&str>) -> bool {
        self.api_key.as_deref().is_none_or(|expected| key == Some(expected))
    }
}

fn router(app: App) -> Router {
    let providers = Router::new()
        .nest("/deepgram", deepgram::router())
        .nest("/openai", openai::router())
        .nest("/anthropic", anthropic::router())
        .nest("/elevenlabs", elevenlabs::router())
        .nest("/cartesia", cartesia::router())
        .nest("/custom-transcriber", custom::transcriber_router())
        .nest("/custom-voice", custom::voice_router())
        .layer(middleware::from_fn_with_state(app.clone(), faults::admit));
    Router::new().nest("/fakes", control::router()).merge(providers).with_state(app)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone stops it too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod testing {
    use serde_json::Value;

    use super::*;

    /// What connections share, with other times than usual.
    pub fn app(timing: &Value) -> App {
        Arc::new(Shared {
            api_key: None,
            timing: RwLock::new(Timing::default().with(timing).unwrap()),
            chance: Chance::new(1),
            report: Report::default(),
            exchanges: Exchanges::default(),
            faults: Faults::default(),
            scripts: Scripts::default(),
            stopped: watch::channel(false).1,
        })
    }
}
