//! What a client is told of a speech while it sounds.

use expect_test::expect;

use super::*;
use crate::TimedWord;

/// Words of a speech, each with the white space before it and its times in ms.
fn timed(speech: u32, words: &[(&str, u64, u64)]) -> Event {
    let word = |(text, start, end): &(&str, u64, u64)| TimedWord {
        text: (*text).into(),
        start: ms(*start),
        end: ms(*end),
    };
    Event::SpeechTimed { speech: SpeechId(speech), words: words.iter().map(word).collect() }
}

fn greeting(text: &str) -> CallOptions {
    CallOptions { first_message: Some(text.into()), ..CallOptions::default() }
}

#[test]
fn timed_words_are_told_when_the_first_of_them_sounds() {
    check(
        greeting("Hello there. How are you?"),
        up(vec![
            (90, timed(1, &[("Hello", 0, 300), (" there.", 350, 700)])),
            (100, began(1)),
            (
                110,
                timed(1, &[(" How", 900, 1_100), (" are", 1_100, 1_200), (" you?", 1_200, 1_500)]),
            ),
            (1_700, heard(1)),
        ]),
        2_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started, Speak #1 "Hello there. How are you?", Finish #1
            0.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello there. How are you?" [Hello]0-300 [ ]300-350 [there.]350-700
            1.000s  words sound -> ~speechStarted 0 ForceSay "Hello there. How are you?" [ ]0-0 [How]0-200 [ ]200-200 [are]200-300 [ ]300-300 [you?]300-600
            1.700s  ~assistant Stopped 0, ~assistant: "Hello there. How are you?", ~history
        "#]],
    );
}

#[test]
fn all_words_of_a_turn_join_to_its_text() {
    let script = vec![
        (2_300, piece(1, "One moment.")),
        (2_350, calls(1, &["look"])),
        (2_400, finished(1)),
        (2_450, timed(1, &[("One", 0, 200), (" moment.", 200, 600)])),
        (2_500, began(1)),
        (2_600, done(1, "look", "found")),
        (2_900, piece(1, " It is there.")),
        (2_950, finished(1)),
        (3_000, timed(2, &[("It", 0, 100), (" is", 100, 200), (" there.", 200, 500)])),
        (3_200, heard(1)),
        (3_200, began(2)),
    ];
    let options = CallOptions { tools: vec![function("look", vec![])], ..quiet() };
    let log = play(options, [asked("Where?"), script].concat(), 3_300).log;
    let told: Vec<_> =
        log.lines().filter_map(|line| Some(line.split_once("~speechStarted ")?.1)).collect();
    expect![[r#"
         1 Model "One moment." [One]0-200 [ ]200-200 [moment.]200-600
         1 Model "One moment. It is there." [ ]0-0 [It]0-100 [ ]100-100 [is]100-200 [ ]200-200 [there.]200-500"#]].assert_eq(&told.join("\n"));
}

#[test]
fn the_rest_of_a_speech_that_was_cut_is_not_told() {
    check_after(
        3_000,
        quiet(),
        [
            answered("Hello."),
            vec![
                (2_600, timed(1, &[("Let", 0, 200), (" me", 200, 400)])),
                (2_600, timed(1, &[(" tell", 2_000, 2_200)])),
                (3_000, said("Wait, please stop that.")),
                (3_100, cut(1, "Let me")),
            ],
        ]
        .concat(),
        4_600,
        expect![[r#"
            3.000s  ~user: "Wait, please stop that.", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.100s  ~assistant: "Let me", ~history
            3.400s  endpointing -> ~history
            4.000s  reply due -> Generate turn-2
        "#]],
    );
}

#[test]
fn a_speech_that_goes_on_after_a_cough_tells_its_words_from_there() {
    check_after(
        3_000,
        quiet(),
        [
            answered("Hello."),
            vec![
                (2_510, timed(1, &[("Let", 0, 200), (" me", 200, 400)])),
                (2_510, timed(1, &[(" tell", 900, 1_200)])),
                (3_000, voice(3_000)),
                (3_300, cut(1, "Let me")),
                (3_400, silence(3_350)),
                (4_500, timed(2, &[("tell", 0, 300), (" you", 300, 500)])),
                (4_600, began(2)),
            ],
        ]
        .concat(),
        4_700,
        expect![[r#"
            3.000s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.400s  ~user Stopped 1
            4.150s  resume -> Speak #2 "tell you a long story.", Finish #2
            4.600s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story." [ ]0-0 [tell]0-300 [ ]300-300 [you]300-500
        "#]],
    );
}

#[test]
fn a_reply_without_timings_is_told_again_when_it_is_written_to_its_end() {
    check_after(
        2_250,
        quiet(),
        [
            asked("Hello."),
            vec![
                (2_200, piece(1, "We are open.")),
                (2_300, began(1)),
                (2_400, piece(1, " Come in.")),
                (2_500, finished(1)),
            ],
        ]
        .concat(),
        2_600,
        expect![[r#"
            2.300s  ~assistant Started 1, ~speechStarted 1 Model "We are open."
            2.400s  Speak #1 " Come in.", ~model-output turn-1
            2.500s  Finish #1, ~speechStarted 1 Model "We are open. Come in."
        "#]],
    );
}

/// Like [`check`], from this time on.
#[track_caller]
fn check_after(
    from_ms: u64,
    options: CallOptions,
    script: Vec<(u64, Event)>,
    until_ms: u64,
    want: Expect,
) {
    let log = play(options, script, until_ms).log;
    let from = CallTime::from_millis(from_ms).to_string();
    let rest = log.lines().skip_while(|line| *line < from.as_str());
    want.assert_eq(&rest.map(|line| format!("{line}\n")).collect::<String>());
}
