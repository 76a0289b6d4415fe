use offhook_testkit::tones::spoken;

use super::{
    super::{testing::app, wire::testing::Talk},
    *,
};

const FORMAT: AudioFormat = AudioFormat::mulaw();

fn talk(more: &[(&str, &str)]) -> Talk<Listening> {
    let usual = [
        ("model", "nova-3"),
        ("encoding", "mulaw"),
        ("sample_rate", "8000"),
        ("interim_results", "true"),
    ];
    let pairs = usual.iter().chain(more).map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = Settings::from_query(&pairs.collect()).map_err(|refused| refused.2).unwrap();
    Talk::new(Listening::new(&app(&json!({})), settings))
}

/// Sends words and as much silence in frames of 20 ms, from a time on; says when that was done.
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
    let line = |(ms, message): (u64, Value)| match message["type"].as_str() {
        Some("Results") => {
            let text = &message["channel"]["alternatives"][0]["transcript"];
            let flag =
                |name: &str| if message[name] == true { format!(" {name}") } else { String::new() };
            let flags = ["is_final", "speech_final", "from_finalize"].map(flag).concat();
            format!("{ms} {text}{flags}")
        }
        Some(kind) => format!("{ms} {kind}"),
        None => format!("{ms} {message}"),
    };
    sent.into_iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_final_text_comes_the_delay_after_the_last_sound_once_the_silence_was_long_enough() {
    let mut talk = talk(&[("endpointing", "10"), ("vad_events", "true"), ("punctuate", "true")]);
    let end = say(&mut talk, 0, &["17", "3"], 200);
    assert_eq!(end, 600);
    // The second word ends at 360 ms; 150 ms later is the silence of 100 ms long over.
    assert_eq!(
        told(talk.until(600)),
        ["20 SpeechStarted", "180 \"17\"", "380 \"17 3\"", "510 \"17 3.\" is_final speech_final"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_client_s_endpointing_counts_where_it_is_longer() {
    let mut talk = talk(&[("endpointing", "300")]);
    say(&mut talk, 0, &["17"], 500);
    assert_eq!(told(talk.until(1_000)), ["180 \"17\"", "460 \"17\" is_final speech_final"]);
}

#[tokio::test(start_paused = true)]
async fn an_utterance_end_follows_once_where_it_was_asked_for() {
    let mut talk = talk(&[("utterance_end_ms", "1000")]);
    say(&mut talk, 0, &["17"], 3_000);
    let sent = told(talk.until(3_200));
    assert_eq!(sent[2..], ["1160 UtteranceEnd"], "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn finalize_answers_even_without_words() {
    let mut talk = talk(&[]);
    talk.text(100, json!({"type": "Finalize"}));
    assert_eq!(told(talk.until(100)), ["100 \"\" is_final speech_final from_finalize"]);
    let end = say(&mut talk, 100, &["17"], 20);
    talk.text(end, json!({"type": "Finalize"}));
    let last = told(talk.until(1_000)).pop().unwrap();
    assert_eq!(last, "410 \"17\" is_final speech_final from_finalize");
}

#[tokio::test(start_paused = true)]
async fn without_anything_for_ten_seconds_the_session_is_closed() {
    let mut talk = talk(&[]);
    talk.text(5_000, json!({"type": "KeepAlive"}));
    assert_eq!(told(talk.until(14_999)), [""; 0]);
    assert_eq!(told(talk.until(15_000)), ["15000 {\"close\":[1011,\"NET-0001\"]}"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_none_is_complained_of() {
    let mut talk = talk(&[]);
    talk.text(0, "hello");
    talk.text(1, json!({"type": "CloseStream"}));
    assert_eq!(told(talk.until(10)), ["0 Error", "1 Metadata", "1 {\"close\":[1000,\"\"]}"]);
}

#[test]
fn parameters_that_contradict_each_other_are_refused_by_name() {
    let refused = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Settings::from_query(&pairs.collect()).map(drop).unwrap_err().2
    };
    let raw = [("encoding", "linear16"), ("sample_rate", "16000")];
    for (wrong, named) in [
        (vec![("model", "nova-2"), ("keyterm", "a")], "keyterm"),
        (vec![("model", "nova-3"), ("keywords", "a:1")], "keywords"),
        (vec![("utterance_end_ms", "1000")], "interim_results"),
        (vec![("endpointing", "soon")], "endpointing"),
        (vec![("punctuate", "yes")], "punctuate"),
        (vec![("channels", "2")], "channel"),
    ] {
        let pairs: Vec<(&str, &str)> = raw.iter().copied().chain(wrong).collect();
        let refused = refused(&pairs);
        assert!(refused.contains(named), "{refused}");
    }
    assert!(refused(&[("encoding", "opus"), ("sample_rate", "48000")]).contains("opus"));
}
