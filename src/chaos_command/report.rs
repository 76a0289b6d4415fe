//! `offhook chaos report`: one page that says of each promise what was measured.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use offhook_chaos::scenario::{
    Measure, Row,
    measure::Unit,
    picture::{escaped, svg},
    row::Form,
    rows,
    runner::Figure,
    world,
};

use super::results::Results;

/// What the report is made of.
#[derive(Args)]
pub struct ReportArgs {
    /// The page to write
    #[arg(long, value_name = "FILE.html")]
    pub out: PathBuf,
    /// Runs of each scenario
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// Random seeds beside them
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub seeds: u64,
    /// What `--json` of a run over sockets wrote: its figures are shown beside those in virtual time
    #[arg(long, value_name = "FILE.json")]
    pub sockets: Option<PathBuf>,
}

const STYLE: &str = include_str!("report.css");

/// Renders the page.
pub fn render(all: &[Results], random: &Results, sockets: Option<&serde_json::Value>) -> String {
    let broken = all.iter().filter(|results| !results.verdict.failed.is_empty()).count();
    let runs: usize = all.iter().chain([random]).map(|results| results.verdict.runs).sum();
    let headline = match broken + usize::from(!random.verdict.failed.is_empty()) {
        0 => "Every promise held.".to_owned(),
        1 => "One promise did not hold.".to_owned(),
        broken => format!("{broken} promises did not hold."),
    };
    let mut body = String::new();
    put(&mut body, "<h1>What a failure costs the caller</h1>");
    put(
        &mut body,
        &format!(
            "<p class=\"sum\">{headline} {runs} runs in virtual time by Offhook {} on {}: real actors, \
         providers that break, every word counted as the caller heard it.</p>",
            env!("CARGO_PKG_VERSION"),
            jiff::Zoned::now().strftime("%e %B %Y"),
        ),
    );
    for row in rows::all() {
        match all.iter().find(|results| results.name == row.name) {
            Some(results) => of_row(&mut body, row, results, sockets),
            None => not_run(&mut body, row, sockets),
        }
    }
    of_random(&mut body, random);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Offhook: what a failure costs the caller</title>\
         <style>{STYLE}</style><main>{body}</main></html>"
    )
}

pub fn write(path: &Path, page: &str) -> Result<(), String> {
    std::fs::write(path, page).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn of_row(body: &mut String, row: &Row, results: &Results, sockets: Option<&serde_json::Value>) {
    let failed = results.verdict.failed.len();
    let state = if failed == 0 { ("held", "held") } else { ("broken", "broken") };
    heading(body, row, state);
    put(body, "<table><tr><th>measured<th>at most<th>p50<th>p95<th>max<th>runs");
    for figure in &results.verdict.figures {
        figure_line(body, figure);
    }
    socket_lines(body, row.name, sockets);
    put(body, "</table>");
    if let Some(outcome) = results.verdict.failed.first() {
        put(body, &format!("<p class=\"why\">{failed} of {} runs:</p><ul>", results.verdict.runs));
        for broken in &outcome.broken {
            put(body, &format!("<li>{}", escaped(broken)));
        }
        put(body, &format!("</ul><p><code>{}</code></p>", escaped(&outcome.plan.command())));
    }
    let shown = results.verdict.failed.first().or(results.outcomes.first());
    if let Some(outcome) = shown {
        let picture = svg(&world::run(&outcome.plan));
        let plan = escaped(&outcome.plan.to_string());
        put(
            body,
            &format!(
                "<details open><summary>seed {}</summary>{picture}<pre>{plan}</pre></details>",
                outcome.plan.seed
            ),
        );
    }
    put(body, "</section>");
}

fn not_run(body: &mut String, row: &Row, sockets: Option<&serde_json::Value>) {
    let state = match row.form {
        Form::Elsewhere(_) => ("missing", "by another command"),
        Form::Sockets | Form::Both | Form::Virtual => ("missing", "over sockets only"),
    };
    heading(body, row, state);
    if let Form::Elsewhere(command) = row.form {
        put(body, &format!("<p>Run by <code>{}</code>.</p>", escaped(command)));
    }
    put(body, "<table>");
    socket_lines(body, row.name, sockets);
    put(body, "</table></section>");
}

fn of_random(body: &mut String, random: &Results) {
    let failed = random.verdict.failed.len();
    let state = if failed == 0 { ("held", "held") } else { ("broken", "broken") };
    put(
        body,
        &format!(
            "<section><h2>random seeds <span class=\"{}\">{}</span></h2><p>{} seeds, each breaking up to \
         four things in one call; {failed} of them broke a promise.</p>",
            state.0, state.1, random.verdict.runs
        ),
    );
    for outcome in &random.verdict.failed {
        let broken = outcome.broken.first().map_or("", String::as_str);
        put(
            body,
            &format!(
                "<p class=\"why\"><code>{}</code> {}</p>",
                escaped(&outcome.plan.command()),
                escaped(broken)
            ),
        );
    }
    put(body, "</section>");
}

fn heading(body: &mut String, row: &Row, (class, state): (&str, &str)) {
    put(
        body,
        &format!(
            "<section id=\"{name}\"><h2>{name} <span class=\"{class}\">{state}</span></h2><p>{}</p>",
            escaped(row.promise),
            name = row.name,
        ),
    );
}

fn figure_line(body: &mut String, figure: &Figure) {
    let Figure { measure, at_most, runs, p50, p95, max } = figure;
    let class = if max > at_most { " class=\"over\"" } else { "" };
    put(
        body,
        &format!(
            "<tr{class}><td>{measure}{}<td>{at_most}<td>{p50}<td>{p95}<td>{max}<td>{runs}",
            unit(*measure)
        ),
    );
}

/// What a run over sockets measured of the same row.
fn socket_lines(body: &mut String, name: &str, sockets: Option<&serde_json::Value>) {
    let rows = sockets.and_then(serde_json::Value::as_array);
    let of_row = rows.into_iter().flatten().filter(|row| row["scenario"] == name);
    for figure in of_row.flat_map(|row| row["figures"].as_array().into_iter().flatten()) {
        let cell = |name: &str| figure[name].as_f64().unwrap_or_default();
        let what = escaped(figure["measure"].as_str().unwrap_or_default());
        put(
            body,
            &format!(
                "<tr><td>{what}, over sockets<td>{}<td>{}<td>{}<td>{}<td>{}",
                cell("atMost"),
                cell("p50"),
                cell("p95"),
                cell("max"),
                cell("runs")
            ),
        );
    }
}

fn unit(measure: Measure) -> &'static str {
    match measure.unit() {
        Unit::Milliseconds => ", ms",
        Unit::Words | Unit::Times => "",
    }
}

fn put(body: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = body.write_str(text);
}
