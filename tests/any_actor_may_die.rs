//! Any actor of a running call may die, at any moment and in any way: it comes back, the call goes
//! on, and the caller hears every word once.

use std::time::Duration;

use offhook_supervisors::Fault;
use offhook_testkit::{
    fakes::FakeLlm,
    world::{Outcome, World},
};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

const ROLES: [&str; 8] =
    ["call", "recorder", "vad", "transcriber", "model", "voice", "tool_executor", "transport"];

const HEARD: &str = "Hello, this is the clinic, how can we help you today? \
    We are open from nine to five on every day of the week but Sunday. \
    Gladly, which day of this or of the coming week would suit you best? \
    Thursday at ten is yours, we are looking forward to it.";

const SAID: [&str; 3] = [
    "Good morning could you tell me your hours",
    "Then I would like an appointment please",
    "Thursday at ten would be fine",
];

fn receptionist() -> FakeLlm {
    FakeLlm::lines(&[
        ("hours", "We are open from nine to five on every day of the week but Sunday."),
        ("appointment", "Gladly, which day of this or of the coming week would suit you best?"),
        ("Thursday", "Thursday at ten is yours, we are looking forward to it."),
    ])
}

/// A call with one fault at a time after it was placed.
async fn call_with(role: &'static str, fault: Fault, at: Duration) -> Outcome {
    let world = World::new(receptionist()).await;
    let greeting = "Hello, this is the clinic, how can we help you today?";
    let placed = world.place(json!({"firstMessage": greeting, "fillerMessage": ""})).await;
    let (node, id, due) = (world.node.clone(), placed.id, Instant::now() + at);
    tokio::spawn(async move {
        sleep_until(due).await;
        node.inject(id, role, fault);
    });
    let lines = SAID.iter().map(|line| world.say(line)).collect();
    let outcome = world.converse(placed, lines).await;
    assert_eq!(world.node.slot_limits().in_use, 0, "{role} {fault:?} at {at:?}");
    outcome
}

fn assert_nothing_was_lost(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.words_heard(), HEARD, "{what}");
    for line in SAID {
        let transcript = outcome.transcript();
        assert_eq!(transcript.matches(line).count(), 1, "{what}: {line:?} in\n{transcript}");
    }
    assert_eq!(outcome.ended_reason(), "customer-ended-call", "{what}");
}

/// Moments of the call: greeting, pause, caller's sentence, its end, the agent's thought and speech.
fn moments() -> impl Iterator<Item = Duration> {
    (1..60).map(|n| Duration::from_millis(n * 317))
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_the_call_is_as_it_should_be() {
    let outcome = call_with("none", Fault::Kill, Duration::from_secs(1)).await;
    assert_nothing_was_lost(&outcome, "no fault");
}

#[tokio::test(start_paused = true)]
async fn killed() {
    for role in ROLES {
        for at in moments().step_by(3) {
            let outcome = call_with(role, Fault::Kill, at).await;
            assert_nothing_was_lost(&outcome, &format!("{role} killed at {at:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn panicking() {
    for role in ROLES {
        for at in moments().skip(1).step_by(4) {
            let outcome = call_with(role, Fault::Panic, at).await;
            assert_nothing_was_lost(&outcome, &format!("{role} panicked at {at:?}"));
        }
    }
}

/// A wedged actor is found out within its progress limit; until then its part of the call waits.
#[tokio::test(start_paused = true)]
async fn wedged() {
    for role in ROLES {
        for at in moments().step_by(7) {
            let outcome = call_with(role, Fault::Wedge, at).await;
            assert_nothing_was_lost(&outcome, &format!("{role} wedged at {at:?}"));
        }
    }
}
