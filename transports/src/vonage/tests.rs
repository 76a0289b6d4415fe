use super::*;

fn fresh(format: Value) -> Box<dyn LegCodec> {
    crate::build(&json!({"provider": "vonage", "audioFormat": format})).unwrap()
}

fn connected(rate: u32) -> Value {
    json!({"event": "websocket:connected", "content-type": format!("audio/l16;rate={rate}"),
        "callId": "c-1", "token": "hush"})
}

fn leg() -> Box<dyn LegCodec> {
    let mut leg = fresh(Value::Null);
    text(leg.as_mut(), connected(16000));
    leg
}

fn text(leg: &mut dyn LegCodec, message: impl ToString) -> Vec<LegEvent> {
    leg.decode(Wire::Text(message.to_string())).unwrap()
}

#[test]
fn the_first_event_brings_the_headers() {
    let events = text(fresh(Value::Null).as_mut(), connected(16000));
    let [LegEvent::Started(started)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(started.parameters["callId"], "c-1");
    assert_eq!(started.parameters["token"], "hush");
    assert_eq!(started.parameters.len(), 2);
}

#[test]
fn binary_messages_are_audio_once_connected() {
    let audio = Bytes::from_static(&[1, 0, 2, 0]);
    let early = fresh(Value::Null).decode(Wire::Binary(audio.clone())).unwrap();
    assert!(matches!(early.as_slice(), [LegEvent::Refused(_)]));
    let mut leg = leg();
    let heard = leg.decode(Wire::Binary(audio.clone())).unwrap();
    assert_eq!(heard, [LegEvent::Audio(audio.clone())]);
    assert_eq!(leg.decode(Wire::Binary(Bytes::new())), Ok(vec![]));
    assert_eq!(leg.audio(audio.clone()), Wire::Binary(audio));
    let odd = leg.decode(Wire::Binary(Bytes::from_static(&[0; 641]))).unwrap();
    assert!(matches!(odd.as_slice(), [LegEvent::Refused(_)]));
}

#[test]
fn keys_notifications_and_clears_are_read() {
    let mut leg = leg();
    let leg = leg.as_mut();
    let dtmf = json!({"event": "websocket:dtmf", "digit": "5", "duration": 260});
    assert_eq!(text(leg, dtmf), [LegEvent::Dtmf('5')]);
    let nested = json!({"event": "websocket:dtmf", "dtmf": {"digit": "*"}});
    assert_eq!(text(leg, nested), [LegEvent::Dtmf('*')]);
    assert_eq!(text(leg, json!({"event": "websocket:cleared"})), []);
    let Some(Wire::Text(mark)) = leg.mark("m1") else { panic!() };
    let mark: Value = serde_json::from_str(&mark).unwrap();
    let echo = json!({"event": "websocket:notify", "payload": mark["payload"]});
    assert_eq!(text(leg, echo), [LegEvent::MarkPlayed("m1".into())]);
    assert_eq!(leg.clear(), Some(Wire::Text(r#"{"action":"clear"}"#.into())));
    for bad in [json!({"event": "websocket:notify"}), json!({}), json!({"event": "x"}), json!(1)] {
        assert!(matches!(text(leg, bad).as_slice(), [LegEvent::Refused(_)]));
    }
}

#[test]
fn an_endpoint_at_another_rate_is_closed_with_what_to_change() {
    let error = fresh(Value::Null).decode(Wire::Text(connected(8000).to_string())).unwrap_err();
    assert!(error.message.contains("audio/l16;rate=16000"), "{}", error.message);
    assert_eq!(fresh(json!({"sampleRate": 8000})).format(), AudioFormat::pcm16(8_000));
    let options = json!({"provider": "vonage", "audioFormat": {"format": "mulaw"}});
    assert!(crate::build(&options).err().unwrap().to_string().contains("pcm_s16le at 8000"));
}
