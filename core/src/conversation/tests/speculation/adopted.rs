use expect_test::expect;

use super::*;

#[test]
fn a_turn_that_is_likely_over_has_its_reply_ready_when_it_is() {
    let script = [
        asked("Cancel it."),
        vec![
            (1_800, piece(first(), "Gladly.")),
            (1_900, piece(first(), " It is cancelled.")),
            (2_100, piece(first(), " Bye.")),
            (2_150, finished(first())),
            (2_300, began(1)),
            (4_000, heard(1)),
        ],
    ]
    .concat();
    check(
        eager(),
        script.clone(),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "Gladly.", ~model-output turn-1, Speak #1 " It is cancelled.", ~model-output turn-1
        2.100s  Speak #1 " Bye.", ~model-output turn-1
        2.150s  Finish #1
        2.300s  ~assistant Started 1, ~speechStarted 1 Model "Gladly. It is cancelled. Bye."
        4.000s  ~assistant Stopped 1, ~assistant: "Gladly. It is cancelled. Bye.", ~history
    "#]],
    );
    check_history(
        eager(),
        script,
        5_000,
        expect![[r#"
        1.000s .. 1.600s  user: Cancel it.
        2.300s .. 4.000s  assistant: Gladly. It is cancelled. Bye.
    "#]],
    );
}

#[test]
fn a_reply_that_is_complete_before_the_turn_is_over_is_spoken_whole() {
    let script = [
        asked("Cancel it."),
        vec![(1_800, piece(first(), "It is cancelled.")), (1_900, finished(first()))],
    ]
    .concat();
    check(
        eager(),
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "It is cancelled.", ~model-output turn-1, Finish #1
    "#]],
    );
}

#[test]
fn tools_of_a_speculation_are_run_when_the_turn_is_over_and_not_before() {
    let script = [
        asked("Book it."),
        vec![
            (1_800, piece(first(), "One moment.")),
            (1_850, calls(first(), &["book"])),
            (1_900, finished(first())),
            (2_500, done(1, "book", "booked")),
            (2_600, piece(1, "It is booked.")),
            (2_700, finished(1)),
        ],
    ]
    .concat();
    check(
        with_tools(vec![function("book", vec![])]),
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it.", Speculate speculation-1
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "One moment.", ~model-output turn-1, Finish #1, ~tool-calls 1, RunTool turn-1 book, ~history
        2.500s  ~history, Generate turn-1
        2.600s  Speak #2 "It is booked.", ~model-output turn-1
        2.700s  Finish #2
    "#]],
    );
}

#[test]
fn a_final_that_differs_in_case_and_marks_alone_changes_nothing() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("cancel it.")),
        (1_650, silence(1_600)),
        (1_700, piece(first(), "Gladly.")),
        (1_900, said("Cancel it!")),
    ]);
    check(
        eager(),
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.500s  ~user: "cancel it."...
        1.650s  ~user Stopped 0, Speculate speculation-1
        1.900s  ~user: "Cancel it!"
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "Gladly.", ~model-output turn-1
    "#]],
    );
}

#[test]
fn a_transcribers_suspicion_is_enough() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("i would like")),
        (1_600, Event::EagerEndOfTurn),
        (1_700, piece(first(), "Yes?")),
        (1_900, said("I would like.")),
        (1_900, Event::EndOfTurn),
        (2_000, silence(1_600)),
    ]);
    check(
        eager(),
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.500s  ~user: "i would like"...
        1.600s  Speculate speculation-1
        1.900s  ~user: "I would like."
        2.000s  ~user Stopped 0
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "Yes?", ~model-output turn-1
    "#]],
    );
}

#[test]
fn a_pause_makes_likely_what_the_words_leave_open() {
    check(
        eager_and_patient(),
        asked("thursday morning"),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "thursday morning"
        2.950s  speculation -> Speculate speculation-1
    "#]],
    );
}

#[test]
fn the_next_turn_may_be_speculated_on_again() {
    let script = [
        asked("Cancel it."),
        vec![
            (1_800, piece(first(), "Gladly.")),
            (1_900, finished(first())),
            (2_100, began(1)),
            (3_000, heard(1)),
            (4_000, voice(4_000)),
            (4_650, silence(4_600)),
            (4_700, said("Thank you.")),
            (4_750, piece(speculation(2), "Bye.")),
            (4_800, finished(speculation(2))),
        ],
    ]
    .concat();
    check(
        eager(),
        script,
        6_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "Gladly.", ~model-output turn-1, Finish #1
        2.100s  ~assistant Started 1, ~speechStarted 1 Model "Gladly."
        3.000s  ~assistant Stopped 1, ~assistant: "Gladly.", ~history
        4.000s  ~user Started 1
        4.650s  ~user Stopped 1
        4.700s  ~user: "Thank you.", Speculate speculation-2
        5.000s  endpointing -> ~history, Adopt speculation-2 as turn-2, Speak #2 "Bye.", ~model-output turn-2, Finish #2
    "#]],
    );
}

