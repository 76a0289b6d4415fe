//! A provider that closes its session in the middle of things costs the caller no word.

use std::time::Duration;

use offhook_testkit::{fakes::FakeLlm, world::World};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

const GREETING: &str = "Hello, this is the clinic, how can we help you today?";
const QUESTION: &str = "Good morning could you please tell me what your opening hours are";
const ANSWER: &str = "We are open from nine to five on every day of the week but Sunday.";

fn moments(count: u64) -> impl Iterator<Item = Duration> {
    (0..count).map(|n| Duration::from_millis(150 + n * 271))
}

#[tokio::test(start_paused = true)]
async fn a_transcriber_that_drops_in_mid_utterance_loses_no_word() {
    for at in moments(25) {
        let world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let (stt, due) = (world.stt.clone(), Instant::now() + at);
        tokio::spawn(async move {
            sleep_until(due).await;
            stt.drop_sessions();
        });
        let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

        assert_eq!(world.stt.sessions.opened(), 2, "dropped at {at:?}");
        let transcript = outcome.transcript();
        assert!(transcript.contains(&format!("User: {QUESTION}\n")), "{at:?}: {transcript}");
        assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"), "dropped at {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transcriber_that_falls_silent_in_mid_utterance_is_replaced_and_loses_no_word() {
    // The greeting takes 2.4 s; the question begins 0.7 s later and takes 2.6 s.
    for at in (0..5).map(|n| Duration::from_millis(3_200 + n * 271)) {
        let world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let (stt, due) = (world.stt.clone(), Instant::now() + at);
        tokio::spawn(async move {
            sleep_until(due).await;
            stt.fall_silent();
        });
        let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

        let transcript = outcome.transcript();
        assert!(transcript.contains(&format!("User: {QUESTION}\n")), "{at:?}: {transcript}");
        assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"), "silent from {at:?} on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transcriber_that_drops_and_refuses_for_seconds_loses_no_word_and_no_turn() {
    for at in (0..8).map(|n| Duration::from_millis(3_200 + n * 271)) {
        let world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let (stt, due) = (world.stt.clone(), Instant::now() + at);
        tokio::spawn(async move {
            sleep_until(due).await;
            stt.refuse(4);
            stt.drop_sessions();
        });
        let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

        let transcript = outcome.transcript();
        assert!(transcript.contains(&format!("User: {QUESTION}\n")), "{at:?}: {transcript}");
        assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"), "dropped at {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_voice_that_drops_in_mid_sentence_goes_on_where_it_was() {
    for at in moments(25) {
        let mut world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
        // Little faster than speech, so that it is under way for most of the call.
        world.tts.speed = 2;
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let (tts, due) = (world.tts.clone(), Instant::now() + at);
        tokio::spawn(async move {
            sleep_until(due).await;
            tts.drop_sessions();
        });
        let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

        assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"), "dropped at {at:?}");
        assert!(outcome.transcript().ends_with(&format!("AI: {ANSWER}")), "dropped at {at:?}");
    }
}
