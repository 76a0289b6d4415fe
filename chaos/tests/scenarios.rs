//! The table of faults in virtual time, and random seeds: fixed ones, which found something once or
//! are the first there are, and fresh ones, whose first number is printed.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(clippy::print_stdout, reason = "the first fresh seed is for whoever reads a failure")]

use std::{
    sync::Mutex,
    time::{SystemTime, UNIX_EPOCH},
};

use offhook_chaos::scenario::{
    Bound, Outcome, Plan, Row, random, rows, runner,
    world::{self, Ran},
};

/// Runs of each row. `offhook chaos --runs` makes as many as anybody wants.
const RUNS: u64 = 4;

/// Random seeds of every run of the tests that no run had before.
const FRESH_SEEDS: u64 = 200;

fn random_plans(first: u64, count: u64) -> impl Iterator<Item = Plan> + Send {
    (first..first + count).map(random::plan)
}

fn run_all(plans: impl Iterator<Item = Plan> + Send, bounds: &[Bound]) -> Vec<Outcome> {
    runner::expect_crashes();
    let outcomes = Mutex::new(Vec::new());
    runner::run_all(plans, bounds, || false, |outcome| outcomes.lock().unwrap().push(outcome));
    outcomes.into_inner().unwrap()
}

fn assert_held(outcomes: &[Outcome]) {
    if let Some(outcome) = outcomes.iter().find(|outcome| !outcome.broken.is_empty()) {
        let (plan, broken) = (&outcome.plan, outcome.broken.join("\n"));
        panic!("{plan}\n{broken}\nrepeat it with: {}", plan.command());
    }
}

fn runs_of(row: &Row) -> u64 {
    // A herd is fifty calls.
    if row.name == "thundering_herd" { 1 } else { RUNS }
}

fn promises_are_kept(of: impl Fn(&Row) -> bool) {
    for row in rows::all().filter(|row| row.form.is_virtual() && of(row)) {
        let outcomes = run_all((1..=runs_of(row)).map(row.plan), row.bounds);
        assert_held(&outcomes);
    }
}

#[test]
fn what_the_table_promises_of_providers_is_kept() {
    promises_are_kept(|row| {
        ["stt", "tts", "llm", "tool"].iter().any(|it| row.name.starts_with(it))
    });
}

#[test]
fn what_the_table_promises_of_actors_is_kept() {
    promises_are_kept(|row| row.name.starts_with("actor"));
}

#[test]
fn what_the_table_promises_of_everything_else_is_kept() {
    promises_are_kept(|row| {
        !["stt", "tts", "llm", "tool", "actor"].iter().any(|it| row.name.starts_with(it))
    });
}

#[test]
fn seeds_that_were_run_before_still_hold() {
    assert_held(&run_all(random_plans(1, 30), &rows::NO_WORD_LOST));
}

#[test]
fn fresh_seeds_hold() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = now.as_secs() * 1_000;
    println!("{FRESH_SEEDS} seeds from {first}");
    assert_held(&run_all(random_plans(first, FRESH_SEEDS), &rows::NO_WORD_LOST));
}

#[test]
fn a_seed_expands_to_the_same_plan_and_the_same_run_every_time() {
    for seed in [3, 11] {
        assert_eq!(random::plan(seed), random::plan(seed));
        let [one, two] = [0, 1].map(|_| runner::run(&random::plan(seed), &rows::NO_WORD_LOST));
        assert_eq!((one.measured, one.broken), (two.measured, two.broken));
    }
}

#[test]
fn a_seed_repeats_a_run_to_the_millisecond() {
    runner::expect_crashes();
    // What waits and comes again in them: sessions, requests, actors, deliveries.
    let names = ["stt_rate_capped_replay", "llm_5xx", "actor_wedged_transcriber", "webhook_down"];
    let rows = names.map(|name| (rows::find(name).unwrap().plan)(3));
    for plan in rows.into_iter().chain(random_plans(1, 4)) {
        let (first, second) = (world::run(&plan), world::run(&plan));
        let differ = first.notes.iter().zip(&second.notes).find(|(one, two)| one != two);
        assert_eq!(differ, None, "{plan}");
        assert_eq!(first.notes.len(), second.notes.len(), "{plan}");
        let words = |ran: &Ran| -> Vec<_> {
            ran.calls.iter().flat_map(|call| call.words.clone()).collect()
        };
        assert_eq!(words(&first), words(&second), "{plan}");
    }
}
