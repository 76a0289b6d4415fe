//! A provider that is lost for good is replaced by the next one of its plan, and the caller notices
//! nothing but another voice.

use std::{sync::Arc, time::Duration};

use offhook_actors::{Roster, Staged};
use offhook_core::Stage;
use offhook_providers::stt::{Opening, Stt, SttCapabilities, SttRequest, SttSession};
use offhook_testkit::{
    fakes::{FakeLlm, FakeStt, FakeTts},
    world::World,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

const GREETING: &str = "Hello, this is the clinic, how can we help you today?";
const QUESTION: &str = "Good morning could you please tell me what your opening hours are";
const ANSWER: &str = "We are open from nine to five on every day of the week but Sunday.";

/// As many as no call ever asks for.
const FOR_GOOD: u32 = u32::MAX;

fn moments(count: u64) -> impl Iterator<Item = Duration> {
    (0..count).map(|n| Duration::from_millis(150 + n * 271))
}

async fn world() -> World {
    let mut world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
    world.fallbacks.stt = vec![FakeStt::default()];
    world.fallbacks.tts = vec![FakeTts::default()];
    world
}

/// `fallbacks` of a call's document, as stage, from and to.
fn fallbacks(record: &Value) -> Vec<[String; 3]> {
    let list = record["fallbacks"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    list.iter().map(|it| ["stage", "from", "to"].map(|name| text(it, name))).collect()
}

fn change(stage: &str) -> [String; 3] {
    [stage, "fake", "fallback-1"].map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn a_transcriber_that_is_gone_for_good_is_replaced_and_loses_no_word() {
    for at in moments(25) {
        let world = world().await;
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let (stt, due) = (world.stt.clone(), Instant::now() + at);
        tokio::spawn(async move {
            sleep_until(due).await;
            stt.refuse(FOR_GOOD);
            stt.drop_sessions();
        });
        let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

        let transcript = outcome.transcript();
        assert!(transcript.contains(&format!("User: {QUESTION}\n")), "{at:?}: {transcript}");
        assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"), "gone at {at:?}");
        assert_eq!(fallbacks(&outcome.record), [change("transcriber")], "gone at {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_voice_that_is_gone_for_good_is_replaced_at_the_first_word_not_delivered() {
    for at in moments(25) {
        let mut world = world().await;
        // Little faster than speech, so that it is under way for most of the call.
        world.tts.speed = 2;
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let (tts, due) = (world.tts.clone(), Instant::now() + at);
        tokio::spawn(async move {
            sleep_until(due).await;
            tts.refuse(FOR_GOOD);
            tts.drop_sessions();
        });
        let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

        assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"), "gone at {at:?}");
        assert!(outcome.transcript().ends_with(&format!("AI: {ANSWER}")), "gone at {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_said_while_no_voice_is_connected_is_said_by_the_next() {
    for (refusals, connect_ms) in [(1, 0), (2, 0), (1, 30), (2, 30)] {
        let mut world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
        world.tts.connect = Duration::from_millis(connect_ms);
        world.tts.refuse(refusals);
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;
        let heard = outcome.words_heard();
        assert_eq!(heard, format!("{GREETING} {ANSWER}"), "{refusals} refusals");
    }
}

#[tokio::test(start_paused = true)]
async fn a_voice_that_takes_text_and_says_nothing_is_replaced_within_the_first_reply() {
    let world = world().await;
    world.tts.fall_silent(true);
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

    assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"));
    assert_eq!(fallbacks(&outcome.record), [change("voice")]);
    let loud = outcome.heard.agent.iter().position(|sample| sample.unsigned_abs() > 1_000);
    let rate = f64::from(outcome.heard.sample_rate_hz);
    let first = Duration::from_secs_f64(loud.expect("something was heard") as f64 / rate);
    assert!(first < Duration::from_millis(1_600), "the first word came after {first:?}");
}

#[tokio::test(start_paused = true)]
async fn after_one_call_saw_an_outage_the_next_passes_over_the_provider_at_once() {
    let world = world().await;
    world.tts.refuse(FOR_GOOD);
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    world.converse(placed, vec![world.say(QUESTION)]).await;
    let refused = world.tts.sessions.opened();

    let second = world.place(json!({"firstMessage": GREETING})).await;
    let outcome = world.converse(second, vec![world.say(QUESTION)]).await;
    assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"));
    assert_eq!(world.tts.sessions.opened(), refused);
    assert_eq!(fallbacks(&outcome.record), [change("voice")], "the call says who spoke");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_well_again_serves_the_next_call_without_a_caller_having_tried_it() {
    for is_voice in [true, false] {
        let world = world().await;
        match is_voice {
            true => world.tts.refuse(3),
            false => world.stt.refuse(3),
        }
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        world.converse(placed, vec![world.say(QUESTION)]).await;
        // The first two probes find it down still.
        sleep(Duration::from_secs(20)).await;

        let second = world.place(json!({"firstMessage": GREETING})).await;
        let outcome = world.converse(second, vec![world.say(QUESTION)]).await;
        assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"));
        assert_eq!(fallbacks(&outcome.record), Vec::<[String; 3]>::new(), "voice: {is_voice}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_every_transcriber_refuses_the_caller_is_told_and_the_call_ends_within_five_seconds()
{
    let world = world().await;
    world.stt.refuse(FOR_GOOD);
    world.fallbacks.stt[0].refuse(FOR_GOOD);
    let started = Instant::now();
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;

    let reason = outcome.record["endedReason"].as_str().unwrap();
    assert!(reason.contains("transcriber"), "{reason}");
    assert!(outcome.words_heard().len() > GREETING.len(), "{}", outcome.words_heard());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A transcriber whose code panics whenever a session is opened.
struct Panicking;

impl Stt for Panicking {
    fn capabilities(&self) -> SttCapabilities {
        FakeStt::default().capabilities()
    }

    fn open(&self, _: SttRequest) -> Opening<SttSession> {
        Box::pin(async { panic!("a transcriber that panics on purpose") })
    }
}

#[tokio::test(start_paused = true)]
async fn a_transcriber_that_panics_is_replaced_and_the_call_goes_on() {
    let world = world().await;
    let mut stages = world.stages();
    let panicking = Staged::new(Stage::Transcriber, "fake", Arc::new(Panicking) as Arc<dyn Stt>);
    let candidates = [panicking].into_iter().chain(stages.transcriber.candidates()[1..].to_vec());
    stages.transcriber = Roster::new(candidates.collect()).unwrap();
    let placed = world.place_on(json!({"firstMessage": GREETING}), stages).await;
    let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;
    assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"));
    assert_eq!(fallbacks(&outcome.record), [change("transcriber")]);
    assert_eq!(outcome.ended_reason(), "customer-ended-call");
}
