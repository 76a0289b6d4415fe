use expect_test::expect;

use super::*;
use crate::{EndpointingRule, PatternOptions, StartSpeaking, TextPattern, TurnJudge, WaitFunction};

fn with(start_speaking: StartSpeaking) -> CallOptions {
    CallOptions { start_speaking, ..quiet() }
}

fn smart() -> StartSpeaking {
    let judge = TurnJudge::Estimate { wait: WaitFunction::default() };
    StartSpeaking { judge, native_end_of_turn: false, ..StartSpeaking::default() }
}

fn by_server() -> StartSpeaking {
    let judge = TurnJudge::Server { until_answered: WaitFunction::default() };
    StartSpeaking { judge, ..smart() }
}

fn rule(assistant: Option<&str>, customer: Option<&str>, timeout_ms: u64) -> EndpointingRule {
    let pattern = |source: &str| TextPattern::new(source, PatternOptions::default()).unwrap();
    EndpointingRule {
        assistant: assistant.map(pattern),
        customer: customer.map(pattern),
        timeout: ms(timeout_ms),
    }
}

fn answer(request: u32, timeout_ms: u64) -> Event {
    Event::EndpointingAnswered { request, timeout: ms(timeout_ms) }
}

/// A caller who says something in two breaths, the second a second and a half after the first.
fn two_breaths(one: &str, two: &str) -> Vec<(u64, Event)> {
    up(vec![
        (1_000, voice(1_000)),
        (1_650, silence(1_600)),
        (1_700, said(one)),
        (3_100, voice(3_100)),
        (3_850, silence(3_800)),
        (3_900, said(two)),
    ])
}

