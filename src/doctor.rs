//! `offhook doctor`: looks at what a server needs before it is needed.
//!
//! It changes nothing. Without `--probe` it sends nothing that a provider would charge for; with it,
//! each provider transcribes silence, writes a word or speaks one.

mod addresses;
mod documents;
mod machine;
mod numbers;
mod providers;
mod report;
mod uses;

use std::{process::ExitCode, time::Duration};

use clap::Args;
use offhook_providers::Net;

use self::{documents::Stored, providers::ProviderRow};
use crate::{cli::SettingsArgs, console::Console};

/// Time for a host to accept a connection, TLS included: what a caller would hear as silence.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Time for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);

/// What to look at, and how to tell.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Use each provider for real, to know that model and voice work and how fast: costs a fraction
    /// of a cent each
    #[arg(long)]
    probe: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    subject: String,
    state: State,
    found: String,
    /// What to do about it.
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ok,
    /// Something will not work, which may not matter here.
    Warning,
    /// The server does not start, or what was configured does not work.
    Problem,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl Finding {
    fn ok(subject: &str, found: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: State::Ok, found: found.into(), advice: None }
    }

    fn warning(subject: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let (found, advice) = (found.into(), Some(advice.into()));
        Self { subject: subject.into(), state: State::Warning, found, advice }
    }

    fn problem(subject: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Problem, ..Self::warning(subject, found, advice) }
    }
}

/// All that was found.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
    providers: Vec<ProviderRow>,
    /// Stored documents that name a service which is gone.
    gone: Vec<Finding>,
}

impl Report {
    fn count(&self, state: State) -> usize {
        let findings = self.findings.iter().chain(&self.gone).map(|finding| finding.state);
        let providers = self.providers.iter().map(|row| row.state);
        findings.chain(providers).filter(|found| *found == state).count()
    }
}

pub async fn run(args: &DoctorArgs) -> Result<ExitCode, String> {
    let report = examine(args).await?;
    match args.json {
        true => report::print_json(Console::new(), &report),
        false => report::print(Console::new(), &report),
    }
    Ok(match report.count(State::Problem) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

async fn examine(args: &DoctorArgs) -> Result<Report, String> {
    let source = match &args.settings.config {
        Some(path) => format!("{} and the environment", path.display()),
        None => "the defaults and the environment".to_owned(),
    };
    let settings = match args.settings.load() {
        Ok(settings) => settings,
        Err(error) => {
            let advice = "`offhook config --defaults` shows every setting with its default";
            let findings = vec![Finding::problem("settings", error, advice)];
            return Ok(Report { findings, ..Report::default() });
        }
    };
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    // What providers are reached with, so that what is found is what a call would find.
    let allow_private = settings.webhooks.allow_private_addresses;
    let net = Net::new(CONNECT_LIMIT, program, allow_private)
        .map_err(|error| format!("cannot set up the HTTP client: {error}"))?;
    let mut findings = vec![Finding::ok("settings", format!("valid, from {source}"))];
    findings.extend(machine::store(&settings));
    let listen = addresses::listen(&settings).await;
    let Stored { finding, documents, credentials } =
        documents::read(&settings, listen.running_at).await;
    let found = uses::of(&documents);
    let is_running = listen.running_at.is_some();
    let (public, webhook, numbers, providers) = tokio::join!(
        addresses::public_url(&settings, &net.http, is_running),
        addresses::webhook(&settings, &net.http),
        numbers::examine(&settings, listen.running_at),
        providers::examine(&settings, &net, found.uses, &credentials, args.probe)
    );
    findings.push(listen.finding);
    findings.push(public);
    findings.extend(webhook);
    findings.extend(machine::programs());
    findings.push(finding);
    findings.extend(numbers);
    findings.extend(providers.findings);
    Ok(Report { findings, providers: providers.rows, gone: found.gone })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn settings_that_are_wrong_are_the_only_finding() {
        let overrides = vec!["server.lissen=1".to_owned()];
        let settings = SettingsArgs { config: None, overrides };
        let report = examine(&DoctorArgs { settings, ..DoctorArgs::default() }).await.unwrap();
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].state, State::Problem);
        assert!(report.findings[0].found.contains("server.lissen"));
        assert_eq!(report.count(State::Problem), 1);
    }
}
