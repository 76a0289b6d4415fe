//! What the model, tools and clients do while it is not known whether the assistant was interrupted.

use expect_test::expect;

use super::*;

#[test]
fn a_reply_in_the_making_is_held_and_goes_on_behind_the_rest() {
    let script = vec![
        (3_300, piece(1, " a long")),
        (3_600, piece(1, " story.")),
        (3_700, finished(1)),
        (4_300, began(2)),
        (6_000, heard(2)),
    ];
    let script = then(coughed_early(), script);
    check_rest(
        quiet(),
        script.clone(),
        8_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "tell you", Speak #2 " a long", ~model-output turn-1, Speak #2 " story.", ~model-output turn-1, Finish #2
        4.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
    "#]],
    );
    check_history(
        quiet(),
        script,
        8_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 6.000s  assistant: Let me tell you a long story.
    "#]],
    );
}

#[test]
fn a_held_reply_is_cancelled_by_words() {
    let script =
        vec![(3_300, piece(1, " a long")), (3_700, saying("Stop")), (3_800, piece(1, "!"))];
    check_rest(
        quiet(),
        then(coughed_early(), script),
        3_900,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.700s  ~user: "Stop"..., CancelReply turn-1, ~assistant: "Let me", ~history
    "#]],
    );
}

#[test]
fn a_tool_asked_for_in_the_meantime_runs_once_the_speech_goes_on() {
    let options = CallOptions { tools: vec![function("book", vec![])], ..quiet() };
    let script = vec![(3_400, calls(1, &["book"])), (3_450, finished(1))];
    check_rest(
        options,
        then(coughed_early(), script),
        4_200,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "tell you", Finish #2, ~tool-calls 1, RunTool turn-1 book, ~history
    "#]],
    );
}

#[test]
fn a_tool_asked_for_in_the_meantime_never_runs_when_words_come() {
    let options = CallOptions { tools: vec![function("book", vec![])], ..quiet() };
    let script = vec![(3_400, calls(1, &["book"])), (3_450, finished(1)), (3_700, saying("Stop"))];
    check_rest(
        options,
        then(coughed_early(), script),
        3_800,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.700s  ~user: "Stop"..., CancelReply turn-1, ~assistant: "Let me", ~history
    "#]],
    );
}

fn booking() -> (CallOptions, Vec<(u64, Event)>) {
    let book = function("book", vec![start("Let me look.", false)]);
    let script = vec![
        (2_100, calls(1, &["book"])),
        (2_150, finished(1)),
        (2_500, began(1)),
        (3_080, voice(3_000)),
        (3_210, cut(1, "Let me")),
        (3_400, done(1, "book", "booked")),
        (3_500, silence(3_300)),
    ];
    (CallOptions { tools: vec![book], ..quiet() }, then(asked("Book it."), script))
}

#[test]
fn a_result_that_comes_in_the_meantime_waits() {
    let (options, script) = booking();
    check_rest(
        options,
        script,
        5_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "look.", Finish #2, ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_result_that_comes_in_the_meantime_is_known_after_an_interruption() {
    let (options, script) = booking();
    let script = then(script, vec![(3_700, said("Is it there?"))]);
    check_rest(
        options.clone(),
        script.clone(),
        5_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.700s  ~user: "Is it there?", ~assistant: "Let me", ~history, ~history
        3.700s  endpointing -> ~history
        4.200s  reply due -> Generate turn-2
    "#]],
    );
    check_history(
        options,
        script,
        5_000,
        expect![[r#"
            1.000s .. 1.600s  user: Book it.
            2.100s .. 2.100s  calls: book
            2.100s .. 3.700s  result of book: booked
            2.500s .. 3.210s  assistant: Let me--
            3.000s .. 3.300s  user: Is it there?
        "#]],
    );
}

#[test]
fn an_announcement_that_was_resumed_lets_its_tool_run() {
    let book = function("book", vec![start("I will book it now.", true)]);
    let options = CallOptions { tools: vec![book], ..quiet() };
    let script = vec![
        (2_100, calls(1, &["book"])),
        (2_150, finished(1)),
        (2_500, began(1)),
        (3_080, voice(3_000)),
        (3_210, cut(1, "I will")),
        (3_500, silence(3_300)),
        (4_300, began(2)),
        (5_000, heard(2)),
    ];
    check_rest(
        options,
        then(asked("Book it."), script),
        5_100,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "book it now.", Finish #2
        4.300s  ~assistant Started 1, ~speechStarted 1 ForceSay "I will book it now."
        5.000s  ~assistant Stopped 1, ~assistant: "I will book it now.", ~history, RunTool turn-1 book
    "#]],
    );
}

#[test]
fn a_cough_while_the_model_thinks_only_holds_its_answer() {
    let script = vec![
        (2_300, voice(2_250)),
        (2_700, silence(2_600)),
        (3_000, piece(1, "It is done.")),
        (3_100, finished(1)),
    ];
    let options = quiet();
    check_rest(
        options,
        then(asked("I want to cancel."), script),
        6_000,
        expect![[r#"
            2.700s  ~user Stopped 1
            3.400s  resume -> Speak #1 "It is done.", ~model-output turn-1, Finish #1
        "#]],
    );
}

#[test]
fn a_caller_who_hangs_up_in_the_meantime_heard_what_was_heard() {
    let script = then(coughed(), vec![(3_600, hung_up())]);
    check_rest(
        quiet(),
        script.clone(),
        6_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.600s  ~assistant: "Let me tell", ~history, ~Ended customer-ended-call, End customer-ended-call
    "#]],
    );
    check_history(
        quiet(),
        script,
        6_000,
        expect![[r#"
            1.000s .. 1.600s  user: Hello.
            2.500s .. 3.210s  assistant: Let me tell--
        "#]],
    );
}

#[test]
fn a_message_that_is_asked_for_in_the_meantime_comes_after_the_rest() {
    let say = Control::Say {
        content: "Good news.".into(),
        end_call_after_spoken: false,
        interruptions_enabled: None,
        interrupt_assistant: false,
    };
    let script = then(coughed(), vec![(3_600, Event::Control(say))]);
    check_rest(
        quiet(),
        script,
        4_500,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #3 "you a long story.", Finish #3, Speak #2 "Good news.", Finish #2
    "#]],
    );
}

#[test]
fn a_message_that_interrupts_takes_the_place_of_what_was_stopped() {
    let say = Control::Say {
        content: "Good news.".into(),
        end_call_after_spoken: false,
        interruptions_enabled: None,
        interrupt_assistant: true,
    };
    let script = then(coughed(), vec![(3_600, Event::Control(say))]);
    check_rest(
        quiet(),
        script,
        7_000,
        expect![[r#"
            3.080s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.500s  ~user Stopped 1
            3.600s  ~assistant: "Let me tell", ~history, Speak #2 "Good news.", Finish #2
        "#]],
    );
}

#[test]
fn a_muted_assistant_does_not_go_on() {
    let script = then(coughed(), vec![(3_600, Event::Control(Control::MuteAssistant))]);
    check_rest(
        quiet(),
        script,
        7_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.600s  ~assistant: "Let me tell", ~history
    "#]],
    );
}

#[test]
fn a_model_that_fails_in_the_meantime_is_apologised_for_later() {
    let failed = Event::ReplyFailed { turn: TurnId(1), failure: failure(Stage::Model) };
    let script = then(coughed_early(), vec![(3_600, failed)]);
    check_rest(
        quiet(),
        script,
        4_200,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "tell you", Cut #2, Speak #3 "I am sorry, something went wrong on our side. Please call again later.", Finish #3
    "#]],
    );
}
