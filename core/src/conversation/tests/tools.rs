use expect_test::expect;

use super::*;

fn with(tools: Vec<ToolSpec>) -> CallOptions {
    CallOptions { tools, ..quiet() }
}

fn book(messages: Vec<ToolMessage>) -> CallOptions {
    with(vec![function("book", messages), function("find", vec![])])
}

fn asked_for(names: &[&str]) -> Vec<(u64, Event)> {
    [asked("Book it."), vec![(2_300, calls(1, names)), (2_310, finished(1))]].concat()
}

#[test]
fn a_tool_is_run_and_the_model_asked_again_with_its_result() {
    let script = [
        asked_for(&["book"]),
        vec![
            (3_000, done(1, "book", "booked")),
            (3_200, piece(1, "It is booked.")),
            (3_210, finished(1)),
            (3_400, began(1)),
            (4_000, heard(1)),
        ],
    ]
    .concat();
    check(
        book(vec![]),
        script.clone(),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        3.000s  ~history, Generate turn-1
        3.200s  Speak #1 "It is booked.", ~model-output turn-1
        3.210s  Finish #1
        3.400s  ~assistant Started 1, ~speechStarted 1 Model "It is booked."
        4.000s  ~assistant Stopped 1, ~assistant: "It is booked.", ~history
    "#]],
    );
    check_history(
        book(vec![]),
        script,
        5_000,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.300s .. 2.300s  calls: book
        2.300s .. 3.000s  result of book: booked
        3.400s .. 4.000s  assistant: It is booked.
    "#]],
    );
}

#[test]
fn words_before_the_calls_are_spoken_and_keep_their_place() {
    let script = [
        asked("Book it."),
        vec![
            (2_200, piece(1, "Let me see.")),
            (2_300, calls(1, &["book"])),
            (2_310, finished(1)),
            (2_400, began(1)),
            (2_800, done(1, "book", "booked")),
            (3_000, heard(1)),
        ],
    ]
    .concat();
    check(
        book(vec![]),
        script.clone(),
        3_100,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "Let me see.", ~model-output turn-1
        2.300s  Finish #1, ~tool-calls 1, RunTool turn-1 book, ~history
        2.400s  ~assistant Started 1, ~speechStarted 1 Model "Let me see."
        2.800s  ~history, Generate turn-1
        3.000s  ~assistant Stopped 1, ~assistant: "Let me see.", ~history
    "#]],
    );
    check_history(
        book(vec![]),
        script,
        3_100,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.400s .. 3.000s  assistant: Let me see.
        2.300s .. 2.300s  calls: book
        2.300s .. 2.800s  result of book: booked
    "#]],
    );
}

#[test]
fn the_model_waits_for_all_tools_and_gets_their_results_in_order() {
    let script = [
        asked_for(&["book", "find"]),
        vec![(3_000, done(1, "find", "found")), (3_500, done(1, "book", "booked"))],
    ]
    .concat();
    check(
        book(vec![]),
        script.clone(),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 2, RunTool turn-1 book, RunTool turn-1 find, ~history
        3.000s  ~history
        3.500s  ~history, Generate turn-1
    "#]],
    );
    check_history(
        book(vec![]),
        script,
        4_000,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.300s .. 2.300s  calls: book, find
        2.300s .. 3.500s  result of book: booked
        2.300s .. 3.000s  result of find: found
    "#]],
    );
}

#[test]
fn a_start_message_is_spoken_while_the_tool_runs() {
    check(
        book(vec![start("One moment.", false)]),
        asked_for(&["book"]),
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history, Speak #1 "One moment.", Finish #1
    "#]],
    );
}

#[test]
fn a_blocking_start_message_is_heard_before_the_tool_runs() {
    check(
        book(vec![start("I book it now.", true)]),
        [asked_for(&["book"]), vec![(2_500, began(1)), (3_500, heard(1))]].concat(),
        4_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, ~history, Speak #1 "I book it now.", Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 ForceSay "I book it now."
            3.500s  ~assistant Stopped 1, ~assistant: "I book it now.", ~history, RunTool turn-1 book
        "#]],
    );
}

