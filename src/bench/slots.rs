//! `offhook bench slots`: what a slot costs whoever waits for one.
//!
//! A full node with a crowd that waits: so many times a second a call ends, and the time is taken from
//! there until the task of whoever is next goes on with the slot. Beside it, what a slot costs that
//! is free.

use std::{
    collections::VecDeque,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Args;
use offhook_config::Calls;
use offhook_core::slots::{SlotRequest, Source};
use offhook_supervisors::{Lease, Slots};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    STDOUT,
    samples::Samples,
    table::{print_times, times},
    write_json,
};
use crate::console::{Console, Style};

/// Calls on the node.
const NODE: u32 = 5_000;

/// Who waits, in how many organisations, each with an assistant and a number of its own.
const CROWD: usize = 2_000;
const ORGS: usize = 200;

/// The bound of `--check`.
const P99_MAX_MS: f64 = 1.0;

#[derive(Args)]
pub struct SlotsArgs {
    /// Calls that end, and begin, in a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Exit code 1 where the slowest of a hundred takes more than a millisecond
    #[arg(long)]
    check: bool,
    /// Where to write what was measured, as JSON; `-` for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub async fn run(args: SlotsArgs) -> Result<ExitCode, String> {
    let free = free(args.rate);
    let passed_on = passed_on(args.rate, args.seconds).await;
    let rows = [
        ("a slot that is free: asked for and given back", &free),
        ("a call ends, whoever is next goes on with its slot", &passed_on),
    ];
    let p99 = rows.iter().filter_map(|(_, samples)| samples.percentile_ms(0.99));
    let is_good = p99.fold(0.0, f64::max) <= P99_MAX_MS;
    if args.json.as_deref() != Some(STDOUT.as_ref()) {
        let console = Console::new();
        let title = format!(
            "offhook bench slots: {NODE} calls, {CROWD} waiting in {ORGS} lines, {} a second",
            args.rate
        );
        console.line(console.paint(Style::Heading, &title));
        print_times(console, &rows.map(|(what, samples)| times(what, samples, 3)));
    }
    if let Some(path) = &args.json {
        let document =
            json!({"rate": args.rate, "free_ms": free.json(), "passed_on_ms": passed_on.json()});
        write_json(path, &document)?;
    }
    Ok(if is_good || !args.check { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn node() -> Slots {
    // Whoever waits is to wait for as long as the bench takes.
    let queue_ttl = Duration::from_secs(60 * 60);
    Slots::new(&Calls {
        concurrency_limit: NODE,
        inbound_reserve: 0,
        queue_ttl,
        ..Calls::default()
    })
}

fn request(index: usize) -> SlotRequest {
    let name: Arc<str> = format!("018f2d7e-0000-7000-8000-{:012}", index % ORGS).into();
    SlotRequest {
        assistant: Some(name.clone()),
        number: Some(name.clone()),
        ..SlotRequest::new(Source::Interactive, name)
    }
}

/// A slot is free, and as many calls run as leave it so.
fn free(count: u32) -> Samples {
    let slots = node();
    let busy: Vec<_> =
        (1..NODE as usize).filter_map(|index| slots.take_now(request(index)).ok()).collect();
    let mut samples = Samples::default();
    for index in 0..count as usize {
        let request = request(index);
        let since = Instant::now();
        drop(slots.take_now(request));
        samples.add(since.elapsed());
    }
    drop(busy);
    samples
}

/// All slots are taken, and many wait.
async fn passed_on(rate: u32, seconds: u32) -> Samples {
    let slots = node();
    let mut held: VecDeque<Lease> =
        (0..NODE as usize).filter_map(|index| slots.take_now(request(index)).ok()).collect();
    let (granted, mut grants) = mpsc::unbounded_channel();
    // When calls ended; each lets one go on who waits.
    let ended = Arc::new(Mutex::new(VecDeque::new()));
    let wait = |index: usize| {
        let (slots, granted, ended) = (slots.clone(), granted.clone(), ended.clone());
        tokio::spawn(async move {
            let Ok(lease) = slots.take_in_turn(request(index)).await else { return };
            let since = ended.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let took = since.map(|since: Instant| since.elapsed());
            // Nobody listens any more once the bench is over.
            let _ = granted.send((lease, took));
        });
    };
    (0..CROWD).for_each(&wait);
    tokio::task::yield_now().await;
    let mut samples = Samples::default();
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = rate as usize * seconds as usize;
    let (mut begun, mut index) = (0, CROWD);
    while samples.count() < count as u64 {
        tokio::select! {
            _ = ticks.tick(), if begun < count => {
                begun += 1;
                let lease = held.pop_front();
                ended.lock().unwrap_or_else(PoisonError::into_inner).push_back(Instant::now());
                drop(lease);
                wait(index);
                index += 1;
            }
            Some((lease, took)) = grants.recv() => {
                held.push_back(lease);
                samples.add(took.unwrap_or_default());
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_that_ends_lets_one_go_on_who_waits() {
        assert_eq!(passed_on(500, 1).await.count(), 500);
        assert_eq!(free(100).count(), 100);
    }
}
