//! What the caller hears where a stop of the agent was none, where nobody speaks, and where nobody is.

use std::{f32::consts::TAU, time::Duration};

use offhook_testkit::{
    caller::{Line, Spoken},
    fakes::FakeLlm,
    tones::{self, Word},
    world::{Outcome, World},
};
use serde_json::{Value, json};

const LONG: &str = "We are open from nine to five on Monday, from ten to six on Tuesday, from \
    eight to noon on Wednesday, and all day long on Thursday and Friday.";

/// What is resumed is heard again within this time of its cut.
const RESUMED_WITHIN: Duration = Duration::from_secs(2);

async fn converse(assistant: Value, lines: impl FnOnce(&World) -> Vec<Line>) -> Outcome {
    let world = World::new(FakeLlm::lines(&[
        ("hours", LONG),
        ("Thursday", "Thursday it is."),
        ("Hello?", "Here I am."),
    ]))
    .await;
    let placed = world.place(assistant).await;
    let lines = lines(&world);
    world.converse(placed, lines).await
}

/// A sound without a word in it: two tones that no word begins with.
fn hum(length: Duration) -> Spoken {
    let rate = 16_000.0;
    let samples = (length.as_secs_f32() * rate) as usize;
    let hum = (0..samples).map(|at| {
        let time = at as f32 / rate;
        (6_000.0 * ((TAU * 560.0 * time).sin() + (TAU * 1_720.0 * time).sin())) as i16
    });
    Spoken::new("hum", hum.collect())
}

/// An agent that stops at the first sound of a caller, as the contract's default has it.
fn stopped_by_voice() -> Value {
    json!({"firstMessage": "Hello.", "stopSpeakingPlan": {"voiceSeconds": 0.2}})
}

fn during(after_ms: u64, spoken: Spoken) -> Line {
    Line::Interrupt { after: Duration::from_millis(after_ms), spoken }
}

/// The longest that the caller waited between two words of the answer that begins with `We`.
fn longest_gap(outcome: &Outcome) -> Duration {
    let words = tones::words_of(&outcome.heard.agent, outcome.heard.sample_rate_hz);
    let answer: Vec<Word> = words.into_iter().skip_while(|word| word.text != "We").collect();
    answer.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default()
}

