//! What operators use: settings, health, metrics, logs, keys.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

use serde_json::{Value, json};
use support::{Calls, Options, Server};

fn offhook(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.args(args).env_clear().output().unwrap()
}

fn error_of(args: &[&str]) -> String {
    let output = offhook(args);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_server_says_how_it_is() {
    let calls = Calls::with(Options::default().set("calls.concurrency_limit=7")).await;
    let client = calls.server.client.with_key(None);
    assert_eq!(client.get("/healthz").await.body, json!({"status": "ok"}));
    let (_, _leg) = calls.connect(json!({})).await;
    let ready = client.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.body["status"], "ready");
    assert_eq!(
        (&ready.body["activeCalls"], &ready.body["concurrencyLimit"]),
        (&json!(1), &json!(7))
    );
}

/// Metrics that show once a call gave them a reason: a provider without a price, an assistant that
/// asks a server how long to wait.
const ON_OCCASION: &[&str] = &[
    "offhook_unpriced_total",
    "offhook_endpointing_requests_total",
    "offhook_interruptions_total",
    "offhook_voicemail_questions_total",
    "offhook_voicemail_messages_failed_total",
    "offhook_failovers_total",
    "offhook_failover_gap_seconds",
    "offhook_provider_breaker_state",
    "offhook_campaign_contacts",
    "offhook_carrier_failovers_total",
    "offhook_webhooks_refused_total",
];

#[tokio::test]
async fn metrics_count_calls_without_naming_them() {
    let calls = Calls::start().await;
    let (call, mut leg) = calls.connect(json!({})).await;
    calls.providers.caller_says("Hello?").await;
    leg.event_where("an answer", |event| {
        event["type"] == "conversation-update" && event.to_string().contains("You said Hello?")
    })
    .await;
    leg.hang_up().await;
    calls.ended(&call).await;
    calls.server.log_line("call ended").await;
    let metrics = calls.server.client.with_key(None).get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    for expected in [
        "offhook_calls_total{type=\"vapi.websocketCall\",ended_class=\"nobody\"} 1",
        "offhook_slots_limit 100",
        "offhook_call_setup_seconds",
        "offhook_turn_latency_seconds",
        "offhook_provider_requests_total",
        "offhook_http_requests_total",
    ] {
        assert!(metrics.text.contains(expected), "{expected} is not in:\n{}", metrics.text);
    }
    let (shown, documented) = (of_the_metrics(&metrics.text), documented_metrics());
    assert_eq!(shown.difference(&documented).next(), None);
    let absent: Vec<&str> = documented
        .difference(&shown)
        .map(|(name, _)| name.as_str())
        .filter(|name| !ON_OCCASION.contains(name))
        .collect();
    assert!(absent.is_empty(), "{absent:?}");
    assert!(!metrics.text.contains(call["id"].as_str().unwrap()));
    for line in metrics.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(line.starts_with("offhook_"), "{line}");
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

/// Name and type of each metric in an answer, help required.
fn of_the_metrics(text: &str) -> BTreeSet<(String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
            (name.to_owned(), kind.to_owned())
        })
        .collect()
}

