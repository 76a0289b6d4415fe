//! The results as a person reads them.

use super::{
    super::samples::Samples,
    cases::snr_name,
    check::Target,
    results::{Results, Row, name},
};
use crate::console::{Console, Style, table};

/// Misses that are shown; all are in the JSON.
const MISSES_SHOWN: usize = 25;

/// Times in ms; endpointing is the response without what providers took.
const HEADINGS: [&str; 16] = [
    "category",
    " noise",
    " lines",
    " cut off",
    " no answer",
    " response",
    " p95",
    " endpointing",
    " p95",
    " disturbed",
    " silenced",
    " resumed",
    " p95",
    " missed",
    " stop",
    " p95",
];

pub fn print(console: Console, results: &Results, targets: &[Target]) {
    console.heading("Times in ms");
    let mut rows: Vec<Vec<String>> = results
        .rows
        .iter()
        .map(|((category, snr), row)| cells(&name(*category), &snr_name(*snr), row))
        .collect();
    rows.push(cells("all", "", &results.sum(|_| true)));
    for line in table(console, &HEADINGS, &rows) {
        console.line(line);
    }
    console.heading("Targets");
    for target in targets {
        let text = format!("{}: {}, {}", target.what, target.measured, target.demanded);
        let (style, verdict) =
            if target.met { (Style::Good, "met   ") } else { (Style::Bad, "MISSED") };
        console.line(format_args!("{} {text}", console.paint(style, verdict)));
    }
    if !results.misses.is_empty() {
        console.heading("Worst taken");
        for miss in results.misses.iter().take(MISSES_SHOWN) {
            console.line(format_args!(
                "--case {}: {}, {}, {}, {}: {}: {}",
                miss.nth,
                name(miss.category),
                snr_name(miss.snr),
                miss.noise,
                miss.voice,
                miss.what,
                miss.said
            ));
        }
        let more = results.misses.len().saturating_sub(MISSES_SHOWN);
        if more > 0 {
            console.line(format_args!("and {more} more, in --json"));
        }
    }
    for warning in results.warnings() {
        console.line(console.paint(Style::Warning, &format!("warning: {warning}")));
    }
    for (nth, reason) in &results.failures {
        console.line(console.paint(Style::Bad, &format!("FAILED: call {nth}: {reason}")));
    }
}

fn cells(category: &str, snr: &str, row: &Row) -> Vec<String> {
    let time = |samples: &Samples, share| {
        samples.percentile_ms(share).map_or_else(|| "-".into(), |ms| format!("{ms:.0}"))
    };
    let of = |count: u32, of: u32| if of == 0 { "-".into() } else { count.to_string() };
    let both = row.noises + row.interruptions;
    vec![
        category.to_owned(),
        snr.to_owned(),
        row.lines.to_string(),
        row.cut_off.to_string(),
        row.unanswered.to_string(),
        time(&row.response, 0.5),
        time(&row.response, 0.95),
        time(&row.endpointing, 0.5),
        time(&row.endpointing, 0.95),
        of(both, both),
        of(row.false_interruptions(), row.noises),
        of(row.resumed_in_time, row.noises),
        time(&row.silence, 0.95),
        of(row.missed, row.interruptions),
        time(&row.stop, 0.5),
        time(&row.stop, 0.95),
    ]
}
