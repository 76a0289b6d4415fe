//! What a caller hears behind the agent's words, in virtual time.

use offhook_testkit::{fakes::FakeLlm, world::World};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn words_are_heard_over_an_office_and_the_record_is_what_it_was() {
    let world = World::new(FakeLlm::lines(&[("hours", "We are open from nine to five.")])).await;
    let assistant = json!({
        "firstMessage": "Hello, this is the clinic.",
        "backgroundSound": "office",
        "backgroundSpeechDenoisingPlan": {"smartDenoisingPlan": {"enabled": false}},
    });
    let placed = world.place(assistant).await;
    let outcome = world.converse(placed, vec![world.say("What are your hours?")]).await;
    assert_eq!(outcome.words_heard(), "Hello, this is the clinic. We are open from nine to five.");
    assert_eq!(
        outcome.transcript(),
        "AI: Hello, this is the clinic.\n\
         User: What are your hours?\n\
         AI: We are open from nine to five."
    );
    let agent = &outcome.heard.agent;
    let sounding = agent.iter().filter(|sample| **sample != 0).count();
    assert!(sounding > agent.len() * 9 / 10, "sound in {sounding} of {} samples", agent.len());
    assert_eq!(outcome.ended_reason(), "customer-ended-call");
}
