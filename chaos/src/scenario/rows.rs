//! The table of faults, row by row: what a failure may cost the caller.

mod actors;
mod leg;
mod model;
mod node;
mod transcriber;
mod voice;

use super::{Bound, Measure, Plan, Row, random, row::at_most};
use crate::chance::Chance;

/// Every row, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [transcriber::ROWS, voice::ROWS, model::ROWS, node::ROWS, actors::ROWS, leg::ROWS]
        .into_iter()
        .flatten()
}

pub fn find(name: &str) -> Option<&'static Row> {
    all().find(|row| row.name == name)
}

/// What is absolute, in every row in which the agent can still be heard.
pub const NO_WORD_LOST: [Bound; 5] = [
    at_most(Measure::WordsLost, 0.0),
    at_most(Measure::WordsRepeated, 0.0),
    at_most(Measure::CallerWordsLost, 0.0),
    at_most(Measure::CallerWordsRepeated, 0.0),
    at_most(Measure::ToolsTwice, 0.0),
];

/// The absolute bounds and those of a row.
const fn with<const N: usize>(bound: Bound) -> [Bound; N] {
    let mut all = [bound; N];
    let mut at = 0;
    while at < NO_WORD_LOST.len() && at < N {
        all[at] = NO_WORD_LOST[at];
        at += 1;
    }
    all
}

/// A call of two to four questions on providers of everyday speed, and chance for the rest.
fn usual(name: &'static str, seed: u64) -> (Plan, Chance) {
    let chance = Chance::new(seed);
    let mut plan = Plan::new(name, seed);
    plan.cast = random::cast(&chance);
    plan.cast.stt_rate_capped = false;
    plan.caller = random::caller(&chance);
    (plan, chance)
}
