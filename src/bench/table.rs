//! The results as a person reads them.

use super::{
    overhead::SEGMENTS,
    results::{FIRST_AUDIO_P95_MS, Results},
    samples::{PERCENTILES, Samples},
    usage::Usage,
};
use crate::console::{Console, Style, table};

/// The stretches of a turn, in the order of [`SEGMENTS`].
const SEGMENT_LABELS: [&str; SEGMENTS.len()] = [
    "  leg to transcriber",
    "  transcriber (provider)",
    "  transcriber to model",
    "  model (provider)",
    "  model to voice",
    "  voice (provider)",
    "  voice to leg",
];

pub fn print(console: Console, results: &Results) {
    print_times(console, &rows(results));
    console.heading("Calls");
    for (label, text) in counts(results) {
        console.line(format_args!("{label:<10}{text}"));
    }
    if let Some(setups) = &results.setups {
        console.line(format_args!("{:<10}{}", "set-ups", setups.said()));
    }
    if let Some((p95, is_held)) = results.first_audio_p95() {
        let (state, style) = match is_held {
            true => ("held", Style::Good),
            false => ("MISSED", Style::Bad),
        };
        console.line(format_args!(
            "{:<10}first audio p95 {p95:.1} ms, promised {FIRST_AUDIO_P95_MS} ms: {}",
            "promise",
            console.paint(style, state)
        ));
    }
    for (name, usage) in [("server", &results.server), ("fakes", &results.fakes)] {
        if let Some(usage) = usage {
            console.line(format_args!("{name:<10}{}", used(usage, results)));
        }
    }
    console.line(format_args!("{:<10}{}", "callers", used(&results.callers, results)));
    for warning in results.warnings() {
        console.line(console.paint(Style::Warning, &format!("warning: {warning}")));
    }
    let of_setups = results.setups.iter().flat_map(|setups| setups.problems.clone());
    for problem in results.problems().into_iter().chain(of_setups) {
        console.line(console.paint(Style::Bad, &format!("FAILED: {problem}")));
    }
}

/// Shows rows of [`row`].
pub fn print_times(console: Console, rows: &[Vec<String>]) {
    console.heading("Times in ms");
    let mut headings = vec!["what"];
    let percentiles = PERCENTILES.map(|(name, _)| format!(" {name}"));
    headings.extend(percentiles.iter().map(String::as_str));
    headings.extend([" max", " count"]);
    for line in table(console, &headings, rows) {
        console.line(line);
    }
}

fn rows(results: &Results) -> Vec<Vec<String>> {
    let mut rows = vec![row("response: end of speech to first sound", &results.response)];
    if let Some(overhead) = &results.overhead {
        rows.extend(
            SEGMENT_LABELS
                .iter()
                .zip(&overhead.segments)
                .map(|(label, samples)| row(label, samples)),
        );
        rows.push(row("  silence that the plan waits for", &overhead.waited));
        rows.push(row("runtime overhead", &overhead.total));
    }
    if results.barge_ins > 0 {
        rows.push(row("interruption: onset to told", &results.told));
        rows.push(row("interruption: onset to silence", &results.silent));
    }
    rows.push(row("call setup", &results.setup));
    if results.first_audio.count() > 0 {
        rows.push(row("webhook to first audio, without the voice", &results.first_audio));
    }
    if let Some(setups) = &results.setups {
        rows.push(row("  the same, of calls at a rate", &setups.first_audio));
        rows.push(row("  setup of calls at a rate", &setups.setup));
    }
    rows.push(row("audio ahead of what is played", &results.ahead));
    rows.push(row("lateness of the callers themselves", &results.lateness));
    rows
}

fn row(label: &str, samples: &Samples) -> Vec<String> {
    times(label, samples, 1)
}

/// What was measured, its percentiles in ms, the most and the count.
pub fn times(label: &str, samples: &Samples, decimals: usize) -> Vec<String> {
    let cell = |ms: Option<f64>| ms.map_or_else(|| "-".into(), |ms| format!("{ms:.decimals$}"));
    let mut row = vec![label.to_owned()];
    row.extend(PERCENTILES.map(|(_, share)| cell(samples.percentile_ms(share))));
    row.push(cell(samples.max_ms()));
    row.push(samples.count().to_string());
    row
}

fn counts(results: &Results) -> Vec<(&'static str, String)> {
    let longest =
        results.gaps.iter().max().map(|gap| format!(", the longest {} ms", gap.as_millis()));
    let mut counts = vec![
        (
            "calls",
            format!(
                "{} completed, {} failed, in {:.1} s",
                results.completed,
                results.failures.len(),
                results.took.as_secs_f64()
            ),
        ),
        (
            "turns",
            format!(
                "{} asked, {} answered, {} lost",
                results.asked(),
                results.answered,
                results.lost.len()
            ),
        ),
    ];
    if let Some(wrong) = results.wrong {
        counts.push((
            "words",
            format!(
                "{} missing, {} doubled, {} that belong nowhere",
                wrong.missing, wrong.doubled, wrong.foreign
            ),
        ));
    }
    counts.push((
        "playout",
        format!("{} gaps over 60 ms{}", results.gaps.len(), longest.unwrap_or_default()),
    ));
    if results.barge_ins > 0 {
        let untold = results.barge_ins - results.told.count();
        let loud = results.barge_ins - results.silent.count();
        counts.push((
            "barge-in",
            format!(
                "{} interruptions, {untold} that nobody was told of, {loud} that did not silence",
                results.barge_ins
            ),
        ));
    }
    counts
}

/// CPU and memory of a process.
fn used(usage: &Usage, results: &Results) -> String {
    let calls = results.load.calls;
    let Some((cpu, time)) = usage.cpu_percent().zip(usage.steady_time()) else {
        return "no steady state".into();
    };
    let mut text = format!(
        "{cpu:.1} % of a core, {:.3} % a call, over {:.1} s",
        cpu / f64::from(calls),
        time.as_secs_f64()
    );
    if let Some((kib, idle)) = usage.kib_a_call(calls).zip(usage.idle_kib()) {
        text.push_str(&format!("; {kib:.0} KiB a call over {:.1} MiB idle", idle as f64 / 1_024.0));
    }
    if let Some([(first, before), (last, after)]) = usage.first_and_last(calls, results.load.total)
    {
        let change = 100.0 * (after as f64 / before as f64 - 1.0);
        text.push_str(&format!(
            "; {:.1} MiB after {first} calls, {:.1} MiB after {last} ({change:+.1} %)",
            before as f64 / 1_024.0,
            after as f64 / 1_024.0
        ));
    }
    text
}
