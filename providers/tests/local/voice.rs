use std::time::Duration;

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use offhook_providers::{
    Access, BuildError, Net, ProviderError,
    tts::{self, ContextId, TtsEvent, TtsInput, TtsRequest},
};
use serde_json::{Value, json};

use crate::support::*;

const A: ContextId = ContextId(1);
const B: ContextId = ContextId(2);

fn flite() -> Value {
    json!({"provider": "local", "engine": "flite"})
}

fn espeak(voice: &str) -> Value {
    json!({"provider": "local", "engine": "espeak", "voiceId": voice})
}

async fn refusal(options: Value, net: Net) -> ProviderError {
    let voice = tts::build(&options, &Access::default(), &net).unwrap();
    let format = voice.capabilities().formats[0];
    voice.open(TtsRequest { format }).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn flite_speaks_sentences_in_short_pieces_and_says_when_each_word_is_spoken() {
    let Some((mut session, format)) = open_voice(flite()).await else { return };

    say(&session, A, "Hello, Dr. Zoë! Your number is 42.").await;
    say(&session, A, "Goodbye.").await;
    finish(&session, A).await;
    let speech = read_speech(&mut session, A).await;

    assert_eq!(format, PCM16);
    let length = format.duration_of(format.samples_in_bytes(speech.audio.len()));
    assert!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&length), "{length:?}");
    assert!(speech.longest_piece <= format.bytes_in(Duration::from_millis(200)));
    assert!(format.decode(&speech.audio).iter().any(|sample| sample.abs() > 5_000));

    let words: Vec<&str> = speech.words.iter().map(|timing| timing.word.as_str()).collect();
    assert_eq!(words, ["Hello,", "Dr.", "Zoë!", "Your", "number", "is", "42.", "Goodbye."]);
    assert!(speech.words.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(speech.words.iter().all(|word| word.start < word.end && word.end <= length));
}

#[tokio::test]
async fn a_faster_voice_is_shorter() {
    let mut lengths = Vec::new();
    for speed in [0.8, 1.0, 1.5] {
        let options = json!({"provider": "local", "engine": "flite", "speed": speed});
        let Some((mut session, _)) = open_voice(options).await else { return };
        say(&session, A, "How much does it cost?").await;
        finish(&session, A).await;
        lengths.push(read_speech(&mut session, A).await.audio.len());
    }

    assert!(lengths[0] > lengths[1] && lengths[1] > lengths[2], "{lengths:?}");
}

#[tokio::test]
async fn a_cancelled_context_is_silent_at_once_and_the_next_one_is_spoken() {
    let Some((mut session, _)) = open_voice(flite()).await else { return };

    say(&session, A, &"This sentence is never heard to its end. ".repeat(20)).await;
    finish(&session, A).await;
    let first = next(&mut session).await.unwrap().unwrap();
    assert!(matches!(first, TtsEvent::Words { context: A, .. }), "{first:?}");
    session.input.send(TtsInput::Cancel { context: A }).await.unwrap();
    say(&session, B, "Yes?").await;
    finish(&session, B).await;

    // Panics on a `Done` of the other.
    let speech = read_speech(&mut session, B).await;
    assert!(!speech.audio.is_empty());
    assert_eq!(speech.words[0].word, "Yes?");
}

#[tokio::test]
async fn what_is_spoken_shows_in_no_list_of_processes() {
    let Some((mut session, _)) = open_voice(flite()).await else { return };

    say(&session, A, "Confidential matters.").await;
    next(&mut session).await.unwrap().unwrap();

    assert_eq!(children(&["Confidential"]), Vec::<u32>::new());
}

#[tokio::test]
async fn text_that_cannot_be_pronounced_is_done_without_audio() {
    let Some((mut session, _)) = open_voice(flite()).await else { return };

    say(&session, A, "... \u{2014} 東京 !").await;
    finish(&session, A).await;

    assert_eq!(read_speech(&mut session, A).await.audio.len(), 0);
}

#[tokio::test]
async fn a_session_whose_input_is_dropped_speaks_what_it_was_given_and_ends() {
    let Some((mut session, _)) = open_voice(flite()).await else { return };

    say(&session, A, "One. Two.").await;
    finish(&session, A).await;
    session.input = tokio::sync::mpsc::channel(1).0;

    assert!(!read_speech(&mut session, A).await.audio.is_empty());
    assert_eq!(next(&mut session).await, None);
}

#[tokio::test]
async fn espeak_speaks_too_at_its_own_rate() {
    let Some((mut session, format)) = open_voice(espeak("en-us")).await else { return };

    say(&session, A, "Hello. How are you?").await;
    finish(&session, A).await;
    let speech = read_speech(&mut session, A).await;

    assert_eq!(format, AudioFormat::pcm16(22_050));
    let length = format.duration_of(format.samples_in_bytes(speech.audio.len()));
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&length), "{length:?}");
    assert!(speech.longest_piece <= format.bytes_in(Duration::from_millis(200)));
    assert!(speech.audio.len().is_multiple_of(2) && speech.words.is_empty());
}

#[tokio::test]
async fn a_voice_that_espeak_does_not_have_is_a_bad_request_that_says_so() {
    if open_voice(espeak("en-us")).await.is_none() {
        return;
    }
    let error = refusal(espeak("klingon-dialect"), net()).await;

    assert_eq!(error.class, FailureClass::BadRequest);
    assert!(error.detail.contains("espeak-ng: exit status: 1: Error"), "{error}");
}

#[tokio::test]
async fn a_worker_that_cannot_be_started_is_unavailable() {
    let error = refusal(flite(), net_with("/nonexistent/offhook")).await;

    assert_eq!(error.class, FailureClass::Unavailable);
    assert!(error.detail.starts_with("starting worker flite: No such file"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_told_apart_by_its_exit_status() {
    let error = refusal(flite(), net_with("/bin/false")).await;

    assert_eq!(error.class, FailureClass::Closed);
}

#[test]
fn bad_options_are_refused_with_what_would_work() {
    let refused = |options| match tts::build(&options, &Access::default(), &net()) {
        Err(BuildError::Options { reason, .. }) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("built"),
    };

    assert_eq!(
        refused(json!({"provider": "local", "engine": "flite", "voiceId": "bob"})),
        "unknown voice `bob` of flite, expected one of: rms, slt, awb, kal16, kal (or set `engine` \
         to espeak)"
    );
    assert_eq!(
        refused(json!({"provider": "local", "engine": "festival"})),
        "unknown engine `festival`, expected flite or espeak"
    );
    assert_eq!(
        refused(json!({"provider": "local", "speed": 3})),
        "`speed` must be a number from 0.5 to 2"
    );
    assert_eq!(
        refused(espeak("-q")),
        "`voiceId` of espeak must be a voice such as en-us or en-gb+f3"
    );
}
