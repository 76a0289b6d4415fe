use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;

use super::*;
use crate::strictness::MAX_BAD_MESSAGES;

fn fresh() -> Box<dyn LegCodec> {
    crate::build(&json!({"provider": "twilio"})).unwrap()
}

/// A leg whose stream has begun.
fn leg() -> Box<dyn LegCodec> {
    let mut leg = fresh();
    let events = text(leg.as_mut(), start());
    assert!(matches!(events.as_slice(), [LegEvent::Started(_)]), "{events:?}");
    leg
}

fn start() -> Value {
    json!({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": {
        "streamSid": "MZ1", "accountSid": "AC1", "callSid": "CA1", "tracks": ["inbound"],
        "customParameters": {"callId": "c-1", "token": "hush"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}})
}

fn media(chunk: u64, audio: &[u8]) -> Value {
    json!({"event": "media", "sequenceNumber": (chunk + 1).to_string(), "streamSid": "MZ1",
        "media": {"track": "inbound", "chunk": chunk.to_string(),
            "timestamp": (chunk * 20).to_string(), "payload": BASE64_STANDARD.encode(audio)}})
}

fn text(leg: &mut dyn LegCodec, message: impl ToString) -> Vec<LegEvent> {
    leg.decode(Wire::Text(message.to_string())).unwrap()
}

fn refusal(leg: &mut dyn LegCodec, message: impl ToString) -> String {
    let events = text(leg, message);
    let [LegEvent::Refused(reason)] = events.as_slice() else { panic!("{events:?}") };
    reason.clone()
}

