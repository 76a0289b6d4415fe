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

/// A reply that ends for this reason after these pieces, each after a tenth of a second.
fn cut_off(pieces: &[&str], finish: Finish) -> Vec<(u64, Event)> {
    let mut script = asked("Hello.");
    let mut at_ms = 2_200;
    for text in pieces {
        script.push((at_ms, piece(1, text)));
        at_ms += 100;
    }
    script.push((at_ms, Event::ReplyFinished { turn: TurnId(1), finish }));
    script
}

fn trimmed(speech: u32, text: &str) -> Event {
    Event::SpeechTrimmed { speech: SpeechId(speech), text: text.into() }
}

#[test]
fn a_reply_that_ran_out_of_tokens_before_its_first_word_is_apologised_for() {
    check(
        quiet(),
        cut_off(&[], Finish::Length),
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
fn a_reply_that_ran_out_of_tokens_is_spoken_as_far_as_it_makes_sense() {
    let pieces = ["We open at nine. ", "On Sundays and publ"];
    let script = [
        cut_off(&pieces, Finish::Length),
        vec![
            (2_410, trimmed(1, "We open at nine. ")),
            (2_500, began(1)),
            (3_500, heard(1)),
            (4_000, voice(4_000)),
            (4_650, silence(4_600)),
            (4_700, said("Go on.")),
        ],
    ]
    .concat();
    check(
        quiet(),
        script.clone(),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "We open at nine. ", ~model-output turn-1
        2.300s  Speak #1 "On Sundays and publ", ~model-output turn-1
        2.400s  Trim #1, Finish #1, ~history
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "We open at nine."
        3.500s  ~assistant Stopped 1, ~assistant: "We open at nine.", ~history
        4.000s  ~user Started 1
        4.650s  ~user Stopped 1
        4.700s  ~user: "Go on."
        5.000s  endpointing -> ~history, Generate turn-2
    "#]],
    );
    check_history(
        quiet(),
        script.clone(),
        5_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 3.500s  assistant: We open at nine.
        2.400s .. 2.400s  system: Your last reply was cut off: it ran into the limit of its length.
        4.000s .. 4.600s  user: Go on.
    "#]],
    );
    expect![[r#"
        [
            "user: Hello.",
            "assistant: We open at nine.",
            "system: Your last reply was cut off: it ran into the limit of its length.",
            "user: Go on.",
        ]
    "#]]
    .assert_debug_eq(&prompt_of(&play(quiet(), script, 5_000).conversation));
}

#[test]
fn a_reply_that_was_refused_is_answered_with_the_line_for_it() {
    check(
        quiet(),
        cut_off(&[], Finish::ContentFilter),
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "I'm sorry, I can't help with that.", Finish #1
    "#]],
    );
}

#[test]
fn a_reply_that_was_filtered_in_its_middle_stops_there_and_says_so() {
    let options = CallOptions { refusal: "Let us talk of something else.".into(), ..quiet() };
    let script = [
        cut_off(&["You take the fuse, ", "then you"], Finish::ContentFilter),
        vec![
            (2_410, trimmed(1, "You take the fuse, ")),
            (2_500, began(1)),
            (3_500, heard(1)),
            (3_600, began(2)),
            (5_000, heard(2)),
        ],
    ]
    .concat();
    check(
        options.clone(),
        script.clone(),
        6_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "You take the fuse, ", ~model-output turn-1
        2.300s  Speak #1 "then you", ~model-output turn-1
        2.400s  Trim #1, Finish #1, Speak #2 "Let us talk of something else.", Finish #2
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "You take the fuse, Let us talk of something else."
        3.500s  ~assistant Stopped 1, ~assistant: "You take the fuse,", ~history
        3.600s  ~assistant Started 1, ~speechStarted 1 ForceSay "You take the fuse, Let us talk of something else."
        5.000s  ~assistant Stopped 1, ~assistant: "Let us talk of something else.", ~history
    "#]],
    );
    check_history(
        options,
        script,
        6_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 3.500s  assistant: You take the fuse,
        3.600s .. 5.000s  assistant: Let us talk of something else.
    "#]],
    );
}

#[test]
fn tools_that_a_reply_asked_for_before_it_was_cut_off_are_run() {
    let options = CallOptions { tools: vec![function("book", vec![])], ..quiet() };
    let finished = Event::ReplyFinished { turn: TurnId(1), finish: Finish::Length };
    let script = [
        asked("Book it."),
        vec![
            (2_200, piece(1, "One")),
            (2_300, calls(1, &["book"])),
            (2_310, finished),
            (2_500, done(1, "book", "booked")),
        ],
    ]
    .concat();
    check(
        options,
        script,
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.200s  Speak #1 "One", ~model-output turn-1
        2.300s  Finish #1, ~tool-calls 1, RunTool turn-1 book, ~history
        2.500s  ~history, Generate turn-1
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
