//! `offhook bench`, as its users run it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.arg("bench").args(args).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap()
}

fn error_of(args: &[&str]) -> String {
    let output = bench(args);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_short_bench_loses_no_turn_and_tells_the_runtime_from_its_providers() {
    let output =
        bench(&["--calls", "3", "--turns", "2", "--barge-in", "1", "--seed", "7", "--json", "-"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let at = |pointer: &str| results.pointer(pointer).unwrap_or(&Value::Null).clone();

    assert_eq!((at("/calls/completed"), at("/calls/failed")), (3.into(), 0.into()));
    assert_eq!((at("/turns/asked"), at("/turns/lost")), (6.into(), 0.into()), "{results:#}");
    assert_eq!((at("/words/missing"), at("/words/doubled")), (0.into(), 0.into()), "{results:#}");
    assert_eq!((at("/settings/calls"), at("/settings/seed")), (3.into(), 7.into()));
    for percentile in ["p50", "p90", "p95", "p99", "max"] {
        // Without the time of its providers, 600 ms, nobody could have answered.
        let response = at(&format!("/response_ms/{percentile}")).as_f64().unwrap();
        assert!(response > 600.0, "{response} ms");
        let overhead = at(&format!("/overhead_ms/total/{percentile}")).as_f64().unwrap();
        assert!(overhead > 0.0 && overhead < response - 550.0, "{overhead} of {response} ms");
    }
    assert_eq!(at("/overhead_ms/unknown_turns"), 0);
    assert_eq!(
        (at("/segments_ms/model/count"), at("/segments_ms/voice_to_leg/count")),
        (6.into(), 6.into())
    );
    assert_eq!(at("/barge_in_ms/onset_to_told/count"), 3, "{results:#}");
    assert_eq!(at("/barge_in_ms/onset_to_silence/count"), 3, "{results:#}");
    assert_eq!(at("/playout/gaps_over_ms"), 60);
    for measured in [
        "/playout/ahead_ms/p50",
        "/server/cpu_percent_a_call",
        "/server/rss_kib_a_call",
        "/server/rss_idle_kib",
        "/callers/late_ms/p99",
        "/fakes/timer_lag_us/p99",
        "/calls/setup_ms/p50",
        "/steady_seconds",
    ] {
        assert!(at(measured).is_number(), "{measured}: {results:#}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_would_help() {
    let error = error_of(&["--url", "http://127.0.0.1:1", "--api-key", "key"]);
    assert!(error.contains("cannot reach a server at http://127.0.0.1:1"), "{error}");
    assert!(error.contains("`offhook serve`"), "{error}");
}

#[test]
fn options_that_cannot_be_met_are_refused_by_name() {
    for (args, named) in [
        (&["--barge-in", "2"][..], "--barge-in"),
        (&["--wav", "question.wav"], "--url"),
        (&["turns", "--ramp", "1s"], "--ramp"),
    ] {
        let error = error_of(args);
        assert!(error.contains(named), "{args:?}: {error}");
    }
}
