//! Where the calls go: a server that runs already, or one with fake providers that is started for
//! the bench.

use std::{path::Path, sync::Arc};

use offhook_chaos::fakes::{Fakes as Telephones, FakesOptions};
use offhook_media::AudioFormat;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    assistant, call,
    exchange::Exchange,
    fakes::{self, Fakes},
    fleet::{Load, Target},
    options::Options,
    process::Process,
};
use crate::{
    call_command,
    client::Client,
    fake_carriers::{self, Carrier},
    server_child::{Server, ServerOptions, free_address},
};

/// Everything that a bench calls.
pub struct Stage {
    pub target: Target,
    pub assistant: Value,
    /// The server, where its process is known.
    pub server: Option<Process>,
    pub fakes: Option<Process>,
    pub fakes_url: Option<String>,
    /// Where callers dial, if they do.
    pub exchange: Option<Exchange>,
    started: Option<Own>,
}

/// A server and its fakes, which are to be stopped in the end.
pub struct Own {
    pub server: Server,
    pub fakes: Fakes,
    /// The carriers, in this program.
    telephones: Option<Telephones>,
    /// The server's settings, data and log.
    _folder: TempDir,
}

/// The key that providers are asked with, which fakes do not look at.
const PROVIDER_KEY: &str = "no-secret";

impl Stage {
    pub async fn set(load: Load, options: &Options, format: AudioFormat) -> Result<Self, String> {
        raise_file_limit();
        let assistant = match (&options.assistant, options.carrier) {
            (Some(path), _) => call_command::read_assistant(path)?,
            (None, Some(_)) => assistant::on_the_phone(options.transcriber),
            (None, None) => assistant::document(options.transcriber),
        };
        let request = Arc::new(call::request(&assistant, format));
        if let Some(url) = &options.url {
            let key = call_command::key(url, options.api_key.as_deref())?;
            return Ok(Self {
                target: Target { url: url.clone(), key, request },
                assistant,
                server: options.pid.map(|pid| Process { pid }),
                fakes: None,
                fakes_url: options.fakes.clone(),
                exchange: None,
                started: None,
            });
        }
        let telephones = match options.carrier {
            Some(_) => Some(telephones().await?),
            None => None,
        };
        // Those that come at a rate stay for a second or two.
        let calls = options.setups().map_or(0, |rate| rate.calls_per_second * 4).max(load.calls);
        let providers = fakes::options(options.words, options.seed);
        let own = Own::start_with(telephones, providers, calls).await?;
        let access = &own.server.access;
        let exchange = match (&own.telephones, options.carrier) {
            (Some(telephones), Some(carrier)) => {
                let client = Client::new(&access.url, &access.key)?;
                Some(open(telephones, carrier, &client, &assistant).await?)
            }
            (_, _) => None,
        };
        Ok(Self {
            target: Target { url: access.url.clone(), key: access.key.clone(), request },
            assistant,
            server: Some(Process { pid: access.pid }),
            fakes: own.fakes.pid().map(|pid| Process { pid }),
            fakes_url: Some(own.fakes.url.clone()),
            exchange,
            started: Some(own),
        })
    }

    /// Whether the server was started for the bench.
    pub fn is_own(&self) -> bool {
        self.started.is_some()
    }

    /// Waits for a server of our own to end, which it should not; returns how it did.
    pub async fn server_ended(&mut self) -> String {
        match &mut self.started {
            Some(own) => own.server.exited().await,
            None => std::future::pending().await,
        }
    }

    /// Stops what was started.
    pub async fn strike(self) -> Result<(), String> {
        match self.started {
            Some(own) => own.stop().await,
            None => Ok(()),
        }
    }
}

impl Own {
    /// Starts both; `calls`: as many are held at the same time.
    pub async fn start(fakes: Value, calls: u32) -> Result<Self, String> {
        Self::start_with(None, fakes, calls).await
    }

    async fn start_with(
        telephones: Option<Telephones>,
        fakes: Value,
        calls: u32,
    ) -> Result<Self, String> {
        raise_file_limit();
        let fakes = Fakes::start(&fakes).await?;
        let folder = tempfile::Builder::new()
            .prefix("offhook-bench-")
            .tempdir()
            .map_err(|error| format!("cannot make a folder for the server: {error}"))?;
        let mut options = settings(folder.path(), &fakes.url, calls)?;
        if let Some(telephones) = &telephones {
            let address = free_address()?;
            options.address = Some(address);
            let reached = fake_carriers::settings(telephones, &format!("http://{address}"));
            options.settings.extend(reached);
        }
        let server = Server::start(options).await?;
        Ok(Self { server, fakes, telephones, _folder: folder })
    }

    pub async fn stop(self) -> Result<(), String> {
        let stopped = self.server.stop().await;
        if let Some(telephones) = self.telephones {
            telephones.stop().await;
        }
        stopped
    }
}

async fn telephones() -> Result<Telephones, String> {
    let listen = ([127, 0, 0, 1], 0).into();
    Telephones::start(listen, FakesOptions::default())
        .await
        .map_err(|error| format!("cannot serve fake carriers: {error}"))
}

/// Gives a server a number, so that it can be called.
async fn open(
    telephones: &Telephones,
    carrier: Carrier,
    client: &Client,
    assistant: &Value,
) -> Result<Exchange, String> {
    let carriers = telephones.carriers();
    fake_carriers::buy(carriers, carrier, client, assistant).await?;
    Ok(Exchange { carriers: carriers.clone(), carrier })
}

fn settings(folder: &Path, fakes: &str, calls: u32) -> Result<ServerOptions, String> {
    let config = folder.join("offhook.toml");
    let providers = [("deepgram", "deepgram"), ("openai", "openai/v1"), ("11labs", "elevenlabs")];
    let sections = providers.map(|(name, path)| {
        format!("[providers.{name}]\napi_key = \"{PROVIDER_KEY}\"\nbase_url = \"{fakes}/{path}\"\n")
    });
    std::fs::write(&config, sections.concat())
        .map_err(|error| format!("cannot write {}: {error}", config.display()))?;
    // A call that ended is filed while the next one has begun.
    let limit = calls * 2 + 10;
    Ok(ServerOptions {
        address: None,
        data: folder.join("data"),
        log: folder.join("server.log"),
        config: Some(config),
        settings: vec![format!("calls.concurrency_limit={limit}")],
    })
}

/// A call takes five files of the server and two of ours; many systems allow 1024 unless asked.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, calls that find no file say so.
    let _ = setrlimit(Resource::Nofile, limit);
}
