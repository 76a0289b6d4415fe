//! Workers that are killed, and workers that must not outlive their session. One test, because it
//! looks for our child processes and others would be among them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "local/support.rs"]
#[expect(dead_code, reason = "it is shared with the other tests")]
mod support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use offhook_core::FailureClass;
use offhook_providers::tts::ContextId;
use serde_json::json;
use support::*;

#[tokio::test]
async fn a_killed_worker_is_a_failure_at_once_and_a_dropped_session_leaves_no_worker() {
    let grammar = "#JSGF V1.0;\ngrammar g;\npublic <a> = hello | goodbye;\n";
    let worker = ["provider-worker", "pocketsphinx"];

    let Some(mut session) = open_transcriber(Some(grammar.into())).await else { return };
    hear(&session, &silence(Duration::from_millis(200))).await;
    kill(children(&worker)[0]);
    let start = Instant::now();
    let error = next_heard(&mut session).await.unwrap().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(error.class, FailureClass::Closed);
    assert_eq!(error.detail, "worker pocketsphinx: signal: 9 (SIGKILL)");
    assert_eq!(next_heard(&mut session).await, None);

    let session = open_transcriber(Some(grammar.into())).await.unwrap();
    assert_eq!(children(&worker).len(), 1);
    drop(session);
    gone(&worker).await;

    let worker = ["provider-worker", "flite"];
    let flite = json!({"provider": "local", "engine": "flite"});
    let Some((mut session, _)) = open_voice(flite.clone()).await else { return };
    kill(children(&worker)[0]);
    say(&session, ContextId(1), "Hello.").await;
    let error = next(&mut session).await.unwrap().unwrap_err();
    assert_eq!(error.class, FailureClass::Closed);
    assert_eq!(error.detail, "worker flite: signal: 9 (SIGKILL)");

    let (session, _) = open_voice(flite).await.unwrap();
    assert_eq!(children(&worker).len(), 1);
    drop(session);
    gone(&worker).await;
}

/// Waits until no such child is left; it dies with the session's task, which dies soon.
async fn gone(words: &[&str]) {
    let start = Instant::now();
    while !children(words).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5), "a worker outlives its session");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}
