//! The command line of `offhook chaos`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use offhook_chaos::scenario::{Row, rows};

use super::report::ReportArgs;
use crate::fake_carriers::Carrier;

/// What to break.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ChaosArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// Show every scenario and what it promises
    #[arg(long)]
    list: bool,
    /// Run this scenario only; may be repeated
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// The seed to begin with; alone, the one run that it expands to
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Run so many random seeds, each breaking several things in one call
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Run random seeds for so long; over sockets, call after call while providers break at random
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: Option<u64>,
    /// Runs of each scenario [default: 20]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Calls at the same time in every run [default: what the scenario has]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    calls: Option<u32>,
    /// In real time: a server as a child, fake providers behind sockets, `kill -9` included. With
    /// `--minutes`, `--calls` at a time, ten unless said otherwise
    #[arg(long, conflicts_with_all = ["seeds", "faults"])]
    sockets: bool,
    /// Over sockets: callers dial a number of this fake carrier's, in place of opening websockets
    #[arg(long, value_enum, requires = "sockets", conflicts_with_all = ["minutes", "assistant"])]
    carrier: Option<Carrier>,
    /// Of the faults that a seed expands to, only these, by their places: `1,3`, or `none`
    #[arg(long, value_name = "PLACES")]
    faults: Option<String>,
    /// Run it against this assistant and its real providers: a JSON file as `POST /assistant` takes
    /// it; what passes between server and providers is broken on the way
    #[arg(long, value_name = "FILE.json", requires = "scenario",
        conflicts_with_all = ["seeds", "minutes", "faults", "runs", "calls"])]
    assistant: Option<PathBuf>,
    /// With `--assistant`: what the caller says; may be repeated
    #[arg(long, value_name = "TEXT", requires = "assistant")]
    say: Vec<String>,
    /// With `--assistant`: seconds into the call at which things break
    #[arg(long, value_name = "SECONDS", requires = "assistant")]
    at: Option<f64>,
    /// With `--assistant`: settings that the server is started with, such as providers' keys
    #[arg(long, value_name = "FILE.toml", requires = "assistant")]
    config: Option<PathBuf>,
    /// Also write the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run every scenario and write a page that says what was measured of each promise
    #[command(after_help = "Example:\n  offhook chaos report --out chaos.html --runs 200")]
    Report(ReportArgs),
}

/// What is to be done.
pub enum Work {
    List,
    Report(ReportArgs),
    Rows(Vec<&'static Row>, Options),
    Random(Options),
    Sockets(Vec<&'static Row>, Options),
    Own(Own),
}

/// A run against a user's own assistant.
pub struct Own {
    pub rows: Vec<&'static Row>,
    pub assistant: PathBuf,
    pub say: Vec<String>,
    pub at: Option<Duration>,
    pub config: Option<PathBuf>,
    pub seed: u64,
}

/// How runs are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first seed.
    pub seed: u64,
    pub runs: u64,
    /// Runs go on for so long, however many they are.
    pub time: Option<Duration>,
    pub calls: Option<u32>,
    pub carrier: Option<Carrier>,
    /// Places of the faults that are kept, counted from 1.
    pub faults: Option<Vec<usize>>,
    pub json: Option<PathBuf>,
}

/// Runs of a scenario where nobody says how many.
const RUNS: u64 = 20;

impl ChaosArgs {
    pub fn read(self) -> Result<Work, String> {
        if let Some(Command::Report(args)) = self.command {
            return Ok(Work::Report(args));
        }
        if self.list {
            return Ok(Work::List);
        }
        let rows = self
            .scenario
            .iter()
            .map(|name| rows::find(name).ok_or_else(|| unknown(name)))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(assistant) = self.assistant {
            let at = self.at.map(Duration::try_from_secs_f64).transpose();
            let at = at.map_err(|_| "--at takes seconds from 0 on".to_owned())?;
            let (say, config, seed) = (self.say, self.config, self.seed.unwrap_or(1));
            return Ok(Work::Own(Own { rows, assistant, say, at, config, seed }));
        }
        let faults = self.faults.as_deref().map(places).transpose()?;
        let is_random = rows.is_empty()
            && !self.sockets
            && (self.seed.is_some() || self.seeds.is_some() || self.minutes.is_some());
        let one = self.seed.is_some() && self.seeds.is_none() && self.runs.is_none();
        let runs = if one { 1 } else { self.seeds.or(self.runs).unwrap_or(RUNS) };
        let options = Options {
            // Scenarios are the same in every run of the command, random seeds are not.
            seed: self.seed.unwrap_or_else(|| if is_random { super::fresh_seed() } else { 1 }),
            runs,
            time: self.minutes.map(|minutes| Duration::from_secs(minutes * 60)),
            calls: self.calls,
            carrier: self.carrier,
            faults,
            json: self.json,
        };
        if self.sockets {
            let all = || rows::all().collect();
            return Ok(Work::Sockets(if rows.is_empty() { all() } else { rows }, options));
        }
        Ok(match (rows.is_empty(), is_random) {
            (_, true) => Work::Random(options),
            (true, false) => Work::Rows(rows::all().collect(), options),
            (false, false) => Work::Rows(rows, options),
        })
    }
}

impl Options {
    /// So many runs from seed 1 on.
    pub fn runs(runs: u64) -> Self {
        Self { seed: 1, runs, time: None, calls: None, carrier: None, faults: None, json: None }
    }

    pub fn is_one_run(&self) -> bool {
        self.runs == 1 && self.time.is_none()
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<_> = rows::all().map(|row| row.name).collect();
    format!("unknown scenario `{name}`, expected one of: {}", known.join(", "))
}

fn places(text: &str) -> Result<Vec<usize>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let read = |place: &str| place.trim().parse().ok().filter(|place| *place > 0);
    text.split(',').map(read).collect::<Option<_>>().ok_or_else(|| {
        format!("--faults takes places such as `1,3`, counted from 1, or `none`, not `{text}`")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        chaos: ChaosArgs,
    }

    fn read(line: &str) -> Result<Work, String> {
        let words = std::iter::once("chaos").chain(line.split_whitespace());
        Line::try_parse_from(words).map_err(|error| error.to_string())?.chaos.read()
    }

    #[test]
    fn a_seed_alone_is_one_random_run() {
        let Ok(Work::Random(options)) = read("--seed 7") else { panic!() };
        assert!(options.is_one_run() && options.seed == 7);
        let Ok(Work::Random(options)) = read("--seed 7 --seeds 30") else { panic!() };
        assert_eq!((options.seed, options.runs), (7, 30));
    }

    #[test]
    fn a_scenario_is_found_by_its_name_and_a_wrong_one_is_answered_with_all() {
        let Ok(Work::Rows(rows, options)) = read("--scenario disk_full --runs 3") else { panic!() };
        assert_eq!((rows[0].name, options.runs, options.seed), ("disk_full", 3, 1));
        let refused = read("--scenario disk_fool").err().unwrap();
        assert!(refused.contains("unknown scenario `disk_fool`") && refused.contains("disk_full"));
    }

    #[test]
    fn faults_are_chosen_by_their_places() {
        let Ok(Work::Random(options)) = read("--seed 7 --faults 1,3") else { panic!() };
        assert_eq!(options.faults, Some(vec![1, 3]));
        assert!(read("--seed 7 --faults 0").is_err());
    }
}
