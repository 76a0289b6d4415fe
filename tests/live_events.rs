//! Events that a client sees while a call runs, when it asks for them.

mod support;

use serde_json::json;
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
