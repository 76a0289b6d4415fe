//! What a reply needs is connected before the reply is due.

use std::time::Duration;

use offhook_testkit::{caller::Line, fakes::FakeLlm, world::World};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

const GREETING: &str = "Hello, this is the clinic.";

fn receptionist() -> FakeLlm {
    FakeLlm::lines(&[("hours", "We are open from nine to five.")])
}

/// How long the caller waits for an answer after a long silence, with a voice that takes half a
/// second to connect and hung up meanwhile or did not; and the sessions it had.
async fn answered_after_silence(hangs_up: bool) -> (Duration, usize) {
    let mut world = World::new(receptionist()).await;
    world.tts.connect = Duration::from_millis(500);
    let assistant = json!({"firstMessage": GREETING, "silenceTimeoutSeconds": 60});
    let placed = world.place(assistant).await;
    if hangs_up {
        let (tts, due) = (world.tts.clone(), Instant::now() + Duration::from_secs(10));
        tokio::spawn(async move {
            sleep_until(due).await;
            tts.drop_sessions();
        });
    }
    let lines = vec![Line::Wait(Duration::from_secs(20)), world.say("What are your hours please?")];
    let outcome = world.converse(placed, lines).await;
    assert!(outcome.words_heard().ends_with("We are open from nine to five."));
    (outcome.heard.turns[0].latency(), world.tts.sessions.opened())
}

#[tokio::test(start_paused = true)]
async fn a_voice_that_hung_up_while_idle_is_connected_again_before_it_is_needed() {
    let (undisturbed, sessions) = answered_after_silence(false).await;
    assert_eq!(sessions, 1);
    let (after_hang_up, sessions) = answered_after_silence(true).await;
    assert_eq!(sessions, 2);
    assert_eq!(after_hang_up, undisturbed, "it connected while the caller spoke");
}

#[tokio::test(start_paused = true)]
async fn the_model_is_connected_to_when_the_call_begins_and_whenever_the_caller_does() {
    let world = World::new(receptionist()).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    assert_eq!(world.llm.warmed(), 1);
    let question = || world.say("What are your hours please?");
    world.converse(placed, vec![question(), question()]).await;
    assert_eq!(world.llm.warmed(), 3);
}
