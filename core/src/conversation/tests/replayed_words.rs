//! Words that a transcriber's successor tells again, while the answer to them sounds.

use expect_test::expect;

use super::{
    false_interruptions::{check_rest, then},
    *,
};

/// Asked without its last word, which the transcriber kept to itself, and being answered.
fn answered_early() -> Vec<(u64, Event)> {
    up(vec![
        (1_000, voice(900)),
        (1_400, saying("What does it")),
        (1_600, silence(1_500)),
        (3_500, piece(1, "It costs ten euros.")),
        (3_600, finished(1)),
        (3_900, began(1)),
        (5_400, Event::TranscriberLost),
    ])
}

#[test]
fn the_last_word_of_a_question_belongs_to_it_and_the_answer_goes_on() {
    let script = vec![
        (5_510, saying("What does it")),
        (5_520, said("What does it cost?")),
        (5_530, Event::TranscriberCaughtUp),
        (7_000, heard(1)),
    ];
    let script = then(answered_early(), script);
    check_rest(
        quiet(),
        script.clone(),
        8_000,
        expect![[r#"
        3.300s  final transcript -> ~history, Generate turn-1
        3.500s  Speak #1 "It costs ten euros.", ~model-output turn-1
        3.600s  Finish #1
        3.900s  ~assistant Started 1, ~speechStarted 1 Model "It costs ten euros."
        5.510s  ~user: "What does it"...
        5.520s  ~user: "What does it cost?", ~history
        7.000s  ~assistant Stopped 1, ~assistant: "It costs ten euros.", ~history
    "#]],
    );
    check_history(
        quiet(),
        script,
        8_000,
        expect![[r#"
        0.900s .. 1.500s  user: What does it cost?
        3.900s .. 7.000s  assistant: It costs ten euros.
    "#]],
    );
}

#[test]
fn half_of_a_question_is_answered_however_late_it_comes() {
    let script = vec![
        (5_520, said("What does it cost to bring two dogs?")),
        (5_530, Event::TranscriberCaughtUp),
        (5_700, cut(1, "It costs")),
    ];
    check_rest(
        quiet(),
        then(answered_early(), script),
        8_000,
        expect![[r#"
        3.300s  final transcript -> ~history, Generate turn-1
        3.500s  Speak #1 "It costs ten euros.", ~model-output turn-1
        3.600s  Finish #1
        3.900s  ~assistant Started 1, ~speechStarted 1 Model "It costs ten euros."
        5.520s  ~user: "What does it cost to bring two dogs?", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        5.700s  ~assistant: "It costs", ~history
        5.920s  endpointing -> ~history
        6.520s  reply due -> Generate turn-2
    "#]],
    );
}

#[test]
fn after_the_answer_the_last_word_of_the_question_wants_none() {
    let script = vec![
        (5_600, heard(1)),
        (5_620, said("What does it cost?")),
        (5_630, Event::TranscriberCaughtUp),
    ];
    let script = then(answered_early(), script);
    check_rest(
        quiet(),
        script.clone(),
        8_000,
        expect![[r#"
        3.300s  final transcript -> ~history, Generate turn-1
        3.500s  Speak #1 "It costs ten euros.", ~model-output turn-1
        3.600s  Finish #1
        3.900s  ~assistant Started 1, ~speechStarted 1 Model "It costs ten euros."
        5.600s  ~assistant Stopped 1, ~assistant: "It costs ten euros.", ~history
        5.620s  ~user: "What does it cost?", ~history
    "#]],
    );
    check_history(
        quiet(),
        script,
        8_000,
        expect![[r#"
        0.900s .. 1.500s  user: What does it cost?
        3.900s .. 5.600s  assistant: It costs ten euros.
    "#]],
    );
}
