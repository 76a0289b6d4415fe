//! What turn-taking has to be like.

use serde_json::{Value, json};

use super::{
    category::Category,
    options::Plan,
    results::{Results, Row},
};

/// Silence of the server after a whole sentence, its providers' time not counted, in the median.
const ENDPOINTING_P50_MS: f64 = 450.0;

/// The largest share of noises that may silence the agent.
const FALSE_INTERRUPTIONS_MAX: f64 = 0.02;

/// One demand, and how it was met.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub what: &'static str,
    pub measured: String,
    pub demanded: String,
    pub met: bool,
}

/// All demands that the calls say something about.
pub fn targets(results: &Results, plan: &Plan) -> Vec<Target> {
    let all = results.sum(|_| true);
    let plain = results.sum(|category| category == Category::Plain);
    let mut targets = vec![
        share("cut-offs", all.cut_off, all.lines, plan.cut_offs_max()),
        share("lines without an answer", all.unanswered, all.lines, 0.0),
    ];
    if let Some(p50) = plain.endpointing.percentile_ms(0.5) {
        targets.push(Target {
            what: "endpointing of plain sentences, median",
            measured: format!("{p50:.0} ms"),
            demanded: format!("at most {ENDPOINTING_P50_MS:.0} ms"),
            met: p50 <= ENDPOINTING_P50_MS,
        });
    }
    if all.interruptions > 0 {
        targets.push(share("missed interruptions", all.missed, all.interruptions, 0.0));
    }
    if all.noises > 0 {
        targets.extend(false_interruptions(&all));
    }
    targets
}

fn false_interruptions(all: &Row) -> [Target; 2] {
    let silenced = all.false_interruptions();
    [
        share("false interruptions", silenced, all.noises, FALSE_INTERRUPTIONS_MAX),
        share("false interruptions not resumed within 2 s", all.not_resumed(), silenced, 0.0),
    ]
}

fn share(what: &'static str, count: u32, of: u32, most: f64) -> Target {
    let share = f64::from(count) / f64::from(of.max(1));
    Target {
        what,
        measured: format!("{count} of {of} ({:.1} %)", share * 100.0),
        demanded: if most > 0.0 { format!("at most {:.0} %", most * 100.0) } else { "none".into() },
        met: share <= most,
    }
}

pub fn json(targets: &[Target]) -> Value {
    let targets = targets.iter().map(|target| {
        json!({"what": target.what, "measured": target.measured, "demanded": target.demanded,
            "met": target.met})
    });
    Value::Array(targets.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_met_up_to_what_is_demanded() {
        assert!(share("cut-offs", 2, 100, 0.02).met);
        let missed = share("cut-offs", 3, 100, 0.02);
        assert_eq!((missed.met, missed.measured.as_str()), (false, "3 of 100 (3.0 %)"));
        assert!(share("missed interruptions", 0, 0, 0.0).met);
    }
}
