//! `offhook chaos`, as its users run it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::{Command, Output};

use offhook_chaos::fakes::{Fakes, FakesOptions};
use serde_json::{Value, json};

fn chaos(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.arg("chaos").args(args).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_scenario_is_listed_with_its_promise() {
    let output = chaos(&["--list"]);
    assert!(output.status.success());
    let listed = text(&output);
    for name in ["stt_drop_mid_utterance", "tool_hangs", "actor_wedged_call", "process_killed"] {
        assert!(listed.lines().any(|line| line.starts_with(name)), "{listed}");
    }
}

#[test]
fn a_promise_that_is_kept_is_told_with_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.json");
    let args = ["--scenario", "stt_drop_mid_utterance", "--runs", "2", "--json"];
    let output = chaos(&[&args[..], &[file.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).starts_with("held    stt_drop_mid_utterance"), "{}", text(&output));
    let results: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(results[0]["runs"], 2);
    let figures = results[0]["figures"].as_array().unwrap();
    let again = figures.iter().find(|it| it["measure"] == "transcribing again after").unwrap();
    assert!(again["max"].as_f64().unwrap() <= 300.0, "{again}");
}

#[test]
fn a_seed_prints_its_plan_and_is_one_run() {
    let output = chaos(&["--seed", "3", "--faults", "none"]);
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.starts_with("seed 3 of random\n  providers"), "{printed}");
    assert!(printed.contains("caller     asks about") && !printed.contains("fault  "), "{printed}");
    assert!(printed.contains("held    random"), "{printed}");
}

#[test]
fn a_promise_that_breaks_is_told_in_one_line_with_the_command_that_repeats_it() {
    // Nobody is left to transcribe, and that is not what this scenario has its caller expect.
    let output = chaos(&["--scenario", "stt_refuses_all", "--seed", "1", "--faults", "none"]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output);
    let last = printed.lines().last().unwrap();
    assert!(last.starts_with("BROKEN: stt_refuses_all: call 0: it ended with"), "{printed}");
    assert!(last.contains("repeat it with: offhook chaos --scenario stt_refuses_all"), "{last}");
}

#[test]
fn a_scenario_that_there_is_not_is_refused_with_those_that_there_are() {
    let output = chaos(&["--scenario", "sst_drop"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("unknown scenario `sst_drop`") && errors.contains("stt_drop"),
        "{errors}"
    );
}

#[test]
fn a_voice_that_dies_in_mid_sentence_is_survived_over_sockets() {
    let output = chaos(&["--scenario", "tts_dies_mid_sentence", "--seed", "1", "--sockets"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("held    tts_dies_mid_sentence"), "{}", text(&output));
}

/// An assistant and settings as a user has them; the fakes are the internet.
async fn own(scenario: &'static str, voice: Value) -> (Output, String) {
    let fakes =
        Fakes::start("127.0.0.1:0".parse().unwrap(), FakesOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (assistant, config) = (folder.path().join("my.json"), folder.path().join("my.toml"));
    let document = json!({
        "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "en"},
        "model": {"provider": "openai", "model": "gpt-4.1-mini"},
        "voice": voice,
        "firstMessage": "Hello.",
    });
    std::fs::write(&assistant, document.to_string()).unwrap();
    let section = |name: &str, fake: &str| {
        format!("[providers.{name}]\napi_key = \"k\"\nbase_url = \"{}\"\n", fakes.base_url(fake))
    };
    let settings = [
        section("deepgram", "deepgram"),
        section("openai", "openai"),
        section("11labs", "elevenlabs"),
        section("cartesia", "cartesia"),
    ];
    std::fs::write(&config, settings.concat()).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let (assistant, config) = (assistant.to_str().unwrap(), config.to_str().unwrap());
        let what = ["--assistant", assistant, "--config", config, "--scenario", scenario];
        chaos(&[&what[..], &["--say", "Are you open today?", "--at", "2"]].concat())
    });
    let output = output.await.unwrap();
    fakes.stop().await;
    let printed = text(&output);
    (output, printed)
}

#[tokio::test]
async fn a_fallback_plan_of_ones_own_is_tried_against_its_providers() {
    let fallback = json!({"voices": [{"provider": "cartesia", "voiceId": "fallback"}]});
    let voice = json!({"provider": "11labs", "voiceId": "21m00Tcm4TlvDq8ikWAM",
        "model": "eleven_flash_v2_5", "fallbackPlan": fallback});
    let (output, printed) = own("tts_dies_mid_sentence", voice).await;
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("held    tts_dies_mid_sentence"), "{printed}");
    assert!(printed.contains(r#""from":"11labs","to":"cartesia""#), "{printed}");
}

#[tokio::test]
async fn an_assistant_without_a_fallback_plan_is_told_what_that_costs() {
    let voice = json!({"provider": "11labs", "voiceId": "21m00Tcm4TlvDq8ikWAM",
        "model": "eleven_flash_v2_5"});
    let (output, printed) = own("stt_drop_mid_utterance", voice).await;
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("BROKEN: stt_drop_mid_utterance: the call ended with"), "{printed}");
}

/// A row over a carrier, by the command and the JSON that it writes.
fn a_row_over(carrier: &str, scenario: &str, calls: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.json");
    let row = ["--sockets", "--carrier", carrier, "--scenario", scenario, "--calls", calls];
    let run = ["--seed", "1", "--json", file.to_str().unwrap()];
    let output = chaos(&[&row[..], &run].concat());
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(&format!("held    {scenario} over {carrier}")), "{output:?}");
    let results: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!((&results[0]["carrier"], &results[0]["runs"]), (&carrier.into(), &1.into()));
    let figures = results[0]["figures"].as_array().unwrap();
    let lost = figures.iter().find(|it| it["measure"] == "words of the agent lost").unwrap();
    let twice = figures.iter().find(|it| it["measure"] == "tools run twice").unwrap();
    assert_eq!((&lost["max"], &twice["max"]), (&0.0.into(), &0.0.into()));
}

#[test]
fn phone_calls_go_on_in_the_next_process_after_a_kill() {
    a_row_over("twilio", "process_killed", "1");
}

#[test]
fn phone_calls_whose_media_sockets_drop_go_on() {
    a_row_over("telnyx", "leg_reconnects", "1");
}

#[test]
fn phone_calls_are_handed_over_to_the_next_server() {
    a_row_over("vonage", "deploy", "1");
}

#[test]
fn a_carrier_without_sockets_is_refused() {
    let output = chaos(&["--scenario", "deploy", "--carrier", "twilio"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("--sockets"), "{errors}");
}
