//! Sound that documents name by its address, as the caller hears it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::io::Cursor;

use axum::{Router, routing::get};
use hound::{SampleFormat, WavSpec, WavWriter};
use serde_json::{Value, json};
use support::{Calls, Frame, Leg, Options};
use tokio::net::TcpListener;

/// Sample rate of the legs and of the file.
const RATE: u32 = 16_000;

/// The file's level; the fake voice is at 3,000.
const LOUD: i16 = 9_000;

/// A second of a loud tone, as a file.
fn tone() -> Vec<u8> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for at in 0..RATE {
        writer.write_sample(if at / 16 % 2 == 0 { LOUD } else { -LOUD }).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner()
}

/// The address of a server on this machine that has the file at `/tone.wav`.
async fn file_server() -> String {
    let router = Router::new().route("/tone.wav", get(|| async { tone() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn samples(audio: &[u8]) -> impl Iterator<Item = i16> {
    audio.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes))
}

/// Everything that is heard until the call is over.
async fn heard_to_the_end(leg: &mut Leg) -> Vec<i16> {
    let mut heard = Vec::new();
    loop {
        match leg.next().await {
            Frame::Audio(audio) => heard.extend(samples(&audio)),
            Frame::Event(_) => {}
            Frame::Closed(..) | Frame::Lost(_) => return heard,
        }
    }
}

/// What a voicemail gets whose message is this file, as far as it is loud, and why the call ended.
async fn left_on_voicemail(file: &str) -> (usize, Value) {
    let calls = Calls::start().await;
    let fields = json!({
        "voicemailDetection": {"provider": "vapi", "beepMaxAwaitSeconds": 1},
        "voicemailMessage": format!("{}/{file}", file_server().await),
    });
    let (call, mut leg) = calls.connect(fields).await;
    calls.providers.caller_says("Please leave a message after the tone.").await;
    let heard = heard_to_the_end(&mut leg).await;
    let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 8_000).count();
    (loud, calls.ended(&call).await)
}

#[tokio::test]
async fn a_recorded_message_is_left_on_a_voicemail() {
    let (loud, call) = left_on_voicemail("tone.wav").await;
    let whole = RATE as usize;
    assert!((whole * 9 / 10..=whole).contains(&loud), "{loud} of {whole} samples");
    assert_eq!(call["endedReason"], "voicemail");
    let transcript = call["artifact"]["transcript"].as_str().unwrap();
    assert!(!transcript.contains("http"), "{transcript}");
}

#[tokio::test]
async fn a_recorded_message_that_is_not_there_ends_the_call_without_one() {
    let (loud, call) = left_on_voicemail("nothing.wav").await;
    assert_eq!(loud, 0);
    assert_eq!(call["endedReason"], "voicemail");
}

#[tokio::test]
async fn a_background_sound_is_fetched_and_heard_between_the_words() {
    let calls = Calls::start().await;
    let sound = format!("{}/tone.wav", file_server().await);
    let (_, mut leg) = calls.connect(json!({"backgroundSound": sound})).await;
    leg.event_where("end of the greeting", |event| {
        event["type"] == "speech-update" && event["status"] == "stopped"
    })
    .await;
    let mut heard = Vec::new();
    while heard.len() < RATE as usize {
        if let Frame::Audio(audio) = leg.next().await {
            heard.extend(samples(&audio));
        }
    }
    leg.hang_up().await;
    // 46 dB below the loudest square wave, whatever the file's own level is.
    let quiet: Vec<i16> = heard[RATE as usize / 2..].to_vec();
    let at_level = quiet.iter().filter(|sample| (120..=210).contains(&sample.unsigned_abs()));
    let share = at_level.count() * 100 / quiet.len();
    assert!(share > 80, "{share} % of {:?}...", &quiet[..40]);
}

#[tokio::test]
async fn sound_on_a_private_address_is_not_fetched_unless_the_operator_allows_it() {
    let calls = Calls::with(Options::default().public_addresses_only()).await;
    let sound = format!("{}/tone.wav", file_server().await);
    let (_, leg) = calls.connect(json!({"backgroundSound": sound})).await;
    let line = calls.server.log_line("the call goes on without its backgroundSound").await;
    assert!(line.to_string().contains("private address"), "{line}");
    leg.hang_up().await;
}
