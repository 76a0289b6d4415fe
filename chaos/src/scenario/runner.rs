//! Runs plans, many at a time, and sums up what was measured.

use std::{
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Bound, Measure, Plan, invariants, shrink,
    world::{self, Ran},
};

/// One run, judged.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub plan: Plan,
    pub measured: Vec<(Measure, f64)>,
    /// What was broken that must not break, bounds included; empty: all is well.
    pub broken: Vec<String>,
}

/// What all runs of a row came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub runs: usize,
    pub failed: Vec<Outcome>,
    pub figures: Vec<Figure>,
}

/// One measure over all runs in which it could be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub measure: Measure,
    pub at_most: f64,
    pub runs: usize,
    pub p50: f64,
    pub p95: f64,
    pub max: f64,
}

/// What an actor says that is told to crash.
const ON_PURPOSE: &str = "told to crash";

/// Keeps the panics that plans ask for out of the terminal; all others are shown as ever.
pub fn expect_crashes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let show = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&ON_PURPOSE) {
                show(info);
            }
        }));
    });
}

/// Runs a plan and judges it by what must always hold and by `bounds`.
pub fn run(plan: &Plan, bounds: &[Bound]) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| world::run(plan))) {
        Ok(ran) => judge(&ran, bounds),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let what = format!("the run panicked: {}", text.unwrap_or_default());
            Outcome { plan: plan.clone(), measured: Vec::new(), broken: vec![what] }
        }
    }
}

/// Judges what a run came to.
pub fn judge(ran: &Ran, bounds: &[Bound]) -> Outcome {
    let judged = invariants::judge(ran);
    let mut broken = invariants::broken(ran, &judged);
    let mut measured = Vec::new();
    for Bound { measure, at_most } in bounds {
        let Some(figure) = measure.of(ran, &judged) else { continue };
        measured.push((*measure, figure));
        if figure > *at_most {
            let unit = measure.unit();
            broken.push(format!("{measure}: {figure} {unit}, promised are at most {at_most}"));
        }
    }
    Outcome { plan: ran.plan.clone(), measured, broken }
}

/// Runs plans on as many threads as the machine has cores; each outcome is shown as it comes. Stops
/// taking new ones when `is_enough` says so.
pub fn run_all(
    plans: impl Iterator<Item = Plan> + Send,
    bounds: &[Bound],
    is_enough: impl Fn() -> bool + Sync,
    on_outcome: impl FnMut(Outcome) + Send,
) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (plans, on_outcome) = (Mutex::new(plans), Mutex::new(on_outcome));
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_enough() {
                    let next = plans.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(plan) = next else { break };
                    taken.fetch_add(1, Ordering::Relaxed);
                    let outcome = run(&plan, bounds);
                    (on_outcome.lock().unwrap_or_else(PoisonError::into_inner))(outcome);
                }
            });
        }
    });
}

/// The places of the faults that a failing run needs, counted from 1.
pub fn shrink(outcome: &Outcome, bounds: &[Bound]) -> Vec<usize> {
    shrink::faults_needed(&outcome.plan, |plan| !run(plan, bounds).broken.is_empty())
}

impl Verdict {
    pub fn of(outcomes: &[Outcome], bounds: &[Bound]) -> Self {
        let figures = bounds.iter().filter_map(|bound| figure(outcomes, *bound)).collect();
        let failed = outcomes.iter().filter(|outcome| !outcome.broken.is_empty()).cloned();
        Self { runs: outcomes.len(), failed: failed.collect(), figures }
    }
}

fn figure(outcomes: &[Outcome], Bound { measure, at_most }: Bound) -> Option<Figure> {
    let of_run = |outcome: &Outcome| {
        let found = outcome.measured.iter().find(|(of, _)| *of == measure);
        found.map(|(_, figure)| *figure)
    };
    let mut figures: Vec<f64> = outcomes.iter().filter_map(of_run).collect();
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    let quantile = |share: f64| figures[(last as f64 * share).round() as usize];
    Some(Figure {
        measure,
        at_most,
        runs: figures.len(),
        p50: quantile(0.5),
        p95: quantile(0.95),
        max: figures[last],
    })
}
