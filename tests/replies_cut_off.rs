//! What the caller hears of a reply that the model's provider cuts off.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use offhook_core::Finish;
use offhook_testkit::{
    fakes::{FakeLlm, Reply, last_user},
    world::{Outcome, World},
};
use serde_json::{Value, json};

/// A call in which the first reply is cut off and the second is not.
async fn call(assistant: Value, say: &'static str, finish: Finish) -> Outcome {
    let model = FakeLlm::new(move |messages| match last_user(messages).contains("hours") {
        true => Reply::CutOff { say: say.into(), finish },
        false => Reply::Say("Goodbye then.".into()),
    });
    let world = World::new(model).await;
    let mut document = json!({"firstMessage": "Hello."});
    document.as_object_mut().unwrap().extend(assistant.as_object().unwrap().clone());
    let placed = world.place(document).await;
    let lines = vec![world.say("What are your hours?"), world.say("Thank you.")];
    let outcome = world.converse(placed, lines).await;
    assert_eq!(outcome.ended_reason(), "customer-ended-call", "the call goes on after it");
    outcome
}

#[tokio::test(start_paused = true)]
async fn a_reply_at_its_limit_ends_with_a_whole_sentence_and_the_model_is_told() {
    let said = "We are open from nine to five. On Sundays and public holidays we are";
    let outcome = call(json!({}), said, Finish::Length).await;
    assert_eq!(outcome.words_heard(), "Hello. We are open from nine to five. Goodbye then.");
    assert_eq!(
        outcome.transcript(),
        "AI: Hello.\n\
         User: What are your hours?\n\
         AI: We are open from nine to five.\n\
         User: Thank you.\n\
         AI: Goodbye then."
    );
    let messages = outcome.record["artifact"]["messages"].as_array().unwrap();
    let notes: Vec<_> = messages.iter().filter(|message| message["role"] == "system").collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0]["message"].as_str().unwrap().contains("cut off"), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_to_nothing_at_its_limit_is_apologised_for() {
    let outcome = call(json!({}), "", Finish::Length).await;
    assert_eq!(
        outcome.words_heard(),
        "Hello. Sorry, I lost my thread there. Could you say that again? Goodbye then."
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_question_is_answered_with_the_assistant_s_line_for_it() {
    let outcome = call(json!({}), "", Finish::ContentFilter).await;
    assert_eq!(outcome.words_heard(), "Hello. I'm sorry, I can't help with that. Goodbye then.");
    let assistant = json!({"refusalMessage": "Let us talk of the clinic."});
    let outcome = call(assistant, "", Finish::ContentFilter).await;
    assert_eq!(outcome.words_heard(), "Hello. Let us talk of the clinic. Goodbye then.");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_filtered_in_its_middle_stops_and_says_that_it_does() {
    let said = "We are open from nine to five. After that you take the";
    let outcome = call(json!({}), said, Finish::ContentFilter).await;
    assert_eq!(
        outcome.words_heard(),
        "Hello. We are open from nine to five. I'm sorry, I can't help with that. Goodbye then."
    );
}
