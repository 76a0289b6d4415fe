//! `offhook fakes`: one line, then fakes as long as whoever started it lives.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(10);

/// The running command, and the address that it told.
async fn start(options: &str) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["fakes", "--options", options])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    (child, line.strip_prefix("fakes http://").unwrap().to_owned())
}

async fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: fakes\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn they_are_served_as_told_until_their_input_closes() {
    let (mut child, address) = start(r#"{"timing": {"llm_words": 3}}"#).await;
    assert!(get(&address, "/fakes/timing").await.contains(r#""llm_words":3"#));
    assert!(get(&address, "/openai/v1/models").await.contains("gpt-4.1-mini"));
    drop(child.stdin.take());
    let status = timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn they_end_when_told_to() {
    let (mut child, _) = start("{}").await;
    let id = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let status = timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_by_name() {
    for (options, named) in
        [(r#"{"tming": {}}"#, "tming"), (r#"{"timing": {"tts_speed": 0}}"#, "tts_speed")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_offhook"))
            .args(["fakes", "--options", options])
            .stdin(Stdio::null())
            .output();
        let output = timeout(LIMIT, output).await.unwrap().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(named), "{said}");
    }
}
