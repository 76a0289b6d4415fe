//! `offhook campaign`: lists of contacts in, progress and outcomes out.

mod export;
mod import;
mod rows;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{client::Client, console::Console, server_args::ServerArgs};

/// What to do with campaigns.
#[derive(Args)]
pub struct CampaignArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Subcommand)]
enum What {
    /// Check a list of contacts row by row, and make a paused campaign of it
    #[command(after_help = "Examples:\n  offhook campaign import contacts.csv --dry-run\n  \
                      offhook campaign import contacts.csv --assistant 0b9c… --phone-number 51d7… --name Reminders --start\n  \
                      offhook campaign import more.csv --campaign 7e10…")]
    Import(Box<ImportArgs>),
    /// Show a campaign's progress until it is over
    #[command(after_help = "Example:\n  offhook campaign watch 7e10…")]
    Watch { id: String },
    /// Write what became of each contact as CSV
    #[command(after_help = "Example:\n  offhook campaign export 7e10… --out outcomes.csv")]
    Export {
        id: String,
        /// Where to write; standard output by default
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Dial nobody until it is resumed; calls under way go on
    #[command(after_help = "Example:\n  offhook campaign pause 7e10…")]
    Pause { id: String },
    /// Begin a paused campaign, or go on with it
    #[command(after_help = "Example:\n  offhook campaign resume 7e10…")]
    Resume { id: String },
    /// Dial nobody any more; calls under way go on
    #[command(after_help = "Example:\n  offhook campaign stop 7e10…")]
    Stop { id: String },
}

/// Where contacts come from, and what is made of them.
#[derive(Args)]
pub struct ImportArgs {
    /// CSV with a header; the column `number` is required, further ones become variables
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only check the file: nothing is sent, no server is needed
    #[arg(long)]
    pub dry_run: bool,
    /// Add the contacts to this paused campaign
    #[arg(long, value_name = "ID", conflicts_with_all = ["assistant", "phone_number", "name", "settings"])]
    pub campaign: Option<String>,
    /// Id of the assistant that talks
    #[arg(long, value_name = "ID", required_unless_present_any = ["dry_run", "campaign", "settings"])]
    pub assistant: Option<String>,
    /// Id of the phone number that calls
    #[arg(long, value_name = "ID", required_unless_present_any = ["dry_run", "campaign", "settings"])]
    pub phone_number: Option<String>,
    /// Name of the campaign; by default that of the file
    #[arg(long)]
    pub name: Option<String>,
    /// JSON file with further fields of the campaign: dialingPlan, schedulePlan, server …
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// What separates the columns
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    pub delimiter: char,
    /// Begin dialling when all is there
    #[arg(long, conflicts_with = "dry_run")]
    pub start: bool,
}

pub async fn run(args: CampaignArgs) -> Result<ExitCode, String> {
    let console = Console::new();
    if let What::Import(import) = &args.what
        && import.dry_run
    {
        return import::check_only(import, console);
    }
    let client = args.server.client()?;
    match args.what {
        What::Import(import) => import::run(&client, console, &import).await,
        What::Watch { id } => watch::run(&client, console, &id).await,
        What::Export { id, out } => export::run(&client, console, &id, out.as_deref()).await,
        What::Pause { id } => change(&client, console, &id, json!({"paused": true})).await,
        What::Resume { id } => change(&client, console, &id, json!({"paused": false})).await,
        What::Stop { id } => change(&client, console, &id, json!({"status": "cancelled"})).await,
    }
}

async fn change(
    client: &Client,
    console: Console,
    id: &str,
    changes: serde_json::Value,
) -> Result<ExitCode, String> {
    let campaign = client.patch(&format!("/v2/campaign/{id}"), &changes).await?;
    let status = campaign["status"].as_str().unwrap_or_default();
    let paused = if campaign["paused"] == true { ", paused" } else { "" };
    console.line(format_args!("{id}  {status}{paused}"));
    Ok(ExitCode::SUCCESS)
}
