//! A caller who waits hears that somebody is there, whatever is slow or dead.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use offhook_testkit::{
    fakes::{FakeLlm, Fault},
    world::{Outcome, World},
};
use serde_json::{Value, json};

const GREETING: &str = "Hello, this is the clinic.";
const QUESTION: &str = "What are your hours?";
const ANSWER: &str = "We are open from nine to five.";
const FIRST: &str = "One moment, please.";
const FURTHER: &str = "I am still here, just a moment.";

/// Longer than any silence of the agent.
const PATIENCE: Duration = Duration::from_secs(6);

async fn world(first_token: Duration) -> World {
    let world = World::new(FakeLlm::lines(&[("hours", ANSWER), ("Thank", "Gladly.")])).await;
    // The race is as slow.
    world.llm.break_next([Fault::Slow(first_token), Fault::Slow(first_token)]);
    world
}

async fn ask(world: &World, fields: Value) -> Outcome {
    let mut assistant = json!({"firstMessage": GREETING});
    assistant.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let placed = world.place(assistant).await;
    world.converse_patiently(placed, vec![world.say(QUESTION)], PATIENCE).await
}

/// The silences on the caller's line between sounds of the agent, the caller's own turn left out.
fn silences(outcome: &Outcome) -> Vec<Duration> {
    let rate = f64::from(outcome.heard.sample_rate_hz);
    let agent = outcome.heard.agent.iter().enumerate();
    let loud: Vec<_> =
        agent.filter(|(_, it)| it.unsigned_abs() > 1_000).map(|(at, _)| at).collect();
    let gaps =
        loud.windows(2).map(|pair| Duration::from_secs_f64((pair[1] - pair[0]) as f64 / rate));
    gaps.filter(|gap| *gap > Duration::from_secs(1)).skip(1).collect()
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_for_the_model_hears_fillers_and_then_the_answer() {
    for (seconds, heard) in [
        (2, format!("{GREETING} {ANSWER}")),
        (4, format!("{GREETING} {FIRST} {ANSWER}")),
        (9, format!("{GREETING} {FIRST} {FURTHER} {ANSWER}")),
    ] {
        let outcome = ask(&world(Duration::from_secs(seconds)).await, json!({})).await;
        assert_eq!(outcome.words_heard(), heard, "{seconds} s");
        let longest = silences(&outcome).into_iter().max().unwrap_or_default();
        assert!(longest < Duration::from_secs(5), "{seconds} s: {longest:?}");
        assert_eq!(outcome.record["artifact"]["messages"][1]["role"], "user");
        assert!(outcome.transcript().ends_with(ANSWER), "{}", outcome.transcript());
    }
}

#[tokio::test(start_paused = true)]
async fn an_assistant_has_its_own_line_or_none() {
    let line = json!({"fillerMessage": "Let me see."});
    let outcome = ask(&world(Duration::from_secs(4)).await, line).await;
    assert_eq!(outcome.words_heard(), format!("{GREETING} Let me see. {ANSWER}"));
    let none = json!({"fillerMessage": ""});
    let outcome = ask(&world(Duration::from_secs(9)).await, none).await;
    assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"));
}

#[tokio::test(start_paused = true)]
async fn with_no_voice_alive_the_caller_hears_what_was_kept_of_it() {
    let world = world(Duration::from_millis(200)).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let tts = world.tts.clone();
    tokio::spawn(async move {
        // The clips are made once the first message is said.
        tokio::time::sleep(Duration::from_secs(2)).await;
        tts.drop_sessions();
        tts.refuse(u32::MAX);
    });
    let lines = vec![world.say(QUESTION)];
    let outcome = world.converse_patiently(placed, lines, PATIENCE).await;
    let heard = outcome.words_heard();
    let sorry = "I am sorry, something went wrong on our side. Please call again later.";
    assert!(heard.starts_with(GREETING) && heard.ends_with(sorry), "{heard}");
    let reason = outcome.ended_reason();
    assert!(reason.contains("voice") || reason.contains("providerfault"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn clips_are_made_once_for_a_voice_and_not_where_nothing_is_to_be_kept() {
    let clips =
        [FIRST, FURTHER, "I am sorry, something went wrong on our side. Please call again later."];
    let clips: u64 = clips.iter().map(|text| text.len() as u64).sum();
    let characters =
        |outcome: &Outcome| outcome.record["costBreakdown"]["ttsCharacters"].as_u64().unwrap();
    let spoken = (GREETING.len() + ANSWER.len()) as u64;
    let world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
    let first = characters(&ask(&world, json!({})).await);
    assert!(first >= clips + spoken - 8, "{first}");
    let second = characters(&ask(&world, json!({})).await);
    assert!(second <= spoken, "{second}");

    let world = World::new(FakeLlm::lines(&[("hours", ANSWER)])).await;
    let voice = json!({"voice": {"provider": "local", "cachingEnabled": false}});
    let outcome = ask(&world, voice).await;
    assert!(characters(&outcome) <= spoken, "{}", characters(&outcome));
}
