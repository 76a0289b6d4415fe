use offhook_testkit::tones::spoken;

use super::{
    super::{testing::app, wire::testing::Talk},
    *,
};

const FORMAT: AudioFormat = AudioFormat::mulaw();

fn talk(timing: &Value, more: &[(&str, &str)]) -> Talk<Listening> {
    let usual = [("model", "flux-general-en"), ("encoding", "mulaw"), ("sample_rate", "8000")];
    let pairs = usual.iter().chain(more).map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = Settings::from_query(&pairs.collect()).map_err(|refused| refused.2).unwrap();
    Talk::new(Listening::new(&app(timing), settings))
}

fn say(talk: &mut Talk<Listening>, from: u64, words: &[&str], silence_ms: u64) -> u64 {
    let mut audio: Vec<u8> = words.iter().flat_map(|word| spoken(word, FORMAT)).collect();
    audio.extend(FORMAT.silence(silence_ms * 8));
    let frames = audio.chunks(160).zip(1..);
    frames.fold(from, |_, (frame, index)| {
        talk.audio(from + 20 * index, frame);
        from + 20 * index
    })
}

fn told(sent: Vec<(u64, Value)>) -> Vec<String> {
    let line = |(ms, message): (u64, Value)| match message["event"].as_str() {
        Some(event) => {
            let (turn, text) = (&message["turn_index"], &message["transcript"]);
            let trigger = message["trigger"].as_str().map(|t| format!(" {t}")).unwrap_or_default();
            format!("{ms} {event} {turn} {text}{trigger}")
        }
        None => format!("{ms} {}", message["type"].as_str().unwrap_or(&message.to_string())),
    };
    sent.into_iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_suspected_is_taken_back_when_the_caller_goes_on() {
    let timing = json!({"stt_silence_ms": 500, "stt_delay": {"fixed": 200}});
    let mut talk = talk(&timing, &[("eager_eot_threshold", "0.4")]);
    let end = say(&mut talk, 0, &["17"], 160);
    let end = say(&mut talk, end, &["3"], 560);
    assert_eq!(
        told(talk.until(end)),
        [
            "0 Connected",
            "180 StartOfTurn 0 \"17.\"",
            "220 EagerEndOfTurn 0 \"17.\"",
            "380 TurnResumed 0 \"17.\"",
            "540 Update 0 \"17 3.\"",
            "580 EagerEndOfTurn 0 \"17 3.\"",
            "1020 EndOfTurn 0 \"17 3.\" model",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_eager_threshold_nothing_is_suspected() {
    let mut talk = talk(&json!({}), &[]);
    let end = say(&mut talk, 0, &["17", "3"], 300);
    let sent = told(talk.until(end));
    assert_eq!(
        sent[1..],
        ["180 StartOfTurn 0 \"17.\"", "380 Update 0 \"17 3.\"", "510 EndOfTurn 0 \"17 3.\" model",]
    );
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_to_end_by_itself_ends_by_timeout_or_on_demand() {
    let mut talk = talk(&json!({}), &[("eot_threshold", "1.0"), ("eot_timeout_ms", "1000")]);
    let end = say(&mut talk, 0, &["17"], 1_200);
    assert_eq!(told(talk.until(end))[2..], ["1160 EndOfTurn 0 \"17.\" timeout"]);
    let end = say(&mut talk, end, &["3"], 40);
    talk.text(end, json!({"type": "ForceEndTurn"}));
    let sent = told(talk.until(end + 200));
    assert_eq!(sent.last().unwrap(), &format!("{} EndOfTurn 1 \"3.\" manual", end - 80 + 150));
}

#[tokio::test(start_paused = true)]
async fn thresholds_out_of_range_are_refused_and_changes_confirmed() {
    let mut talk = talk(&json!({}), &[]);
    talk.text(0, json!({"type": "Configure", "thresholds": {"eager_eot_threshold": 0.95}}));
    talk.text(1, json!({"type": "Configure", "thresholds": {"eager_eot_threshold": 0.5}}));
    talk.text(2, json!({"type": "KeepAlive"}));
    let sent = talk.until(10);
    let numbered: Vec<_> = sent.iter().map(|(_, m)| m["sequence_id"].as_u64()).collect();
    assert_eq!(numbered, [Some(0), Some(1), Some(2), Some(3), None]);
    assert_eq!(
        told(sent),
        [
            "0 Connected",
            "0 ConfigureFailure",
            "1 ConfigureSuccess",
            "2 Error",
            "2 {\"close\":[1008,\"DATA-0000\"]}"
        ]
    );
}
