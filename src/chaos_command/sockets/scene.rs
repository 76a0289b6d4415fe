//! A server, fake providers and a receiver of events, for one run.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use offhook_chaos::fakes::{Fakes, FakesOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use super::{judge, recipes::Recipe};
use crate::{
    client::Client,
    fake_carriers::{self, Carrier},
    server_child::{Server, ServerOptions, free_address},
};

/// Everything of one run.
pub struct Scene {
    pub fakes_url: String,
    pub receiver: Receiver,
    /// Whose number is called; without one, callers open websockets.
    pub carrier: Option<Carrier>,
    pub fakes: Fakes,
    options: ServerOptions,
    server: tokio::sync::Mutex<Option<Server>>,
    url: String,
    key: String,
    happened: Mutex<Happened>,
    _folder: TempDir,
}

/// When what happened to a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Happened {
    pub first_fault: Option<Instant>,
    /// The server took calls again.
    pub back: Option<Instant>,
}

/// End-of-call reports by the id of their call.
pub type Reports = HashMap<String, Vec<Value>>;

/// What is left when the calls are over.
pub struct After {
    pub active_calls: u64,
    pub outbox_pending: u64,
    /// Sessions and answers of providers that are still open.
    pub open: u64,
    /// The end-of-call reports of each call.
    pub reports: Reports,
    /// How often each call of a tool was run.
    pub tool_runs: Vec<usize>,
}

/// The key that providers are asked with, which fakes do not look at.
const PROVIDER_KEY: &str = "no-secret";

/// Longest wait for what was published to be delivered, and for sessions to end.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// How long a carrier tries a server again that is not there: what a proxy in front of it does.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(100);

impl Scene {
    pub async fn set(
        calls: u32,
        carrier: Option<Carrier>,
        recipe: &Recipe,
    ) -> Result<Self, String> {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let timing = json!({"timing": {"tts_speed": 1.5}});
        let mut options: FakesOptions =
            serde_json::from_value(timing).map_err(|error| format!("fakes: {error}"))?;
        options.carriers.webhook_patience_ms = WEBHOOK_PATIENCE.as_millis() as u64;
        let fakes = Fakes::start(listen, options)
            .await
            .map_err(|error| format!("cannot serve fake providers: {error}"))?;
        let receiver = Receiver::start().await?;
        let folder = tempfile::Builder::new()
            .prefix("offhook-chaos-")
            .tempdir()
            .map_err(|error| format!("cannot make a folder for the server: {error}"))?;
        let config = folder.path().join("offhook.toml");
        let providers = [
            ("deepgram", "deepgram"),
            ("custom-transcriber", "custom-transcriber"),
            ("openai", "openai"),
            ("anthropic", "anthropic"),
            ("11labs", "elevenlabs"),
            ("cartesia", "cartesia"),
        ];
        let sections = providers.map(|(name, fake)| {
            let url = fakes.base_url(fake);
            format!("[providers.{name}]\napi_key = \"{PROVIDER_KEY}\"\nbase_url = \"{url}\"\n")
        });
        std::fs::write(&config, sections.concat())
            .map_err(|error| format!("cannot write {}: {error}", config.display()))?;
        let mut options = ServerOptions {
            address: None,
            data: folder.path().join("data"),
            log: folder.path().join("server.log"),
            config: Some(config),
            settings: vec![
                format!("calls.concurrency_limit={}", calls * 2 + 10),
                "webhooks.allow_private_addresses=true".into(),
                "webhooks.backoff_max=2s".into(),
            ],
        };
        options.settings.extend(recipe.settings.iter().map(|setting| (*setting).to_owned()));
        if carrier.is_some() {
            let address = free_address()?;
            options.address = Some(address);
            options.settings.extend(fake_carriers::settings(&fakes, &format!("http://{address}")));
        }
        let server = Server::start(options.clone()).await?;
        let (url, key) = (server.access.url.clone(), server.access.key.clone());
        if let Some(carrier) = carrier {
            let client = Client::new(&url, &key)?;
            fake_carriers::buy(
                fakes.carriers(),
                carrier,
                &client,
                &judge::assistant(&receiver.url, recipe),
            )
            .await?;
        }
        let address = url.trim_start_matches("http://").parse();
        let address = address.map_err(|error| format!("`{url}` is no address: {error}"))?;
        Ok(Self {
            fakes_url: format!("http://{}", fakes.address()),
            receiver,
            carrier,
            fakes,
            options: ServerOptions { address: Some(address), ..options },
            server: tokio::sync::Mutex::new(Some(server)),
            url,
            key,
            happened: Mutex::default(),
            _folder: folder,
        })
    }

    pub fn client(&self) -> Result<Client, String> {
        Client::new(&self.url, &self.key)
    }