#[test]
fn an_estimate_answers_a_sentence_as_soon_as_the_wait_allows() {
    check(
        with(smart()),
        asked("Cancel it."),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it."
        2.000s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn an_estimate_waits_for_the_rest_of_half_a_sentence_with_a_full_stop() {
    check(
        with(smart()),
        two_breaths("I would like to.", "Cancel it."),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "I would like to."
        3.100s  ~user Started 0
        3.850s  ~user Stopped 0
        3.900s  ~user: "Cancel it."
        4.200s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn an_estimate_waits_for_the_rest_of_a_phone_number_that_was_asked_for() {
    let script = [
        vec![
            (0, Event::LegConnected),
            (
                100,
                Event::Control(crate::Control::Say {
                    content: "What is your phone number?".into(),
                    end_call_after_spoken: false,
                    interruptions_enabled: None,
                    interrupt_assistant: false,
                }),
            ),
            (200, began(1)),
            (900, heard(1)),
        ],
        two_breaths("555.", "012.").split_off(1),
        vec![(5_600, voice(5_600)), (6_650, silence(6_600)), (6_700, said("3456."))],
    ]
    .concat();
    check(
        with(smart()),
        script,
        8_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        0.100s  Speak #1 "What is your phone number?", Finish #1
        0.200s  ~assistant Started 0, ~speechStarted 0 ForceSay "What is your phone number?"
        0.900s  ~assistant Stopped 0, ~assistant: "What is your phone number?", ~history
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "555."
        3.100s  ~user Started 0
        3.850s  ~user Stopped 0
        3.900s  ~user: "012."
        5.600s  ~user Started 0
        6.650s  ~user Stopped 0
        6.700s  ~user: "3456."
        7.000s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_silent_caller_is_answered_in_the_end_whatever_they_left_open() {
    check(
        with(smart()),
        asked("I would like to"),
        9_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "I would like to"
            4.012s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_plan_of_the_document_comes_before_the_transcribers_own_judgement() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_650, silence(1_600)),
        (1_700, said("I would like to")),
        (1_700, Event::EndOfTurn),
    ]);
    check(
        with(smart()),
        script,
        9_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "I would like to"
            4.012s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_rule_comes_before_every_other_judgement() {
    let rules = vec![rule(None, Some("^I would"), 3_000)];
    let plan = StartSpeaking { rules, ..StartSpeaking::default() };
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_650, silence(1_600)),
        (1_700, said("I would like to cancel.")),
        (1_700, Event::EndOfTurn),
    ]);
    check(
        with(plan),
        script,
        9_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "I would like to cancel."
        4.600s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_rule_on_the_assistants_words_goes_by_what_was_heard_last() {
    let rules = vec![rule(Some("long story"), Some("."), 2_000)];
    let plan = StartSpeaking { rules, ..StartSpeaking::default() };
    let script = [
        answered("Hello."),
        vec![
            (4_000, heard(1)),
            (5_000, voice(5_000)),
            (5_650, silence(5_600)),
            (5_700, said("Yes.")),
        ],
    ]
    .concat();
    check(
        with(plan),
        script,
        9_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
        2.400s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        4.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        5.000s  ~user Started 1
        5.650s  ~user Stopped 1
        5.700s  ~user: "Yes."
        7.600s  endpointing -> ~history, Generate turn-2
    "#]],
    );
}

#[test]
fn a_transcriber_that_judges_ends_of_turns_is_waited_for() {
    // Turn 1 shows that it does; in turn 2 it takes its time.
    let script = [
        asked("Hello."),
        vec![
            (1_700, Event::EndOfTurn),
            (2_100, finished(1)),
            (3_000, voice(3_000)),
            (3_300, saying("Cancel it.")),
            (3_550, silence(3_500)),
            (4_900, said("Cancel it. Please.")),
            (4_900, Event::EndOfTurn),
        ],
    ]
    .concat();
    check(
        quiet(),
        script,
        6_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        3.000s  ~user Started 1
        3.300s  ~user: "Cancel it."...
        3.550s  ~user Stopped 1
        4.900s  ~user: "Cancel it. Please."
        4.900s  endpointing -> ~history, Generate turn-2
    "#]],
    );
}

#[test]
fn a_transcriber_without_ends_of_turns_that_takes_over_is_not_waited_for() {
    let script = [
        asked("Hello."),
        vec![
            (1_700, Event::EndOfTurn),
            (2_100, finished(1)),
            (3_000, voice(3_000)),
            (3_550, silence(3_500)),
            (3_600, said("Cancel it.")),
            (4_000, finished(2)),
            (5_000, voice(5_000)),
            (5_300, saying("Thank you.")),
            (5_550, silence(5_500)),
        ],
    ]
    .concat();
    check(
        quiet(),
        script,
        7_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        3.000s  ~user Started 1
        3.550s  ~user Stopped 1
        3.600s  ~user: "Cancel it."
        3.900s  endpointing -> ~history, Generate turn-2
        5.000s  ~user Started 2
        5.300s  ~user: "Thank you."...
        5.550s  ~user Stopped 2
        6.200s  final transcript -> ~history, Generate turn-3
    "#]],
    );
}

#[test]
fn an_end_of_turn_that_never_comes_is_given_up() {
    let script = [
        asked("Hello."),
        vec![
            (1_700, Event::EndOfTurn),
            (2_100, finished(1)),
            (3_000, voice(3_000)),
            (3_300, saying("Cancel it.")),
            (3_550, silence(3_500)),
        ],
    ]
    .concat();
    check(
        quiet(),
        script,
        8_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        3.000s  ~user Started 1
        3.300s  ~user: "Cancel it."...
        3.550s  ~user Stopped 1
        6.300s  final transcript -> ~history, Generate turn-2
    "#]],
    );
}

#[test]
fn a_server_that_answers_decides_how_long_to_wait() {
    let script = [asked("Cancel it."), vec![(1_800, answer(1, 900))]].concat();
    check(
        with(by_server()),
        script,
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", AskEndpointing 1
        2.500s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_server_that_is_late_is_waited_for_half_a_second() {
    let script = [asked("Cancel it."), vec![(2_250, answer(1, 900))]].concat();
    check(
        with(by_server()),
        script,
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", AskEndpointing 1
        2.200s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_late_answer_counts_while_the_turn_is_not_over() {
    let script = [asked("I would like to"), vec![(2_600, answer(1, 1_200))]].concat();
    check(
        with(by_server()),
        script,
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "I would like to", AskEndpointing 1
        2.800s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_server_is_asked_once_for_the_same_words_and_again_for_new_ones() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_200, saying("cancel")),
        (1_300, saying("Cancel")),
        (1_400, saying("Cancel it")),
        (1_450, answer(1, 10_000)),
        (1_500, said("Cancel it.")),
        (1_550, answer(2, 600)),
        (1_650, silence(1_600)),
    ]);
    check(
        with(by_server()),
        script,
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.200s  ~user: "cancel"..., AskEndpointing 1
        1.300s  ~user: "Cancel"...
        1.400s  ~user: "Cancel it"..., AskEndpointing 2
        1.500s  ~user: "Cancel it."
        1.650s  ~user Stopped 0
        2.200s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_server_is_not_asked_where_a_rule_decides() {
    let plan = StartSpeaking { rules: vec![rule(None, Some("it"), 700)], ..by_server() };
    check(
        with(plan),
        asked("Cancel it."),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it."
        2.300s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn an_estimator_of_ones_own_is_asked_instead_of_ours() {
    #[derive(Debug)]
    struct NeverSure;
    impl EndOfTurnEstimator for NeverSure {
        fn estimate(&self, _cues: &crate::Cues<'_>) -> f64 {
            0.0
        }
    }
    let judge = TurnJudge::Estimate { wait: WaitFunction::parse("3000 * x").unwrap() };
    let options = with(StartSpeaking { judge, ..smart() });
    let mut conversation = Conversation::with_estimator(options, &NeverSure);
    for (at, event) in asked("Cancel it.") {
        conversation.handle(CallTime::from_millis(at), event);
    }
    let (due, _) = conversation.next_deadline().unwrap();
    assert_eq!(due, CallTime::from_millis(4_600));
}
