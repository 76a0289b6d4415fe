//! `offhook bench turns`, as its users run it: callers speak, so that a synthesizer has to be
//! installed.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::{Command, Output};

use serde_json::{Value, json};

/// Whether a program is there.
fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Says why a test has nothing to do, where it has not.
fn is_mute() -> bool {
    let mute = !is_installed("espeak-ng") && !is_installed("flite");
    if mute {
        eprintln!("skipped: neither espeak-ng nor flite is installed to speak for the callers");
    }
    mute
}

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    let turns = ["bench", "turns"];
    command.args(turns).args(args).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap()
}

#[test]
fn an_impatient_agent_cuts_off_who_thinks_and_nobody_who_does_not_pause() {
    if is_mute() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    let impatient = json!({"startSpeakingPlan": {
        "waitSeconds": 0.1,
        "transcriptionEndpointingPlan": {"onNoPunctuationSeconds": 0.1},
    }});
    std::fs::write(&plan, impatient.to_string()).unwrap();
    let categories = ["--category", "plain", "--category", "thought", "--category", "interruption"];
    let mut args = vec!["--calls", "1", "--snr", "clean", "--seed", "7", "--json", "-"];
    args.extend(categories);
    args.extend(["--plan", plan.to_str().unwrap()]);
    let output = bench(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |category: &str| {
        let rows = results["rows"].as_array().unwrap();
        rows.iter().find(|row| row["category"] == category).unwrap().clone()
    };
    assert_eq!(results["failures"], json!([]));
    assert_eq!((&row("plain")["lines"], &row("plain")["cut_off"]), (&json!(1), &json!(0)));
    assert_eq!(row("thought")["cut_off"], 1, "{results:#}");
    let miss = results["misses"].as_array().unwrap().iter().find(|miss| {
        miss["category"] == "thought" && miss["what"].as_str().unwrap().starts_with("cut off")
    });
    assert!(miss.unwrap()["words"][0]["end_ms"].is_u64(), "{results:#}");
    let endpointing = row("plain")["endpointing_ms"]["p50"].as_f64().unwrap();
    // At least the silence by which the end of speech is known, and no call takes a second more.
    assert!((50.0..1_500.0).contains(&endpointing), "{results:#}");
    assert_eq!(
        (&row("interruption")["interruptions"], &row("interruption")["missed_interruptions"]),
        (&json!(1), &json!(0)),
        "{results:#}"
    );
    assert_eq!(row("interruption")["stop_ms"]["count"], 1);
    let met = results["targets"].as_array().unwrap().iter().find(|one| one["what"] == "cut-offs");
    assert_eq!(met.unwrap()["met"], false);
}

#[test]
fn a_missed_target_is_an_error_only_where_targets_are_checked() {
    if is_mute() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    // Slower than the target for plain sentences.
    std::fs::write(&plan, json!({"startSpeakingPlan": {"waitSeconds": 1.5}}).to_string()).unwrap();
    let args = ["--calls", "1", "--snr", "clean", "--category", "plain", "--check"];
    let output = bench(&[&args[..], &["--plan", plan.to_str().unwrap()]].concat());
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("MISSED endpointing of plain sentences"), "{shown}");
    assert!(shown.contains("met    cut-offs: 0 of 1"), "{shown}");
}

#[test]
fn options_that_mean_nothing_are_refused_by_name() {
    for (args, named) in [
        (&["--snr", "loud"][..], "--snr"),
        (&["--category", "sneeze"], "--category"),
        (&["--plan", "no-such-file.json"], "no-such-file.json"),
        (&["--echo-words", "2"], "--echo-words"),
    ] {
        let output = bench(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(named), "{args:?}: {error}");
    }
}
