//! `offhook bench`: measures a server as its callers hear it.
//!
//! Callers speak and listen over the calls' websockets in real time. What they say is numbers in
//! tones, which fake providers understand and answer with the same numbers, so that every answer is
//! known word by word; the fakes tell when each turn passed them, and what no provider took of a
//! turn is the runtime's.
//!
//! Assumptions:
//! - Times are compared between processes of one machine (`CLOCK_MONOTONIC`); without fakes only the
//!   callers' own clock counts, and the server may be anywhere.
//! - The leg is Vapi's websocket transport, unless callers dial the number of a fake carrier, which
//!   runs in this program.
//!
//! How turns are taken is measured by callers who speak: see [`turns`]. What campaigns and their slots
//! cost, [`campaigns`] and [`slots`] tell.

mod answer;
mod assistant;
mod call;
mod caller;
mod campaigns;
pub mod clock;
mod dice;
mod exchange;
mod fakes;
mod fleet;
mod hearing;
mod options;
mod overhead;
mod phrase;
mod playback;
mod process;
mod progress;
mod results;
mod samples;
mod setups;
mod slots;
mod stage;
mod table;
mod turns;
mod usage;
mod vowel;

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    console::{Console, Style},
    fake_carriers::Carrier,
    server_child::told_to_stop,
};
use caller::Conduct;
use clock::Moment;
use fakes::FakesReport;
use fleet::{Load, News};
use options::{Bench, Options};
use overhead::LeastSilence;
use phrase::Speech;
use process::Process;
use progress::Progress;
use results::Results;
use setups::{Rate, Setups};
use stage::Stage;
use usage::Usage;

pub use options::BenchArgs;

/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// Time in which a server that was warmed up gets rid of what its first call left.
const SETTLE: Duration = Duration::from_secs(1);

/// Where `--json` writes to standard output.
const STDOUT: &str = "-";

pub async fn run(args: BenchArgs) -> Result<ExitCode, String> {
    match args.read()? {
        Bench::Calls(load, options) => run_calls(load, *options).await,
        Bench::Turns(args) => turns::run(args).await,
        Bench::Slots(args) => slots::run(args).await,
        Bench::Campaigns(args) => campaigns::run(args).await,
    }
}

async fn run_calls(load: Load, options: Options) -> Result<ExitCode, String> {
    let format = match options.carrier {
        Some(_) => exchange::FORMAT,
        None => options.format.audio(),
    };
    let conduct = Conduct {
        format,
        speech: Speech::read(&options.wav, format)?,
        turns: options.turns,
        barge_in: options.barge_in,
        words: options.words,
        patience: options.patience,
        is_greeted: options.carrier.is_some(),
        seed: options.seed,
    };
    let mut progress = Progress::new(load.total);
    let mut stage = Stage::set(load, &options, format).await?;
    let measured = tokio::select! {
        measured = measure(&stage, load, &options, conduct, &mut progress) => measured,
        stopped = told_to_stop() => Err(stopped.err().unwrap_or_else(|| "stopped before the end".into())),
    };
    progress.finish();
    let ended = match &measured {
        Ok(_) => None,
        // A server that is gone is why calls failed.
        Err(_) => tokio::time::timeout(Duration::ZERO, stage.server_ended()).await.ok(),
    };
    let struck = stage.strike().await;
    let results = match (measured, ended) {
        (Ok(results), _) => results,
        (Err(_), Some(ended)) => return Err(ended),
        (Err(error), None) => return Err(error),
    };
    struck?;
    conclude(&results, &options)
}

