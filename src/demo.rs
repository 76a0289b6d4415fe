//! `offhook demo`: real calls through a real server, without keys and without configuration.
//!
//! The demo is a user of the server like any other: it starts `offhook serve`, creates an assistant and
//! places calls through the HTTP API, speaks and listens over the call's websocket, and takes tool
//! calls and server events at a webhook of its own. What it claims in the end it has checked.

mod assistant;
mod checks;
mod conduct;
mod fault;
mod folder;
mod recording;
mod report;
#[cfg(test)]
mod specimen;
mod timeline;
mod webhook;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{
    client::Client,
    console::{Console, Style},
    server_child::{Access, Server, ServerOptions, told_to_stop},
};
use conduct::{Conducted, Plan, Stage};
use folder::Folder;
use webhook::Webhook;

/// How to show it.
#[derive(Args)]
pub struct DemoArgs {
    /// Stop the server after the calls; the exit status says whether all went well
    #[arg(long)]
    once: bool,
    /// Folder for recordings, timeline, log and data
    #[arg(long, value_name = "FOLDER", default_value = "demo-output")]
    out: PathBuf,
    /// Keep the data of the demo before: its calls, its recordings, its API key
    #[arg(long)]
    keep: bool,
}

/// The calls that are placed.
const PLANS: &[Plan] = &[
    Plan {
        name: "call-1",
        title: "Call 1: a conversation",
        about: "six questions, a tool call, and a caller who interrupts",
        kill_during: None,
    },
    Plan {
        name: "call-2",
        title: "Call 2: and now we break something",
        about: "the same, but the transcriber's process is killed while the caller is speaking",
        kill_during: Some(1),
    },
];

pub async fn run(args: DemoArgs) -> Result<ExitCode, String> {
    let console = Console::new();
    let folder = Folder::open(&args.out, args.keep)?;
    let webhook = Webhook::start(console).await?;
    let options = ServerOptions {
        address: None,
        data: folder.data(),
        log: folder.file("server.log"),
        config: None,
        settings: vec!["webhooks.allow_private_addresses=true".into()],
    };
    let mut server = Server::start(options).await?;
    let access = server.access.clone();
    let mut result = tokio::select! {
        shown = show(console, &folder, &access, &webhook) => shown,
        reason = server.exited() => Err(reason),
        stopped = told_to_stop() => Err(stopped.err().unwrap_or_else(|| "stopped before the end".into())),
    };
    if result.is_ok() && !args.once {
        report::hints(console, &folder, &access);
        let ended = tokio::select! {
            stopped = told_to_stop() => stopped,
            reason = server.exited() => Err(reason),
        };
        result = ended.and(result);
    }
    console.line(console.paint(Style::Aside, "stopping the server"));
    server.stop().await?;
    match result? {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

/// Places the calls. Returns whether all went well.
async fn show(
    console: Console,
    folder: &Folder,
    access: &Access,
    webhook: &Webhook,
) -> Result<bool, String> {
    let client = Client::new(&access.url, &access.key)?;
    let document = assistant::document(webhook);
    folder.write("assistant.json", format!("{document:#}\n").as_bytes())?;
    let created = client.post("/assistant", &document).await?;
    let assistant_id = crate::call_command::text(&created, "id")?;
    report::introduce(console, folder, access, webhook);

    let lines = assistant::lines().await?;
    let stage = Stage {
        console,
        client: &client,
        server_pid: access.pid,
        webhook,
        assistant_id,
        lines: &lines,
    };
    let mut shown: Vec<Shown> = Vec::new();
    for plan in PLANS {
        report::announce(console, plan);
        let call = stage.conduct(plan).await?;
        folder.write(&format!("{}.wav", plan.name), &call.wav)?;
        report::latencies(console, &call);
        let failures = checks::failures(&call);
        report::verdict(console, &call, &failures);
        shown.push(Shown { call, failures });
    }
    folder.write("timeline.html", timeline::render(&shown).as_bytes())?;
    report::files(console, folder, &shown);
    Ok(shown.iter().all(|shown| shown.failures.is_empty()))
}

/// A call and what was wrong with it.
struct Shown {
    call: Conducted,
    failures: Vec<String>,
}
