use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;

const FORMAT: AudioFormat = AudioFormat::pcm16(16_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tone(duration: Duration) -> Vec<i16> {
    vec![6_000; FORMAT.samples_in(duration) as usize]
}

fn say(label: &str, duration: Duration) -> Line {
    Line::Say(Spoken::new(label, tone(duration)))
}

/// Both ends of a websocket in memory, so that a call takes no time on the wall.
async fn line() -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = duplex(1 << 20);
    tokio::join!(
        WebSocketStream::from_raw_socket(ours, Role::Client, None),
        WebSocketStream::from_raw_socket(theirs, Role::Server, None),
    )
}

/// Where the track is loud, in milliseconds, to 20 ms.
fn sounds(track: &[i16]) -> Vec<(u64, u64)> {
    let mut sounds: Vec<(u64, u64)> = Vec::new();
    for (index, frame) in track.chunks(320).enumerate() {
        let at = index as u64 * 20;
        match sounds.last_mut() {
            _ if !level::is_voiced(frame) => {}
            Some((_, end)) if *end == at => *end = at + 20,
            Some(_) | None => sounds.push((at, at + 20)),
        }
    }
    sounds
}

/// Greets, then answers each speech of the caller 300 ms after its last loud frame; hangs up after
/// so many answers.
async fn echo_agent<S>(mut socket: WebSocketStream<S>, answers: usize)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.send(Message::Binary(FORMAT.encode(&tone(ms(500))))).await.unwrap();
    for _ in 0..answers {
        let (mut spoke, mut quiet) = (false, 0);
        while !spoke || quiet < 300 {
            let Some(Ok(message)) = socket.next().await else { return };
            let Message::Binary(frame) = message else { continue };
            assert_eq!(frame.len(), 640);
            let voiced = level::is_voiced(&FORMAT.decode(&frame));
            spoke |= voiced;
            quiet = if voiced { 0 } else { quiet + 20 };
        }
        let event = json!({"type": "speech-update", "status": "started", "role": "assistant"});
        socket.send(Message::text(event.to_string())).await.unwrap();
        socket.send(Message::Binary(FORMAT.encode(&tone(ms(400))))).await.unwrap();
    }
    sleep_until(Instant::now() + ms(1_000)).await;
    let close = CloseFrame { code: CloseCode::Normal, reason: "goodbye".into() };
    let _ = socket.close(Some(close)).await;
    while socket.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_conversation_lies_on_one_clock() {
    let (ours, theirs) = line().await;
    let lines = vec![say("one", ms(600)), say("two", ms(600)), Line::Wait(ms(60_000))];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = seen.clone();
    let mut options = CallerOptions::new("", FORMAT, lines);
    options.on_event = Some(Box::new(move |at, event| {
        observed.lock().unwrap().push((at, event["type"].clone()));
    }));
    let (heard, ()) = tokio::join!(call_over(ours, options), echo_agent(theirs, 2));

    // Audio that arrives is played from the next tick on, and a frame is sent when it is complete.
    assert_eq!(sounds(&heard.agent), [(20, 520), (2_120, 2_520), (4_120, 4_520)]);
    assert_eq!(sounds(&heard.caller), [(1_200, 1_800), (3_200, 3_800)]);
    assert_eq!(heard.agent.len(), heard.caller.len());
    let latencies: Vec<_> = heard.turns.iter().map(|t| (t.label.as_str(), t.latency())).collect();
    assert_eq!(latencies, [("one", ms(320)), ("two", ms(320))]);
    assert_eq!(heard.events.len(), 2);
    assert_eq!(seen.lock().unwrap()[0], (ms(2_100), json!("speech-update")));
    assert_eq!(
        (heard.closed.by, heard.closed.code, heard.closed.reason.as_str()),
        (ClosedBy::Agent, Some(1000), "goodbye")
    );
    assert_eq!((heard.complaints, heard.unplayed), (vec![], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_agent_falls_silent_in_the_callers_ear() {
    let (ours, mut theirs) = line().await;
    let agent = async move {
        theirs.send(Message::Binary(FORMAT.encode(&tone(ms(10_000))))).await.unwrap();
        while let Some(Ok(message)) = theirs.next().await {
            match message {
                Message::Binary(frame) if level::is_voiced(&FORMAT.decode(&frame)) => {
                    let event = json!({"type": "user-interrupted", "turnId": "1"});
                    theirs.send(Message::text(event.to_string())).await.unwrap();
                }
                Message::Text(text) => {
                    assert_eq!(text.as_str(), r#"{"type":"hangup"}"#);
                    let report = json!({"type": "status-update", "status": "ended"});
                    theirs.send(Message::text(report.to_string())).await.unwrap();
                    theirs.close(None).await.unwrap();
                }
                Message::Binary(_) | Message::Close(_) | Message::Frame(_) => {}
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    };
    let stop = Line::Interrupt { after: ms(1_000), spoken: Spoken::new("stop", tone(ms(100))) };
    let options = CallerOptions::new("", FORMAT, vec![stop, Line::Wait(ms(500)), Line::HangUp]);
    let (heard, ()) = tokio::join!(call_over(ours, options), agent);
    assert_eq!(sounds(&heard.caller), [(1_000, 1_100)]);
    assert_eq!(sounds(&heard.agent), [(20, 1_040)]);
    assert_eq!(heard.closed.by, ClosedBy::Caller);
    let types: Vec<_> = heard.events.iter().map(|(_, event)| event["type"].as_str()).collect();
    assert_eq!(types.last(), Some(&Some("status-update")), "messages after the hang-up are read");
}

#[tokio::test(start_paused = true)]
async fn frames_keep_pace_with_the_clock_for_a_minute() {
    for format in [FORMAT, AudioFormat::pcm16(11_025), AudioFormat::pcm16(44_100)] {
        let (ours, mut theirs) = line().await;
        let agent = async move {
            let (mut frames, mut bytes) = (0, 0);
            while let Some(Ok(Message::Binary(frame))) = theirs.next().await {
                frames += 1;
                bytes += frame.len();
            }
            (frames, bytes)
        };
        let options = CallerOptions::new("", format, vec![Line::Wait(ms(60_000)), Line::HangUp]);
        let (heard, (frames, bytes)) = tokio::join!(call_over(ours, options), agent);
        assert_eq!((frames, bytes), (3_000, format.bytes_in(ms(60_000))));
        assert_eq!(heard.closed.at, ms(60_000));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_costs_the_callers_patience_and_no_more() {
    let (ours, theirs) = line().await;
    let agent = theirs.for_each(|_| async {});
    let options = CallerOptions::new("", FORMAT, vec![say("one", ms(500))]);
    let (heard, ()) = tokio::join!(call_over(ours, options), agent);
    assert_eq!((heard.closed.by, heard.closed.at), (ClosedBy::OutOfPatience, ms(20_000)));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_end_ends_at_its_limit() {
    let (ours, theirs) = line().await;
    let agent = theirs.for_each(|_| async {});
    let mut options = CallerOptions::new("", FORMAT, vec![Line::Wait(ms(100_000))]);
    options.limit = ms(5_000);
    let (heard, ()) = tokio::join!(call_over(ours, options), agent);
    assert_eq!((heard.closed.by, heard.closed.at), (ClosedBy::TimeLimit, ms(5_000)));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connection_is_lost_and_its_unheard_audio_counted() {
    let (ours, mut theirs) = line().await;
    let agent = async move {
        theirs.send(Message::Binary(FORMAT.encode(&tone(ms(5_000))))).await.unwrap();
        for _ in 0..50 {
            theirs.next().await;
        }
    };
    let options = CallerOptions::new("", FORMAT, vec![say("one", ms(500))]);
    let (heard, ()) = tokio::join!(call_over(ours, options), agent);
    assert_eq!(heard.closed.by, ClosedBy::Lost);
    assert_eq!(heard.unplayed, ms(5_000 - 1_000));
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_server_that_closes_and_goes_is_read() {
    let (ours, mut theirs) = line().await;
    let agent = async move {
        theirs.next().await;
        let close = CloseFrame { code: CloseCode::Policy, reason: "too fast".into() };
        theirs.send(Message::Close(Some(close))).await.unwrap();
    };
    let options = CallerOptions::new("", FORMAT, vec![say("one", ms(500))]);
    let (heard, ()) = tokio::join!(call_over(ours, options), agent);
    assert_eq!((heard.closed.by, heard.closed.code), (ClosedBy::Agent, Some(1008)));
    assert_eq!(heard.closed.reason, "too fast");
}

#[tokio::test(start_paused = true)]
async fn mulaw_is_spoken_and_heard_as_samples() {
    let (ours, mut theirs) = line().await;
    let format = AudioFormat::mulaw();
    let agent = async move {
        while let Some(Ok(Message::Binary(frame))) = theirs.next().await {
            assert_eq!(frame.len(), 160);
            theirs.send(Message::Binary(frame)).await.unwrap();
        }
    };
    let spoken = Spoken::new("one", vec![6_000; 8_000]);
    let mut options = CallerOptions::new("", format, vec![Line::Say(spoken)]);
    options.speaks_first = true;
    let (heard, ()) = tokio::join!(call_over(ours, options), agent);
    let loud = |track: &[i16]| track.iter().filter(|sample| sample.abs_diff(6_000) < 200).count();
    assert_eq!((loud(&heard.caller), loud(&heard.agent)), (8_000, 8_000));
    assert_eq!(heard.sample_rate_hz, 8_000);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_the_protocol_is_noted() {
    let (ours, mut theirs) = line().await;
    let agent = async move {
        theirs.send(Message::Binary(vec![0; 641].into())).await.unwrap();
        theirs.send(Message::text("hello")).await.unwrap();
        theirs.for_each(|_| async {}).await;
    };
    let options = CallerOptions::new("", FORMAT, vec![Line::Wait(ms(100)), Line::HangUp]);
    let (heard, ()) = tokio::join!(call_over(ours, options), agent);
    assert_eq!(
        heard.complaints,
        ["audio message of 641 bytes: half a sample", "text message of 5 bytes is not JSON"]
    );
}

#[tokio::test]
async fn a_call_over_a_real_socket_is_accurate_to_frames() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/leg?token=secret", listener.local_addr().unwrap());
    let agent = async {
        let (stream, _) = listener.accept().await.unwrap();
        echo_agent(tokio_tungstenite::accept_async(stream).await.unwrap(), 1).await;
    };
    let mut options = CallerOptions::new(url, FORMAT, vec![say("one", ms(300))]);
    options.turn_gap = ms(300);
    let (heard, ()) = tokio::join!(tokio::spawn(call(options)), agent);
    let heard = heard.unwrap().unwrap();
    assert_eq!(heard.turns.len(), 1);
    let latency = heard.turns[0].latency();
    // The agent answers after 300 ms; the rest is scheduling on a busy machine.
    assert!((ms(300)..ms(1_500)).contains(&latency), "{latency:?}");
}

#[tokio::test]
async fn a_refused_connection_names_the_address_and_keeps_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("ws://{address}/leg?token=secret");
    let error = call(CallerOptions::new(url, FORMAT, vec![])).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("connecting a call to ws://{address}/leg failed: ")));
    assert!(error.to_lowercase().contains("refused") && !error.contains("secret"), "{error}");
}
