use expect_test::expect;

use super::*;
use crate::{AddedRole, Control};

#[test]
fn tools_of_a_speculation_that_is_dropped_are_never_run() {
    let script = [
        asked("Book it."),
        vec![
            (1_800, calls(first(), &["book"])),
            (1_810, finished(first())),
            (1_900, voice(1_880)),
            (2_600, silence(2_500)),
            (2_700, said("For the two of us.")),
        ],
    ]
    .concat();
    check(
        with_tools(vec![function("book", vec![])]),
        script,
        3_200,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it.", Speculate speculation-1
        1.900s  ~user Started 0, CancelReply speculation-1
        2.600s  ~user Stopped 0
        2.700s  ~user: "For the two of us.", Speculate speculation-2
        2.900s  endpointing -> ~history, Adopt speculation-2 as turn-1
    "#]],
    );
}

#[test]
fn a_caller_who_goes_on_leaves_no_trace_of_what_was_supposed() {
    let script = [
        asked("Cancel it."),
        vec![
            (1_800, piece(first(), "Gladly.")),
            (1_900, voice(1_880)),
            (1_950, piece(first(), " Really.")),
            (2_600, silence(2_500)),
            (2_700, said("No, move it.")),
            (3_000, piece(speculation(2), "Moved.")),
            (3_050, finished(speculation(2))),
            (3_200, began(1)),
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
        1.900s  ~user Started 0, CancelReply speculation-1
        2.600s  ~user Stopped 0
        2.700s  ~user: "No, move it.", Speculate speculation-2
        2.900s  endpointing -> ~history, Adopt speculation-2 as turn-1
        3.000s  Speak #1 "Moved.", ~model-output turn-1
        3.050s  Finish #1
        3.200s  ~assistant Started 1, ~speechStarted 1 Model "Moved."
        4.000s  ~assistant Stopped 1, ~assistant: "Moved.", ~history
    "#]],
    );
    check_history(
        eager(),
        script,
        5_000,
        expect![[r#"
        1.000s .. 2.500s  user: Cancel it. No, move it.
        3.200s .. 4.000s  assistant: Moved.
    "#]],
    );
}

#[test]
fn a_final_with_other_words_drops_the_speculation_and_begins_another() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("Cancel it.")),
        (1_650, silence(1_600)),
        (1_700, piece(first(), "Gladly.")),
        (1_750, said("Cancel that.")),
        (1_800, piece(speculation(2), "Which one?")),
        (1_850, piece(first(), " Too late.")),
    ]);
    check(
        eager(),
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.500s  ~user: "Cancel it."...
        1.650s  ~user Stopped 0, Speculate speculation-1
        1.750s  ~user: "Cancel that.", CancelReply speculation-1, Speculate speculation-2
        2.000s  endpointing -> ~history, Adopt speculation-2 as turn-1, Speak #1 "Which one?", ~model-output turn-1
    "#]],
    );
}

#[test]
fn a_transcriber_that_takes_its_suspicion_back_is_believed() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("cancel it.")),
        (1_600, Event::EagerEndOfTurn),
        (1_700, piece(first(), "Gladly.")),
        (1_800, Event::TurnResumed),
        (1_900, saying("cancel it. and then")),
        (2_500, silence(2_400)),
        (2_600, said("Cancel it. And then call me.")),
        (2_600, Event::EndOfTurn),
    ]);
    check(
        eager(),
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.500s  ~user: "cancel it."...
        1.600s  Speculate speculation-1
        1.800s  CancelReply speculation-1
        1.900s  ~user: "cancel it. and then"...
        2.500s  ~user Stopped 0
        2.600s  ~user: "Cancel it. And then call me.", Speculate speculation-2
        2.800s  endpointing -> ~history, Adopt speculation-2 as turn-1
    "#]],
    );
}

