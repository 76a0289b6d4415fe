//! The same scenarios over sockets, in real time: `offhook serve` as a child, fake providers that
//! speak the real protocols, `kill -9` included.
//!
//! What callers say and hear are numbers in tones, as in `offhook bench`: a caller of number 117 says
//! `117 21 1001 1002 ...`, and the fake model answers `117 21 1 2 ... 8.`

mod judge;
mod line;
mod phone;
pub mod recipes;
mod scene;
mod soak;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use offhook_chaos::scenario::{Bound, Outcome, Plan, Row, Verdict};
use tokio::time::{sleep, sleep_until};

use super::{options::Options, results::Results};
use judge::Held;
use recipes::{Recipe, Step, bounds_of};
use scene::Scene;

pub use recipes::has_recipe;
pub use soak::run as soak;

/// Between the beginnings of calls that run at the same time.
const STAGGER: Duration = Duration::from_millis(40);

/// Runs some rows; those without a recipe are left out.
pub async fn of_rows(rows: &[&'static Row], options: &Options) -> Result<Vec<Results>, String> {
    let mut all = Vec::new();
    for row in
        rows.iter().filter(|row| row.form.has_sockets() && has_recipe(row.name, options.carrier))
    {
        let began = Instant::now();
        let bounds = bounds_of(row, options.carrier);
        let mut outcomes = Vec::new();
        for seed in options.seeds() {
            let outcome = run(row, seed, options).await?;
            let state = if outcome.broken.is_empty() { "held" } else { "broken" };
            eprintln!("offhook chaos: {}: seed {seed} over sockets: {state}", row.name);
            outcomes.push(outcome);
        }
        let verdict = Verdict::of(&outcomes, bounds);
        all.push(Results {
            name: row.name,
            row: Some(row),
            verdict,
            bounds,
            outcomes,
            took: began.elapsed(),
            over_sockets: true,
            carrier: options.carrier,
        });
    }
    Ok(all)
}

/// One run: a server, its providers, and so many callers.
async fn run(row: &'static Row, seed: u64, options: &Options) -> Result<Outcome, String> {
    let recipe = Recipe::of(row.name, seed, options.carrier);
    if options.is_one_run() {
        recipe.print();
    }
    let calls = options.calls.unwrap_or(recipe.calls);
    let scene = Scene::set(calls, options.carrier, &recipe).await?;
    scene.receiver.take_for_tools(recipe.tool.unwrap_or_default());
    let callers = join_all((0..calls).map(|nth| {
        let (scene, recipe) = (&scene, &recipe);
        async move {
            sleep(STAGGER * nth).await;
            match scene.carrier {
                Some(carrier) => phone::hold(scene, carrier, nth, recipe).await,
                None => judge::hold(scene, nth, recipe).await,
            }
        }
    }));
    // Whoever has a telephone is not to be broken in the middle of a word: all have begun.
    let after = if options.carrier.is_some() { STAGGER * (calls - 1) } else { Duration::ZERO };
    let breaking = break_things(&scene, &recipe, after);
    let (held, broke) = tokio::join!(callers, breaking);
    broke?;
    let held = held.into_iter().collect::<Result<Vec<Held>, String>>()?;
    let after = scene.settled().await;
    let happened = scene.happened();
    let (measured, broken) =
        judge::judge(&recipe, bounds_of(row, options.carrier), &held, &after, &happened);
    scene.strike().await?;
    let plan = Plan { calls, ..Plan::new(row.name, seed) };
    Ok(Outcome { plan, measured, broken })
}

/// Carries out the steps of a recipe at their times.
async fn break_things(scene: &Scene, recipe: &Recipe, after: Duration) -> Result<(), String> {
    let began = tokio::time::Instant::now() + after;
    for (at, step) in &recipe.steps {
        sleep_until(began + *at).await;
        scene.note_fault();
        match step {
            Step::Fault(fault) => scene.fault(fault).await?,
            Step::Receiver(status) => scene.receiver.answer(*status),
            Step::KillAndRestart { down } => scene.kill_and_restart(*down).await?,
            Step::Terminate => scene.terminate().await,
            Step::Replace => scene.replace().await?,
            Step::Media(fault) => scene.break_media(fault)?,
        }
    }
    Ok(())
}

/// Bounds that are measured over sockets too.
fn is_measured(bound: &Bound) -> bool {
    use offhook_chaos::scenario::Measure;
    matches!(
        bound.measure,
        Measure::WordsLost
            | Measure::WordsRepeated
            | Measure::CallerWordsLost
            | Measure::CallerWordsRepeated
            | Measure::ToolsTwice
            | Measure::Gap
            | Measure::DeadAir
            | Measure::End
            | Measure::Bridge
    )
}
