//! `offhook doctor`: looks at what a server needs before it is needed.
//!
//! It changes nothing and sends nothing that a provider would charge for.

mod addresses;
mod machine;
mod providers;

use std::{process::ExitCode, time::Duration};

use crate::{
    cli::SettingsArgs,
    console::{Console, Style},
};

/// Time for a host to accept a connection, TLS included: what a caller would hear as silence.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Time for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);

/// Width of the column that says what was looked at.
const SUBJECT_WIDTH: usize = 24;

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    subject: String,
    state: State,
    found: String,
    /// What to do about it.
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// Something will not work, which may not matter here.
    Warning,
    /// The server does not start, or what was configured does not work.
    Problem,
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

pub async fn run(args: &SettingsArgs) -> Result<ExitCode, String> {
    let console = Console::new();
    let findings = examine(args).await?;
    for finding in &findings {
        lay_out(console, finding).iter().for_each(|line| console.line(line));
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    console.line(format_args!(
        "\n{}, {}",
        counted(problems, "problem"),
        counted(warnings, "warning")
    ));
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(args: &SettingsArgs) -> Result<Vec<Finding>, String> {
    let source = match &args.config {
        Some(path) => format!("{} and the environment", path.display()),
        None => "the defaults and the environment".to_owned(),
    };
    let settings = match args.load() {
        Ok(settings) => settings,
        Err(error) => {
            let advice = "`offhook config --defaults` shows every setting with its default";
            return Ok(vec![Finding::problem("settings", error, advice)]);
        }
    };
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    // The client that providers are reached with, so that what is found is what a call would find.
    let http = offhook_providers::Net::new(CONNECT_LIMIT, program, true)
        .map_err(|error| format!("cannot set up the HTTP client: {error}"))?
        .http;
    let mut findings = vec![Finding::ok("settings", format!("valid, from {source}"))];
    findings.extend(machine::store(&settings));
    let (listen, providers) =
        tokio::join!(addresses::listen(&settings), providers::examine(&settings, &http));
    let is_running = listen.is_running;
    findings.push(listen.finding);
    let (public, webhook) = tokio::join!(
        addresses::public_url(&settings, &http, is_running),
        addresses::webhook(&settings, &http)
    );
    findings.push(public);
    findings.extend(webhook);
    findings.extend(machine::programs());
    findings.extend(providers);
    Ok(findings)
}

fn lay_out(console: Console, finding: &Finding) -> Vec<String> {
    let (word, style) = match finding.state {
        State::Ok => ("ok     ", Style::Good),
        State::Warning => ("warning", Style::Warning),
        State::Problem => ("problem", Style::Bad),
    };
    let word = console.paint(style, word);
    // Settings complain in several lines.
    let found =
        finding.found.replace('\n', &format!("\n{:indent$}", "", indent = SUBJECT_WIDTH + 11));
    let mut lines = vec![format!("{word}  {:<SUBJECT_WIDTH$}  {found}", finding.subject)];
    if let Some(advice) = &finding.advice {
        lines.push(format!("{:indent$}-> {advice}", "", indent = SUBJECT_WIDTH + 11));
    }
    lines
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_to_do() {
        let finding = Finding::problem("store folder", "not writable", "choose another");
        let lines = lay_out(Console::plain(), &finding);
        assert_eq!(lines[0], "problem  store folder              not writable");
        assert_eq!(lines[1].trim(), "-> choose another");
        assert_eq!(lay_out(Console::plain(), &Finding::ok("a", "b")).len(), 1);
    }

    #[tokio::test]
    async fn settings_that_are_wrong_are_the_only_finding() {
        let overrides = vec!["server.lissen=1".to_owned()];
        let args = SettingsArgs { config: None, overrides };
        let findings = examine(&args).await.unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].state, State::Problem);
        assert!(findings[0].found.contains("server.lissen"), "{findings:?}");
    }

    #[test]
    fn findings_are_counted_in_words() {
        let words = [0, 1, 2].map(|count| counted(count, "problem"));
        assert_eq!(words, ["no problems", "1 problem", "2 problems"]);
    }
}
