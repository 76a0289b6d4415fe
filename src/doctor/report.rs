//! How what was found is told: to people as a table, to programs as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Finding, ProviderRow, Report, State};
use crate::console::{self, Console, Style};

/// Width of the column that says what was looked at.
const SUBJECT_WIDTH: usize = 24;

/// Where what was found begins.
const INDENT: usize = SUBJECT_WIDTH + 11;

const HEADINGS: &[&str] =
    &["provider", "kind", "key", "model or voice", " connect", " first answer", "verdict"];

pub fn print(console: Console, report: &Report) {
    for line in lines(console, report) {
        console.line(line);
    }
}

pub fn print_json(console: Console, report: &Report) {
    console.line(format_args!("{:#}", document(report)));
}

fn lines(console: Console, report: &Report) -> Vec<String> {
    let mut lines: Vec<String> =
        report.findings.iter().flat_map(|finding| lay_out(console, finding)).collect();
    if !report.providers.is_empty() {
        lines.push(format!("\n{}", console.paint(Style::Heading, "Providers")));
        lines.extend(providers(console, &report.providers));
    }
    if !report.gone.is_empty() {
        let heading = "Documents that name a service which is gone";
        lines.push(format!("\n{}", console.paint(Style::Heading, heading)));
        lines.extend(report.gone.iter().flat_map(|finding| lay_out(console, finding)));
    }
    let problems = counted(report.count(State::Problem), "problem");
    let warnings = counted(report.count(State::Warning), "warning");
    lines.push(format!("\n{problems}, {warnings}"));
    lines
}

fn lay_out(console: Console, finding: &Finding) -> Vec<String> {
    let word = console.paint(style(finding.state), &format!("{:<7}", finding.state.name()));
    // Settings complain in several lines.
    let found = finding.found.replace('\n', &format!("\n{:INDENT$}", ""));
    let mut lines = vec![format!("{word}  {:<SUBJECT_WIDTH$}  {found}", finding.subject)];
    if let Some(advice) = &finding.advice {
        lines.push(format!("{:INDENT$}-> {advice}", ""));
    }
    lines
}

/// The table, and below it what to do about each row that needs it.
fn providers(console: Console, rows: &[ProviderRow]) -> Vec<String> {
    let cells = rows.iter().map(|row| {
        vec![
            row.provider.clone(),
            row.stage.name().to_owned(),
            row.key.clone(),
            row.subject.clone(),
            row.connect.map(in_ms).unwrap_or_default(),
            row.first.map(in_ms).unwrap_or_default(),
            format!("{}: {}", row.state.name(), row.verdict),
        ]
    });
    let mut lines = console::table(console, HEADINGS, &cells.collect::<Vec<_>>());
    for row in rows {
        if let Some(advice) = &row.advice {
            let what = format!("{} {}", row.stage, row.provider);
            lines.push(format!("-> {}: {advice}", console.paint(style(row.state), &what)));
        }
    }
    lines
}

fn document(report: &Report) -> Value {
    let finding = |it: &Finding| {
        json!({
            "subject": it.subject, "state": it.state.name(), "found": it.found, "advice": it.advice,
        })
    };
    let ms = |time: Option<Duration>| time.map(|time| time.as_millis() as u64);
    let provider = |row: &ProviderRow| {
        json!({
            "provider": row.provider, "kind": row.stage.name(), "key": row.key,
            "subject": row.subject, "connectMs": ms(row.connect), "firstMs": ms(row.first),
            "state": row.state.name(), "verdict": row.verdict, "advice": row.advice,
        })
    };
    json!({
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "providers": report.providers.iter().map(provider).collect::<Vec<_>>(),
        "gone": report.gone.iter().map(finding).collect::<Vec<_>>(),
        "problems": report.count(State::Problem),
        "warnings": report.count(State::Warning),
    })
}

const fn style(state: State) -> Style {
    match state {
        State::Ok => Style::Good,
        State::Warning => Style::Warning,
        State::Problem => Style::Bad,
    }
}

fn in_ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use offhook_core::Stage;

    use super::*;

    fn report() -> Report {
        let row = ProviderRow {
            provider: "11labs".into(),
            stage: Stage::Voice,
            key: "variable ELEVENLABS_API_KEY".into(),
            subject: "v1".into(),
            connect: Some(Duration::from_millis(80)),
            first: Some(Duration::from_millis(210)),
            state: State::Problem,
            verdict: "no such voice".into(),
            advice: Some("choose another".into()),
        };
        Report {
            findings: vec![Finding::problem("store folder", "not writable", "choose another")],
            providers: vec![row],
            gone: vec![Finding::warning("assistant `a`", "voice is PlayHT", "name another")],
        }
    }

    #[test]
    fn a_finding_says_what_to_do() {
        let lines = lay_out(Console::plain(), &report().findings[0]);
        assert_eq!(lines[0], "problem  store folder              not writable");
        assert_eq!(lines[1].trim(), "-> choose another");
        assert_eq!(lay_out(Console::plain(), &Finding::ok("a", "b")).len(), 1);
    }

    #[test]
    fn providers_are_a_table_with_what_to_do_below() {
        let text = lines(Console::plain(), &report()).join("\n");
        let row = text.lines().find(|line| line.contains("11labs")).unwrap();
        for cell in ["voice", "variable ELEVENLABS_API_KEY", "v1", "80 ms", "210 ms", "no such"] {
            assert!(row.contains(cell), "{row}");
        }
        assert!(text.contains("-> voice 11labs: choose another"), "{text}");
        assert!(text.contains("assistant `a`"), "{text}");
        assert!(text.ends_with("2 problems, 1 warning"), "{text}");
    }

    #[test]
    fn programs_are_told_the_same() {
        let document = document(&report());
        assert_eq!(document["providers"][0]["firstMs"], 210);
        assert_eq!(document["providers"][0]["kind"], "voice");
        assert_eq!(document["findings"][0]["state"], "problem");
        assert_eq!((&document["problems"], &document["warnings"]), (&json!(2), &json!(1)));
    }

    #[test]
    fn findings_are_counted_in_words() {
        let words = [0, 1, 2].map(|count| counted(count, "problem"));
        assert_eq!(words, ["no problems", "1 problem", "2 problems"]);
    }
}
