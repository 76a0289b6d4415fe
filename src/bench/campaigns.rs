//! `offhook bench campaigns`: what a long list costs: importing it, keeping it, and taking it up again.
//!
//! A server and fake carriers are started for it. The list is imported by `offhook campaign import`, as its
//! user would; then the campaign is begun, the server killed as `kill -9` does, and started again.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{STDOUT, fakes::Fakes, process::Process, write_json};
use crate::{
    client::{self, Client},
    console::{Console, Style},
    server_child::{Server, ServerOptions, free_address, told_to_stop},
};

/// Our number, and the account that it is of; the fakes take any.
const NUMBER: &str = "+14155550100";
const ACCOUNT: &str = "ACfa4efa4efa4efa4efa4efa4efa4efa4e";
const AUTH_TOKEN: &str = "token-of-the-fake-twilio";

/// The bounds of `--check`, for 100,000 contacts.
const CONTACTS: u32 = 100_000;
const IMPORT_MAX: Duration = Duration::from_secs(10);
const BYTES_MAX: f64 = 1_024.0;
const FIRST_DIAL_MAX: Duration = Duration::from_secs(2);

/// Longest wait for a call to reach the carrier.
const DIAL_LIMIT: Duration = Duration::from_secs(60);

/// How often the carrier is asked for its calls.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How often the server's memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// Longest wait for an answer of the fakes.
const FAKES_LIMIT: Duration = Duration::from_secs(10);

#[derive(Args)]
pub struct CampaignsArgs {
    /// Contacts on the list
    #[arg(long, default_value_t = CONTACTS, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    contacts: u32,
    /// Exit code 1 where 100,000 contacts would take more than 10 s to import, a contact more than
    /// 1 KiB on disk, or the next dial after a kill more than 2 s
    #[arg(long)]
    check: bool,
    /// Where to write what was measured, as JSON; `-` for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What was measured.
struct Measured {
    contacts: u32,
    import: Duration,
    /// Memory of the server before and at most while it took the list, in KiB.
    before_kib: u64,
    most_kib: u64,
    /// Bytes of the store's folder that the list added.
    bytes: u64,
    /// From the start of the process until it took calls, and until the carrier was asked to dial.
    ready: Duration,
    first_dial: Duration,
}

pub async fn run(args: CampaignsArgs) -> Result<ExitCode, String> {
    let measured = tokio::select! {
        measured = measure(args.contacts) => measured?,
        stopped = told_to_stop() => {
            return Err(stopped.err().unwrap_or_else(|| "stopped before the end".into()));
        }
    };
    if args.json.as_deref() != Some(STDOUT.as_ref()) {
        measured.print(Console::new());
    }
    if let Some(path) = &args.json {
        write_json(path, &measured.json())?;
    }
    Ok(if measured.is_good() || !args.check { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(contacts: u32) -> Result<Measured, String> {
    let fakes = Fakes::start(&json!({})).await?;
    let http = client::local_http(FAKES_LIMIT)?;
    let carrier = Carrier { http, url: format!("{}/carriers", fakes.url) };
    carrier.post("/numbers", &json!({"carrier": "twilio", "number": NUMBER})).await?;
    let folder = TempDir::with_prefix("offhook-bench-")
        .map_err(|error| format!("cannot make a folder for the server: {error}"))?;
    let options = settings(folder.path(), &fakes.url, free_address()?)?;
    let server = Server::start(options.clone()).await?;
    let client = Client::new(&server.access.url, &server.access.key)?;
    let assistant = json!({"model": {"provider": "scripted", "rules": [{"when": ".*", "reply": "Yes"}]},
        "firstMessage": "Hello {{name}}, you have an appointment at {{appointment}}."});
    let assistant = client.post("/assistant", &assistant).await?;
    let number = json!({"provider": "twilio", "number": NUMBER,
        "twilioAccountSid": ACCOUNT, "twilioAuthToken": AUTH_TOKEN});
    let number = client.post("/phone-number", &number).await?;
    let file = folder.path().join("contacts.csv");
    fs::write(&file, list(contacts))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;

    let data = options.data.clone();
    let bytes_before = size_of(&data);
    let process = Process { pid: server.access.pid };
    let before_kib = process.rss_kib().unwrap_or_default();
    let began = Instant::now();
    let most_kib = import(&server, process, &file, &assistant["id"], &number["id"]).await?;
    let import = began.elapsed();
    let bytes = size_of(&data).saturating_sub(bytes_before);
    let found = client.get("/v2/campaign").await?;
    let id = found["results"][0]["id"].as_str().unwrap_or_default().to_owned();
    client.patch(&format!("/v2/campaign/{id}"), &json!({"paused": false})).await?;
    carrier.dials_after(0).await?;
    server.kill().await?;

    let dialled = carrier.dials().await?;
    let restarted = Instant::now();
    let server = Server::start(options).await?;
    let ready = server.access.ready_after;
    carrier.dials_after(dialled).await?;
    let first_dial = restarted.elapsed();
    // Calls that ring are of no more interest.
    server.kill().await?;
    Ok(Measured { contacts, import, before_kib, most_kib, bytes, ready, first_dial })
}

fn settings(folder: &Path, fakes: &str, address: SocketAddr) -> Result<ServerOptions, String> {
    let config = folder.join("offhook.toml");
    let text = format!(
        "[server]\npublic_url = \"http://{address}\"\n[carriers.twilio]\nbase_url = \"{fakes}/twilio\"\n"
    );
    fs::write(&config, text)
        .map_err(|error| format!("cannot write {}: {error}", config.display()))?;
    Ok(ServerOptions {
        address: Some(address),
        data: folder.join("data"),
        log: folder.join("server.log"),
        config: Some(config),
        settings: Vec::new(),
    })
}

/// Contacts with what a reminder needs.
fn list(contacts: u32) -> String {
    let mut text = String::from("number,name,externalId,appointment\n");
    for index in 0..contacts {
        let (area, line) = (200 + index / 10_000 % 700, index % 10_000);
        // Writing to a string does not fail.
        let _ = writeln!(text, "+1{area}555{line:04},Ada {index},p-{index},a quarter past ten");
    }
    text
}

/// Imports the list in a process of its own; answers with the most memory that the server took.
async fn import(
    server: &Server,
    process: Process,
    file: &Path,
    assistant: &Value,
    number: &Value,
) -> Result<u64, String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut child = Command::new(program)
        .args(["campaign", "import"])
        .arg(file)
        .args(["--assistant", &id(assistant), "--phone-number", &id(number)])
        .args(["--server", &server.access.url, "--key", &server.access.key])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start `offhook campaign import`: {error}"))?;
    let mut most_kib = 0;
    loop {
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_err(|error| error.to_string())?;
                if status.success() {
                    return Ok(most_kib);
                }
                return Err(format!("`offhook campaign import` ended with {status}"));
            }
            () = sleep(SAMPLE_EVERY) => most_kib = most_kib.max(process.rss_kib().unwrap_or_default()),
        }
    }
}

/// The fake carrier.
struct Carrier {
    http: reqwest::Client,
    url: String,
}

impl Carrier {
    async fn post(&self, path: &str, body: &Value) -> Result<(), String> {
        let sent = self.http.post(format!("{}{path}", self.url)).json(body).send().await;
        let answer = sent.map_err(|error| format!("the fakes do not answer: {error}"))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the fakes answered {status} to {path}")),
        }
    }

