use expect_test::expect;

use super::*;
use crate::StopSpeaking;

fn with(stop_speaking: StopSpeaking) -> CallOptions {
    CallOptions { stop_speaking, ..quiet() }
}

#[test]
fn voice_that_lasts_cuts_the_speech_and_history_keeps_what_was_heard() {
    let script = [
        answered("Hello."),
        vec![
            (3_080, voice(3_000)),
            (3_210, cut(1, "Let me tell")),
            (3_900, silence(3_800)),
            (3_950, said("No, a short one.")),
        ],
    ]
    .concat();
    check(
        quiet(),
        script.clone(),
        6_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.080s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.900s  ~user Stopped 1
            3.950s  ~user: "No, a short one.", ~assistant: "Let me tell", ~history
            4.200s  endpointing -> ~history, Generate turn-2
        "#]],
    );
    check_history(
        quiet(),
        script,
        6_000,
        expect![[r#"
            1.000s .. 1.600s  user: Hello.
            2.500s .. 3.210s  assistant: Let me tell--
            3.000s .. 3.800s  user: No, a short one.
        "#]],
    );
}

#[test]
fn voice_that_stops_before_the_limit_does_not_interrupt() {
    check(
        quiet(),
        [
            answered("Hello."),
            vec![(3_080, voice(3_000)), (3_150, silence(3_120)), (6_000, heard(1))],
        ]
        .concat(),
        7_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.080s  ~user Started 1
            3.150s  ~user Stopped 1
            6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        "#]],
    );
}

#[test]
fn a_word_interrupts_at_once() {
    check(
        quiet(),
        [answered("Hello."), vec![(3_080, voice(3_000)), (3_100, saying("Stop"))]].concat(),
        3_150,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.080s  ~user Started 1
            3.100s  ~user: "Stop"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        "#]],
    );
}

#[test]
fn words_interrupt_where_the_voice_was_missed() {
    check(
        quiet(),
        [answered("Hello."), vec![(4_500, saying("Excuse me"))]].concat(),
        4_600,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            4.500s  ~user: "Excuse me"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        "#]],
    );
}

#[test]
fn an_interrupted_reply_is_cancelled_and_its_late_words_are_not_spoken() {
    check(
        quiet(),
        [
            asked("Hello."),
            vec![
                (2_300, piece(1, "Let me")),
                (2_500, began(1)),
                (3_000, saying("Stop")),
                (3_010, piece(1, " tell you")),
                (3_020, finished(1)),
                (3_030, heard(1)),
            ],
        ]
        .concat(),
        3_100,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me", ~model-output turn-1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me"
            3.000s  ~user: "Stop"..., CancelReply turn-1, Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.030s  ~assistant: "Let me", ~history
        "#]],
    );
}

#[test]
fn where_words_are_counted_fewer_wait_until_the_assistant_is_done() {
    check(
        with(StopSpeaking { num_words: 3, ..StopSpeaking::default() }),
        [
            answered("Hello."),
            vec![
                (3_080, voice(3_000)),
                (3_900, silence(3_800)),
                (3_950, said("Oh really?")),
                (6_000, heard(1)),
            ],
        ]
        .concat(),
        6_100,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.080s  ~user Started 1
            3.900s  ~user Stopped 1
            3.950s  ~user: "Oh really?"
            6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
            6.000s  endpointing -> ~history, Generate turn-2
        "#]],
    );
}

#[test]
fn where_words_are_counted_enough_of_them_interrupt() {
    check(
        with(StopSpeaking { num_words: 3, ..StopSpeaking::default() }),
        [
            answered("Hello."),
            vec![
                (3_080, voice(3_000)),
                (3_500, saying("Oh really?")),
                (3_600, saying("Oh really? No")),
            ],
        ]
        .concat(),
        3_700,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.080s  ~user Started 1
            3.500s  ~user: "Oh really?"...
            3.600s  ~user: "Oh really? No"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        "#]],
    );
}

#[test]
fn an_interruption_phrase_needs_no_number_of_words() {
    check(
        with(StopSpeaking {
            num_words: 5,
            interruption_phrases: vec!["stop".into()],
            ..StopSpeaking::default()
        }),
        [answered("Hello."), vec![(3_100, saying("Please stop"))]].concat(),
        3_200,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.100s  ~user: "Please stop"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        "#]],
    );
}

#[test]
fn an_acknowledgement_neither_interrupts_nor_is_answered() {
    check(
        with(StopSpeaking {
            acknowledgement_phrases: vec!["uh-huh".into()],
            ..StopSpeaking::default()
        }),
        [
            answered("Hello."),
            vec![
                (3_080, voice(3_000)),
                (3_100, saying("Uh huh")),
                (3_500, silence(3_450)),
                (3_600, said("Uh-huh.")),
                (6_000, heard(1)),
            ],
        ]
        .concat(),
        20_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.080s  ~user Started 1
            3.100s  ~user: "Uh huh"...
            3.500s  ~user Stopped 1
            3.600s  ~user: "Uh-huh."
            6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        "#]],
    );
}

#[test]
fn an_acknowledgement_that_goes_on_interrupts() {
    check(
        with(StopSpeaking {
            acknowledgement_phrases: vec!["okay".into()],
            ..StopSpeaking::default()
        }),
        [
            answered("Hello."),
            vec![(3_080, voice(3_000)), (3_100, saying("Okay")), (3_400, saying("Okay but"))],
        ]
        .concat(),
        3_500,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.080s  ~user Started 1
            3.100s  ~user: "Okay"...
            3.400s  ~user: "Okay but"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        "#]],
    );
}

#[test]
fn after_an_interruption_the_assistant_stays_silent_for_a_while() {
    check(
        with(StopSpeaking { backoff: ms(3_000), ..StopSpeaking::default() }),
        [
            answered("Hello."),
            vec![(3_000, said("Stop.")), (3_010, cut(1, "Let me")), (6_200, piece(2, "Yes?"))],
        ]
        .concat(),
        6_300,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.000s  ~user: "Stop.", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.010s  ~assistant: "Let me", ~history
            3.400s  endpointing -> ~history
            6.000s  reply due -> Generate turn-2
            6.200s  Speak #2 "Yes?", ~model-output turn-2
        "#]],
    );
}

#[test]
fn a_due_reply_waits_a_little_to_learn_how_much_was_heard() {
    let options = CallOptions {
        stop_speaking: StopSpeaking { backoff: Duration::ZERO, ..StopSpeaking::default() },
        start_speaking: crate::StartSpeaking {
            wait: Duration::ZERO,
            on_punctuation: Duration::ZERO,
            ..crate::StartSpeaking::default()
        },
        ..quiet()
    };
    let interrupted = |answer: Vec<(u64, Event)>| {
        let script = [answered("Hello."), vec![(3_000, said("Stop."))], answer].concat();
        play(options.clone(), script, 4_000)
            .log
            .lines()
            .rev()
            .take(3)
            .fold(String::new(), |log, line| format!("{line}\n{log}"))
    };
    expect![[r#"
        3.000s  ~user: "Stop.", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.000s  endpointing -> ~history
        3.120s  ~assistant: "Let me", ~history, Generate turn-2
    "#]]
    .assert_eq(&interrupted(vec![(3_120, cut(1, "Let me"))]));
    expect![[r#"
        3.000s  ~user: "Stop.", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.000s  endpointing -> ~history
        3.200s  reply due -> Generate turn-2
    "#]]
    .assert_eq(&interrupted(vec![]));
}

#[test]
fn a_caller_who_goes_on_before_anything_was_heard_adds_to_the_same_question() {
    let script = [
        asked("I want to cancel."),
        vec![
            (2_200, piece(1, "Sure, I")),
            (2_300, voice(2_250)),
            (2_600, cut(1, "")),
            (3_000, silence(2_900)),
            (3_100, said("My second order.")),
        ],
    ]
    .concat();
    check(
        quiet(),
        script.clone(),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "I want to cancel."
            2.000s  endpointing -> ~history, Generate turn-1
            2.200s  Speak #1 "Sure, I", ~model-output turn-1
            2.300s  ~user Started 1
            2.450s  barge-in -> Cut #1
            3.000s  ~user Stopped 1
            3.100s  ~user: "My second order.", CancelReply turn-1
            3.300s  endpointing -> ~history, Generate turn-2
        "#]],
    );
    check_history(
        quiet(),
        script,
        5_000,
        expect![[r#"
        1.000s .. 2.900s  user: I want to cancel. My second order.
    "#]],
    );
}

#[test]
fn a_cough_while_the_model_thinks_does_not_cost_the_answer() {
    check(
        quiet(),
        [asked("I want to cancel."), vec![(2_300, voice(2_250)), (2_700, silence(2_600))]].concat(),
        6_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "I want to cancel."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~user Started 1
            2.700s  ~user Stopped 1
        "#]],
    );
}

#[test]
fn a_speech_heard_to_its_end_before_the_cut_is_not_interrupted() {
    check_history(
        quiet(),
        [
            answered("Hello."),
            vec![(3_000, said("Fine.")), (3_020, heard(1)), (3_030, cut(1, "Let"))],
        ]
        .concat(),
        3_100,
        expect![[r#"
            1.000s .. 1.600s  user: Hello.
            2.500s .. 3.020s  assistant: Let me tell you a long story.
        "#]],
    );
}
