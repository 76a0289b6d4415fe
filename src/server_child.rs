//! `offhook serve` as a child, as a user would start it: the server of the demo and of the bench.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, timeout},
};

use crate::{auth, client};

/// Time for the server to become ready; it needs a fraction of a second.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// How often it is asked whether it is.
const READY_POLL: Duration = Duration::from_millis(20);

/// Time to stop after being told once, and again after being told twice.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Lines of the log that are shown when the server fails.
const LOG_LINES: usize = 5;

/// Variables of the user's environment that would change what is shown or measured.
const FOREIGN: &[&str] = &["OFFHOOK_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// What a server is started with.
#[derive(Clone)]
pub struct ServerOptions {
    /// Where it listens; a free port of this machine unless it has to be a certain one.
    pub address: Option<SocketAddr>,
    /// Its data folder.
    pub data: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// Its settings file.
    pub config: Option<PathBuf>,
    /// Settings over those of the file, as `section.key=value`.
    pub settings: Vec<String>,
}

/// A running server.
pub struct Server {
    child: Child,
    pub access: Access,
}

/// How to reach the server.
#[derive(Clone)]
pub struct Access {
    pub pid: u32,
    pub url: String,
    pub key: String,
    /// From its start until it took calls.
    pub ready_after: Duration,
    pub log: PathBuf,
}

impl Server {
    pub async fn start(options: ServerOptions) -> Result<Self, String> {
        let program = std::env::current_exe()
            .map_err(|error| format!("cannot tell where this program is: {error}"))?;
        let ServerOptions { address, data, log, config, settings } = options;
        let address = address.map_or_else(free_address, Ok)?;
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let errors = output
            .try_clone()
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .args(["--set", &format!("server.listen={address}")])
            .args(["--set", &format!("store.path={}", data.display())])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .args(config.iter().flat_map(|file| ["--config".as_ref(), file.as_os_str()]))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C is for its parent, which then stops the server in order.
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_ascii_uppercase();
            if FOREIGN.iter().any(|foreign| upper.starts_with(foreign)) {
                command.env_remove(&name);
            }
        }
        let started = Instant::now();
        let child =
            command.spawn().map_err(|error| format!("cannot start `offhook serve`: {error}"))?;
        let pid = child.id().ok_or("`offhook serve` ended at once")?;
        let access = Access {
            pid,
            url: format!("http://{address}"),
            key: String::new(),
            ready_after: Duration::ZERO,
            log,
        };
        let mut server = Self { child, access };
        server.wait_ready(started).await?;
        server.access.key = auth::generated_key(&data)
            .ok_or_else(|| format!("the server made no API key in {}", data.display()))?;
        Ok(server)
    }

    async fn wait_ready(&mut self, started: Instant) -> Result<(), String> {
        let http = client::local_http(READY_LIMIT)?;
        loop {
            let answer = http.get(format!("{}/readyz", self.access.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                self.access.ready_after = started.elapsed();
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("ended with {status}")));
            }
            if started.elapsed() > READY_LIMIT {
                let after = format!("was not ready after {} s", READY_LIMIT.as_secs());
                return Err(self.failure(&after));
            }
            sleep(READY_POLL).await;
        }
    }

    /// Waits for a server that should not end to end, and says how.
    pub async fn exited(&mut self) -> String {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        self.failure(&format!("ended with {status}"))
    }

    /// Kills the server as `kill -9` does, and waits until it is gone.
    pub async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("cannot kill `offhook serve`: {error}"))
    }

    /// Tells the server to stop, once, and does not wait for it.
    pub fn terminate(&self) {
        if let Some(pid) = Pid::from_raw(self.access.pid.cast_signed()) {
            // It may have ended by itself; waiting shows it either way.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Lets the server finish what it does; one that does not is killed.
    pub async fn stop(mut self) -> Result<(), String> {
        // Told twice, it cuts off the calls that still run.
        for _ in 0..2 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Ok(());
            }
            if let Some(pid) = Pid::from_raw(self.access.pid.cast_signed()) {
                // It may end between the question and the signal; waiting shows it either way.
                let _ = kill_process(pid, Signal::TERM);
            }
            if let Ok(Ok(_)) = timeout(STOP_LIMIT, self.child.wait()).await {
                return Ok(());
            }
        }
        let _ = self.child.kill().await;
        Err(self.failure("did not stop when told to, and was killed"))
    }

    fn failure(&self, what: &str) -> String {
        let tail = tail(&self.access.log);
        format!("`offhook serve` {what}; the end of {}:\n{tail}", self.access.log.display())
    }
}

/// Waits for Ctrl-C, or for whoever stops processes here.
pub async fn told_to_stop() -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let log = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// An address that nobody listens on.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port on 127.0.0.1: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, "1\n2\n3\n4\n5\n6\n").unwrap();
        assert_eq!(tail(&path), "2\n3\n4\n5\n6");
        assert_eq!(tail(Path::new("/none")), "");
    }

    #[test]
    fn a_free_address_can_be_listened_on() {
        TcpListener::bind(free_address().unwrap()).unwrap();
    }
}
