//! What the demo prints.

use std::time::Duration;

use serde_json::Value;

use super::{
    Shown,
    checks::{self, sentence_at},
    conduct::{Conducted, Plan, Sabotage, Turn},
    folder::Folder,
    webhook::Webhook,
};
use crate::{
    console::{Console, Style, table},
    server_child::Access,
};

/// Says what runs, and where.
pub fn introduce(console: Console, folder: &Folder, access: &Access, webhook: &Webhook) {
    console
        .line(console.paint(Style::Heading, "Offhook demo: real calls, no keys, no configuration"));
    let ready_ms = access.ready_after.as_millis();
    console.line(format_args!("  server     {}, ready after {ready_ms} ms", access.url));
    console.line(format_args!("  log        {}", folder.shown("server.log")));
    console.line(format_args!("  webhook    {} (the assistant's tool)", webhook.tools_url()));
    console.line("  caller     flite's voice rms, spoken into the call's websocket in real time");
    console
        .line("  assistant  pocketsphinx listens, scripted rules answer, flite's voice slt speaks");
}

pub fn announce(console: Console, plan: &Plan) {
    console.heading(plan.title);
    console.line(console.paint(Style::Aside, &format!("{}\n", plan.about)));
}

/// Prints how long each turn took, stage by stage, and what the caller measured.
pub fn latencies(console: Console, call: &Conducted) {
    console.line("");
    let headings = [
        "the caller said",
        " transcriber",
        " endpointing",
        " model",
        " voice",
        " server total",
        " caller waited",
    ];
    let turns = call.turns();
    let mut rows: Vec<Vec<String>> = turns.iter().map(row).collect();
    let waits: Vec<Duration> =
        turns.iter().filter_map(|turn| Some(turn.timing?.latency())).collect();
    if let Some(median) = median(waits) {
        let mut last = vec!["median".to_owned()];
        last.resize(headings.len() - 1, String::new());
        last.push(format!("{} ms", median.as_millis()));
        rows.push(last);
    }
    for line in table(console, &headings, &rows) {
        console.line(format_args!("  {line}"));
    }
}

fn row(turn: &Turn<'_>) -> Vec<String> {
    let stage = |name: &str| {
        let ms = turn.latencies.and_then(|latencies| latencies[name].as_f64());
        ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"))
    };
    let waited = turn.timing.map(|timing| format!("{} ms", timing.latency().as_millis()));
    vec![
        turn.line.text.to_owned(),
        stage("transcriberLatency"),
        stage("endpointingLatency"),
        stage("modelLatency"),
        stage("voiceLatency"),
        stage("turnLatency"),
        waited.unwrap_or_else(|| "no answer".to_owned()),
    ]
}

/// The middle one; of an even number, the lower of the two.
pub fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied()
}

/// Says what was checked and found true, or what was not.
pub fn verdict(console: Console, call: &Conducted, failures: &[String]) {
    console.line("");
    let fine =
        |what: &str| console.line(format_args!("  {}  {what}", console.paint(Style::Good, "ok")));
    if failures.is_empty() {
        fine(&format!(
            "{} sentences understood word by word, every one answered, one tool call, {} interruption, ended by \
             the assistant ({})",
            call.lines.len(),
            call.interruptions().count(),
            call.ended_reason()
        ));
        if let Some(Sabotage { pid, at, .. }) = call.sabotage {
            fine(&format!(
                "process {pid} was killed {:.2} s into the call, during `{}`: no word was lost",
                at.as_secs_f64(),
                sentence_at(call, at).unwrap_or_default()
            ));
        }
    }
    for failure in failures {
        let line = format!("FAILED: {}: {failure}", call.plan.name);
        console.line(console.paint(Style::Bad, &line));
    }
}

/// Names what was written.
pub fn files(console: Console, folder: &Folder, shown: &[Shown]) {
    console.heading("Files");
    let file = |name: &str, what: &str| {
        console.line(format_args!("  {:<28}  {what}", folder.shown(name)));
    };
    for Shown { call, .. } in shown {
        let seconds = call.recording.duration().as_secs_f64();
        let what = format!("{seconds:.0} s, stereo: the caller left, the assistant right");
        file(&format!("{}.wav", call.plan.name), &what);
    }
    file(
        "timeline.html",
        "who spoke when, each stage of each turn, with the sound; open it in a browser",
    );
    file("assistant.json", "the assistant, to read and to change");
    file("server.log", "the server's log");
}

/// Says how to go on by hand.
pub fn hints(console: Console, folder: &Folder, access: &Access) {
    let program = std::env::args().next().unwrap_or_else(|| "offhook".into());
    let (url, key) = (&access.url, folder.shown("data/api-key"));
    console.heading("The server goes on running; try it from another terminal");
    console.line(format_args!("  reference  {url}/docs"));
    console.line(format_args!("  metrics    {url}/metrics"));
    console.line(format_args!(
        "\n  export OFFHOOK_API_KEY=\"$(cat {key})\"\n  {program} call --server {url} --assistant {} \\\n    \
         --say \"when are you open\" --say \"no thank you goodbye\" --out my-call.wav",
        folder.shown("assistant.json")
    ));
    console.line(format_args!(
        "  curl -H \"Authorization: Bearer $OFFHOOK_API_KEY\" {url}/assistant\n  \
         curl -H \"Authorization: Bearer $OFFHOOK_API_KEY\" \"{url}/call?limit=1\""
    ));
    console.line(console.paint(Style::Aside, "\nCtrl-C stops it"));
}

/// One word more about a call, for a page: how many words of the caller were lost.
pub fn words_lost(call: &Conducted) -> usize {
    let heard: Vec<String> =
        call.understood().iter().flat_map(|text| checks::words(text)).collect();
    let mut left = heard;
    let said = call.lines.iter().flat_map(|line| checks::words(line.text));
    said.filter(|word| match left.iter().position(|heard| heard == word) {
        Some(at) => {
            left.remove(at);
            false
        }
        None => true,
    })
    .count()
}

/// A latency of the contract's turn latencies, in ms.
pub fn latency_ms(latencies: Option<&Value>, name: &str) -> Option<f64> {
    latencies?[name].as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_times() {
        let ms = Duration::from_millis;
        assert_eq!(median(vec![ms(3), ms(1), ms(2)]), Some(ms(2)));
        assert_eq!(median(vec![ms(4), ms(1), ms(2), ms(3)]), Some(ms(2)));
        assert_eq!(median(vec![]), None);
    }
}
