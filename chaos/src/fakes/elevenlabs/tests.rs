use serde_json::{Value, json};

use super::{
    super::{testing::app, wire::testing::Talk},
    *,
};

fn talk(kind: Kind, query: &[(&str, &str)]) -> Talk<Speaking> {
    let query = query.iter().chain(&[("output_format", "ulaw_8000")]);
    let query = query.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let settings = Settings::from_query("voice", &query);
    Talk::new(Speaking::new(&app(&json!({})), kind, None, settings))
}

/// `ms context text`, or `final`, or the error and the close.
fn told(sent: Vec<(u64, Value)>) -> Vec<String> {
    let line = |(ms, message): (u64, Value)| {
        let context = message["contextId"].as_str().unwrap_or("-");
        if message["isFinal"] == true {
            return format!("{ms} {context} final");
        }
        match message["alignment"]["chars"].as_array() {
            Some(chars) => {
                let text: String = chars.iter().filter_map(Value::as_str).collect();
                format!("{ms} {context} {}", text.trim())
            }
            None if message["close"].is_null() => format!("{ms} {}", message["error"]),
            None => format!("{ms} {}", message["close"]),
        }
    };
    sent.into_iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn audio_comes_after_the_first_delay_at_five_times_real_time() {
    let mut talk = talk(Kind::Multi, &[]);
    talk.text(0, json!({"text": " ", "context_id": "a"}));
    talk.text(0, json!({"text": "1 2 ", "context_id": "a", "flush": true}));
    talk.text(20, json!({"text": "3 ", "context_id": "a", "flush": true}));
    talk.text(30, json!({"context_id": "a", "close_context": true}));
    assert_eq!(told(talk.until(1_000)), ["100 a 1", "140 a 2", "180 a 3", "220 a final"]);
}

#[tokio::test(start_paused = true)]
async fn text_waits_for_enough_of_it_unless_it_is_flushed() {
    let text = "12345678 ".repeat(13);
    let mut waiting = talk(Kind::Multi, &[]);
    waiting.text(0, json!({"text": text, "context_id": "a"}));
    assert_eq!(told(waiting.until(1_000)), [""; 0]);
    waiting.text(1_000, json!({"text": "1234 ", "context_id": "a"}));
    assert_eq!(waiting.until(10_000).len(), 14);

    let mut at_once = talk(Kind::Multi, &[("auto_mode", "true")]);
    at_once.text(0, json!({"text": "1 ", "context_id": "a"}));
    assert_eq!(told(at_once.until(1_000)), ["100 a 1"]);
}

#[tokio::test(start_paused = true)]
async fn one_context_too_many_closes_the_socket() {
    let mut talk = talk(Kind::Multi, &[]);
    for number in 0..6 {
        talk.text(number, json!({"text": " ", "context_id": number.to_string()}));
    }
    let closed = ["5 \"max_active_conversations\"", "5 [1008,\"max_active_conversations\"]"];
    assert_eq!(told(talk.until(100)), closed);
}

#[tokio::test(start_paused = true)]
async fn settings_come_first_or_not_at_all_and_in_their_range() {
    let mut late = talk(Kind::Multi, &[]);
    late.text(0, json!({"text": " ", "context_id": "a"}));
    late.text(1, json!({"text": "1 ", "context_id": "a", "voice_settings": {"speed": 1.0}}));
    assert_eq!(told(late.until(100))[0], "1 \"invalid_message\"");
    let mut fast = talk(Kind::Multi, &[]);
    fast.text(0, json!({"text": " ", "context_id": "a", "voice_settings": {"speed": 2.0}}));
    assert_eq!(told(fast.until(100))[0], "0 \"invalid_voice_settings\"");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_context_is_ended_and_a_quiet_socket_closed() {
    let mut talk = talk(Kind::Multi, &[("inactivity_timeout", "10")]);
    talk.text(0, json!({"text": " ", "context_id": "a"}));
    talk.text(0, json!({"text": " ", "context_id": "b"}));
    talk.text(8_000, json!({"text": "", "context_id": "b"}));
    assert_eq!(told(talk.until(12_000)), ["10000 a final"]);
    let closed = ["18000 b final", "18000 \"input_timeout_exceeded\""];
    assert_eq!(told(talk.until(20_000))[..2], closed);
}

#[tokio::test(start_paused = true)]
async fn the_socket_without_contexts_ends_with_an_empty_text() {
    let mut talk = talk(Kind::Single, &[]);
    talk.text(0, json!({"text": " "}));
    talk.text(0, json!({"text": "1 2 "}));
    talk.text(10, json!({"text": ""}));
    let expected = ["110 - 1", "150 - 2", "190 - final", "190 [1000,\"\"]"];
    assert_eq!(told(talk.until(1_000)), expected);
}

#[test]
fn what_the_endpoint_does_not_serve_is_refused_by_name() {
    for (voice, query, named) in [
        (UNKNOWN_VOICE, ("model_id", "eleven_flash_v2_5"), "voice_id_does_not_exist"),
        ("voice", ("model_id", "eleven_v3"), "model_not_found"),
        ("voice", ("output_format", "opus_48000_64"), "invalid_output_format"),
    ] {
        let query = vec![(query.0.to_owned(), query.1.to_owned())];
        assert_eq!(Settings::from_query(voice, &query).map(drop).unwrap_err().0, named);
    }
}
