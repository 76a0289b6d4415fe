//! `offhook outbox`: server events that wait for their receivers, and those that nobody took.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    client::Client,
    console::{Console, Style},
    server_args::ServerArgs,
};

/// Events asked for at once; the API gives no more.
const LISTED_MAX: usize = 1_000;

/// What to do with the outbox.
#[derive(Args)]
pub struct OutboxArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Subcommand)]
enum What {
    /// List the events that wait for their receivers, and those that were given up
    #[command(after_help = "Example:\n  offhook outbox list --dead")]
    List {
        /// Only those that were given up
        #[arg(long)]
        dead: bool,
        /// Print JSON, as the API has it
        #[arg(long)]
        json: bool,
    },
    /// Send events again that were given up; try those at once that wait
    #[command(after_help = "Examples:\n  offhook outbox retry 0b9c…\n  offhook outbox retry --all")]
    Retry {
        /// Ids of events, as `offhook outbox list` shows them
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All that were given up
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

pub async fn run(args: OutboxArgs) -> Result<ExitCode, String> {
    let client = args.server.client()?;
    let console = Console::new();
    match args.what {
        What::List { dead, json } => list(&client, console, dead, json).await,
        What::Retry { ids, .. } if !ids.is_empty() => retry(&client, console, ids).await,
        What::Retry { .. } => {
            let found = client.get(&format!("/outbox?state=dead&limit={LISTED_MAX}")).await?;
            let ids = results(&found).filter_map(|one| one["id"].as_str().map(str::to_owned));
            retry(&client, console, ids.collect()).await
        }
    }
}

async fn list(
    client: &Client,
    console: Console,
    dead: bool,
    as_json: bool,
) -> Result<ExitCode, String> {
    let state = if dead { "&state=dead" } else { "" };
    let found = client.get(&format!("/outbox?limit={LISTED_MAX}{state}")).await?;
    if as_json {
        console.line(&found["results"]);
        return Ok(ExitCode::SUCCESS);
    }
    for one in results(&found) {
        let state = text(one, "state");
        let style = if state == "dead" { Style::Bad } else { Style::Warning };
        console.line(format_args!(
            "{}  {}  {}  call {}  to {}  {}",
            text(one, "id"),
            console.paint(style, state),
            text(one, "event"),
            text(one, "callId"),
            text(one, "url"),
            console.paint(Style::Aside, text(one, "createdAt")),
        ));
        if let Some(error) = one["lastError"].as_str() {
            let attempts = &one["attempts"];
            console.line(format_args!("    tried {attempts} times, the last: {error}"));
        }
    }
    let total = found["metadata"]["totalItems"].as_u64().unwrap_or_default();
    let shown = results(&found).count() as u64;
    console.line(match (total, total - shown.min(total)) {
        (0, _) => "nothing waits, nothing was given up".to_owned(),
        (total, 0) => format!("{total} events"),
        (total, more) => format!("{total} events, {more} of them not shown"),
    });
    Ok(ExitCode::SUCCESS)
}

/// Has events tried again, in the order given; a failure does not keep the rest from it.
async fn retry(client: &Client, console: Console, ids: Vec<String>) -> Result<ExitCode, String> {
    let mut failed = 0;
    for id in &ids {
        match client.post(&format!("/outbox/{id}/retry"), &json!({})).await {
            Ok(_) => console.line(format_args!("{id}  is tried again")),
            Err(problem) => {
                failed += 1;
                console.line(console.paint(Style::Bad, &format!("{id}  {problem}")));
            }
        }
    }
    console.line(format_args!("{} of {} events are tried again", ids.len() - failed, ids.len()));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn results(found: &Value) -> impl Iterator<Item = &Value> {
    found["results"].as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn text<'a>(one: &'a Value, field: &str) -> &'a str {
    one[field].as_str().unwrap_or_default()
}
