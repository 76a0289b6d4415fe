use expect_test::expect;

use super::*;

#[test]
fn a_reply_is_spoken_piece_by_piece_and_recorded_when_heard() {
    let script = [
        asked("Hello."),
        vec![
            (2_200, piece(1, " ")),
            (2_210, piece(1, " Good")),
            (2_220, piece(1, " day.")),
            (2_230, finished(1)),
            (2_500, began(1)),
            (3_400, heard(1)),
        ],
    ]
    .concat();
    check(
        quiet(),
        script.clone(),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  ~model-output turn-1
        2.210s  Speak #1 "Good", ~model-output turn-1
        2.220s  Speak #1 " day.", ~model-output turn-1
        2.230s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Good day."
        3.400s  ~assistant Stopped 1, ~assistant: "Good day.", ~history
    "#]],
    );
    check_history(
        quiet(),
        script,
        4_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 3.400s  assistant: Good day.
    "#]],
    );
}

#[test]
fn an_empty_reply_leaves_the_floor_to_nobody() {
    check(
        quiet(),
        [asked("Hello."), vec![(2_200, finished(1))]].concat(),
        40_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        32.200s  silence -> ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn a_reply_cut_off_before_its_first_word_is_apologised_for() {
    let finished = Event::ReplyFinished { turn: TurnId(1), finish: Finish::ContentFilter };
    check(
        quiet(),
        [asked("Hello."), vec![(2_200, finished)]].concat(),
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "Sorry, I lost my thread there. Could you say that again?", Finish #1
    "#]],
    );
}

#[test]
fn a_reply_cut_off_in_its_middle_is_spoken_as_it_is() {
    let finished = Event::ReplyFinished { turn: TurnId(1), finish: Finish::Length };
    check(
        quiet(),
        [asked("Hello."), vec![(2_200, piece(1, "Once upon")), (2_300, finished)]].concat(),
        3_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.200s  Speak #1 "Once upon", ~model-output turn-1
            2.300s  Finish #1
        "#]],
    );
}

#[test]
fn answers_to_earlier_turns_and_speeches_are_ignored() {
    check(
        quiet(),
        [
            answered("Hello."),
            vec![
                (2_600, piece(0, "old")),
                (2_600, piece(1, "after its end")),
                (2_600, finished(1)),
                (2_600, calls(7, &["book"])),
                (2_600, began(9)),
                (2_600, heard(9)),
                (2_600, cut(9, "never said")),
                (2_600, done(1, "book", "late")),
            ],
        ]
        .concat(),
        3_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        "#]],
    );
}

#[test]
fn a_silent_model_is_reported_once_and_then_given_up() {
    check(
        quiet(),
        asked("Hello."),
        80_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        7.000s  hang -> ~hang
        32.000s  reply overdue -> CancelReply turn-1, Speak #1 "I am sorry, something went wrong on our side. Please call again later.", Finish #1
        49.000s  closing -> Cut #1, ~Ended pipeline-error-custom-llm-llm-failed, End pipeline-error-custom-llm-llm-failed
    "#]],
    );
}

#[test]
fn a_failed_reply_is_apologised_for_and_ends_the_call() {
    let failed = Event::ReplyFailed { turn: TurnId(1), failure: failure(Stage::Model) };
    check(
        quiet(),
        [asked("Hello."), vec![(2_300, failed), (2_500, began(1)), (5_000, heard(1))]].concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "I am sorry, something went wrong on our side. Please call again later.", Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 ForceSay "I am sorry, something went wrong on our side. Please call again later."
            5.000s  ~assistant Stopped 1, ~assistant: "I am sorry, something went wrong on our side. Please call again later.", ~history, ~Ended pipeline-error-openai-llm-failed, End pipeline-error-openai-llm-failed
        "#]],
    );
}

#[test]
fn a_speech_that_the_voice_lost_counts_as_not_heard() {
    let script = [asked("Hello."), vec![(2_200, piece(1, "Hi.")), (2_300, finished(1))]].concat();
    check(
        quiet(),
        script.clone(),
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "Hi.", ~model-output turn-1
        2.300s  Finish #1
        17.750s  speech lost -> Cut #1
    "#]],
    );
    check_history(
        quiet(),
        script,
        20_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
    "#]],
    );
}

#[test]
fn a_speech_that_the_voice_gave_up_is_recorded_as_far_as_it_was_heard() {
    check_history(
        quiet(),
        [answered("Hello."), vec![(3_000, cut(1, "Let me tell"))]].concat(),
        4_000,
        expect![[r#"
            1.000s .. 1.600s  user: Hello.
            2.500s .. 3.000s  assistant: Let me tell--
        "#]],
    );
}

#[test]
fn the_prompt_holds_what_is_being_spoken_and_what_is_still_running() {
    let options = CallOptions {
        preamble: vec![Message::System { content: "Be brief.".into() }],
        tools: vec![function("book", vec![])],
        ..quiet()
    };
    let script = [
        asked("Book it."),
        vec![(2_200, piece(1, "One moment.")), (2_300, calls(1, &["book"])), (2_310, finished(1))],
    ]
    .concat();
    let played = play(options, script, 3_000);
    expect![[r#"
        [
            "system: Be brief.",
            "user: Book it.",
            "assistant: One moment.",
            "calls: book",
            "result of book: still running; the result is not known yet",
        ]
    "#]]
    .assert_debug_eq(&prompt_of(&played.conversation));
}