/// Shows the results, and says whether they are good.
fn conclude(results: &Results, options: &Options) -> Result<ExitCode, String> {
    let json = options.json.as_deref();
    if json != Some(Path::new(STDOUT)) {
        let console = Console::new();
        console.line(console.paint(Style::Heading, &headline(results, options)));
        table::print(console, results);
    }
    if let Some(path) = json {
        write_json(path, &results.json())?;
    }
    Ok(if results.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn headline(results: &Results, options: &Options) -> String {
    let Load { calls, total, .. } = results.load;
    format!(
        "offhook bench: {calls} calls at a time, {total} in all, {} turns each, {}, {}, {:.0} % \
         interrupted, seed {}",
        options.turns,
        match options.carrier {
            Some(carrier) => format!("over {}", carrier.name()),
            None => options::name(options.format),
        },
        options::name(options.transcriber),
        options.barge_in * 100.0,
        options.seed
    )
}

fn write_json(path: &Path, document: &Value) -> Result<(), String> {
    if path == Path::new(STDOUT) {
        Console::new().line(format_args!("{document:#}"));
        return Ok(());
    }
    std::fs::write(path, format!("{document:#}\n"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

async fn measure(
    stage: &Stage,
    load: Load,
    options: &Options,
    conduct: Conduct,
    progress: &mut Progress,
) -> Result<Results, String> {
    let least = LeastSilence::of(&stage.assistant)?;
    let knows_words = matches!(conduct.speech, Speech::Tones { .. });
    if stage.is_own() {
        progress.say("warming up with one call");
        let once = Load { calls: 1, ramp: Duration::ZERO, total: 1 };
        let brief = Conduct { turns: 1, ..conduct.clone() };
        let mut warmed = new_results(json!({}), once, stage, knows_words);
        hold(&mut warmed, stage, brief, &mut Progress::new(1)).await?;
        if let Some(problem) = warmed.problems().into_iter().next() {
            return Err(format!("the first call, to warm up, went wrong: {problem}"));
        }
        sleep(SETTLE).await;
    }
    if let Some(url) = &stage.fakes_url {
        fakes::prepare(url, options.words).await?;
    }
    progress.say(&format!("placing {} calls, {} at a time", load.total, load.calls));
    let settings = settings(load, options, stage);
    let mut results = new_results(settings, load, stage, knows_words);
    hold(&mut results, stage, conduct.clone(), progress).await?;
    if let (0, Some((_, reason))) = (results.setup.count(), results.failures.first()) {
        return Err(format!("no call could be placed: {reason}"));
    }
    if let Some(url) = &stage.fakes_url {
        results.compare(FakesReport::fetch(url).await?, least);
    }
    if let Some(rate) = options.setups() {
        results.setups = Some(set_up(stage, rate, conduct).await?);
    }
    Ok(results)
}

/// Has calls come at a rate; each hangs up when it was greeted.
async fn set_up(stage: &Stage, rate: Rate, conduct: Conduct) -> Result<Setups, String> {
    sleep(SETTLE).await;
    let load = rate.load();
    let mut progress = Progress::new(load.calls);
    progress.say(&format!("placing {} calls a second", rate.calls_per_second));
    let mut results = new_results(json!({}), load, stage, false);
    let greeted = Conduct { turns: 0, ..conduct };
    hold(&mut results, stage, greeted, &mut progress).await?;
    progress.finish();
    Ok(Setups::of(rate, results))
}

fn new_results(settings: Value, load: Load, stage: &Stage, knows_words: bool) -> Results {
    let callers = Usage::of_idle(Process::own());
    let mut results = Results::new(settings, load, callers, knows_words);
    results.server = stage.server.map(Usage::of_idle);
    results.fakes = stage.fakes.map(Usage::of_idle);
    results
}

/// Holds all calls of a load.
async fn hold(
    results: &mut Results,
    stage: &Stage,
    conduct: Conduct,
    progress: &mut Progress,
) -> Result<(), String> {
    let began = Moment::now();
    let load = results.load;
    let mut news = match &stage.exchange {
        Some(exchange) => exchange.start(load, Arc::new(conduct)),
        None => fleet::start(load, stage.target.clone(), Arc::new(conduct))?,
    };
    let mut sampling = interval(SAMPLE_EVERY);
    sampling.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut up, mut ended, mut was_full, mut is_falling) = (0, 0, false, false);
    loop {
        let news = tokio::select! {
            news = news.recv() => match news {
                Some(news) => news,
                None => break,
            },
            _ = sampling.tick() => {
                let since = Moment::now().since(began);
                results.each_usage(|usage| usage.sample(since, ended));
                progress.show(ended, up);
                continue;
            }
        };
        match news {
            News::Up => {
                up += 1;
                if up == load.calls && !was_full {
                    was_full = true;
                    if !is_falling {
                        results.each_usage(|usage| usage.steady_begins(Moment::now()));
                    }
                }
            }
            News::Ended { outcome, more } => {
                ended += 1;
                up -= u32::from(outcome.setup.is_some());
                if !more && !is_falling {
                    is_falling = true;
                    results.each_usage(|usage| usage.steady_ends(Moment::now()));
                }
                results.add(*outcome);
            }
        }
    }
    results.took = Moment::now().since(began);
    Ok(())
}

/// What was asked for, for whoever reads the figures later.
fn settings(load: Load, options: &Options, stage: &Stage) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "calls": load.calls,
        "total": load.total,
        "ramp_ms": load.ramp.as_millis() as u64,
        "turns": options.turns,
        "words": options.words,
        "barge_in": options.barge_in,
        "carrier": options.carrier.map(Carrier::name),
        "format": options::name(options.format),
        "transcriber": options::name(options.transcriber),
        "patience_ms": options.patience.as_millis() as u64,
        "seed": options.seed,
        "url": stage.target.url,
        "own_server": stage.is_own(),
        "assistant": stage.assistant,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    })
}
