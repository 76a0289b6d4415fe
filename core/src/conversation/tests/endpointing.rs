use expect_test::expect;

use super::*;

#[test]
fn a_turn_ends_after_the_wait_counted_from_the_end_of_speech() {
    check(
        quiet(),
        up(vec![(1_080, voice(1_000)), (2_050, silence(1_800)), (2_100, said("Cancel it."))]),
        3_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.080s  ~user Started 0
            2.050s  ~user Stopped 0
            2.100s  ~user: "Cancel it."
            2.200s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn text_without_punctuation_waits_longer_than_a_number_and_a_sentence() {
    check(
        quiet(),
        up(vec![(1_080, voice(1_000)), (2_050, silence(1_800)), (2_100, said("I would like"))]),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.080s  ~user Started 0
            2.050s  ~user Stopped 0
            2.100s  ~user: "I would like"
            3.300s  endpointing -> ~history, Generate turn-1
        "#]],
    );
    check(
        quiet(),
        up(vec![(1_080, voice(1_000)), (2_050, silence(1_800)), (2_100, said("It is 555"))]),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.080s  ~user Started 0
            2.050s  ~user Stopped 0
            2.100s  ~user: "It is 555"
            2.300s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn the_transcribers_own_end_of_turn_leaves_only_the_wait() {
    check(
        quiet(),
        up(vec![
            (1_080, voice(1_000)),
            (2_050, silence(1_800)),
            (2_100, said("I would like")),
            (2_110, Event::EndOfTurn),
        ]),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.080s  ~user Started 0
            2.050s  ~user Stopped 0
            2.100s  ~user: "I would like"
            2.200s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn an_end_of_turn_counts_before_the_voice_is_seen_to_stop() {
    check(
        quiet(),
        up(vec![
            (1_080, voice(1_000)),
            (2_000, said("Cancel it")),
            (2_010, Event::EndOfTurn),
            (2_300, silence(2_000)),
        ]),
        3_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.080s  ~user Started 0
            2.000s  ~user: "Cancel it"
            2.300s  ~user Stopped 0
            2.400s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_pause_shorter_than_endpointing_keeps_the_turn() {
    check(
        quiet(),
        up(vec![
            (1_000, voice(1_000)),
            (1_800, silence(1_800)),
            (1_900, said("I would like")),
            (2_100, voice(2_100)),
            (2_900, silence(2_900)),
            (3_000, said("to cancel.")),
        ]),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.800s  ~user Stopped 0
            1.900s  ~user: "I would like"
            2.100s  ~user Started 0
            2.900s  ~user Stopped 0
            3.000s  ~user: "to cancel."
            3.300s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_noise_without_words_leads_to_no_turn() {
    check(
        quiet(),
        up(vec![(1_000, voice(1_000)), (1_300, silence(1_250))]),
        10_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.300s  ~user Stopped 0
    "#]],
    );
}

#[test]
fn words_that_come_while_they_are_awaited_end_the_turn_at_once() {
    check(
        quiet(),
        up(vec![(1_000, voice(1_000)), (1_300, silence(1_250)), (3_000, said("Yes."))]),
        10_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.300s  ~user Stopped 0
            3.000s  ~user: "Yes."
            3.000s  endpointing -> ~history, Generate turn-1
            8.000s  hang -> ~hang
        "#]],
    );
}

#[test]
fn text_alone_leads_to_a_turn_where_the_voice_was_missed() {
    check(
        quiet(),
        up(vec![(1_000, said("Are you there?"))]),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user: "Are you there?"
        1.400s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_partial_alone_is_answered_when_no_final_comes() {
    check(
        quiet(),
        up(vec![(1_000, voice(1_000)), (1_500, saying("Cancel it.")), (1_650, silence(1_600))]),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.500s  ~user: "Cancel it."...
            1.650s  ~user Stopped 0
            2.300s  final transcript -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_final_that_comes_in_time_is_used_instead_of_the_partial() {
    check(
        quiet(),
        up(vec![
            (1_000, voice(1_000)),
            (1_500, saying("Cancel it.")),
            (1_650, silence(1_600)),
            (2_200, said("Cancel that.")),
        ]),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.500s  ~user: "Cancel it."...
            1.650s  ~user Stopped 0
            2.200s  ~user: "Cancel that."
            2.200s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn the_final_of_an_answered_partial_corrects_it_and_is_not_said_twice() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("cancel it.")),
        (1_650, silence(1_600)),
        (2_500, said("Cancel it!")),
    ]);
    check(
        quiet(),
        script.clone(),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.500s  ~user: "cancel it."...
        1.650s  ~user Stopped 0
        2.300s  final transcript -> ~history, Generate turn-1
        2.500s  ~user: "Cancel it!", ~history
    "#]],
    );
    check_history(
        quiet(),
        script,
        5_000,
        expect![[r#"
        1.000s .. 1.600s  user: Cancel it!
    "#]],
    );
}

#[test]
fn a_final_longer_than_the_answered_partial_restarts_an_unheard_turn() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("Cancel it.")),
        (1_650, silence(1_600)),
        (2_500, said("Cancel it now please.")),
    ]);
    check(
        quiet(),
        script.clone(),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.500s  ~user: "Cancel it."...
        1.650s  ~user Stopped 0
        2.300s  final transcript -> ~history, Generate turn-1
        2.500s  ~user: "Cancel it now please.", ~history, CancelReply turn-1, ~history, Generate turn-2
    "#]],
    );
    check_history(
        quiet(),
        script,
        5_000,
        expect![[r#"
        1.000s .. 2.500s  user: Cancel it now please.
    "#]],
    );
}

#[test]
fn a_partial_that_goes_on_after_its_turn_brings_only_its_new_words() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("Cancel it.")),
        (1_650, silence(1_600)),
        (2_400, piece(1, "Gladly, I will.")),
        (2_450, began(1)),
        (3_000, voice(2_950)),
        (3_100, saying("Cancel it. No wait")),
        (3_110, cut(1, "Gladly,")),
        (3_400, silence(3_300)),
        (3_500, said("Cancel it. No wait.")),
    ]);
    check_history(
        quiet(),
        script,
        8_000,
        expect![[r#"
        1.000s .. 1.600s  user: Cancel it.
        2.450s .. 3.110s  assistant: Gladly,--
        2.950s .. 3.300s  user: No wait.
    "#]],
    );
}

#[test]
fn a_late_final_restarts_a_turn_of_which_nothing_was_heard() {
    let script = [
        asked("I want."),
        vec![(2_200, piece(1, "What do")), (2_500, said("To cancel.")), (2_600, cut(1, ""))],
    ]
    .concat();
    check(
        quiet(),
        script.clone(),
        2_900,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "I want."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "What do", ~model-output turn-1
        2.500s  ~user: "To cancel.", CancelReply turn-1, Cut #1, ~history, Generate turn-2
    "#]],
    );
    check_history(
        quiet(),
        script,
        2_900,
        expect![[r#"
        1.000s .. 2.500s  user: I want. To cancel.
    "#]],
    );
}

#[test]
fn a_late_final_starts_the_next_utterance_once_the_reply_is_heard() {
    check(
        quiet(),
        [answered("I want."), vec![(2_600, said("To cancel.")), (5_000, heard(1))]].concat(),
        6_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "I want."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            2.600s  ~user: "To cancel."
            5.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
            5.000s  endpointing -> ~history, Generate turn-2
        "#]],
    );
}

#[test]
fn background_voice_without_more_words_does_not_hold_the_turn_for_ever() {
    check(
        quiet(),
        up(vec![(1_000, voice(1_000)), (1_800, said("Hello there."))]),
        10_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.800s  ~user: "Hello there."
            6.800s  endpointing -> ~history, Generate turn-1
        "#]],
    );
    check(
        quiet(),
        up(vec![(1_000, voice(1_000))]),
        50_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        46.000s  silence -> ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn words_that_keep_coming_hold_the_turn_a_little_longer() {
    check(
        quiet(),
        up(vec![
            (1_000, voice(1_000)),
            (1_300, silence(1_300)),
            (1_400, saying("I want")),
            (3_000, saying("I want to fly")),
            (3_200, saying("I want to fly to Rome")),
            (3_400, said("I want to fly to Rome.")),
        ]),
        10_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.300s  ~user Stopped 0
            1.400s  ~user: "I want"...
            3.000s  ~user: "I want to fly"...
            3.200s  ~user: "I want to fly to Rome"...
            3.400s  ~user: "I want to fly to Rome."
            3.400s  endpointing -> ~history, Generate turn-1
            8.400s  hang -> ~hang
        "#]],
    );
}
