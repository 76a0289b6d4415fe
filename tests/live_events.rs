//! Events that a client sees while a call runs, when it asks for them.

mod support;

use serde_json::{Value, json};
use support::Calls;

#[tokio::test]
async fn a_client_is_told_that_the_caller_goes_on_in_another_language() {
    let calls = Calls::start().await;
    let fields = json!({
        "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "multi"},
        "clientMessages": ["language-changed", "conversation-update"],
        "serverMessages": ["language-change-detected", "end-of-call-report"],
    });
    let (call, mut leg) = calls.connect(fields).await;
    for (language, sentence) in [
        ("en", "I would like an appointment."),
        ("es", "Gracias."),
        ("en", "With the dentist, please."),
        ("es", "Prefiero hablar en español."),
    ] {
        calls.providers.caller_says_in(language, sentence).await;
        let answer = format!("You said {sentence}");
        leg.event_where(&answer, |event| {
            event["messages"]
                .as_array()
                .and_then(|all| all.last())
                .is_some_and(|last| last["message"] == answer.as_str())
        })
        .await;
    }
    let seen: Vec<_> =
        leg.events.iter().filter(|event| event["type"] == "language-change-detected").collect();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0]["language"], "es");
    leg.hang_up().await;
    let id = call["id"].as_str().expect("calls have ids");
    calls.receiver.report(id).await;
    let told: Vec<_> = calls.receiver.deliveries();
    let told: Vec<_> = told
        .iter()
        .filter(|one| one.kind() == "language-change-detected")
        .map(|one| (&one.message["language"], &one.message["call"]["id"]))
        .collect();
    assert_eq!(told, [(&json!("es"), &json!(id))]);
}

#[tokio::test]
async fn a_client_sees_the_words_of_the_agent_as_they_sound() {
    let calls = Calls::start().await;
    let greeting = "Good morning. This is the dentist.";
    let fields = json!({
        "firstMessage": greeting,
        "clientMessages": ["assistant.speechStarted", "speech-update"],
        "serverMessages": ["assistant.speechStarted", "end-of-call-report"],
    });
    let (call, mut leg) = calls.connect(fields).await;
    leg.event_where("end of the greeting", |event| event["status"] == "stopped").await;
    let told = |events: &[Value]| -> Vec<Value> {
        let is_told = |event: &&Value| event["type"] == "assistant.speechStarted";
        events.iter().filter(is_told).cloned().collect()
    };
    let seen = told(&leg.events);
    leg.hang_up().await;

    let mut words = String::new();
    // The first may be told before the voice has timed a word.
    let is_timed = |event: &&Value| !event["timing"].is_null();
    for event in seen.iter().filter(is_timed) {
        assert_eq!((&event["text"], &event["turn"]), (&json!(greeting), &json!(0)));
        assert_eq!(event["source"], "force-say");
        let timing = &event["timing"];
        assert_eq!(timing["type"], "word-alignment");
        let list = |name: &str| timing[name].as_array().expect("a list").clone();
        let (starts, ends) = (list("wordsStartTimesMs"), list("wordsEndTimesMs"));
        assert_eq!((starts.len(), ends.len()), (list("words").len(), list("words").len()));
        assert_eq!(starts[0], 0);
        words.extend(list("words").iter().filter_map(Value::as_str));
    }
    assert_eq!(words, greeting);
    // The fake voice takes 20 ms for a character.
    let good = &seen.iter().find(is_timed).expect("words are timed")["timing"];
    let first = [&good["words"][0], &good["wordsStartTimesMs"][0], &good["wordsEndTimesMs"][0]];
    assert_eq!(first, [&json!("Good"), &json!(0), &json!(80)]);

    let id = call["id"].as_str().expect("calls have ids");
    calls.receiver.report(id).await;
    let delivered: Vec<_> =
        calls.receiver.deliveries().into_iter().map(|one| one.message).collect();
    assert_eq!(told(&delivered).len(), seen.len());
}
