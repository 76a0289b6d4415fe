//! A call through the whole tree, on fakes, in virtual time.

use offhook_testkit::{fakes::FakeLlm, world::World};
use serde_json::json;

fn receptionist() -> FakeLlm {
    FakeLlm::lines(&[
        ("hours", "We are open from nine to five."),
        ("appointment", "Gladly. Which day suits you best?"),
        ("Thursday", "Thursday at ten is yours."),
    ])
}

#[tokio::test(start_paused = true)]
async fn the_caller_hears_every_word_and_the_record_says_what_was_said() {
    let world = World::new(receptionist()).await;
    let placed = world.place(json!({"firstMessage": "Hello, this is the clinic."})).await;
    let lines = vec![
        world.say("What are your hours?"),
        world.say("I would like an appointment."),
        world.say("Thursday please."),
    ];
    let outcome = world.converse(placed, lines).await;

    assert_eq!(
        outcome.words_heard(),
        "Hello, this is the clinic. We are open from nine to five. \
         Gladly. Which day suits you best? Thursday at ten is yours."
    );
    assert_eq!(
        outcome.transcript(),
        "AI: Hello, this is the clinic.\n\
         User: What are your hours?\n\
         AI: We are open from nine to five.\n\
         User: I would like an appointment.\n\
         AI: Gladly. Which day suits you best?\n\
         User: Thursday please.\n\
         AI: Thursday at ten is yours."
    );
    assert_eq!(outcome.ended_reason(), "customer-ended-call");
    assert_eq!(world.node.slot_limits().in_use, 0);
    assert_eq!((world.stt.sessions.open(), world.tts.sessions.open()), (0, 0));
}
