//! Turn-taking as both sides of a call hear it.

use std::time::Duration;

use offhook_testkit::{
    caller::Line,
    fakes::{FakeLlm, Reply},
    tones,
    world::{Outcome, World},
};
use serde_json::{Value, json};

const LONG: &str = "We are open from nine to five on Monday, from ten to six on Tuesday, from \
    eight to noon on Wednesday, and all day long on Thursday and Friday.";

async fn converse(assistant: Value, lines: impl FnOnce(&World) -> Vec<Line>) -> Outcome {
    let world = World::new(FakeLlm::lines(&[
        ("hours", LONG),
        ("Thursday", "Thursday it is."),
        ("bye", "Goodbye and take care."),
    ]))
    .await;
    let placed = world.place(assistant).await;
    let lines = lines(&world);
    world.converse(placed, lines).await
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_agent_falls_silent_and_remembers_only_what_was_heard() {
    let outcome = converse(json!({"firstMessage": "Hello."}), |world| {
        vec![
            world.say("What are your hours?"),
            Line::Interrupt {
                after: Duration::from_secs(2),
                spoken: world.spoken("Wait, is Thursday possible?"),
            },
        ]
    })
    .await;

    let heard = outcome.words_heard();
    let transcript = outcome.transcript();
    let cut = transcript.lines().find(|line| line.starts_with("AI: We are open")).unwrap();
    let remembered = cut.trim_start_matches("AI: ");
    assert!(LONG.starts_with(remembered) && remembered.len() < LONG.len(), "{transcript}");
    // Two seconds in, five words a second, and the interruption takes a moment to be one.
    let words = remembered.split(' ').count();
    assert!((8..=14).contains(&words), "{words} words: {remembered}");
    // What the caller's ear got of it is what the history has, to a word that was under way.
    let rest = heard.strip_prefix(&format!("Hello. {remembered}")).unwrap_or_else(|| {
        panic!("heard {heard:?}, remembered {remembered:?}");
    });
    let more = rest.trim_end_matches("Thursday it is.").trim();
    assert!(more.split_whitespace().count() <= 2, "heard {more:?} beyond what is remembered");
    assert!(transcript.ends_with("User: Wait, is Thursday possible?\nAI: Thursday it is."));
    assert_eq!(outcome.record["artifact"]["performanceMetrics"]["numAssistantInterrupted"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_call_ends_with_its_message() {
    let assistant = json!({
        "firstMessage": "Hello.",
        "silenceTimeoutSeconds": 10,
        "endCallMessage": "Goodbye then.",
    });
    let outcome = converse(assistant, |_| vec![Line::Wait(Duration::from_secs(60))]).await;
    assert_eq!(outcome.words_heard(), "Hello. Goodbye then.");
    assert_eq!(outcome.ended_reason(), "silence-timed-out");
}

#[tokio::test(start_paused = true)]
async fn the_call_ends_at_its_maximum_duration() {
    let assistant = json!({"firstMessage": "Hello.", "maxDurationSeconds": 20});
    let outcome =
        converse(assistant, |world| (0..30).map(|_| world.say("What are your hours?")).collect())
            .await;
    assert_eq!(outcome.ended_reason(), "exceeded-max-duration");
    assert!(outcome.heard.closed.at < Duration::from_secs(24), "{:?}", outcome.heard.closed);
}

#[tokio::test(start_paused = true)]
async fn an_end_call_phrase_is_heard_before_the_call_ends() {
    let assistant = json!({"firstMessage": "Hello.", "endCallPhrases": ["take care"]});
    let outcome = converse(assistant, |world| vec![world.say("Thanks and bye")]).await;
    assert_eq!(outcome.words_heard(), "Hello. Goodbye and take care.");
    assert_eq!(outcome.ended_reason(), "assistant-said-end-call-phrase");
}

#[tokio::test(start_paused = true)]
async fn a_pause_in_a_sentence_does_not_end_the_turn() {
    let outcome = converse(json!({"firstMessage": "Hello."}), |_| {
        let mut spoken = tones::speak("I would like", 16_000);
        spoken.extend(vec![0; 16_000 * 9 / 10]);
        spoken.extend(tones::speak("Thursday please.", 16_000));
        vec![Line::Say(offhook_testkit::caller::Spoken::new("with a pause", spoken))]
    })
    .await;
    assert_eq!(
        outcome.transcript(),
        "AI: Hello.\nUser: I would like Thursday please.\nAI: Thursday it is."
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_ends_the_call_with_an_apology_and_its_name() {
    use offhook_core::FailureClass;
    use offhook_providers::ProviderError;

    let world = World::new(FakeLlm::new(|_| {
        Reply::Fail(ProviderError::new(FailureClass::Unauthorized, "the key was refused"))
    }))
    .await;
    let placed = world.place(json!({"firstMessage": "Hello."})).await;
    let outcome = world.converse(placed, vec![world.say("What are your hours?")]).await;
    assert_eq!(
        outcome.words_heard(),
        "Hello. I am sorry, something went wrong on our side. Please call again later."
    );
    assert_eq!(outcome.ended_reason(), "pipeline-error-fake-401-unauthorized");
}

#[tokio::test(start_paused = true)]
async fn a_mu_law_leg_carries_the_same_conversation() {
    let mut world = World::new(FakeLlm::lines(&[("Thursday", "Thursday it is.")])).await;
    world.format = offhook_media::AudioFormat::mulaw();
    let placed = world.place(json!({"firstMessage": "Hello."})).await;
    let outcome = world.converse(placed, vec![world.say("On Thursday please.")]).await;
    assert_eq!(outcome.words_heard(), "Hello. Thursday it is.");
}

/// How long the caller waits for the first answer, and how often the model was asked.
async fn answered_after(assistant: Value, question: &str) -> (u64, usize) {
    let mut llm = FakeLlm::lines(&[("hours", "From nine to five.")]);
    llm.first_token = Duration::from_millis(300);
    let world = World::new(llm).await;
    let placed = world.place(assistant).await;
    let outcome = world.converse(placed, vec![world.say(question)]).await;
    assert_eq!(outcome.words_heard(), "Hello. From nine to five.");
    let latency = &outcome.record["artifact"]["performanceMetrics"]["turnLatencies"][0];
    let latency = latency["turnLatency"].as_u64().expect("the turn was measured");
    (latency, world.llm.sessions.opened())
}

#[tokio::test(start_paused = true)]
async fn the_model_thinks_while_the_end_of_the_turn_is_waited_for() {
    let plan = |enabled: bool| {
        json!({"firstMessage": "Hello.", "startSpeakingPlan": {
            "waitSeconds": 0.8, "speculationEnabled": enabled}})
    };
    let (plain, plain_asked) = answered_after(plan(false), "What are your hours?").await;
    let (early, early_asked) = answered_after(plan(true), "What are your hours?").await;
    assert_eq!((plain_asked, early_asked), (1, 1));
    // The model's 300 ms fit into the wait, and so do its first words.
    let saved = plain - early;
    assert!((300..=400).contains(&saved), "{plain} ms, and {early} ms with speculation");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_on_is_answered_once_and_on_everything() {
    let llm = FakeLlm::lines(&[("Or Friday", "Friday it is."), ("Thursday", "Thursday it is.")]);
    let world = World::new(llm).await;
    let assistant = json!({"firstMessage": "Hello.", "startSpeakingPlan": {"waitSeconds": 1.5}});
    let placed = world.place(assistant).await;
    let mut spoken = tones::speak("Thursday please.", 16_000);
    spoken.extend(vec![0; 16_000 * 12 / 10]);
    spoken.extend(tones::speak("Or Friday.", 16_000));
    let lines = vec![Line::Say(offhook_testkit::caller::Spoken::new("in two breaths", spoken))];
    let outcome = world.converse(placed, lines).await;
    assert_eq!(
        outcome.transcript(),
        "AI: Hello.\nUser: Thursday please. Or Friday.\nAI: Friday it is."
    );
    assert_eq!(outcome.words_heard(), "Hello. Friday it is.");
    assert_eq!(world.llm.sessions.opened(), 2, "one of them in vain");
}
