//! `offhook chaos`: breaks things on purpose and says which promise did not hold.

mod options;
mod own;
mod progress;
mod report;
mod results;
mod sockets;

use std::{
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use offhook_chaos::scenario::{Bound, Outcome, Plan, Row, Verdict, random, rows, runner, shrink};

use crate::console::{Console, Style};
use options::{Options, Work};
use progress::Progress;
use report::ReportArgs;
use results::Results;

pub use options::ChaosArgs;

pub async fn run(args: ChaosArgs) -> Result<ExitCode, String> {
    let work = args.read()?;
    if let Work::Sockets(rows, options) = work {
        runner::expect_crashes();
        let results = match options.time {
            Some(time) => vec![sockets::soak(&options, time).await?],
            None => sockets::of_rows(&rows, &options).await?,
        };
        return conclude(&results, &options);
    }
    if let Work::Own(own) = work {
        return own::run(own).await;
    }
    // Runs have runtimes of their own, which cannot be started on a worker of this one.
    let done = tokio::task::spawn_blocking(move || carry_out(work));
    done.await.map_err(|error| format!("the runs could not be carried out: {error}"))?
}

fn carry_out(work: Work) -> Result<ExitCode, String> {
    runner::expect_crashes();
    match work {
        Work::List => list(),
        Work::Rows(rows, options) | Work::Sockets(rows, options) => {
            conclude(&of_rows(&rows, &options), &options)
        }
        Work::Report(args) => report(&args),
        // Carried out before, on the runtime that they need.
        Work::Own(_) => Ok(ExitCode::SUCCESS),
        Work::Random(options) => conclude(&[of_random(&options)], &options),
    }
}

fn list() -> Result<ExitCode, String> {
    let console = Console::new();
    for row in rows::all() {
        console.line(format_args!("{:<30} {}", row.name, row.promise));
        if let offhook_chaos::scenario::row::Form::Elsewhere(command) = row.form {
            console.line(format_args!("{:<30} run by: {command}", ""));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs everything and writes the page; it is written whether the promises held or not.
fn report(args: &ReportArgs) -> Result<ExitCode, String> {
    let sockets = args.sockets.as_deref().map(results::read).transpose()?;
    let all: Vec<_> = rows::all().collect();
    let of_rows = of_rows(&all, &Options::runs(args.runs));
    let random = of_random(&Options::runs(args.seeds));
    report::write(&args.out, &report::render(&of_rows, &random, sockets.as_ref()))?;
    let console = Console::new();
    console.line(format_args!("wrote {}", args.out.display()));
    let held = of_rows.iter().chain([&random]).all(|results| results.verdict.failed.is_empty());
    if !held {
        console.line(console.paint(Style::Bad, "BROKEN: the page says which promises and why"));
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The runs of some rows, in virtual time.
fn of_rows(rows: &[&'static Row], options: &Options) -> Vec<Results> {
    let rows = rows.iter().filter(|row| row.form.is_virtual());
    rows.map(|row| {
        let plans = options.seeds().map(|seed| options.applied((row.plan)(seed)));
        runs(row.name, Some(row), plans, row.bounds, options)
    })
    .collect()
}

/// The runs of random seeds, in virtual time.
fn of_random(options: &Options) -> Results {
    let plans = options.seeds().map(|seed| options.applied(random::plan(seed)));
    runs("random", None, plans, &rows::NO_WORD_LOST, options)
}

fn runs(
    name: &'static str,
    row: Option<&'static Row>,
    plans: impl Iterator<Item = Plan> + Send,
    bounds: &'static [Bound],
    options: &Options,
) -> Results {
    let began = Instant::now();
    let mut progress = Progress::new(name, options);
    let mut outcomes: Vec<Outcome> = Vec::new();
    let is_over = || options.time.is_some_and(|time| began.elapsed() >= time);
    runner::run_all(plans, bounds, is_over, |outcome| {
        outcomes.push(outcome);
        progress.show(&outcomes);
    });
    progress.finish();
    outcomes.sort_by_key(|outcome| outcome.plan.seed);
    let verdict = Verdict::of(&outcomes, bounds);
    let took = began.elapsed();
    Results { name, row, verdict, bounds, outcomes, took, over_sockets: false, carrier: None }
}

/// Shows what came of it; the exit status says whether every promise held.
fn conclude(all: &[Results], options: &Options) -> Result<ExitCode, String> {
    let console = Console::new();
    if options.is_one_run() && all.iter().all(|results| !results.over_sockets) {
        for outcome in all.iter().flat_map(|results| &results.outcomes) {
            console.line(outcome.plan.to_string().trim_end());
        }
    }
    for results in all {
        results.print(console);
    }
    if let Some(path) = &options.json {
        let document = results::document(all);
        std::fs::write(path, format!("{document:#}\n"))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let Some((results, outcome)) =
        all.iter().find_map(|results| Some((results, results.verdict.failed.first()?)))
    else {
        return Ok(ExitCode::SUCCESS);
    };
    let broken = outcome.broken.first().map_or("", String::as_str);
    console.line(console.paint(
        Style::Bad,
        &format!("BROKEN: {}: {broken}; repeat it with: {}", results.name, results.repeat(outcome)),
    ));
    Ok(ExitCode::FAILURE)
}

/// A seed that no run had before.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.as_secs() * 1_000
}

impl Options {
    fn seeds(&self) -> impl Iterator<Item = u64> + Send + use<> {
        let first = self.seed;
        let count = if self.time.is_some() { u64::MAX } else { self.runs };
        (0..count).map(move |nth| first.wrapping_add(nth))
    }

    /// A plan as the command line changes it.
    fn applied(&self, plan: Plan) -> Plan {
        let mut plan = match &self.faults {
            Some(places) => shrink::with_faults(&plan, places),
            None => plan,
        };
        if let Some(calls) = self.calls {
            plan.calls = calls;
        }
        plan
    }
}
