use clap::Parser;
use offhook_testkit::caller::CloseInfo;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: CallArgs,
}

fn parse(line: &str) -> Result<CallArgs, clap::Error> {
    let words = ["call"].into_iter().chain(line.split_whitespace());
    Cli::try_parse_from(words).map(|cli| cli.args)
}

fn closed(by: ClosedBy) -> CloseInfo {
    CloseInfo { by, code: None, reason: "reset".into(), at: Duration::ZERO }
}

#[test]
fn a_call_needs_an_assistant_and_something_to_say() {
    assert!(parse("--assistant a.json --say hello --say bye").is_ok());
    assert!(parse("--assistant a.json --wav a.wav --mulaw").is_ok());
    for line in [
        "--say hello",
        "--assistant a.json",
        "--assistant a.json --say hello --wav a.wav",
        "--assistant a.json --say hello --rate 4000",
        "--assistant a.json --say hello --rate 16000 --mulaw",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn the_transport_is_named_as_the_contract_names_it() {
    assert_eq!(
        transport(AudioFormat::pcm16(24_000)).to_string(),
        r#"{"provider":"vapi.websocket","audioFormat":{"format":"pcm_s16le","container":"raw","sampleRate":24000}}"#
    );
    assert_eq!(transport(AudioFormat::mulaw())["audioFormat"]["format"], "mulaw");
    assert_eq!(transport(AudioFormat::mulaw())["audioFormat"]["sampleRate"], 8_000);
}

#[test]
fn an_end_that_nobody_answers_for_is_in_order() {
    for reason in ["assistant-ended-call", "customer-ended-call", "silence-timed-out"] {
        assert_eq!(problem(&closed(ClosedBy::Agent), &json!(reason)), None);
    }
    let of = |by, reason: Value| problem(&closed(by), &reason).unwrap();
    assert_eq!(
        of(ClosedBy::Agent, json!("pipeline-error-deepgram-transcriber-failed")),
        "the call ended with pipeline-error-deepgram-transcriber-failed, to be answered for by provider"
    );
    assert_eq!(of(ClosedBy::Lost, json!("customer-ended-call")), "the connection broke: reset");
    assert!(of(ClosedBy::OutOfPatience, json!("customer-ended-call")).contains("did not answer"));
    assert!(of(ClosedBy::Agent, Value::Null).contains("no known ended reason"));
}

#[test]
fn a_call_that_ended_before_it_began_says_why() {
    let url = json!({"websocketCallUrl": "ws://127.0.0.1/x"});
    let mut call = json!({"status": "queued", "transport": url});
    assert_eq!(websocket_url(&call), Ok("ws://127.0.0.1/x"));
    call["status"] = json!("ended");
    call["endedReason"] = json!("assistant-not-valid");
    call["endedMessage"] = json!("no such voice");
    assert_eq!(
        websocket_url(&call).unwrap_err(),
        "the call ended before it began: assistant-not-valid (no such voice)"
    );
}

#[test]
fn the_caller_begins_where_the_assistant_waits() {
    let speaks = |assistant: Value| assistant_speaks_first(&assistant);
    assert!(speaks(json!({"firstMessage": "hello"})));
    assert!(!speaks(json!({"firstMessage": ""})) && !speaks(json!({})));
    assert!(!speaks(json!({"firstMessage": "x", "firstMessageMode": "assistant-waits-for-user"})));
    let generated = "assistant-speaks-first-with-model-generated-message";
    assert!(speaks(json!({"firstMessageMode": generated})));
}

#[test]
fn an_assistant_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assistant.json");
    for (content, reason) in [("[1]", "expected a JSON object"), ("{", "EOF"), ("{}", "")] {
        std::fs::write(&path, content).unwrap();
        match read_assistant(&path) {
            Ok(_) => assert_eq!(content, "{}"),
            Err(error) => {
                assert!(error.contains(reason) && error.contains("assistant.json"), "{error}");
            }
        }
    }
    assert!(read_assistant(&folder.path().join("none.json")).is_err());
}
