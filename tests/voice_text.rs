//! What the caller hears of the model's text, and what is remembered of it.

use offhook_testkit::{fakes::FakeLlm, world::World};
use serde_json::{Value, json};

const PRICE: &str = "That is **$42.50** for 5 km: call +1 415 555 0100 <flush /> or come by.";

const GREETING: &str = "Hello, this is the shop.";

fn shop() -> FakeLlm {
    FakeLlm::lines(&[("price", PRICE)])
}

/// What is heard and what is remembered of the answer to one question.
async fn asked(mut assistant: Value) -> (String, String) {
    let world = World::new(shop()).await;
    assistant["firstMessage"] = GREETING.into();
    let placed = world.place(assistant).await;
    let outcome = world.converse(placed, vec![world.say("What is the price please?")]).await;
    let transcript = outcome.transcript();
    let (_, answer) = transcript.rsplit_once("AI: ").expect("it spoke");
    let heard = outcome.words_heard();
    let heard = heard.strip_prefix(GREETING).expect("it greeted").trim_start();
    (heard.to_owned(), answer.to_owned())
}

#[tokio::test(start_paused = true)]
async fn numbers_and_marks_are_said_in_words_and_remembered_as_they_were_written() {
    let (heard, remembered) = asked(json!({})).await;
    assert_eq!(
        heard,
        "That is forty two dollars and fifty cents for five kilometers. call +1 four one five five \
         five five zero one zero zero or come by."
    );
    assert_eq!(remembered, PRICE);
}

#[tokio::test(start_paused = true)]
async fn a_document_may_switch_formatting_off_or_replace_words_of_its_own() {
    let plan = |plan: Value| json!({"voice": {"chunkPlan": {"formatPlan": plan}}});
    let (heard, _) = asked(plan(json!({"enabled": false}))).await;
    assert_eq!(heard, PRICE.replace("<flush /> ", ""));

    let replacements = json!([{"type": "exact", "key": "come by", "value": "visit us"}]);
    let (heard, remembered) =
        asked(plan(json!({"formattersEnabled": ["stripAsterisk"], "replacements": replacements})))
            .await;
    assert_eq!(heard, "That is $42.50 for 5 km: call +1 415 555 0100 or visit us.");
    assert_eq!(remembered, PRICE);

    let (heard, _) = asked(json!({"voice": {"chunkPlan": {"enabled": false}}})).await;
    assert_eq!(heard, PRICE);
}
