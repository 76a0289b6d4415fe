//! A model that dies, is slow or refuses costs the caller nothing.

use std::time::Duration;

use offhook_config::Settings;
use offhook_core::{FailureClass, Message};
use offhook_providers::ProviderError;
use offhook_testkit::{
    fakes::{FakeLlm, Fault, Reply, Resuming, last_user},
    tones,
    world::{Outcome, World},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

const GREETING: &str = "Hello, this is the clinic.";
const QUESTION: &str = "What are your hours?";
const ANSWER: &str = "We are open from nine to five on every day of the week but Sunday, \
    when only the emergency room is open, and that is behind the main building.";

const RESUMING: [Resuming; 3] =
    [Resuming::GoesOn, Resuming::RepeatsWords(4), Resuming::StartsAgain];

fn model() -> FakeLlm {
    FakeLlm::lines(&[("hours", ANSWER), ("Goodbye", "Goodbye then.")])
}

fn resuming(resuming: Resuming) -> FakeLlm {
    let mut model = model();
    model.resuming = resuming;
    model
}

async fn world(resuming: Resuming, fallbacks: usize) -> World {
    let mut world = World::new(self::resuming(resuming)).await;
    world.fallbacks.llm = (0..fallbacks).map(|_| self::resuming(resuming)).collect();
    world
}

async fn converse(world: &World) -> Outcome {
    let placed = world.place(json!({"firstMessage": GREETING, "fillerMessage": ""})).await;
    world.converse(placed, vec![world.say(QUESTION)]).await
}

/// The caller heard what they should, and the call went on.
#[track_caller]
fn check_whole(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"), "{what}");
    assert_eq!(
        outcome.transcript(),
        format!("AI: {GREETING}\nUser: {QUESTION}\nAI: {ANSWER}"),
        "{what}"
    );
    assert_eq!(outcome.ended_reason(), "customer-ended-call", "{what}");
}

/// `fallbacks` of a call's document that concern the model.
fn fallbacks(record: &Value) -> usize {
    let list = record["fallbacks"].as_array().cloned().unwrap_or_default();
    list.iter().filter(|entry| entry["stage"] == "model").count()
}

/// From the end of the caller's question to the first sample of the answer.
fn answered_after(outcome: &Outcome) -> Duration {
    let turns = outcome.record["artifact"]["performanceMetrics"]["turnLatencies"].clone();
    let total = turns[0]["turnLatency"].as_f64().unwrap_or_else(|| panic!("{turns}"));
    Duration::from_secs_f64(total / 1_000.0)
}

#[tokio::test(start_paused = true)]
async fn wherever_a_reply_breaks_off_every_word_of_it_is_heard_once() {
    for resuming in RESUMING {
        for fallbacks in [0, 1] {
            for words in 0..=ANSWER.split_whitespace().count() {
                let world = world(resuming, fallbacks).await;
                world.llm.break_next([Fault::DieAfter(words)]);
                let outcome = converse(&world).await;
                check_whole(&outcome, &format!("{resuming:?} after {words} words"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_dies_at_any_moment_for_good_is_replaced_in_the_middle_of_the_word() {
    let first = Duration::from_millis(3_500);
    let mut replaced = 0;
    for moment in 0..25 {
        let mut world = world(RESUMING[moment % 3], 1).await;
        world.llm.between_tokens = Duration::from_millis(100);
        let (llm, due) =
            (world.llm.clone(), Instant::now() + first + Duration::from_millis(80 * moment as u64));
        tokio::spawn(async move {
            sleep_until(due).await;
            llm.drop_streams();
            llm.refuse(1_000);
        });
        let outcome = converse(&world).await;
        check_whole(&outcome, &format!("moment {moment}"));
        replaced += fallbacks(&outcome.record);
    }
    assert!(replaced >= 15, "only {replaced} of the moments met the reply");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_breaks_off_again_and_again_is_put_together_from_its_pieces() {
    for resuming in RESUMING {
        let world = world(resuming, 1).await;
        world.llm.break_next([Fault::DieAfter(5), Fault::DieAfter(9)]);
        world.fallbacks.llm[0].break_next([Fault::DieAfter(12)]);
        check_whole(&converse(&world).await, &format!("{resuming:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_falls_silent_without_an_error_is_gone_on_with() {
    for fallbacks in [0, 1] {
        let world = world(Resuming::GoesOn, fallbacks).await;
        world.llm.break_next([Fault::HangAfter(7)]);
        check_whole(&converse(&world).await, &format!("{fallbacks} fallbacks"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_nobody_can_go_on_with_ends_at_a_clause_and_the_call_goes_on() {
    let world = world(Resuming::GoesOn, 1).await;
    world.llm.break_next([Fault::DieAfter(17)]);
    world.llm.refuse(100);
    world.fallbacks.llm[0].refuse(100);
    let placed = world.place(json!({"firstMessage": GREETING, "fillerMessage": ""})).await;
    // The models are asked again for 4.5 s.
    let (lines, patience) = (vec![world.say(QUESTION)], Duration::from_secs(6));
    let outcome = world.converse_patiently(placed, lines, patience).await;
    let said = "We are open from nine to five on every day of the week but Sunday,";
    let sorry = "Sorry, I lost my thread there. Could you say that again?";
    assert_eq!(outcome.words_heard(), format!("{GREETING} {said} {sorry}"));
    assert_eq!(outcome.ended_reason(), "customer-ended-call");
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_called_once_wherever_the_reply_that_calls_it_breaks_off() {
    for words in 0..=6 {
        for resuming in RESUMING {
            let mut model = FakeLlm::new(|messages| {
                let is_told = messages.iter().any(|it| matches!(it, Message::ToolResult { .. }));
                match last_user(messages).contains("hours") {
                    true if is_told => Reply::Say("That did not work, I am afraid.".into()),
                    true => Reply::Call {
                        say: "Let me look that up for you.".into(),
                        tool: "hours".into(),
                        arguments: json!({"day": "today"}),
                    },
                    false => Reply::Say("pardon".into()),
                }
            });
            model.resuming = resuming;
            let world = World::new(model).await;
            world.llm.break_next([Fault::DieAfter(words)]);
            let tool = json!({"type": "function", "messages": [], "function": {"name": "hours"}});
            let assistant =
                json!({"firstMessage": GREETING, "fillerMessage": "", "model": {"tools": [tool]}});
            let placed = world.place(assistant).await;
            let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;
            assert_eq!(
                outcome.words_heard(),
                format!("{GREETING} Let me look that up for you. That did not work, I am afraid."),
                "{words} words, {resuming:?}"
            );
            let messages = outcome.record["artifact"]["messages"].as_array().unwrap();
            let calls = messages.iter().filter(|message| message["role"] == "tool_calls");
            assert_eq!(calls.count(), 1, "{words} words, {resuming:?}");
        }
    }
}

/// Looks something up, and says that it could not.
fn looking_up(say: &'static str) -> FakeLlm {
    FakeLlm::new(move |messages| {
        let is_told = messages.iter().any(|it| matches!(it, Message::ToolResult { .. }));
        match last_user(messages).contains("hours") {
            true if is_told => Reply::Say("That did not work, I am afraid.".into()),
            true => {
                let (tool, arguments) = ("hours".into(), json!({"day": "today"}));
                Reply::Call { say: say.into(), tool, arguments }
            }
            false => Reply::Say("pardon".into()),
        }
    })
}

fn with_tool() -> Value {
    let tool = json!({"type": "function", "messages": [], "function": {"name": "hours"}});
    json!({"firstMessage": GREETING, "fillerMessage": "", "model": {"tools": [tool]}})
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_that_takes_long_to_write_is_waited_for_and_made_once() {
    for said in ["", "Let me look that up for you. "] {
        let slow_writer = || {
            let mut model = looking_up(said);
            model.call_takes = Duration::from_secs(6);
            model
        };
        let mut world = World::new(slow_writer()).await;
        world.fallbacks.llm = vec![slow_writer()];
        let placed = world.place(with_tool()).await;
        let (lines, patience) = (vec![world.say(QUESTION)], Duration::from_secs(9));
        let outcome = world.converse_patiently(placed, lines, patience).await;
        let heard = format!("{GREETING} {said}That did not work, I am afraid.");
        assert_eq!(outcome.words_heard(), heard);
        assert_eq!(fallbacks(&outcome.record), 0);
        assert_eq!(world.fallbacks.llm[0].sessions.opened(), 0, "nobody races it");
        let messages = outcome.record["artifact"]["messages"].as_array().unwrap();
        assert_eq!(messages.iter().filter(|it| it["role"] == "tool_calls").count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn where_tools_are_offered_a_reply_that_falls_silent_is_gone_on_with_within_five_seconds() {
    let world = world(Resuming::GoesOn, 1).await;
    world.llm.break_next([Fault::HangAfter(7)]);
    let placed = world.place(with_tool()).await;
    let (lines, patience) = (vec![world.say(QUESTION)], Duration::from_secs(12));
    let outcome = world.converse_patiently(placed, lines, patience).await;
    check_whole(&outcome, "with tools");
    let words = tones::words_of(&outcome.heard.agent, outcome.heard.sample_rate_hz);
    let answer = &words[GREETING.split_whitespace().count()..];
    let gaps = answer.windows(2).map(|two| two[1].at - two[0].at);
    assert!(gaps.max() < Some(Duration::from_secs(5) + tones::WORD), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_refuses_is_replaced_at_once() {
    for class in [FailureClass::Unavailable, FailureClass::Quota, FailureClass::Unauthorized] {
        let world = world(Resuming::GoesOn, 1).await;
        world.llm.break_next([Fault::Refuse(ProviderError::new(class, "told to"))]);
        let outcome = converse(&world).await;
        check_whole(&outcome, class.name());
        assert_eq!(fallbacks(&outcome.record), 1, "{class:?}");
        assert!(answered_after(&outcome) < Duration::from_millis(1_500));
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_asks_for_a_short_wait_is_asked_again_after_it_and_no_sooner() {
    for (wait_ms, replaced) in [(700, 0), (5_000, 1)] {
        let world = world(Resuming::GoesOn, 1).await;
        let class = FailureClass::RateLimited { retry_after: Some(Duration::from_millis(wait_ms)) };
        world.llm.break_next([Fault::Refuse(ProviderError::new(class, "told to"))]);
        let outcome = converse(&world).await;
        check_whole(&outcome, "rate limited");
        assert_eq!(fallbacks(&outcome.record), replaced, "{wait_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_stands_alone_is_asked_again_until_it_answers() {
    let world = world(Resuming::GoesOn, 0).await;
    world.llm.refuse(3);
    check_whole(&converse(&world).await, "refused three times");
}

#[tokio::test(start_paused = true)]
async fn where_all_models_refuse_the_caller_hears_an_apology_and_the_call_ends() {
    let world = world(Resuming::GoesOn, 1).await;
    world.llm.refuse(1_000);
    world.fallbacks.llm[0].refuse(1_000);
    let outcome = converse(&world).await;
    let reason = outcome.ended_reason();
    assert!(reason.contains("providerfault") || reason.contains("llm"), "{reason}");
    assert!(outcome.words_heard().contains("something went wrong"), "{}", outcome.words_heard());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_slow_is_raced_and_nothing_of_the_slower_one_is_heard() {
    for fallbacks in [0, 1] {
        for slow in [1_300, 1_350, 8_000] {
            let world = world(Resuming::GoesOn, fallbacks).await;
            world.llm.break_next([Fault::Slow(Duration::from_millis(slow))]);
            let outcome = converse(&world).await;
            check_whole(&outcome, &format!("{slow} ms, {fallbacks} fallbacks"));
            let asked = world.llm.sessions.opened()
                + world.fallbacks.llm.iter().map(|it| it.sessions.opened()).sum::<usize>();
            assert_eq!(asked, 2, "{slow} ms, {fallbacks} fallbacks");
            let took = answered_after(&outcome);
            assert!(took < Duration::from_millis(2_400), "{slow} ms: {took:?}");
            let open = world.llm.sessions.open();
            assert_eq!(open, 0, "the slower one is cancelled");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn models_are_not_raced_where_the_operator_does_not_want_it() {
    let mut settings = Settings::default();
    settings.calls.hedge = false;
    let world = World::with(model(), settings).await;
    world.llm.break_next([Fault::Slow(Duration::from_millis(2_000))]);
    check_whole(&converse(&world).await, "slow");
    assert_eq!(world.llm.sessions.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_on_suspicion_is_not_raced_before_it_is_wanted() {
    let world = world(Resuming::GoesOn, 0).await;
    // The first turn uses up what a new node may race; the second would have nothing left.
    world
        .llm
        .break_next([Fault::Slow(Duration::from_secs(4)), Fault::Slow(Duration::from_secs(4))]);
    let plan = json!({"speculationEnabled": true, "waitSeconds": 3.0,
        "transcriptionEndpointingPlan": {"onPunctuationSeconds": 3.0,
            "onNoPunctuationSeconds": 3.0, "onNumberSeconds": 3.0}});
    let assistant =
        json!({"firstMessage": GREETING, "fillerMessage": "", "startSpeakingPlan": plan});
    let placed = world.place(assistant).await;
    let outcome = world.converse(placed, vec![world.say(QUESTION)]).await;
    assert_eq!(outcome.words_heard(), format!("{GREETING} {ANSWER}"));
}
