use proptest::prelude::*;

use super::*;
use crate::{
    close_code,
    strictness::{GOOD_PER_BAD, MAX_BAD_MESSAGES},
};

fn leg(audio_format: Value) -> Box<dyn LegCodec> {
    crate::build(&json!({"provider": "vapi.websocket", "audioFormat": audio_format})).unwrap()
}

fn refusal(audio_format: Value) -> String {
    let options = json!({"provider": "vapi.websocket", "audioFormat": audio_format});
    crate::build(&options).err().unwrap().to_string()
}

fn text(leg: &mut dyn LegCodec, text: &str) -> Vec<LegEvent> {
    leg.decode(Wire::Text(text.into())).unwrap()
}

#[test]
fn formats_of_the_document_have_the_documented_defaults() {
    for (given, expected) in [
        (Value::Null, AudioFormat::pcm16(16_000)),
        (json!({}), AudioFormat::pcm16(16_000)),
        (json!({"format": "mulaw"}), AudioFormat::mulaw()),
        (json!({"format": "mulaw", "container": "raw", "sampleRate": 8000}), AudioFormat::mulaw()),
        (json!({"format": "pcm_s16le", "sampleRate": 48000}), AudioFormat::pcm16(48_000)),
        (json!({"sampleRate": 8000.0}), AudioFormat::pcm16(8_000)),
    ] {
        assert_eq!(leg(given).format(), expected);
    }
    assert!(crate::build(&json!({"provider": "vapi.websocket"})).is_ok());
}

#[test]
fn formats_that_cannot_be_carried_are_refused_with_what_would_work() {
    for (given, expected) in [
        (json!({"sampleRate": 7999}), "is 7999, expected 8000 to 48000 for pcm_s16le"),
        (json!({"sampleRate": 96000}), "is 96000, expected 8000 to 48000 for pcm_s16le"),
        (json!({"sampleRate": -1}), "is -1, expected whole Hz"),
        (json!({"sampleRate": "16000"}), "is \"16000\", expected whole Hz"),
        (json!({"format": "mulaw", "sampleRate": 16000}), "is 16000, expected 8000 for mulaw"),
        (json!({"format": "opus"}), "is \"opus\", expected \"pcm_s16le\" or \"mulaw\""),
        (json!({"container": "wav"}), "is \"wav\", expected \"raw\""),
    ] {
        let refused = refusal(given);
        assert!(refused.ends_with(expected), "{refused}");
        assert!(refused.starts_with("bad options for transport provider `vapi.websocket`"));
    }
}

#[test]
fn an_unknown_transport_is_refused_with_the_known_ones() {
    let refused = crate::build(&json!({"provider": "daily"})).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "transport provider `daily` is not driven by this version, expected one of: vapi.websocket, \
         twilio, telnyx, vonage"
    );
}

#[test]
fn binary_messages_are_audio_both_ways() {
    let mut leg = leg(Value::Null);
    let audio = Bytes::from_static(&[1, 0, 2, 0]);
    assert_eq!(leg.decode(Wire::Binary(audio.clone())), Ok(vec![LegEvent::Audio(audio.clone())]));
    assert_eq!(leg.audio(audio.clone()), Wire::Binary(audio));
    assert_eq!(leg.decode(Wire::Binary(Bytes::new())), Ok(vec![]));
}

#[test]
fn an_odd_number_of_bytes_drops_that_message_and_no_other() {
    let mut leg = leg(Value::Null);
    assert_eq!(
        leg.decode(Wire::Binary(Bytes::from_static(&[0; 321]))),
        Ok(vec![LegEvent::Refused(
            "audio message of 321 bytes dropped: pcm_s16le samples are 2 bytes each, send whole \
             samples"
                .into()
        )])
    );
    let audio = Bytes::from_static(&[7; 320]);
    assert_eq!(leg.decode(Wire::Binary(audio.clone())), Ok(vec![LegEvent::Audio(audio)]));
}

#[test]
fn mulaw_takes_any_number_of_bytes() {
    let mut leg = leg(json!({"format": "mulaw"}));
    let audio = Bytes::from_static(&[0xFF; 161]);
    assert_eq!(leg.decode(Wire::Binary(audio.clone())), Ok(vec![LegEvent::Audio(audio)]));
}