/// The caller heard every word of the long answer, and none but the one at the cut twice.
fn check_whole(outcome: &Outcome) {
    let heard = outcome.words_heard();
    let mut rest = LONG.split(' ').peekable();
    let mut extra = Vec::new();
    for word in heard.split(' ').skip(1) {
        match rest.next_if_eq(&word) {
            Some(_) => {}
            None => extra.push(word),
        }
    }
    let missing: Vec<_> = rest.collect();
    assert!(
        missing.is_empty() && extra.len() <= 2,
        "missing {missing:?}, twice {extra:?}: {heard}"
    );
    assert!(longest_gap(outcome) < RESUMED_WITHIN, "{:?}", longest_gap(outcome));
    let metrics = &outcome.record["artifact"]["performanceMetrics"];
    assert_eq!(metrics["numAssistantInterrupted"], 0, "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn after_a_cough_the_agent_goes_on_where_it_stopped() {
    let outcome = converse(stopped_by_voice(), |world| {
        vec![
            world.say("What are your hours?"),
            during(2_000, hum(Duration::from_millis(350))),
            world.say("On Thursday then"),
        ]
    })
    .await;
    let expected = format!(
        "AI: Hello.\nUser: What are your hours?\nAI: {LONG}\nUser: On Thursday then\nAI: Thursday it is."
    );
    assert_eq!(outcome.transcript(), expected);
    assert!(outcome.words_heard().ends_with("Thursday it is."));
}

#[tokio::test(start_paused = true)]
async fn a_cough_costs_less_than_two_seconds_and_no_word() {
    let outcome = converse(stopped_by_voice(), |world| {
        vec![world.say("What are your hours?"), during(2_000, hum(Duration::from_millis(350)))]
    })
    .await;
    check_whole(&outcome);
    assert!(longest_gap(&outcome) > Duration::from_millis(400), "the agent never stopped");
}

#[tokio::test(start_paused = true)]
async fn without_a_plan_a_cough_does_not_stop_the_agent_at_all() {
    let outcome = converse(json!({"firstMessage": "Hello."}), |world| {
        vec![world.say("What are your hours?"), during(2_000, hum(Duration::from_millis(350)))]
    })
    .await;
    check_whole(&outcome);
    assert!(longest_gap(&outcome) < Duration::from_millis(400), "{:?}", longest_gap(&outcome));
}

#[tokio::test(start_paused = true)]
async fn a_noise_that_goes_on_is_spoken_over() {
    let outcome = converse(json!({"firstMessage": "Hello."}), |world| {
        vec![world.say("What are your hours?"), during(2_000, hum(Duration::from_secs(3)))]
    })
    .await;
    check_whole(&outcome);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_costs_no_word_and_is_no_turn() {
    let outcome = converse(json!({"firstMessage": "Hello."}), |world| {
        vec![world.say("What are your hours?"), during(2_000, world.spoken("yeah sure"))]
    })
    .await;
    check_whole(&outcome);
    let expected = format!("AI: Hello.\nUser: What are your hours?\nAI: {LONG}");
    assert_eq!(outcome.transcript(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_agents_own_words_are_no_turn() {
    let outcome = converse(json!({"firstMessage": "Hello."}), |world| {
        vec![
            world.say("What are your hours?"),
            during(2_000, world.spoken("nine to five on Monday,")),
        ]
    })
    .await;
    check_whole(&outcome);
    let expected = format!("AI: Hello.\nUser: What are your hours?\nAI: {LONG}");
    assert_eq!(outcome.transcript(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_says_nothing_is_asked_and_then_left() {
    let assistant = json!({
        "firstMessage": "Hello.",
        "hooks": [
            {"on": "customer.speech.timeout", "options": {"timeoutSeconds": 5},
             "do": [{"type": "say", "exact": "Are you there?"}]},
            {"on": "customer.speech.timeout", "options": {"timeoutSeconds": 12},
             "do": [{"type": "say", "exact": "Goodbye then."},
                    {"type": "tool", "tool": {"type": "endCall"}}]},
        ],
    });
    let outcome = converse(assistant, |_| vec![Line::Wait(Duration::from_secs(60))]).await;
    assert_eq!(outcome.words_heard(), "Hello. Are you there? Goodbye then.");
    assert_eq!(outcome.ended_reason(), "assistant-ended-call");
}

fn calling() -> Value {
    json!({
        "firstMessage": "Hi.",
        "voicemailDetection": {"provider": "vapi", "beepMaxAwaitSeconds": 10},
        "voicemailMessage": "Please call us back.",
    })
}

#[tokio::test(start_paused = true)]
async fn a_voicemail_gets_its_message_and_nothing_else() {
    let outcome = converse(calling(), |world| {
        vec![
            world.say("Please leave a message after the tone."),
            Line::Wait(Duration::from_secs(60)),
        ]
    })
    .await;
    assert_eq!(outcome.words_heard(), "Hi. Please call us back.");
    assert_eq!(outcome.ended_reason(), "voicemail");
}

#[tokio::test(start_paused = true)]
async fn a_person_who_picks_up_gets_the_agent() {
    let outcome = converse(calling(), |_| {
        let mut picked_up = tones::speak("Please leave a message after the tone.", 16_000);
        picked_up.extend(vec![0; 2 * 16_000]);
        picked_up.extend(tones::speak("Hello?", 16_000));
        vec![Line::Say(Spoken::new("greeting, then a person", picked_up))]
    })
    .await;
    assert_eq!(outcome.words_heard(), "Hi. Here I am.");
}
