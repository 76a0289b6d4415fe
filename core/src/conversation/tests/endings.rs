use expect_test::expect;

use super::*;

fn with_goodbye() -> CallOptions {
    CallOptions { end_call_message: Some("Goodbye.".into()), ..quiet() }
}

fn end_call_tool() -> ToolSpec {
    ToolSpec { kind: ToolKind::EndCall, ..function("endCall", vec![]) }
}

#[test]
fn silence_on_both_sides_ends_the_call() {
    check(
        quiet(),
        vec![(0, Event::LegConnected)],
        60_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        30.000s  silence -> ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn the_silence_begins_anew_whenever_someone_has_spoken() {
    check(
        with_goodbye(),
        [answered("Hello."), vec![(9_000, heard(1)), (39_100, began(2)), (40_000, heard(2))]]
            .concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            9.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
            39.000s  silence -> Speak #2 "Goodbye.", Finish #2
            39.100s  ~assistant Started 1, ~speechStarted 1 ForceSay "Goodbye."
            40.000s  ~assistant Stopped 1, ~assistant: "Goodbye.", ~history, ~Ended silence-timed-out, End silence-timed-out
        "#]],
    );
}

#[test]
fn a_tool_that_runs_is_no_silence() {
    check(
        CallOptions { tools: vec![function("book", vec![])], ..quiet() },
        [asked("Book it."), vec![(2_300, calls(1, &["book"])), (2_310, finished(1))]].concat(),
        100_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        "#]],
    );
}

#[test]
fn the_maximum_duration_ends_the_call_whatever_happens_in_it() {
    check(
        CallOptions { max_duration: ms(4_000), ..with_goodbye() },
        [answered("Hello."), vec![(4_100, began(2)), (4_500, heard(2))]].concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            4.000s  max duration -> Cut #1, ~assistant Stopped 1, Speak #2 "Goodbye.", Finish #2
            4.100s  ~assistant Started 1, ~speechStarted 1 ForceSay "Goodbye."
            4.500s  ~assistant Stopped 1, ~assistant: "Goodbye.", ~history, ~Ended exceeded-max-duration, End exceeded-max-duration
        "#]],
    );
}

#[test]
fn a_call_whose_last_words_are_never_heard_ends_all_the_same() {
    check(
        CallOptions { max_duration: ms(4_000), ..with_goodbye() },
        vec![(0, Event::LegConnected)],
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            4.000s  max duration -> Speak #1 "Goodbye.", Finish #1
            14.800s  closing -> Cut #1, ~Ended exceeded-max-duration, End exceeded-max-duration
        "#]],
    );
}

#[test]
fn the_end_call_tool_ends_the_call_after_what_is_being_said() {
    let options = CallOptions { tools: vec![end_call_tool()], ..with_goodbye() };
    let script = [
        asked("That is all."),
        vec![
            (2_200, piece(1, "Thank you.")),
            (2_300, calls(1, &["endCall"])),
            (2_310, finished(1)),
            (2_400, began(1)),
            (3_000, heard(1)),
            (3_100, began(2)),
            (3_600, heard(2)),
        ],
    ]
    .concat();
    check(
        options,
        script,
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "That is all."
            2.000s  endpointing -> ~history, Generate turn-1
            2.200s  Speak #1 "Thank you.", ~model-output turn-1
            2.300s  Finish #1, ~tool-calls 1, ~history
            2.400s  ~assistant Started 1, ~speechStarted 1 Model "Thank you."
            3.000s  ~assistant Stopped 1, ~assistant: "Thank you.", ~history, Speak #2 "Goodbye.", Finish #2
            3.100s  ~assistant Started 1, ~speechStarted 1 ForceSay "Goodbye."
            3.600s  ~assistant Stopped 1, ~assistant: "Goodbye.", ~history, ~Ended assistant-ended-call, End assistant-ended-call
        "#]],
    );
}

#[test]
fn the_end_call_tool_waits_for_the_tools_beside_it() {
    let options = CallOptions { tools: vec![end_call_tool(), function("book", vec![])], ..quiet() };
    check(
        options,
        [
            asked("Book it and go."),
            vec![
                (2_300, calls(1, &["book", "endCall"])),
                (2_310, finished(1)),
                (4_000, done(1, "book", "booked")),
            ],
        ]
        .concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it and go."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 2, RunTool turn-1 book, ~history
            4.000s  ~history, ~Ended assistant-ended-call, End assistant-ended-call
        "#]],
    );
}

#[test]
fn a_caller_who_interrupts_the_goodbye_keeps_the_call() {
    check(
        CallOptions { tools: vec![end_call_tool()], ..quiet() },
        [
            asked("That is all."),
            vec![
                (2_200, piece(1, "Thank you, good bye.")),
                (2_300, calls(1, &["endCall"])),
                (2_310, finished(1)),
                (2_400, began(1)),
                (3_000, said("Wait.")),
                (3_010, cut(1, "Thank you,")),
            ],
        ]
        .concat(),
        4_500,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "That is all."
            2.000s  endpointing -> ~history, Generate turn-1
            2.200s  Speak #1 "Thank you, good bye.", ~model-output turn-1
            2.300s  Finish #1, ~tool-calls 1, ~history
            2.400s  ~assistant Started 1, ~speechStarted 1 Model "Thank you, good bye."
            3.000s  ~user: "Wait.", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.010s  ~assistant: "Thank you,", ~history
            3.400s  endpointing -> ~history
            4.000s  reply due -> Generate turn-2
        "#]],
    );
}

#[test]
fn an_end_call_phrase_ends_the_call_once_it_was_heard() {
    check(
        CallOptions { end_call_phrases: vec!["long STORY".into()], ..quiet() },
        [answered("Hello."), vec![(5_000, heard(1))]].concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            5.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history, ~Ended assistant-said-end-call-phrase, End assistant-said-end-call-phrase
        "#]],
    );
}

#[test]
fn an_end_call_phrase_that_was_cut_off_does_not_end_the_call() {
    check(
        CallOptions { end_call_phrases: vec!["long story".into()], ..quiet() },
        [answered("Hello."), vec![(3_000, said("Wait.")), (3_010, cut(1, "Let me"))]].concat(),
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
            3.000s  ~user: "Wait.", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.010s  ~assistant: "Let me", ~history
        "#]],
    );
}

#[test]
fn a_stage_that_failed_for_good_is_apologised_for() {
    for stage in [Stage::Model, Stage::Transcriber] {
        let failed = Event::StageFailed { failure: failure(stage) };
        let script =
            [answered("Hello."), vec![(3_000, failed), (3_300, began(2)), (6_000, heard(2))]];
        let log = play(quiet(), script.concat(), 60_000).log;
        assert!(log.contains("3.000s  Cut #1"), "{log}");
        assert!(log.contains("Speak #2 \"I am sorry, something went wrong"), "{log}");
        assert!(
            log.ends_with(&format!("End {}\n", EndedReason::pipeline(&failure(stage)))),
            "{log}"
        );
    }
}

#[test]
fn without_a_voice_the_call_ends_at_once() {
    check(
        quiet(),
        [answered("Hello."), vec![(3_000, Event::StageFailed { failure: failure(Stage::Voice) })]]
            .concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.000s  Cut #1, ~assistant Stopped 1, ~Ended pipeline-error-openai-voice-failed, End pipeline-error-openai-voice-failed
        "#]],
    );
}

#[test]
fn a_caller_who_hangs_up_ends_the_call_and_loses_no_word() {
    let script = [
        answered("Hello."),
        vec![
            (3_000, voice(3_000)),
            (3_150, saying("I am")),
            (3_160, hung_up()),
            (3_170, cut(1, "Let")),
        ],
    ]
    .concat();
    check(
        quiet(),
        script.clone(),
        60_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
        2.400s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        3.000s  ~user Started 1
        3.150s  ~user: "I am"..., Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.160s  ~history, ~Ended customer-ended-call, End customer-ended-call
    "#]],
    );
    check_history(
        quiet(),
        script,
        60_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 3.170s  assistant: Let--
        3.000s .. 3.150s  user: I am
    "#]],
    );
}

#[test]
fn the_first_reason_to_end_counts() {
    check(
        with_goodbye(),
        vec![(0, Event::LegConnected), (31_000, hung_up()), (31_100, hung_up())],
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            30.000s  silence -> Speak #1 "Goodbye.", Finish #1
            31.000s  Cut #1, ~Ended silence-timed-out, End silence-timed-out
        "#]],
    );
}

#[test]
fn a_call_that_is_never_connected_ends_when_told() {
    let reason = EndedReason::TransportNeverConnected;
    check(
        quiet(),
        vec![(20_000, Event::EndRequested { reason })],
        60_000,
        expect![[r#"
        20.000s  ~Ended call.in-progress.error-vapifault-transport-never-connected, End call.in-progress.error-vapifault-transport-never-connected
    "#]],
    );
}

#[test]
fn a_farewell_is_heard_before_the_call_ends_for_its_reason_whatever_still_runs() {
    let words = "Nobody is there.".to_owned();
    let farewell = Event::Farewell { words, reason: EndedReason::OperatorBusy };
    check(
        CallOptions { tools: vec![function("transfer", vec![])], ..quiet() },
        [
            asked("To sales."),
            vec![
                (2_300, calls(1, &["transfer"])),
                (2_310, finished(1)),
                (5_000, farewell),
                (5_010, done(1, "transfer", "it is busy")),
                (5_200, began(1)),
                (6_000, heard(1)),
            ],
        ]
        .concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "To sales."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 transfer, ~history
            5.000s  Speak #1 "Nobody is there.", Finish #1
            5.010s  ~history
            5.200s  ~assistant Started 1, ~speechStarted 1 ForceSay "Nobody is there."
            6.000s  ~assistant Stopped 1, ~assistant: "Nobody is there.", ~history, ~Ended call.forwarding.operator-busy, End call.forwarding.operator-busy
        "#]],
    );
}
