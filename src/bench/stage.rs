//! Where the calls go: a server that runs already, or one with fake providers that is started for
//! the bench.

use std::{path::Path, sync::Arc};

use offhook_media::AudioFormat;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    assistant, call,
    fakes::{self, Fakes},
    fleet::{Load, Target},
    options::Options,
    process::Process,
};
use crate::{
    call_command,
    server_child::{Server, ServerOptions},
};

/// Everything that a bench calls.
pub struct Stage {
    pub target: Target,
    pub assistant: Value,
    /// The server, where its process is known.
    pub server: Option<Process>,
    pub fakes: Option<Process>,
    pub fakes_url: Option<String>,
    started: Option<Own>,
}

/// A server and its fakes, which are to be stopped in the end.
pub struct Own {
    pub server: Server,
    pub fakes: Fakes,
    /// The server's settings, data and log.
    _folder: TempDir,
}

/// The key that providers are asked with, which fakes do not look at.
const PROVIDER_KEY: &str = "no-secret";

impl Stage {
    pub async fn set(load: Load, options: &Options, format: AudioFormat) -> Result<Self, String> {
        raise_file_limit();
        let assistant = match &options.assistant {
            Some(path) => call_command::read_assistant(path)?,
            None => assistant::document(options.transcriber),
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
                started: None,
            });
        }
        let own = Own::start(fakes::options(options.words, options.seed), load.calls).await?;
        let access = &own.server.access;
        Ok(Self {
            target: Target { url: access.url.clone(), key: access.key.clone(), request },
            assistant,
            server: Some(Process { pid: access.pid }),
            fakes: own.fakes.pid().map(|pid| Process { pid }),
            fakes_url: Some(own.fakes.url.clone()),
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
        raise_file_limit();
        let fakes = Fakes::start(&fakes).await?;
        let folder = tempfile::Builder::new()
            .prefix("offhook-bench-")
            .tempdir()
            .map_err(|error| format!("cannot make a folder for the server: {error}"))?;
        let server = Server::start(settings(folder.path(), &fakes.url, calls)?).await?;
        Ok(Self { server, fakes, _folder: folder })
    }

    pub async fn stop(self) -> Result<(), String> {
        self.server.stop().await
    }
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
