use super::{
    super::{testing::app, wire::testing::Talk},
    *,
};

fn talk() -> Talk<Speaking> {
    Talk::new(Speaking::new(&app(&json!({}))))
}

fn message(context: &str, text: &str, goes_on: bool, more: &Value) -> Value {
    let mut message = json!({
        "context_id": context, "model_id": "sonic-3.5", "transcript": text, "continue": goes_on,
        "voice": {"mode": "id", "id": "voice"},
        "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
    });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

fn told(sent: Vec<(u64, Value)>) -> Vec<String> {
    let line = |(ms, message): (u64, Value)| {
        let context = message["context_id"].as_str().unwrap_or("-");
        match message["type"].as_str() {
            Some("error") => format!("{ms} {context} {}", message["error_code"]),
            Some(kind) => format!("{ms} {context} {kind}"),
            None => format!("{ms} {message}"),
        }
    };
    sent.into_iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn audio_comes_in_pieces_of_100_ms_at_five_times_real_time_and_then_the_end() {
    let mut talk = talk();
    talk.text(0, message("a", "1 2.", false, &json!({"add_timestamps": true})));
    assert_eq!(
        told(talk.until(1_000)),
        [
            "100 a timestamps",
            "100 a chunk",
            "120 a chunk",
            "140 a chunk",
            "160 a chunk",
            "180 a done"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn text_without_an_end_waits_for_more_as_long_as_it_may() {
    let mut waiting = talk();
    waiting.text(0, message("a", "1 ", true, &json!({"max_buffer_delay_ms": 500})));
    assert_eq!(told(waiting.until(599)), [""; 0]);
    assert_eq!(told(waiting.until(700)), ["600 a chunk", "620 a chunk"]);

    let mut at_once = talk();
    at_once.text(0, message("a", "1 ", true, &json!({"max_buffer_delay_ms": 0})));
    at_once.text(0, message("b", "1 ", true, &json!({"flush": true})));
    let sent = told(at_once.until(1_000));
    assert_eq!(sent.iter().filter(|line| line.ends_with("chunk")).count(), 4, "{sent:?}");
    assert_eq!(sent.last().unwrap(), "140 b flush_done");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_context_says_nothing_more() {
    let mut talk = talk();
    talk.text(0, message("a", "1 2 3 4.", true, &json!({})));
    assert_eq!(told(talk.until(110)), ["100 a chunk"]);
    talk.text(110, json!({"context_id": "a", "cancel": true}));
    assert_eq!(told(talk.until(20_000)), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_context_that_is_left_open_expires() {
    let mut talk = talk();
    talk.text(0, message("a", "1.", true, &json!({})));
    assert_eq!(told(talk.until(10_000)), ["100 a chunk", "120 a chunk", "5140 a done"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_ends_its_context_and_no_other() {
    let mut talk = talk();
    talk.text(0, message("a", "1 2.", false, &json!({})));
    let unknown = json!({"voice": {"mode": "id", "id": UNKNOWN_VOICE}});
    talk.text(1, message("b", "1.", false, &unknown));
    talk.text(2, message("c", "1 ", true, &json!({})));
    talk.text(3, message("c", "2 ", true, &json!({"model_id": "sonic-3"})));
    talk.text(4, json!({"transcript": "1"}));
    let sent = told(talk.until(1_000));
    assert_eq!(
        sent[..3],
        ["1 b \"voice_not_found\"", "3 c \"invalid_request\"", "4 - \"invalid_request\""]
    );
    assert_eq!(sent.last().unwrap(), "180 a done");
}
