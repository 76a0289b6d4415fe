use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;

use super::*;

fn fresh(format: Value) -> Box<dyn LegCodec> {
    crate::build(&json!({"provider": "telnyx", "audioFormat": format})).unwrap()
}

fn start(encoding: &str, rate: u32) -> Value {
    json!({"event": "start", "sequence_number": "1", "stream_id": "st-1", "start": {
        "user_id": "u", "call_control_id": "v3:1", "call_session_id": "s", "from": "+1", "to": "+2",
        "client_state": null, "custom_parameters": [{"name": "token", "value": "hush"}],
        "media_format": {"encoding": encoding, "sample_rate": rate, "channels": 1}}})
}

fn leg() -> Box<dyn LegCodec> {
    let mut leg = fresh(Value::Null);
    assert!(matches!(text(leg.as_mut(), start("PCMU", 8000)).as_slice(), [LegEvent::Started(_)]));
    leg
}

fn media(chunk: u64, audio: &[u8]) -> Value {
    json!({"event": "media", "sequence_number": "9", "stream_id": "st-1", "media": {
        "track": "inbound", "chunk": chunk.to_string(), "timestamp": "5",
        "payload": BASE64_STANDARD.encode(audio)}})
}

fn text(leg: &mut dyn LegCodec, message: impl ToString) -> Vec<LegEvent> {
    leg.decode(Wire::Text(message.to_string())).unwrap()
}

/// All audio of frames of one byte value each.
fn heard(leg: &mut dyn LegCodec, chunks: &[u64]) -> Vec<u8> {
    let mut heard = Vec::new();
    for &chunk in chunks {
        for event in text(leg, media(chunk, &[chunk as u8; 4])) {
            let LegEvent::Audio(audio) = event else { panic!("{event:?}") };
            heard.extend(audio.chunks(4).map(|frame| frame[0]));
        }
    }
    heard
}

#[test]
fn the_start_tells_call_stream_and_parameters_in_either_shape() {
    let listed = start("PCMU", 8000);
    let mut keyed = listed.clone();
    keyed["start"]["custom_parameters"] = json!({"token": "hush", "n": 1});
    for start in [listed, keyed] {
        let events = text(fresh(Value::Null).as_mut(), start);
        let [LegEvent::Started(started)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(started.carrier_call_id.as_deref(), Some("v3:1"));
        assert_eq!(started.stream_id.as_deref(), Some("st-1"));
        assert_eq!(started.parameters["token"], "hush");
    }
}

#[test]
fn media_out_of_order_is_heard_in_order() {
    assert_eq!(heard(leg().as_mut(), &[1, 4, 3, 2, 6, 5, 7]), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_frame_that_never_comes_holds_the_others_for_a_tenth_of_a_second_at_most() {
    let mut leg = leg();
    assert_eq!(heard(leg.as_mut(), &[1, 3, 4, 5, 6, 7]), [1]);
    assert_eq!(heard(leg.as_mut(), &[8]), [255, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn what_is_held_at_the_end_of_the_stream_is_heard_before_it() {
    let mut leg = leg();
    assert_eq!(heard(leg.as_mut(), &[1, 3]), [1]);
    let stop = json!({"event": "stop", "stop": {"user_id": "u", "call_control_id": "v3:1"}});
    assert_eq!(
        text(leg.as_mut(), stop),
        [LegEvent::Audio(Bytes::from_static(&[3; 4])), LegEvent::Stopped]
    );
}

#[test]
fn wide_audio_is_carried_where_it_was_asked_for() {
    let wide = json!({"format": "pcm_s16le", "sampleRate": 16000});
    let mut leg = fresh(wide.clone());
    text(leg.as_mut(), start("L16", 16000));
    assert_eq!(leg.format(), AudioFormat::pcm16(16_000));
    let audio = text(leg.as_mut(), media(1, &[1, 0, 2, 0]));
    assert_eq!(audio, [LegEvent::Audio(Bytes::from_static(&[1, 0, 2, 0]))]);
    let odd = text(leg.as_mut(), media(2, &[1, 0, 2]));
    assert!(matches!(odd.as_slice(), [LegEvent::Refused(_)]));

    let error = fresh(wide).decode(Wire::Text(start("PCMA", 8000).to_string())).unwrap_err();
    assert!(error.message.contains("not L16 at 16000 Hz"), "{}", error.message);
    let options = json!({"provider": "telnyx", "audioFormat": {"sampleRate": 44100}});
    assert!(crate::build(&options).err().unwrap().to_string().contains("16000 or 24000 Hz"));
}

#[test]
fn keys_marks_and_complaints_are_read() {
    let mut leg = leg();
    let leg = leg.as_mut();
    let key = json!({"event": "dtmf", "stream_id": "st-1", "dtmf": {"digit": "5"}});
    assert_eq!(text(leg, key), [LegEvent::Dtmf('5')]);
    let mark = json!({"event": "mark", "mark": {"name": "m1"}});
    assert_eq!(text(leg, mark), [LegEvent::MarkPlayed("m1".into())]);
    let error = json!({"event": "error", "payload":
        {"code": 100004, "title": "invalid_media", "detail": "bad base64"}});
    assert_eq!(
        text(leg, error),
        [LegEvent::Complained("error 100004 invalid_media: bad base64".into())]
    );
}

#[test]
fn what_is_written_needs_no_stream() {
    let mut leg = leg();
    assert_eq!(
        leg.audio(Bytes::from_static(b"abc")),
        Wire::Text(r#"{"event":"media","media":{"payload":"YWJj"}}"#.into())
    );
    assert_eq!(
        leg.mark("1"),
        Some(Wire::Text(r#"{"event":"mark","mark":{"name":"1"}}"#.into()))
    );
    assert_eq!(leg.clear(), Some(Wire::Text(r#"{"event":"clear"}"#.into())));
}

proptest! {
    #[test]
    fn however_frames_are_mixed_each_is_heard_once_and_in_order(
        numbers in prop::collection::vec(1u64..40, 1..120)
    ) {
        let mut leg = leg();
        let heard = heard(leg.as_mut(), &numbers);
        // Silence is 255, which no frame has.
        let heard: Vec<u8> = heard.into_iter().filter(|number| *number != 255).collect();
        let restarts = heard.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        prop_assert!(restarts <= numbers.len() / 25, "{heard:?}");
    }
}