/// The same out of the table in `docs/metrics.md`.
fn documented_metrics() -> BTreeSet<(String, String)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md"));
    let page = page.unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `offhook_"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        (format!("offhook_{name}"), rest.split_once(" |").unwrap().0.to_owned())
    })
    .collect()
}

#[tokio::test]
async fn metrics_can_be_kept_off_the_api() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server =
        Server::with(Options::default().set(format!("server.metrics_listen={free}"))).await;
    assert_eq!(server.client.get("/metrics").await.status, 404);
    let metrics = server.client.get(&format!("http://{free}/metrics")).await;
    assert!(metrics.status == 200 && metrics.text.contains("offhook_"));
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let server = Server::start().await;
    let answer = server.client.get("/healthz").await;
    assert_eq!(answer.headers["x-request-id"].len(), 36);
    let request = server.client.request(reqwest::Method::GET, "/assistant");
    let answer = server.client.send(request.header("x-request-id", "mine")).await;
    assert_eq!(answer.headers["x-request-id"], "mine");
}

#[test]
fn the_printed_defaults_are_settings_that_can_be_used() {
    let defaults = offhook(&["config", "--defaults"]);
    assert!(defaults.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(&file, defaults.stdout).unwrap();
    // Settings are read before anything is opened, so a wrong flag shows that the file was right.
    let error = error_of(&["serve", "--config", file.to_str().unwrap(), "--set", "server.lisen=1"]);
    assert!(error.contains("server.lisen") && error.contains("server.listen"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_setting_that_cannot_be_is_refused_with_what_would_work() {
    for (setting, expected) in [
        ("calls.concurrency_limit=0", "from 1 to 100000"),
        ("calls.drain_timeout=soon", "drain_timeout"),
        ("server.listen=everywhere", "server.listen"),
        ("nonsense", "--set takes SECTION.KEY=VALUE"),
    ] {
        let error = error_of(&["serve", "--set", setting]);
        assert!(error.starts_with("offhook: ") && error.contains(expected), "{setting}: {error}");
    }
    let error = error_of(&["serve", "--config", "/nowhere/offhook.toml"]);
    assert!(error.contains("/nowhere/offhook.toml"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = Server::start().await;
    let address = server.client.url.strip_prefix("http://").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = format!("store.path={}", folder.path().display());
    let listen = format!("server.listen={address}");
    let error = error_of(&["serve", "--set", &store, "--set", &listen]);
    assert!(error.contains(address) && error.contains("set server.listen"), "{error}");
}

#[tokio::test]
async fn a_store_that_is_in_use_is_named() {
    let server = Server::start().await;
    let store = format!("store.path={}", server.store().display());
    let error = error_of(&["serve", "--set", "server.listen=127.0.0.1:0", "--set", &store]);
    assert!(error.contains(server.store().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_server_without_keys_makes_one_and_shows_it_once() {
    use std::os::unix::fs::PermissionsExt;

    let server = Server::with(Options::default().without_keys()).await;
    let shown = |server: &Server| {
        let made = "offhook: no API key is configured; made one, shown only now: ";
        server.log().iter().find_map(|line| line.strip_prefix(made).map(str::to_owned))
    };
    let key = shown(&server).unwrap();
    let file = server.store().join("api-key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let client = server.client.with_key(Some(&key));
    let created = client.create("/assistant", &json!({"name": "first"})).await;
    assert_eq!(server.client.get("/assistant").await.status, 401);

    let server = server.kill_and_restart().await;
    assert_eq!(shown(&server), None);
    let client = server.client.with_key(Some(&key));
    assert_eq!(client.ids("/assistant").await, [created["id"].as_str().unwrap()]);
}

#[tokio::test]
async fn doctor_uses_what_the_stored_assistants_name_and_lists_what_is_gone() {
    let calls = Calls::start().await;
    let client = &calls.server.client;
    client.create("/assistant", &calls.assistant(json!({"name": "clinic"}))).await;
    let voice = json!({"provider": "playht", "voiceId": "jennifer"});
    let gone = calls.assistant(json!({"name": "hotel", "voice": voice}));
    let gone = client.create("/assistant", &gone).await;

    let config = calls.server.store().with_file_name("offhook.toml");
    let listen = format!("server.listen={}", client.url.strip_prefix("http://").unwrap());
    let args = ["doctor", "--json", "--probe", "--set", &listen, "--config"];
    let args: Vec<String> =
        args.map(str::to_owned).into_iter().chain([config.display().to_string()]).collect();
    let output = tokio::task::spawn_blocking(move || {
        offhook(&args.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["providers"].as_array().unwrap();
    for (provider, kind, subject) in [
        ("deepgram", "transcriber", ""),
        ("openai", "model", "gpt-4.1-mini"),
        ("11labs", "voice", "v1 (eleven_turbo_v2_5)"),
    ] {
        let is_it = |row: &&Value| row["provider"] == provider && row["kind"] == kind;
        let row = rows.iter().find(is_it).unwrap();
        assert_eq!((&row["verdict"], &row["subject"]), (&json!("works"), &json!(subject)), "{row}");
        assert!(row["connectMs"].is_u64() && row["key"].as_str().unwrap().starts_with("file `"));
        assert_eq!(row["firstMs"].is_u64(), kind != "transcriber", "{row}");
    }
    assert_eq!(report["gone"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["gone"][0]["subject"], "assistant `hotel`");
    let found = report["gone"][0]["found"].as_str().unwrap();
    assert!(found.starts_with(gone["id"].as_str().unwrap()), "{found}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("provider-key"));
}