#[test]
fn control_messages_are_read_bare_and_in_their_envelope() {
    let mut leg = leg(Value::Null);
    let leg = leg.as_mut();
    assert_eq!(text(leg, r#"{"type":"hangup"}"#), [LegEvent::HungUp]);
    assert_eq!(text(leg, r#"{"type":"end-call"}"#), [LegEvent::HungUp]);
    assert_eq!(text(leg, r#"{"message":{"type":"end-call"}}"#), [LegEvent::HungUp]);
    let say = json!({"type": "say", "content": "one moment"});
    assert_eq!(text(leg, &say.to_string()), [LegEvent::Client(say.clone())]);
    assert_eq!(text(leg, &json!({"message": say}).to_string()), [LegEvent::Client(say)]);
    let add = json!({"type": "add-message", "message": {"role": "user", "content": "hi"}});
    assert_eq!(text(leg, &add.to_string()), [LegEvent::Client(add)]);
}

#[test]
fn keys_come_in_one_message_or_several_and_what_is_none_is_not_repeated() {
    let mut leg = leg(Value::Null);
    let leg = leg.as_mut();
    let pressed = ['1', '*', '#', 'D'].map(LegEvent::Dtmf);
    assert_eq!(text(leg, r##"{"type":"dtmf","digits":"1*#D"}"##), pressed);
    assert_eq!(text(leg, r#"{"message":{"type":"dtmf","digits":"1"}}"#), pressed[..1]);
    for bad in [r#"{"type":"dtmf"}"#.to_owned(), json!({"type": "dtmf", "digits": "12x"}).to_string(),
        json!({"type": "dtmf", "digits": "1".repeat(33)}).to_string()]
    {
        let events = text(leg, &bad);
        let [LegEvent::Refused(reason)] = events.as_slice() else { panic!("{events:?}") };
        assert!(reason.starts_with("dtmf message dropped") && !reason.contains("12x"));
    }
}

#[test]
fn text_that_means_nothing_is_refused_with_what_was_expected_and_not_repeated() {
    for (bad, expected) in [
        ("secret", "text message of 6 bytes is not JSON: audio goes in binary messages"),
        ("", "text message of 0 bytes is not JSON: audio goes in binary messages"),
        ("{}", "JSON message without a `type`: audio goes in binary messages"),
        (r#"{"type":7}"#, "JSON message without a `type`: audio goes in binary messages"),
        (r#"["secret"]"#, "JSON message without a `type`: audio goes in binary messages"),
    ] {
        let events = text(leg(Value::Null).as_mut(), bad);
        let [LegEvent::Refused(reason)] = events.as_slice() else { panic!("{events:?}") };
        assert!(reason.starts_with(expected), "{reason}");
        assert!(reason.contains(r#"{"type":"hangup"}"#) && !reason.contains("secret"));
    }
}

#[test]
fn a_json_bomb_is_refused() {
    let events = text(leg(Value::Null).as_mut(), &"[".repeat(100_000));
    assert!(matches!(events.as_slice(), [LegEvent::Refused(_)]));
}

#[test]
fn a_peer_that_sends_only_rubbish_is_closed_with_the_reason() {
    let mut leg = leg(Value::Null);
    for _ in 1..MAX_BAD_MESSAGES {
        assert!(leg.decode(Wire::Text("?".into())).is_ok());
    }
    let error = leg.decode(Wire::Text("?".into())).unwrap_err();
    assert_eq!(error.close_code, close_code::INVALID_PAYLOAD);
    assert!(error.message.starts_with("50 bad messages, the last: text message of 1 bytes"));
}

#[test]
fn a_stray_bad_message_each_second_does_not_end_a_long_call() {
    let mut leg = leg(Value::Null);
    for _ in 0..3_600 {
        assert!(leg.decode(Wire::Binary(Bytes::from_static(&[0; 3]))).is_ok());
        for _ in 0..GOOD_PER_BAD {
            assert!(leg.decode(Wire::Binary(Bytes::from_static(&[0; 4]))).is_ok());
        }
    }
}

#[test]
fn client_messages_and_errors_are_bare_json_text() {
    let mut leg = leg(Value::Null);
    let message = json!({"type": "speech-update", "status": "started", "role": "user", "turn": 0});
    assert_eq!(
        leg.event(&message),
        Some(Wire::Text(
            r#"{"type":"speech-update","status":"started","role":"user","turn":0}"#.into()
        ))
    );
    assert_eq!(
        leg.error(crate::REFUSED, "no"),
        Some(Wire::Text(
            r#"{"type":"error","error":{"code":"message-refused","message":"no"}}"#.into()
        ))
    );
    assert_eq!((leg.mark("1"), leg.clear(), leg.hearing()), (None, None, Hearing::Clock));
}

proptest! {
    #[test]
    fn no_audio_is_lost_or_invented_between_bad_messages(
        lengths in prop::collection::vec(0usize..700, 0..40)
    ) {
        let mut leg = leg(Value::Null);
        let mut sent = Vec::new();
        let mut received = Vec::new();
        for (index, length) in lengths.into_iter().enumerate() {
            let audio = vec![index as u8; length];
            if length % 2 == 0 {
                sent.extend_from_slice(&audio);
            }
            for event in leg.decode(Wire::Binary(audio.into())).unwrap() {
                if let LegEvent::Audio(audio) = event {
                    received.extend_from_slice(&audio);
                }
            }
        }
        prop_assert_eq!(sent, received);
    }
}