    /// Breaks a fake provider.
    pub async fn fault(&self, fault: &Value) -> Result<(), String> {
        let url = format!("{}/fakes/fault", self.fakes_url);
        let answer = crate::client::local_http(SETTLE_LIMIT)?.post(&url).json(fault).send().await;
        let answer = answer.map_err(|error| format!("the fakes do not answer: {error}"))?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(format!(
                "the fakes refuse {fault}: {}",
                answer.text().await.unwrap_or_default()
            )),
        }
    }

    pub async fn kill_and_restart(&self, down: Duration) -> Result<(), String> {
        let mut server = self.server.lock().await;
        if let Some(server) = server.take() {
            server.kill().await?;
        }
        sleep(down).await;
        *server = Some(Server::start(self.options.clone()).await?);
        self.note(|happened| happened.back = Some(Instant::now()));
        Ok(())
    }

    /// The server's resident memory.
    pub async fn memory_kib(&self) -> Option<u64> {
        let pid = self.server.lock().await.as_ref()?.access.pid;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Has another server take over from one that is told to stop.
    pub async fn replace(&self) -> Result<(), String> {
        let mut server = self.server.lock().await;
        if let Some(server) = server.take() {
            server.terminate();
            server.stop().await?;
        }
        *server = Some(Server::start(self.options.clone()).await?);
        self.note(|happened| happened.back = Some(Instant::now()));
        Ok(())
    }

    /// Breaks the media sockets of all calls over carriers.
    pub fn break_media(&self, fault: &Value) -> Result<(), String> {
        self.fakes.carriers().break_something(fault)
    }

    pub async fn terminate(&self) {
        if let Some(server) = &*self.server.lock().await {
            server.terminate();
        }
    }

    pub fn note_fault(&self) {
        self.note(|happened| {
            happened.first_fault.get_or_insert_with(Instant::now);
        });
    }

    pub fn happened(&self) -> Happened {
        *self.happened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, note: impl FnOnce(&mut Happened)) {
        note(&mut self.happened.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until nothing is left, at most for a limit, and says what is.
    pub async fn settled(&self) -> After {
        let began = Instant::now();
        loop {
            let after = self.after().await;
            let is_quiet = after.active_calls == 0 && after.outbox_pending == 0 && after.open == 0;
            if is_quiet || began.elapsed() > SETTLE_LIMIT {
                return after;
            }
            sleep(POLL).await;
        }
    }

    async fn after(&self) -> After {
        let get = async |url: String| -> Value {
            let Ok(http) = crate::client::local_http(SETTLE_LIMIT) else { return Value::Null };
            match http.get(url).send().await {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                // A server that was told to stop is gone when its calls are over.
                Err(_) => Value::Null,
            }
        };
        let ready = get(format!("{}/readyz", self.url)).await;
        let report = get(format!("{}/fakes/report", self.fakes_url)).await;
        let providers = report["providers"].as_object();
        let open = providers.into_iter().flat_map(|all| all.values());
        After {
            active_calls: ready["activeCalls"].as_u64().unwrap_or_default(),
            outbox_pending: ready["outboxPending"].as_u64().unwrap_or_default(),
            open: open.map(|provider| provider["open"].as_u64().unwrap_or_default()).sum(),
            reports: self.receiver.reports(),
            tool_runs: self.receiver.tool_runs(),
        }
    }

    pub async fn strike(self) -> Result<(), String> {
        let server = self.server.into_inner();
        self.fakes.stop().await;
        match server {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

/// Takes the server's events, with the status that the run wants.
pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What is kept of the events: a long run has millions.
#[derive(Default)]
struct Told {
    reports: Reports,
    /// Our calls' ids by those of their carriers.
    of_carriers: HashMap<String, String>,
}

struct Shared {
    status: AtomicU16,
    told: Mutex<Told>,
    tools: Mutex<Tools>,
}

/// The tools of a run.
#[derive(Default)]
struct Tools {
    /// How long one takes.
    take: Duration,
    /// How often each of their calls was run.
    runs: HashMap<String, usize>,
}

impl Receiver {
    async fn start() -> Result<Self, String> {
        let failed = |error| format!("cannot listen on 127.0.0.1 for events: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let url = format!("http://{}/events", listener.local_addr().map_err(failed)?);
        let shared = Arc::new(Shared {
            status: AtomicU16::new(200),
            told: Mutex::default(),
            tools: Mutex::default(),
        });
        let router = Router::new().route("/events", post(take)).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, shared, task })
    }

    /// Answers with this status from here on.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::Release);
    }

    /// Tools take so long from here on.
    pub fn take_for_tools(&self, time: Duration) {
        self.shared.tools.lock().unwrap_or_else(PoisonError::into_inner).take = time;
    }

    fn tool_runs(&self) -> Vec<usize> {
        let tools = self.shared.tools.lock().unwrap_or_else(PoisonError::into_inner);
        tools.runs.values().copied().collect()
    }

    /// The id of a call of ours that its carrier knows as this one, once an event of it came.
    pub fn call_of_carrier(&self, id: &str) -> Option<String> {
        self.shared.told().of_carriers.get(id).cloned()
    }

    fn reports(&self) -> Reports {
        self.shared.told().reports.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn take(&mut self, event: Value) {
        let Some(id) = event["call"]["id"].as_str().map(str::to_owned) else { return };
        if let Some(carriers) = event["call"]["phoneCallProviderId"].as_str() {
            self.of_carriers.insert(carriers.to_owned(), id.clone());
        }
        if event["type"] == "end-of-call-report" {
            self.reports.entry(id).or_default().push(event);
        }
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    Json(mut body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if body["message"]["type"] == "tool-calls" {
        return (StatusCode::OK, Json(run_tools(&shared, &body["message"]).await));
    }
    let status = shared.status.load(Ordering::Acquire);
    if status == 200 {
        shared.told().take(body["message"].take());
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({})))
}

/// Runs the tools that are asked for, and answers with what they came to.
async fn run_tools(shared: &Shared, message: &Value) -> Value {
    let calls = message["toolCallList"].as_array().into_iter().flatten();
    let ids: Vec<&str> = calls.filter_map(|call| call["id"].as_str()).collect();
    let take = {
        let mut tools = shared.tools.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &ids {
            *tools.runs.entry(format!("{} {id}", message["call"]["id"])).or_default() += 1;
        }
        tools.take
    };
    sleep(take).await;
    let results: Vec<_> =
        ids.iter().map(|id| json!({"toolCallId": id, "result": "done"})).collect();
    json!({"results": results})
}
