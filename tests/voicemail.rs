//! What is left on a voicemail, and how one is known.

use std::time::Duration;

use offhook_core::Message;
use offhook_testkit::{
    caller::Line,
    fakes::{FakeLlm, Reply},
    world::{Outcome, World},
};
use serde_json::json;

/// A call in which the model tells voicemails by the word `tape`, after this long.
async fn asked_of_model(first_token: Duration, greeting: &str) -> Outcome {
    let mut llm = FakeLlm::new(|messages| {
        let is_question = matches!(&messages[0],
            Message::System { content } if content.contains("VOICEMAIL"));
        let about_tape = matches!(messages.last(),
            Some(Message::User { content }) if content.contains("tape"));
        let answer = match (is_question, about_tape) {
            (true, true) => "VOICEMAIL",
            (true, false) => "HUMAN",
            (false, _) => "Here I am.",
        };
        Reply::Say(answer.into())
    });
    llm.first_token = first_token;
    let world = World::new(llm).await;
    let plan = json!({"startAtSeconds": 2, "frequencySeconds": 2.5, "maxRetries": 3});
    let assistant = json!({
        "firstMessage": "Hi.",
        "voicemailDetection": {"provider": "openai", "backoffPlan": plan, "beepMaxAwaitSeconds": 10},
        "voicemailMessage": "Please call us back.",
        "fillerMessage": "",
    });
    let placed = world.place(assistant).await;
    let lines = vec![world.say(greeting), Line::Wait(Duration::from_secs(20))];
    world.converse(placed, lines).await
}

#[tokio::test(start_paused = true)]
async fn a_voicemail_that_only_the_model_knows_gets_its_message() {
    let greeting = "Anna and Tom are out, talk to the tape when it runs, and be brief.";
    let outcome = asked_of_model(Duration::from_millis(300), greeting).await;
    assert!(outcome.words_heard().ends_with("Please call us back."), "{}", outcome.words_heard());
    assert_eq!(outcome.ended_reason(), "voicemail");
}

#[tokio::test(start_paused = true)]
async fn a_person_is_answered_whatever_the_model_takes_to_tell() {
    for first_token in [Duration::from_millis(300), Duration::from_secs(3)] {
        let outcome = asked_of_model(first_token, "Good evening to you.").await;
        assert_eq!(outcome.words_heard(), "Hi. Here I am.");
        assert_eq!(outcome.ended_reason(), "customer-ended-call");
    }
}
