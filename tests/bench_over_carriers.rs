//! `offhook bench --carrier`, as its users run it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.arg("bench").args(args).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap()
}

/// A few callers who dial a number, and some more who come at a rate.
fn callers_dial(carrier: &str) {
    let args = ["--calls", "2", "--turns", "2", "--barge-in", "1", "--setups-per-second", "4"];
    let output =
        bench(&[&["--carrier", carrier, "--seconds", "1", "--json", "-"], &args[..]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let at = |pointer: &str| results.pointer(pointer).unwrap_or(&Value::Null).clone();

    assert_eq!(at("/settings/carrier"), carrier);
    assert_eq!((at("/calls/completed"), at("/calls/failed")), (2.into(), 0.into()));
    assert_eq!((at("/turns/asked"), at("/turns/lost")), (4.into(), 0.into()), "{results:#}");
    assert_eq!((at("/words/missing"), at("/words/doubled")), (0.into(), 0.into()), "{results:#}");
    assert_eq!(at("/overhead_ms/unknown_turns"), 0, "{results:#}");
    assert_eq!(at("/segments_ms/voice_to_leg/count"), 4, "{results:#}");
    assert_eq!(at("/barge_in_ms/onset_to_told/count"), 2, "{results:#}");
    assert_eq!(at("/barge_in_ms/onset_to_silence/count"), 2, "{results:#}");
    assert_eq!(at("/first_audio_ms/times/count"), 2, "{results:#}");
    assert_eq!(at("/first_audio_ms/promised_p95"), 150.0);
    assert_eq!((at("/setups/greeted"), at("/setups/failed")), (4.into(), 0.into()), "{results:#}");
    for measured in [
        "/first_audio_ms/p95",
        "/setups/reached_per_second",
        "/setups/first_audio_ms/p95",
        "/setups/setup_ms/p95",
        "/calls/setup_ms/p50",
        "/server/cpu_percent_a_call",
        "/server/rss_kib_a_call",
    ] {
        assert!(at(measured).as_f64().unwrap() > 0.0, "{measured}: {results:#}");
    }
}

#[test]
fn callers_who_dial_a_number_at_twilio_are_greeted_answered_and_measured() {
    callers_dial("twilio");
}

#[test]
fn callers_who_dial_a_number_at_telnyx_are_greeted_answered_and_measured() {
    callers_dial("telnyx");
}

#[test]
fn callers_who_dial_a_number_at_vonage_are_greeted_answered_and_measured() {
    callers_dial("vonage");
}

#[test]
fn options_that_make_no_sense_over_a_carrier_are_refused_by_name() {
    for (args, named) in [
        (&["--carrier", "twilio", "--url", "http://127.0.0.1:1"][..], "--url"),
        (&["--carrier", "twilio", "--format", "mulaw-8000"], "--format"),
        (&["--carrier", "plivo"], "plivo"),
        (&["--setups-per-second", "5"], "--carrier"),
    ] {
        let output = bench(args);
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(named), "{args:?}: {error}");
    }
}