#[test]
fn half_a_sentence_is_not_speculated_on() {
    check(
        eager(),
        asked("I would like to"),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "I would like to"
        3.100s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_wait_that_is_nearly_over_is_not_worth_a_request() {
    let script =
        up(vec![(1_000, voice(1_000)), (1_650, silence(1_600)), (1_860, said("Cancel it."))]);
    check(
        eager(),
        script,
        2_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.860s  ~user: "Cancel it."
        2.000s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_breath_whose_words_have_not_come_is_not_supposed_to_be_all() {
    let script = [
        asked("Cancel it."),
        vec![(1_800, voice(1_800)), (2_300, silence(2_200)), (2_600, said("Or move it."))],
    ]
    .concat();
    check(
        eager(),
        script,
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        1.800s  ~user Started 0, CancelReply speculation-1
        2.300s  ~user Stopped 0
        2.600s  ~user: "Or move it."
        2.600s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_caller_who_hesitates_does_not_cost_more_than_three_requests() {
    let mut script = up(vec![]);
    for breath in 0..6 {
        let at = 1_000 + breath * 600;
        script.extend([
            (at, voice(at)),
            (at + 250, silence(at + 200)),
            (at + 260, said(&format!("Number {breath} is it."))),
        ]);
    }
    check(
        eager(),
        script,
        6_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.250s  ~user Stopped 0
        1.260s  ~user: "Number 0 is it.", Speculate speculation-1
        1.600s  ~user Started 0, CancelReply speculation-1
        1.850s  ~user Stopped 0
        1.860s  ~user: "Number 1 is it.", Speculate speculation-2
        2.200s  ~user Started 0, CancelReply speculation-2
        2.450s  ~user Stopped 0
        2.460s  ~user: "Number 2 is it.", Speculate speculation-3
        2.800s  ~user Started 0, CancelReply speculation-3
        3.050s  ~user Stopped 0
        3.060s  ~user: "Number 3 is it."
        3.400s  ~user Started 0
        3.650s  ~user Stopped 0
        3.660s  ~user: "Number 4 is it."
        4.000s  ~user Started 0
        4.250s  ~user Stopped 0
        4.260s  ~user: "Number 5 is it."
        4.600s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_speculation_that_fails_is_forgotten_and_the_model_asked_again() {
    let script = [
        asked("Cancel it."),
        vec![
            (1_800, piece(first(), "Glad")),
            (1_850, failed(first())),
            (2_200, piece(1, "Gladly.")),
            (2_300, finished(1)),
        ],
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
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "Gladly.", ~model-output turn-1
        2.300s  Finish #1
    "#]],
    );
}

#[test]
fn a_message_of_a_client_makes_it_another_question() {
    let added = Event::Control(Control::AddMessage {
        role: AddedRole::System,
        content: "The caller is a member.".into(),
        trigger_response: false,
    });
    let script =
        [asked("Cancel it."), vec![(1_800, piece(first(), "No.")), (1_810, added)]].concat();
    check(
        eager(),
        script,
        2_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        1.810s  ~history, CancelReply speculation-1, Speculate speculation-2
        2.000s  endpointing -> ~history, Adopt speculation-2 as turn-1
    "#]],
    );
}

#[test]
fn a_message_that_is_spoken_first_drops_the_speculation() {
    let say = Event::Control(Control::Say {
        content: "Your time is up.".into(),
        end_call_after_spoken: false,
        interruptions_enabled: Some(false),
        interrupt_assistant: false,
    });
    let script = [asked("Cancel it."), vec![(1_800, piece(first(), "No.")), (1_810, say)]].concat();
    check(
        eager(),
        script,
        2_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        1.810s  Speak #1 "Your time is up.", Finish #1, CancelReply speculation-1
    "#]],
    );
}

#[test]
fn a_muted_assistant_supposes_nothing() {
    let mute = Event::Control(Control::MuteAssistant);
    let script =
        [asked("Cancel it."), vec![(1_800, piece(first(), "No.")), (1_810, mute)]].concat();
    check(
        eager(),
        script,
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        1.810s  CancelReply speculation-1
        2.000s  endpointing -> ~history
    "#]],
    );
}

#[test]
fn a_caller_who_hangs_up_takes_the_speculation_along() {
    let script =
        [asked("Cancel it."), vec![(1_800, piece(first(), "No.")), (1_900, hung_up())]].concat();
    check(
        eager(),
        script.clone(),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it.", Speculate speculation-1
        1.900s  CancelReply speculation-1, ~history, ~Ended customer-ended-call, End customer-ended-call
    "#]],
    );
    check_history(
        eager(),
        script,
        5_000,
        expect![[r#"
        1.000s .. 1.600s  user: Cancel it.
    "#]],
    );
}

#[test]
fn a_speculation_without_end_is_dropped() {
    let mut script = asked("thursday");
    // Long enough a wait for a flood.
    for _ in 0..70 {
        script.push((3_500, piece(first(), &"many words ".repeat(100))));
    }
    check(
        eager_and_patient(),
        script,
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "thursday"
        2.950s  speculation -> Speculate speculation-1
        3.500s  CancelReply speculation-1
        4.600s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn without_the_setting_nothing_is_supposed() {
    let script = up(vec![
        (1_000, voice(1_000)),
        (1_500, saying("Cancel it.")),
        (1_550, Event::EagerEndOfTurn),
        (1_650, silence(1_600)),
        (1_700, said("Cancel it.")),
        (1_700, Event::EndOfTurn),
    ]);
    check(
        quiet(),
        script,
        2_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.500s  ~user: "Cancel it."...
        1.650s  ~user Stopped 0
        1.700s  ~user: "Cancel it."
        2.000s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}
