//! Voices that are not the caller's, and sounds of theirs that want nothing.

use std::time::Duration;

use expect_test::expect;

use super::{false_interruptions::check_rest, *};
use crate::StopSpeaking;

/// What a document gets that names no `voiceSeconds`.
fn patient() -> CallOptions {
    let stop_speaking = StopSpeaking {
        voice_over_speech: Some(Duration::from_millis(900)),
        acknowledgement_phrases: vec!["yeah".into(), "i see".into()],
        interruption_phrases: vec!["stop".into()],
        ..StopSpeaking::default()
    };
    CallOptions { stop_speaking, ..quiet() }
}

fn over_answer(more: Vec<(u64, Event)>) -> Vec<(u64, Event)> {
    [answered("Hello."), more].concat()
}

#[test]
fn an_acknowledgement_or_a_cough_does_not_silence_the_assistant() {
    let script = vec![
        (3_080, voice(3_000)),
        (3_350, saying("I")),
        (3_600, saying("I see")),
        (3_700, silence(3_500)),
        (3_710, said("I see.")),
        (4_080, voice(4_000)),
        (4_500, silence(4_300)),
        (6_000, heard(1)),
    ];
    check_rest(
        patient(),
        over_answer(script),
        7_000,
        expect![[r#"
            3.080s  ~user Started 1
            3.350s  ~user: "I"...
            3.600s  ~user: "I see"...
            3.700s  ~user Stopped 1
            3.710s  ~user: "I see."
            4.080s  ~user Started 1
            4.500s  ~user Stopped 1
            6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        "#]],
    );
}

#[test]
fn words_silence_the_assistant_as_soon_as_they_are_known() {
    let script = vec![(3_080, voice(3_000)), (3_350, saying("I")), (3_600, saying("I would"))];
    check_rest(
        patient(),
        over_answer(script),
        3_700,
        expect![[r#"
        3.080s  ~user Started 1
        3.350s  ~user: "I"...
        3.600s  ~user: "I would"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
    "#]],
    );
    let script = vec![(3_080, voice(3_000)), (3_350, saying("Stop"))];
    check_rest(
        patient(),
        over_answer(script),
        3_700,
        expect![[r#"
        3.080s  ~user Started 1
        3.350s  ~user: "Stop"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
    "#]],
    );
}

#[test]
fn a_voice_that_goes_on_silences_the_assistant_though_nobody_knows_its_words() {
    let script = vec![(3_080, voice(3_000))];
    check_rest(
        patient(),
        over_answer(script),
        4_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.900s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
    "#]],
    );
}

#[test]
fn a_voice_whose_words_cannot_come_silences_the_assistant_soon() {
    let script = vec![(3_080, voice(3_000)), (3_400, Event::TranscriberLost)];
    check_rest(
        patient(),
        over_answer(script),
        3_800,
        expect![[r#"
        3.080s  ~user Started 1
        3.400s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
    "#]],
    );
}

#[test]
fn a_voice_after_the_last_words_that_brings_none_does_not_hold_up_the_answer() {
    let script = vec![
        (1_080, voice(1_000)),
        (1_900, silence(1_700)),
        (1_950, said("Hang on.")),
        (2_800, Event::WordsPaused),
        (2_900, voice(2_800)),
    ];
    check(
        estimating(),
        up(script),
        6_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        1.900s  ~user Stopped 0
        1.950s  ~user: "Hang on."
        2.900s  ~user Started 0
        4.800s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn before_an_answer_is_heard_voice_alone_holds_it_back() {
    let script = [asked("Hello."), vec![(2_080, voice(2_000)), (2_300, piece(1, "Hi there."))]];
    check(
        patient(),
        script.concat(),
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.080s  ~user Started 1
    "#]],
    );
}

#[test]
fn a_voice_in_the_background_does_not_hold_up_the_answer() {
    let script =
        vec![(1_080, voice(1_000)), (1_900, said("Cancel it.")), (2_800, Event::WordsPaused)];
    check(
        quiet(),
        up(script),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        1.900s  ~user: "Cancel it."
        2.800s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn voices_that_come_and_go_in_the_background_do_not_hold_up_the_answer_either() {
    let script = vec![
        (1_080, voice(1_000)),
        (1_900, said("I would like to")),
        (2_800, Event::WordsPaused),
        (3_200, silence(3_000)),
        (3_300, voice(3_200)),
        (4_100, silence(3_900)),
        (4_200, voice(4_100)),
    ];
    check(
        estimating(),
        up(script),
        6_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.080s  ~user Started 0
            1.900s  ~user: "I would like to"
            3.200s  ~user Stopped 0
            3.300s  ~user Started 0
            4.100s  ~user Stopped 0
            4.200s  ~user Started 0
            4.712s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_pause_in_the_words_is_no_end_of_a_half_sentence() {
    let script = vec![
        (1_080, voice(1_000)),
        (1_900, said("I would like to")),
        (2_800, Event::WordsPaused),
        (3_200, said("cancel it.")),
        (3_400, silence(3_200)),
    ];
    check(
        estimating(),
        up(script),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        1.900s  ~user: "I would like to"
        3.200s  ~user: "cancel it."
        3.400s  ~user Stopped 0
        3.600s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn where_a_voice_went_on_without_words_it_takes_words_to_silence_the_assistant() {
    let script = vec![
        (0, Event::LegConnected),
        (1_080, voice(1_000)),
        (1_200, said("Hello.")),
        (2_000, Event::WordsPaused),
        (2_300, piece(1, "Let me tell you a long story.")),
        (2_400, finished(1)),
        (2_500, began(1)),
        (2_600, silence(2_400)),
        (3_000, voice(2_900)),
        (5_000, saying("Wait a")),
    ];
    check_rest(
        patient(),
        script,
        5_100,
        expect![[r#"
        2.600s  ~user Stopped 1
        3.000s  ~user Started 1
        5.000s  ~user: "Wait a"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
    "#]],
    );
}

/// What an English document gets that names no plan.
fn estimating() -> CallOptions {
    let mut options = quiet();
    options.start_speaking.judge =
        crate::TurnJudge::Estimate { wait: crate::WaitFunction::default() };
    options
}
