//! Speech that a voice said before, in virtual time.

use offhook_testkit::{fakes::FakeLlm, world::World};
use serde_json::{Value, json};

const GREETING: &str = "Hello, this is the clinic.";
const HOURS: &str = "We are open from nine to five.";

/// Calls twice; returns what the fake voice was given in all, and checks what was heard.
async fn call_twice(voice: Value) -> u64 {
    let world = World::new(FakeLlm::lines(&[("hours", HOURS)])).await;
    let mut characters = 0;
    for _ in 0..2 {
        let assistant = json!({"firstMessage": GREETING, "voice": voice, "fillerMessage": ""});
        let placed = world.place(assistant).await;
        let outcome = world.converse(placed, vec![world.say("What are your hours?")]).await;
        assert_eq!(outcome.words_heard(), format!("{GREETING} {HOURS}"));
        assert_eq!(
            outcome.transcript(),
            format!("AI: {GREETING}\nUser: What are your hours?\nAI: {HOURS}")
        );
        characters += outcome.record["costBreakdown"]["ttsCharacters"].as_u64().expect("a count");
    }
    characters
}

#[tokio::test(start_paused = true)]
async fn a_first_message_is_spoken_by_the_voice_once_and_heard_in_every_call() {
    let every_time = 2 * (GREETING.len() + HOURS.len()) as u64;
    let kept = call_twice(json!({"provider": "local"})).await;
    assert!(kept <= every_time - GREETING.len() as u64, "{kept} of {every_time} characters");
    let again = call_twice(json!({"provider": "local", "cachingEnabled": false})).await;
    assert!(again >= every_time - 8, "{again} of {every_time} characters");
}