#[test]
fn the_start_tells_call_stream_and_parameters_and_hides_the_token_from_logs() {
    let mut leg = fresh();
    let leg = leg.as_mut();
    let connected = json!({"event": "connected", "protocol": "Call", "version": "1.0.0"});
    assert_eq!(text(leg, connected), []);
    let events = text(leg, start());
    let [LegEvent::Started(started)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(started.carrier_call_id.as_deref(), Some("CA1"));
    assert_eq!(started.stream_id.as_deref(), Some("MZ1"));
    assert_eq!(started.parameters["token"], "hush");
    assert!(!format!("{started:?}").contains("hush"));
}

#[test]
fn audio_before_the_start_is_not_heard() {
    let reason = refusal(fresh().as_mut(), media(1, b"abc"));
    assert_eq!(reason, "message before `start` dropped");
}

#[test]
fn the_callers_audio_is_heard_and_our_own_track_is_not() {
    let mut leg = leg();
    let leg = leg.as_mut();
    assert_eq!(text(leg, media(1, b"one")), [LegEvent::Audio(Bytes::from_static(b"one"))]);
    let mut ours = media(2, b"two");
    ours["media"]["track"] = json!("outbound");
    assert_eq!(text(leg, ours), []);
    assert_eq!(text(leg, media(2, b"")), [], "an empty payload does no harm");
}

#[test]
fn a_frame_that_was_lost_is_silence_and_one_sent_twice_is_heard_once() {
    let mut leg = leg();
    let leg = leg.as_mut();
    let frame = [0x10; 160];
    let heard = |chunks: &[u64], leg: &mut dyn LegCodec| {
        let events = chunks.iter().flat_map(|chunk| text(leg, media(*chunk, &frame)));
        events.collect::<Vec<_>>().len()
    };
    assert_eq!(heard(&[1, 2, 2], leg), 2);
    let events = text(leg, media(5, &frame));
    let [LegEvent::Audio(silence), LegEvent::Audio(_)] = events.as_slice() else { panic!() };
    assert_eq!(silence, &FORMAT.silence(320));
}

#[test]
fn keys_marks_and_the_end_of_the_stream_are_read() {
    let mut leg = leg();
    let leg = leg.as_mut();
    let key = |digit: &str| {
        json!({"event": "dtmf", "streamSid": "MZ1", "sequenceNumber": "5",
            "dtmf": {"track": "inbound_track", "digit": digit}})
    };
    assert_eq!(text(leg, key("#")), [LegEvent::Dtmf('#')]);
    assert_eq!(text(leg, key("a")), [LegEvent::Dtmf('A')]);
    assert!(refusal(leg, key("12")).contains("must be one of 0-9"));
    let mark = json!({"event": "mark", "streamSid": "MZ1", "mark": {"name": "m7"}});
    assert_eq!(text(leg, mark), [LegEvent::MarkPlayed("m7".into())]);
    let stop = json!({"event": "stop", "stop": {"accountSid": "AC1", "callSid": "CA1"}});
    assert_eq!(text(leg, stop), [LegEvent::Stopped]);
}

#[test]
fn what_is_written_names_the_stream() {
    let mut leg = leg();
    let written = |wire: Wire| match wire {
        Wire::Text(text) => serde_json::from_str::<Value>(&text).unwrap(),
        Wire::Binary(_) => panic!("Twilio reads text alone"),
    };
    assert_eq!(
        written(leg.audio(Bytes::from_static(&[0xFF; 160]))),
        json!({"event": "media", "streamSid": "MZ1",
            "media": {"payload": BASE64_STANDARD.encode([0xFF; 160])}})
    );
    assert_eq!(
        leg.mark("a \"b\"").map(written),
        Some(json!({"event": "mark", "streamSid": "MZ1", "mark": {"name": "a \"b\""}}))
    );
    assert_eq!(leg.clear().map(written), Some(json!({"event": "clear", "streamSid": "MZ1"})));
    assert_eq!((leg.event(&json!({})), leg.error("x", "y")), (None, None));
    assert_eq!((leg.format(), leg.hearing()), (AudioFormat::mulaw(), Hearing::Marks));
}

#[test]
fn a_stream_in_another_format_is_closed_with_what_to_change() {
    let mut start = start();
    start["start"]["mediaFormat"]["sampleRate"] = json!(16000);
    let error = fresh().decode(Wire::Text(start.to_string())).unwrap_err();
    assert_eq!(error.close_code, close_code::INVALID_PAYLOAD);
    assert!(error.message.contains("remove audioFormat and sampleRate"), "{}", error.message);
    let options = json!({"provider": "twilio", "audioFormat": {"sampleRate": 16000}});
    let refused = crate::build(&options).err().unwrap().to_string();
    assert!(refused.ends_with("Twilio carries mulaw at 8000 Hz alone"), "{refused}");
}

#[test]
fn bad_messages_are_refused_one_by_one_without_repeating_them() {
    let mut leg = leg();
    for (bad, expected) in [
        ("secret".to_owned(), "cannot be read"),
        (json!({"event": "media"}).to_string(), "has no `media`"),
        (json!({"event": "mark"}).to_string(), "has no `mark`"),
        (json!({"event": "secret"}).to_string(), "unknown `event`"),
        (json!({"event": "media", "media": {"payload": "%secret"}}).to_string(), "not base64"),
        (json!({"event": "mark", "mark": {"name": "secret".repeat(99)}}).to_string(), "longer"),
        (start().to_string(), "second `start`"),
    ] {
        let reason = refusal(leg.as_mut(), bad);
        assert!(reason.contains(expected) && !reason.contains("secret"), "{reason}");
    }
    let events = leg.decode(Wire::Binary(Bytes::from_static(b"abc"))).unwrap();
    assert!(matches!(events.as_slice(), [LegEvent::Refused(_)]));
}

#[test]
fn a_peer_that_sends_only_rubbish_is_closed() {
    let mut leg = leg();
    for _ in 1..MAX_BAD_MESSAGES {
        assert!(leg.decode(Wire::Text("[".into())).is_ok());
    }
    let error = leg.decode(Wire::Text("[".into())).unwrap_err();
    assert!(error.message.starts_with("50 bad messages"), "{}", error.message);
}

proptest! {
    #[test]
    fn audio_comes_back_as_it_was_sent(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 1..20)
    ) {
        let mut leg = leg();
        let mut heard = Vec::new();
        for (chunk, frame) in frames.iter().enumerate() {
            for event in text(leg.as_mut(), media(chunk as u64 + 1, frame)) {
                if let LegEvent::Audio(audio) = event {
                    heard.extend_from_slice(&audio);
                }
            }
        }
        prop_assert_eq!(heard, frames.concat());
    }

    #[test]
    fn what_we_send_is_what_the_carrier_reads(audio in prop::collection::vec(any::<u8>(), 0..999)) {
        let mut leg = leg();
        let Wire::Text(text) = leg.audio(audio.clone().into()) else { panic!() };
        let message: Value = serde_json::from_str(&text).unwrap();
        let payload = message["media"]["payload"].as_str().unwrap();
        prop_assert_eq!(BASE64_STANDARD.decode(payload).unwrap(), audio);
    }
}