#[test]
fn a_reply_that_fails_after_its_turn_is_over_is_an_ordinary_failure() {
    let script = [asked("Cancel it."), vec![(2_300, failed(first()))]].concat();
    check(
        eager(),
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1
        2.300s  Speak #1 "I am sorry, something went wrong on our side. Please call again later.", Finish #1
    "#]],
    );
}

#[test]
fn a_caller_who_goes_on_after_the_turn_was_taken_interrupts_as_ever() {
    let script = [
        asked("Cancel it."),
        vec![
            (1_800, piece(first(), "Gladly, it is cancelled.")),
            (2_100, began(1)),
            (2_400, voice(2_400)),
            (2_700, cut(1, "Gladly,")),
            (2_750, piece(first(), " Anything else?")),
            (3_000, silence(2_900)),
            (3_050, said("No wait.")),
        ],
    ]
    .concat();
    check(
        eager(),
        script.clone(),
        3_400,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Cancel it.", Speculate speculation-1
            2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "Gladly, it is cancelled.", ~model-output turn-1
            2.100s  ~assistant Started 1, ~speechStarted 1 Model "Gladly, it is cancelled."
            2.400s  ~user Started 1
            2.600s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.000s  ~user Stopped 1
            3.050s  ~user: "No wait.", CancelReply speculation-1, ~assistant: "Gladly,", ~history
            3.300s  endpointing -> ~history
        "#]],
    );
    check_history(
        eager(),
        script,
        3_400,
        expect![[r#"
            1.000s .. 1.600s  user: Cancel it.
            2.100s .. 2.700s  assistant: Gladly,--
            2.400s .. 2.900s  user: No wait.
        "#]],
    );
}

#[test]
fn a_reply_taken_over_before_anything_came_hangs_like_any_other() {
    check(
        eager(),
        asked("Cancel it."),
        40_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1
        7.000s  hang -> ~hang
        32.000s  reply overdue -> CancelReply speculation-1, Speak #1 "I am sorry, something went wrong on our side. Please call again later.", Finish #1
    "#]],
    );
}

#[test]
fn a_late_final_asks_the_whole_question_again() {
    let script = [
        asked("I want."),
        vec![
            (1_900, piece(first(), "What do you want?")),
            (2_200, said("To cancel.")),
            (2_300, piece(first(), " Tell me.")),
        ],
    ]
    .concat();
    check(
        eager(),
        script,
        2_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "I want.", Speculate speculation-1
        2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "What do you want?", ~model-output turn-1
        2.200s  ~user: "To cancel.", CancelReply speculation-1, Cut #1, ~history, Generate turn-2
    "#]],
    );
}

#[test]
fn the_silence_after_an_interruption_is_kept_by_a_reply_that_is_ready() {
    let mut options = eager();
    options.stop_speaking.backoff = ms(2_000);
    let script = [
        answered_by_speculation(),
        vec![
            (2_600, voice(2_600)),
            (2_810, cut(1, "Let me tell")),
            (3_000, silence(2_950)),
            (3_100, said("Stop, please.")),
            (3_200, piece(speculation(2), "Sorry.")),
        ],
    ]
    .concat();
    check(
        options,
        script,
        6_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello.", Speculate speculation-1
            2.000s  endpointing -> ~history, Adopt speculation-1 as turn-1, Speak #1 "Let me tell you a long story.", ~model-output turn-1, Finish #1
            2.200s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            2.600s  ~user Started 1
            2.800s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.000s  ~user Stopped 1
            3.100s  ~user: "Stop, please.", ~assistant: "Let me tell", ~history, Speculate speculation-2
            3.350s  endpointing -> ~history
            4.800s  reply due -> Adopt speculation-2 as turn-2, Speak #2 "Sorry.", ~model-output turn-2
        "#]],
    );
}

#[test]
fn the_model_is_asked_on_suspicion_what_it_would_be_asked_for_sure() {
    let played = play(eager(), asked("Cancel it."), 1_800);
    let supposed = prompt_of(&played.conversation.supposing_turn_over());
    assert_eq!(prompt_of(&played.conversation), [""; 0]);
    let sure = play(eager(), asked("Cancel it."), 2_100);
    assert_eq!(supposed, prompt_of(&sure.conversation));
    assert_eq!(supposed, ["user: Cancel it."]);
}

fn answered_by_speculation() -> Vec<(u64, Event)> {
    [
        asked("Hello."),
        vec![
            (1_800, piece(first(), "Let me tell you a long story.")),
            (1_900, finished(first())),
            (2_200, began(1)),
        ],
    ]
    .concat()
}
