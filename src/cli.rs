//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use offhook_config::Settings;
use tokio::runtime::Builder;

use crate::{
    bench, call_command, campaign_command, chaos_command, config_command, demo, doctor,
    fakes_command, outbox_command, serve,
};

/// A self-hosted, fault-tolerant runtime for voice agents on the phone.
#[derive(Parser)]
#[command(version, propagate_version = true)]
#[command(after_help = "Example:\n  offhook serve --config offhook.toml")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    #[command(
        after_help = "Example:\n  offhook serve --config offhook.toml --set server.listen=0.0.0.0:8080"
    )]
    Serve(SettingsArgs),
    /// Make one call from the terminal against a running server
    #[command(
        after_help = "Example:\n  offhook call --assistant assistant.json --say \"What are your opening hours?\" --out call.wav"
    )]
    Call(call_command::CallArgs),
    /// Call many: import contacts, watch a campaign, export what became of it
    #[command(
        after_help = "Examples:\n  offhook campaign import contacts.csv --dry-run\n  offhook campaign watch 7e10…\n  \
                      offhook campaign export 7e10… --out outcomes.csv"
    )]
    Campaign(Box<campaign_command::CampaignArgs>),
    /// Check configuration, programs, keys, providers and stored documents, and say what to do
    #[command(after_help = "Example:\n  offhook doctor --config offhook.toml --probe")]
    Doctor(doctor::DoctorArgs),
    /// Show the settings
    #[command(after_help = "Example:\n  offhook config --defaults > offhook.toml")]
    Config(config_command::ConfigArgs),
    /// Measure a server under load: latency, overhead, interruptions, gaps, CPU and memory
    #[command(
        after_help = "Examples:\n  offhook bench --calls 50\n  offhook bench turns --calls 3 --json -\n  \
                      offhook bench --url http://127.0.0.1:8080 --assistant assistant.json --wav question.wav"
    )]
    Bench(Box<bench::BenchArgs>),
    /// Look at server events that were not delivered, and send them again
    #[command(
        after_help = "Examples:\n  offhook outbox list\n  offhook outbox list --dead --json\n  offhook outbox retry --all"
    )]
    Outbox(outbox_command::OutboxArgs),
    /// Break things on purpose, and say which promise did not hold
    #[command(
        after_help = "Examples:\n  offhook chaos --list\n  offhook chaos --scenario stt_drop_mid_utterance --runs 200\n  \
                      offhook chaos --seeds 1000\n  offhook chaos --seed 7"
    )]
    Chaos(Box<chaos_command::ChaosArgs>),
    /// Start a server without keys or configuration and place real calls through it
    #[command(after_help = "Example:\n  offhook demo --once")]
    Demo(demo::DemoArgs),
    /// Serve fake providers, for measuring and for tests
    #[command(hide = true)]
    Fakes(fakes_command::FakesArgs),
}

/// Where settings come from: file, then environment, then flags.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingsArgs {
    /// Settings file (TOML); without one the defaults hold
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, over file and environment; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl SettingsArgs {
    pub fn load(&self) -> Result<Settings, String> {
        let overrides = self
            .overrides
            .iter()
            .map(|setting| {
                setting
                    .split_once('=')
                    .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                    .ok_or_else(|| {
                        format!("--set takes SECTION.KEY=VALUE, for example server.listen=0.0.0.0:8080, not `{setting}`")
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Settings::load(self.config.as_deref(), &overrides).map_err(|error| error.to_string())
    }
}

pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    let mut builder = match matches!(command, Command::Fakes(_)) {
        // Hundreds of calls take less than a core, and more threads would only take turns with
        // what is being measured.
        true => Builder::new_current_thread(),
        false => Builder::new_multi_thread(),
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };

    let result = runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(&args).await.map(|()| ExitCode::SUCCESS),
            Command::Call(args) => call_command::run(args).await,
            Command::Campaign(args) => campaign_command::run(*args).await,
            Command::Doctor(args) => doctor::run(&args).await,
            Command::Config(args) => config_command::run(&args),
            Command::Bench(args) => bench::run(*args).await,
            Command::Chaos(args) => chaos_command::run(*args).await,
            Command::Outbox(args) => outbox_command::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Fakes(args) => fakes_command::run(&args).await,
        }
    });
    match result {
        Ok(code) => code,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("offhook: {message}");
    ExitCode::FAILURE
}