#[test]
fn a_tool_whose_announcement_is_interrupted_is_not_run() {
    let script = [
        asked_for(&["book"]),
        vec![
            (2_500, began(1)),
            (3_000, saying("No")),
            (3_010, cut(1, "I")),
            (3_500, said("No, don't.")),
        ],
    ]
    .concat();
    let options = book(vec![start("I book it now.", true)]);
    check(
        options.clone(),
        script.clone(),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, ~history, Speak #1 "I book it now.", Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 ForceSay "I book it now."
            3.000s  ~user: "No"..., Cut #1, ~assistant Stopped 1, ~history, ~user-interrupted turn-1
            3.010s  ~assistant: "I", ~history
            3.500s  ~user: "No, don't."
            3.900s  endpointing -> ~history
            4.000s  reply due -> Generate turn-2
        "#]],
    );
    check_history(
        options,
        script,
        5_000,
        expect![[r#"
            1.000s .. 1.600s  user: Book it.
            2.300s .. 2.300s  calls: book
            2.300s .. 3.000s  result of book: not run: the announcement of it was interrupted
            2.500s .. 3.010s  assistant: I--
            3.000s .. 3.500s  user: No, don't.
        "#]],
    );
}

#[test]
fn a_slow_tool_is_spoken_about() {
    let delayed = ToolMessage::Delayed { content: "Still at it.".into(), after: ms(2_000) };
    check(
        book(vec![delayed]),
        asked_for(&["book"]),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        4.300s  delayed message -> Speak #1 "Still at it.", Finish #1
    "#]],
    );
}

#[test]
fn a_fast_tool_is_not_spoken_about() {
    let delayed = ToolMessage::Delayed { content: "Still at it.".into(), after: ms(2_000) };
    check(
        book(vec![delayed]),
        [asked_for(&["book"]), vec![(3_000, done(1, "book", "booked")), (3_100, finished(1))]]
            .concat(),
        6_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
            3.000s  ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_complete_message_is_spoken_in_place_of_a_reply() {
    let complete = ToolMessage::Complete { content: "All booked.".into(), end_call: false };
    check(
        book(vec![complete]),
        [asked_for(&["book"]), vec![(3_000, done(1, "book", "booked"))]].concat(),
        4_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
            3.000s  ~history, Speak #1 "All booked.", Finish #1
        "#]],
    );
}

#[test]
fn a_complete_message_can_end_the_call() {
    let complete = ToolMessage::Complete { content: "All booked, bye.".into(), end_call: true };
    check(
        book(vec![complete]),
        [
            asked_for(&["book"]),
            vec![(3_000, done(1, "book", "booked")), (3_100, began(1)), (4_000, heard(1))],
        ]
        .concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
            3.000s  ~history, Speak #1 "All booked, bye.", Finish #1
            3.100s  ~assistant Started 1, ~speechStarted 1 ForceSay "All booked, bye."
            4.000s  ~assistant Stopped 1, ~assistant: "All booked, bye.", ~history, ~Ended assistant-ended-call, End assistant-ended-call
        "#]],
    );
}

#[test]
fn a_failed_tool_is_spoken_about_or_told_to_the_model() {
    let failed = |message: Option<&str>| Event::ToolFinished {
        turn: TurnId(1),
        call_id: "call-book".into(),
        outcome: ToolOutcome::Failed {
            error: "no answer within 20 s".into(),
            message: message.map(str::to_owned),
        },
    };
    let script = [asked_for(&["book"]), vec![(3_000, failed(None))]].concat();
    check_history(
        book(vec![]),
        script.clone(),
        3_100,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.300s .. 2.300s  calls: book
        2.300s .. 3.000s  result of book: no answer within 20 s
    "#]],
    );
    let configured = ToolMessage::Failed { content: "That failed.".into(), end_call: false };
    check(
        book(vec![configured]),
        script,
        3_100,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        3.000s  ~history, Speak #1 "That failed.", Finish #1
    "#]],
    );
    let script =
        [asked_for(&["book"]), vec![(3_000, failed(Some("The server says no.")))]].concat();
    check(
        book(vec![]),
        script,
        3_100,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        3.000s  ~history, Speak #1 "The server says no.", Finish #1
    "#]],
    );
}

#[test]
fn an_async_tool_is_started_and_not_waited_for() {
    let mut tool = function("log", vec![]);
    tool.is_async = true;
    let script = [asked_for(&["log"]), vec![(3_000, done(1, "log", "ignored"))]].concat();
    check(
        with(vec![tool.clone()]),
        script.clone(),
        3_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 log, ~history
        2.310s  Generate turn-1
    "#]],
    );
    check_history(
        with(vec![tool]),
        script,
        3_500,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.300s .. 2.300s  calls: log
        2.300s .. 2.300s  result of log: started
    "#]],
    );
}

#[test]
fn an_unknown_tool_is_named_to_the_model_with_those_there_are() {
    let script = asked_for(&["bok"]);
    check(
        book(vec![]),
        script.clone(),
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, ~history
        2.310s  Generate turn-1
    "#]],
    );
    check_history(
        book(vec![]),
        script,
        3_000,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.300s .. 2.300s  calls: bok
        2.300s .. 2.300s  result of bok: there is no tool `bok`, expected one of: book, find
    "#]],
    );
}

#[test]
fn a_model_that_only_ever_calls_tools_is_stopped() {
    let mut script = asked("Book it.");
    for round in 0..12 {
        let at = 2_300 + round * 100;
        script.push((at, calls(1, &["book"])));
        script.push((at + 10, finished(1)));
        script.push((at + 50, done(1, "book", "again")));
    }
    let log = play(book(vec![]), script, 4_000).log;
    assert_eq!(log.matches("RunTool").count(), 8, "{log}");
    assert!(log.contains("Sorry, I lost my thread"), "{log}");
}

#[test]
fn a_tool_outlives_an_interruption_and_the_next_turn_sees_its_result() {
    let script = [
        asked_for(&["book"]),
        vec![
            (3_000, voice(2_950)),
            (3_300, said("Are you there?")),
            (3_500, silence(3_400)),
            (4_500, done(1, "book", "booked")),
        ],
    ]
    .concat();
    check(
        book(vec![]),
        script.clone(),
        4_600,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        3.000s  ~user Started 1
        3.300s  ~user: "Are you there?"
        3.500s  ~user Stopped 1
        3.800s  endpointing -> ~history, Generate turn-2
        4.500s  ~history
    "#]],
    );
    check_history(
        book(vec![]),
        script,
        4_600,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.300s .. 2.300s  calls: book
        2.300s .. 4.500s  result of book: booked
        2.950s .. 3.400s  user: Are you there?
    "#]],
    );
}

#[test]
fn a_cough_does_not_cost_the_result_of_a_tool() {
    check(
        book(vec![]),
        [
            asked_for(&["book"]),
            vec![
                (3_000, voice(2_950)),
                (3_500, silence(3_400)),
                (4_500, done(1, "book", "booked")),
            ],
        ]
        .concat(),
        4_600,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
            3.000s  ~user Started 1
            3.500s  ~user Stopped 1
            4.500s  ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn a_result_that_nobody_gives_is_told_to_the_model() {
    check(
        book(vec![]),
        asked_for(&["book"]),
        313_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        312.300s  tool overdue -> ~history, Generate turn-1
    "#]],
    );
}

/// The reply that was made while the tool ran could not know its result.
#[test]
fn a_result_that_comes_after_its_turn_is_told_once_nobody_speaks() {
    let script = [
        asked_for(&["book"]),
        vec![
            (3_000, voice(2_950)),
            (3_300, said("Are you there?")),
            (3_500, silence(3_400)),
            (4_000, Event::ReplyText { turn: TurnId(2), text: "Still here.".into() }),
            (4_010, Event::ReplyFinished { turn: TurnId(2), finish: Finish::Stop }),
            (4_100, began(1)),
            (4_500, done(1, "book", "booked")),
            (5_000, heard(1)),
        ],
    ]
    .concat();
    check(
        book(vec![]),
        script,
        5_100,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
        3.000s  ~user Started 1
        3.300s  ~user: "Are you there?"
        3.500s  ~user Stopped 1
        3.800s  endpointing -> ~history, Generate turn-2
        4.000s  Speak #1 "Still here.", ~model-output turn-2
        4.010s  Finish #1
        4.100s  ~assistant Started 2, ~speechStarted 2 Model "Still here."
        4.500s  ~history
        5.000s  ~assistant Stopped 2, ~assistant: "Still here.", ~history, Generate turn-3
    "#]],
    );
}
