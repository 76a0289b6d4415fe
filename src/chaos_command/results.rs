//! What the runs came to, as a person and as a program reads it.

use std::{path::Path, time::Duration};

use offhook_chaos::scenario::{
    Bound, Outcome, Row, Verdict,
    measure::Unit,
    runner::{self, Figure},
};
use serde_json::{Value, json};

use crate::{
    console::{Console, Style},
    fake_carriers::Carrier,
};

/// All runs of a row, or of random seeds.
pub struct Results {
    pub name: &'static str,
    pub row: Option<&'static Row>,
    pub verdict: Verdict,
    pub bounds: &'static [Bound],
    pub outcomes: Vec<Outcome>,
    pub took: Duration,
    pub over_sockets: bool,
    pub carrier: Option<Carrier>,
}

/// Failing runs that are shown of a row; the first is shown with the command that repeats it.
const FAILED_SHOWN: usize = 3;

impl Results {
    /// The command that repeats a failing run with as few faults as still make it fail.
    pub fn repeat(&self, outcome: &Outcome) -> String {
        let command = outcome.plan.command();
        if self.row.is_none() && self.over_sockets {
            return command;
        }
        if let Some(carrier) = self.carrier {
            return format!("{command} --sockets --carrier {}", carrier.name());
        }
        if self.over_sockets {
            return format!("{command} --sockets");
        }
        if outcome.plan.faults.len() < 2 {
            return command;
        }
        let needed = runner::shrink(outcome, self.bounds);
        if needed.len() == outcome.plan.faults.len() {
            return command;
        }
        // Without any fault it fails as well: the faults say nothing.
        let places: Vec<_> = needed.iter().map(usize::to_string).collect();
        let places = if places.is_empty() { "none".to_owned() } else { places.join(",") };
        format!("{command} --faults {places}")
    }

    pub fn print(&self, console: Console) {
        let Verdict { runs, failed, figures } = &self.verdict;
        let state = match (failed.len(), runs) {
            (0, 0) => console.paint(Style::Warning, "no runs"),
            (0, _) => console.paint(Style::Good, "held   "),
            _ => console.paint(Style::Bad, "BROKEN "),
        };
        let broken = match failed.len() {
            0 => String::new(),
            failed => format!(", {failed} of them broken"),
        };
        let seconds = self.took.as_secs_f64();
        let name = match self.carrier {
            Some(carrier) => format!("{} over {}", self.name, carrier.name()),
            None => self.name.to_owned(),
        };
        console.line(format_args!("{state} {name:<30} {runs} runs in {seconds:.1} s{broken}"));
        for figure in figures.iter().filter(|figure| is_telling(figure)) {
            let Figure { measure, at_most, p50, p95, max, .. } = figure;
            let unit = measure.unit();
            console.line(format_args!(
                "          {measure}: p50 {p50}, p95 {p95}, max {max} {unit} (at most {at_most})"
            ));
        }
        for outcome in failed.iter().take(FAILED_SHOWN) {
            for broken in &outcome.broken {
                console.line(format_args!("          seed {}: {broken}", outcome.plan.seed));
            }
        }
    }
}

/// A count that is nothing in every run is what `held` says.
fn is_telling(figure: &Figure) -> bool {
    figure.max > 0.0 || figure.measure.unit() == Unit::Milliseconds
}

/// What an earlier run wrote.
pub fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        format!("{} is not what `offhook chaos --json` writes: {error}", path.display())
    })
}

/// The results as JSON.
pub fn document(all: &[Results]) -> Value {
    all.iter().map(of_row).collect()
}

fn of_row(results: &Results) -> Value {
    let figure = |figure: &Figure| {
        json!({
            "measure": figure.measure.to_string(),
            "unit": figure.measure.unit().to_string(),
            "atMost": figure.at_most,
            "runs": figure.runs,
            "p50": figure.p50,
            "p95": figure.p95,
            "max": figure.max,
        })
    };
    let failure = |outcome: &Outcome| {
        let command = match results.carrier {
            Some(_) => results.repeat(outcome),
            None => outcome.plan.command(),
        };
        json!({"seed": outcome.plan.seed, "command": command, "broken": outcome.broken})
    };
    json!({
        "scenario": results.name,
        "overSockets": results.over_sockets,
        "carrier": results.carrier.map(Carrier::name),
        "promise": results.row.map(|row| row.promise),
        "runs": results.verdict.runs,
        "seconds": results.took.as_secs_f64(),
        "figures": results.verdict.figures.iter().map(figure).collect::<Vec<_>>(),
        "broken": results.verdict.failed.iter().map(failure).collect::<Vec<_>>(),
    })
}