    /// Calls that were asked for so far.
    async fn dials(&self) -> Result<usize, String> {
        let asked = self.http.get(format!("{}/calls", self.url)).send().await;
        let asked = asked.map_err(|error| format!("the fakes do not answer: {error}"))?;
        let calls: Vec<Value> = asked.json().await.map_err(|error| error.to_string())?;
        Ok(calls.len())
    }

    /// Waits for another one.
    async fn dials_after(&self, known: usize) -> Result<(), String> {
        let since = Instant::now();
        while self.dials().await? <= known {
            if since.elapsed() > DIAL_LIMIT {
                return Err(format!("nobody was dialled within {DIAL_LIMIT:?}"));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// Bytes that a folder's files take.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(it) if it.is_dir() => size_of(&entry.path()),
        Ok(it) => it.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

impl Measured {
    fn bytes_each(&self) -> f64 {
        self.bytes as f64 / f64::from(self.contacts)
    }

    fn is_good(&self) -> bool {
        let share = f64::from(self.contacts) / f64::from(CONTACTS);
        self.import.as_secs_f64() <= IMPORT_MAX.as_secs_f64() * share.max(0.1)
            && self.bytes_each() <= BYTES_MAX
            && self.first_dial <= FIRST_DIAL_MAX
    }

    fn print(&self, console: Console) {
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let mib = |kib: u64| kib as f64 / 1_024.0;
        let title = format!("offhook bench campaigns: {} contacts", self.contacts);
        console.line(console.paint(Style::Heading, &title));
        let rows = [
            (
                "import",
                format!(
                    "{}, {:.0} contacts a second",
                    seconds(self.import),
                    f64::from(self.contacts) / self.import.as_secs_f64()
                ),
            ),
            (
                "memory",
                format!(
                    "{:.1} MiB before the import, {:.1} MiB at most",
                    mib(self.before_kib),
                    mib(self.most_kib)
                ),
            ),
            ("disk", format!("{:.0} bytes a contact", self.bytes_each())),
            (
                "kill -9",
                format!(
                    "ready after {}, the next dial after {}",
                    seconds(self.ready),
                    seconds(self.first_dial)
                ),
            ),
        ];
        for (what, text) in rows {
            console.line(format_args!("{what:<10}{text}"));
        }
    }

    fn json(&self) -> Value {
        json!({
            "contacts": self.contacts,
            "import_s": self.import.as_secs_f64(),
            "memory_before_kib": self.before_kib,
            "memory_most_kib": self.most_kib,
            "bytes_a_contact": self.bytes_each(),
            "ready_s": self.ready.as_secs_f64(),
            "first_dial_s": self.first_dial.as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use offhook_api::campaign::number_key;

    use super::*;

    #[test]
    fn everybody_on_the_list_can_be_called_and_is_there_once() {
        let list = list(200_000);
        let rows = list.lines().skip(1).map(|row| row.split(',').next().unwrap());
        let numbers: HashSet<_> = rows.map(|number| number_key(number).unwrap()).collect();
        assert_eq!(numbers.len(), 200_000);
    }
}
