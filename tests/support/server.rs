//! `offhook serve` as a child process.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
};

use super::{Client, Providers, within};

/// A key of the organisation `default`.
pub const KEY: &str = "key-of-the-default-organisation";

/// A key of another organisation.
pub const OTHER_KEY: &str = "key-of-another-organisation";

/// What a server is started with.
#[derive(Clone, Default)]
pub struct Options {
    settings: Vec<String>,
    providers: Option<String>,
    public_addresses_only: bool,
    without_keys: bool,
}

impl Options {
    /// One setting, as `section.key=value`.
    pub fn set(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// The same where nothing else is set.
    pub fn set_by_default(self, section_key: &str, value: impl std::fmt::Display) -> Self {
        let beginning = format!("{section_key}=");
        match self.settings.iter().any(|setting| setting.starts_with(&beginning)) {
            true => self,
            false => self.set(format!("{beginning}{value}")),
        }
    }

    /// Reaches every provider at a fake.
    pub fn providers(mut self, providers: &Providers) -> Self {
        self.providers = Some(providers.url());
        self
    }

    /// Refuses webhooks to this machine, as servers do by default.
    pub fn public_addresses_only(mut self) -> Self {
        self.public_addresses_only = true;
        self
    }

    /// Leaves it to the server to make a key.
    pub fn without_keys(mut self) -> Self {
        self.without_keys = true;
        self
    }

    fn file(&self, store: &Path) -> String {
        let mut file = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n\
             [store]\npath = \"{}\"\n\
             [webhooks]\nbackoff_initial = \"20ms\"\nbackoff_max = \"200ms\"\n",
            store.display()
        );
        if !self.without_keys {
            let keys = format!("api_keys = [\"{KEY}\"]\norgs.other = [\"{OTHER_KEY}\"]\n");
            file = format!("[auth]\n{keys}{file}");
        }
        if !self.public_addresses_only {
            file.push_str("allow_private_addresses = true\n");
        }
        if let Some(url) = &self.providers {
            for name in ["deepgram", "openai", "11labs"] {
                let section = format!(
                    "[providers.{name}]\napi_key = \"provider-key\"\nbase_url = \"{url}\"\n"
                );
                file.push_str(&section);
            }
        }
        file
    }
}

/// A running server; killed when dropped.
pub struct Server {
    pub client: Client,
    child: Child,
    log: Log,
    options: Options,
    folder: Arc<TempDir>,
}

impl Server {
    /// A server without anything set.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), options).await
    }

    fn command(folder: &TempDir, options: &Options) -> Command {
        let file = folder.path().join("offhook.toml");
        std::fs::write(&file, options.file(&folder.path().join("store"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.arg("serve").arg("--config").arg(&file).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for setting in &options.settings {
            command.arg("--set").arg(setting);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    async fn start_in(folder: Arc<TempDir>, options: Options) -> Self {
        let mut command = Self::command(&folder, &options);
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let log = Log::follow(child.stderr.take().unwrap());
        let ready = log.line("ready").await;
        let url = format!("http://{}", ready["address"].as_str().unwrap());
        Self { client: Client::new(&url, KEY), child, log, options, folder }
    }

    /// The client of the other organisation.
    pub fn stranger(&self) -> Client {
        Client::new(&self.client.url, OTHER_KEY)
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Kills it without a warning (SIGKILL) and starts the next one on the same store.
    pub async fn kill_and_restart(self) -> Self {
        let (folder, options) = (self.folder.clone(), self.options.clone());
        self.kill().await;
        Self::start_in(folder, options).await
    }

    /// Kills it without a warning.
    pub async fn kill(mut self) {
        self.child.start_kill().unwrap();
        within("death of the server", self.child.wait()).await.unwrap();
    }

    /// Asks it to stop (SIGTERM).
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let signal = format!("-{name}");
        let sent = std::process::Command::new("kill").args([&signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Kills it and starts the next one on the same store, which must not come up; returns what it
    /// says.
    pub async fn refuses_to_restart(self) -> String {
        let (folder, options) = (self.folder.clone(), self.options.clone());
        self.kill().await;
        let output = Self::command(&folder, &options).output();
        let output = within("refusal to start", output).await.unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Waits until it has stopped by itself.
    pub async fn stopped(&mut self) -> ExitStatus {
        within("end of the server", self.child.wait()).await.unwrap()
    }

    /// The first log line with this message, waited for.
    pub async fn log_line(&self, message: &str) -> Value {
        self.log.line(message).await
    }

    /// All log lines so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.log.lines() {
                eprintln!("server: {line}");
            }
        }
    }
}

/// What the server writes to standard error.
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    changed: watch::Receiver<()>,
}

impl Log {
    fn follow(stderr: tokio::process::ChildStderr) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (sender, changed) = watch::channel(());
        let written = lines.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                written.lock().unwrap().push(line);
                sender.send_replace(());
            }
        });
        Self { lines, changed }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    async fn line(&self, message: &str) -> Value {
        let mut changed = self.changed.clone();
        let mut seen = 0;
        let find = async {
            loop {
                let lines = self.lines();
                let mut new = lines[seen..].iter().filter_map(|line| read(line));
                if let Some(found) = new.find(|line| line["message"] == message) {
                    return found;
                }
                seen = lines.len();
                if changed.changed().await.is_err() {
                    panic!("the server ended without `{message}`: {:#?}", self.lines());
                }
            }
        };
        within(&format!("log line `{message}`"), find).await
    }
}

fn read(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}
