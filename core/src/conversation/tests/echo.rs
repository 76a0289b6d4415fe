use expect_test::expect;

use super::{
    false_interruptions::{check_rest, coughed, then},
    *,
};

#[test]
fn the_assistants_own_words_neither_cut_it_nor_are_a_turn() {
    let script = vec![
        (3_300, saying("let me")),
        (3_500, saying("let me tell")),
        (3_900, said("let me tell you")),
        (6_000, heard(1)),
    ];
    check_rest(
        quiet(),
        then(answered("Hello."), script),
        20_000,
        expect![[r#"
            3.300s  ~user: "let me"...
            6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        "#]],
    );
}

#[test]
fn an_echo_that_was_loud_enough_to_cut_lets_the_speech_go_on_at_once() {
    let script = then(coughed(), vec![(3_700, said("Let me tell"))]);
    check_rest(
        quiet(),
        script,
        20_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.700s  Speak #2 "you a long story.", Finish #2
    "#]],
    );
}

#[test]
fn a_short_answer_in_the_assistants_words_is_the_callers() {
    let script = then(coughed(), vec![(3_400, saying("Tell me")), (3_700, said("Tell."))]);
    check_rest(
        quiet(),
        script,
        4_500,
        expect![[r#"
            3.080s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.400s  ~user: "Tell me"..., ~assistant: "Let me tell", ~history
            3.500s  ~user Stopped 1
            3.700s  ~user: "Tell."
            3.700s  endpointing -> ~history
            4.200s  reply due -> Generate turn-2
        "#]],
    );
}

#[test]
fn the_beginning_of_an_echo_is_waited_for() {
    let script = vec![(3_400, saying("let")), (3_900, said("let me tell you"))];
    check_rest(
        quiet(),
        then(coughed(), script),
        4_500,
        expect![[r#"
            3.080s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.400s  ~user: "let"...
            3.500s  ~user Stopped 1
            3.900s  Speak #2 "you a long story.", Finish #2
        "#]],
    );
}

#[test]
fn an_echo_that_comes_after_the_speech_is_no_turn() {
    let script = vec![(4_500, heard(1)), (5_200, said("a long story"))];
    check_rest(
        quiet(),
        then(answered("Hello."), script),
        20_000,
        expect![[r#"
        4.500s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
    "#]],
    );
}

#[test]
fn an_answer_in_the_assistants_words_is_the_callers() {
    let answer = vec![
        (4_500, heard(1)),
        (4_650, voice(4_600)),
        (5_100, saying("a long story")),
        (5_400, silence(5_300)),
        (5_450, said("A long story.")),
    ];
    check_rest(
        quiet(),
        then(answered("Hello."), answer),
        5_800,
        expect![[r#"
        4.500s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        4.650s  ~user Started 1
        5.100s  ~user: "a long story"...
        5.400s  ~user Stopped 1
        5.450s  ~user: "A long story."
        5.700s  endpointing -> ~history, Generate turn-2
    "#]],
    );
}

#[test]
fn a_greeting_that_is_returned_is_the_callers() {
    let options = CallOptions { first_message: Some("Hello.".into()), ..CallOptions::default() };
    let script = vec![(2_600, began(1)), (3_000, heard(1)), (3_200, said("Hello?"))];
    check_rest(
        options,
        up(script),
        4_000,
        expect![[r#"
        2.600s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello."
        3.000s  ~assistant Stopped 0, ~assistant: "Hello.", ~history
        3.200s  ~user: "Hello?"
        3.600s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn the_same_words_long_after_the_speech_are_the_callers() {
    let script = vec![(4_500, heard(1)), (6_300, said("A long story?"))];
    check_rest(
        quiet(),
        then(answered("Hello."), script),
        8_000,
        expect![[r#"
        4.500s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        6.300s  ~user: "A long story?"
        6.700s  endpointing -> ~history, Generate turn-2
    "#]],
    );
}
