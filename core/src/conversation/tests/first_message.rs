use expect_test::expect;

use super::*;

fn greeting() -> CallOptions {
    CallOptions { first_message: Some("Hello, how can I help?".into()), ..CallOptions::default() }
}

#[test]
fn assistant_speaks_its_first_message_when_the_leg_is_up() {
    check(
        greeting(),
        vec![(0, Event::LegConnected), (200, began(1)), (1_500, heard(1))],
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started, Speak #1 "Hello, how can I help?", Finish #1
            0.200s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello, how can I help?"
            1.500s  ~assistant Stopped 0, ~assistant: "Hello, how can I help?", ~history
        "#]],
    );
}

#[test]
fn without_a_first_message_the_model_makes_one() {
    check(
        CallOptions::default(),
        vec![(0, Event::LegConnected), (400, piece(1, "Good day!")), (450, finished(1))],
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started, Generate turn-1
            0.400s  Speak #1 "Good day!", ~model-output turn-1
            0.450s  Finish #1
        "#]],
    );
}

#[test]
fn a_model_generated_first_message_is_asked_for_at_once() {
    let first_message_mode = FirstMessageMode::AssistantSpeaksFirstWithModelGeneratedMessage;
    check(
        CallOptions { first_message_mode, ..greeting() },
        vec![(0, Event::LegConnected)],
        100,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started, Generate turn-1
        "#]],
    );
}

#[test]
fn an_assistant_that_waits_says_nothing() {
    check(
        quiet(),
        vec![(0, Event::LegConnected)],
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
    "#]],
    );
}

#[test]
fn speech_over_the_first_message_is_kept_and_answered_after_it() {
    check(
        greeting(),
        vec![
            (0, Event::LegConnected),
            (200, began(1)),
            (500, voice(450)),
            (900, saying("I want to")),
            (1_400, silence(1_300)),
            (1_500, said("I want to cancel.")),
            (2_500, heard(1)),
        ],
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started, Speak #1 "Hello, how can I help?", Finish #1
            0.200s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello, how can I help?"
            0.500s  ~user Started 0
            0.900s  ~user: "I want to"...
            1.400s  ~user Stopped 0
            1.500s  ~user: "I want to cancel."
            2.500s  ~assistant Stopped 0, ~assistant: "Hello, how can I help?", ~history
            2.500s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn the_first_message_is_interrupted_where_that_is_allowed() {
    check(
        CallOptions { first_message_interruptions_enabled: true, ..greeting() },
        vec![(0, Event::LegConnected), (200, began(1)), (500, voice(450))],
        1_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started, Speak #1 "Hello, how can I help?", Finish #1
            0.200s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello, how can I help?"
            0.500s  ~user Started 0
            0.650s  barge-in -> Cut #1, ~assistant Stopped 0, ~user-interrupted turn-0
        "#]],
    );
}

#[test]
fn nothing_is_heard_before_the_leg_is_up() {
    check(
        greeting(),
        vec![(0, voice(0)), (100, said("Hello")), (200, Event::EndOfTurn)],
        60_000,
        expect![""],
    );
}

#[test]
fn a_leg_that_comes_back_does_not_start_the_call_again() {
    check(
        greeting(),
        vec![
            (0, Event::LegConnected),
            (200, began(1)),
            (900, heard(1)),
            (2_000, Event::LegConnected),
        ],
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started, Speak #1 "Hello, how can I help?", Finish #1
            0.200s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello, how can I help?"
            0.900s  ~assistant Stopped 0, ~assistant: "Hello, how can I help?", ~history
        "#]],
    );
}
