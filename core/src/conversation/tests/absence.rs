use expect_test::expect;

use super::{
    false_interruptions::{check_rest, then},
    *,
};
use crate::Control;

const BRIDGE: &str = "Sorry, you were cut off.";

fn lost() -> Event {
    Event::LegLost { reason: EndedReason::CustomerEndedCall, wait: ms(30_000) }
}

fn back() -> Event {
    Event::LegBack { bridge: None }
}

fn revived() -> Event {
    Event::Revived { reason: EndedReason::WorkerDied, wait: ms(30_000) }
}

fn bridged() -> Event {
    Event::LegBack { bridge: Some(BRIDGE.into()) }
}

fn progress(speech: u32, chars: u32) -> Event {
    Event::SpeechProgress { speech: SpeechId(speech), chars }
}

#[test]
fn whoever_comes_back_hears_the_rest_from_the_first_word_not_heard() {
    let script = vec![
        (3_000, lost()),
        (3_010, cut(1, "Let me tell")),
        (9_000, back()),
        (9_300, began(2)),
        (11_000, heard(2)),
    ];
    check_rest(
        quiet(),
        then(answered("Hello."), script.clone()),
        12_000,
        expect![[r#"
        3.000s  Cut #1, ~assistant Stopped 1
        9.000s  Speak #2 "you a long story.", Finish #2
        9.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        11.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
    "#]],
    );
    check_history(
        quiet(),
        then(answered("Hello."), script),
        12_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 11.000s  assistant: Let me tell you a long story.
    "#]],
    );
}

#[test]
fn what_was_heard_is_waited_for_when_the_leg_is_back_at_once() {
    let script = vec![
        (2_950, progress(1, 15)),
        (3_000, lost()),
        (3_000, back()),
        (3_020, cut(1, "Let me tell")),
    ];
    check_rest(
        quiet(),
        then(answered("Hello."), script),
        4_000,
        expect![[r#"
        3.000s  Cut #1, ~assistant Stopped 1
        3.020s  Speak #2 "you a long story.", Finish #2
    "#]],
    );
    let unanswered = vec![(2_950, progress(1, 9)), (3_000, lost()), (3_000, back())];
    check_rest(
        quiet(),
        then(answered("Hello."), unanswered),
        4_000,
        expect![[r#"
        3.000s  Cut #1, ~assistant Stopped 1
        3.200s  leg back -> Speak #2 "you a long story.", Finish #2
    "#]],
    );
}

#[test]
fn what_the_model_says_while_nobody_is_there_waits_for_somebody() {
    let script = vec![
        (2_300, piece(1, "Let me")),
        (2_500, began(1)),
        (3_000, lost()),
        (3_010, cut(1, "")),
        (3_100, piece(1, " tell you.")),
        (3_200, finished(1)),
        (9_000, back()),
    ];
    check_rest(
        quiet(),
        then(asked("Hello."), script),
        10_000,
        expect![[r#"
        3.000s  Cut #1, ~assistant Stopped 1
        9.000s  Speak #2 "Let me", Speak #2 " tell you.", ~model-output turn-1, Finish #2
    "#]],
    );
}

#[test]
fn a_tool_that_is_done_while_nobody_is_there_is_told_of_afterwards() {
    let options = CallOptions { tools: vec![function("book", vec![])], ..quiet() };
    let script = vec![
        (2_300, calls(1, &["book"])),
        (2_400, finished(1)),
        (3_000, lost()),
        (4_000, done(1, "book", "booked")),
        (9_000, back()),
    ];
    check_rest(
        options,
        then(asked("Book it."), script),
        10_000,
        expect![[r#"
        9.000s  ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn words_that_were_transcribed_after_the_line_broke_are_answered_on_return() {
    let script = up(vec![
        (2_600, voice(2_600)),
        (3_600, lost()),
        (3_900, silence(3_600)),
        (4_000, said("What are your hours?")),
        (9_000, back()),
    ]);
    check_rest(
        quiet(),
        script,
        11_000,
        expect![[r#"
        2.600s  ~user Started 0
        3.900s  ~user Stopped 0
        4.000s  ~user: "What are your hours?"
        9.400s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn nobodys_silence_counts_while_nobody_is_there() {
    let options = CallOptions { silence_timeout: ms(10_000), ..quiet() };
    let script = up(vec![(3_000, lost()), (30_000, back())]);
    check_rest(
        options,
        script,
        100_000,
        expect![[r#"
        40.000s  silence -> ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn a_leg_that_stays_away_ends_the_call_with_its_reason() {
    check_rest(
        quiet(),
        then(answered("Hello."), vec![(3_000, lost())]),
        100_000,
        expect![[r#"
        3.000s  Cut #1, ~assistant Stopped 1
        33.000s  leg gone -> ~Ended customer-ended-call, End customer-ended-call
    "#]],
    );
    let never = up(vec![(3_000, revived())]);
    check_rest(
        quiet(),
        never,
        100_000,
        expect![[r#"
        33.000s  leg gone -> ~Ended call.in-progress.error-vapifault-worker-died, End call.in-progress.error-vapifault-worker-died
    "#]],
    );
}

#[test]
fn the_last_words_are_not_waited_for_when_nobody_hears_them() {
    let options = CallOptions {
        silence_timeout: ms(3_000),
        end_call_message: Some("Bye.".into()),
        ..quiet()
    };
    check_rest(
        options,
        up(vec![(3_200, lost())]),
        10_000,
        expect![[r#"
        3.000s  silence -> Speak #1 "Bye.", Finish #1
        3.200s  Cut #1, ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn the_age_of_the_call_counts_while_nobody_is_there() {
    let options =
        CallOptions { max_duration: ms(5_000), end_call_message: Some("Bye.".into()), ..quiet() };
    check_rest(
        options,
        up(vec![(3_000, lost())]),
        10_000,
        expect![[r#"
        5.000s  max duration -> ~Ended exceeded-max-duration, End exceeded-max-duration
    "#]],
    );
}

#[test]
fn what_a_client_has_said_meanwhile_is_spoken_afterwards() {
    let say = Control::Say {
        content: "The doctor is late.".into(),
        end_call_after_spoken: false,
        interruptions_enabled: None,
        interrupt_assistant: false,
    };
    let script = up(vec![(3_000, lost()), (4_000, Event::Control(say)), (9_000, back())]);
    check_rest(
        quiet(),
        script,
        10_000,
        expect![[r#"
        9.000s  Speak #1 "The doctor is late.", Finish #1
    "#]],
    );
}

#[test]
fn after_a_restart_the_bridge_comes_first_and_then_the_rest() {
    let script = vec![
        (3_000, progress(1, 9)),
        (3_600, revived()),
        (9_500, bridged()),
        (9_600, began(2)),
        (10_500, heard(2)),
        (10_500, began(3)),
        (12_000, heard(3)),
    ];
    check_rest(
        quiet(),
        then(answered("Hello."), script.clone()),
        13_000,
        expect![[r#"
        3.600s  Cut #1, ~assistant Stopped 1
        9.500s  Speak #2 "Sorry, you were cut off.", Finish #2, Speak #3 "you a long story.", Finish #3
        9.600s  ~assistant Started 1, ~speechStarted 1 ForceSay "Let me tell you a long story. Sorry, you were cut off."
        10.500s  ~assistant Stopped 1, ~assistant: "Sorry, you were cut off.", ~history
        10.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story. Sorry, you were cut off."
        12.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
    "#]],
    );
    check_history(
        quiet(),
        then(answered("Hello."), script),
        13_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 12.000s  assistant: Let me tell you a long story.
        9.600s .. 10.500s  assistant: Sorry, you were cut off.
    "#]],
    );
}

#[test]
fn a_reply_that_died_with_its_process_is_asked_for_again_behind_what_was_heard() {
    let script = vec![
        (2_300, piece(1, "Let me tell you a")),
        (2_500, began(1)),
        (3_000, progress(1, 9)),
        (3_600, revived()),
        (9_500, bridged()),
    ];
    let script = then(asked("Hello."), script);
    check_rest(
        quiet(),
        script.clone(),
        10_000,
        expect![[r#"
        3.600s  Cut #1, ~assistant Stopped 1, ~assistant: "Let me tell", ~history
        9.500s  Speak #2 "Sorry, you were cut off.", Finish #2, Generate turn-1
    "#]],
    );
    let prompt = prompt_of(&play(quiet(), script, 10_000).conversation).join("\n");
    expect![[r#"
        user: Hello.
        assistant: Let me tell--
        system: The caller interrupted you there: of that reply they heard nothing more than these words.
        assistant: Sorry, you were cut off.
        system: The line was cut off for a moment, and the caller has just been told so. Go on from there: do not repeat what they heard, and do not apologise again."#]].assert_eq(&prompt);
}

#[test]
fn a_question_that_was_not_transcribed_to_its_end_is_answered_after_the_bridge() {
    let script = up(vec![
        (2_600, voice(2_600)),
        (3_500, saying("What are your hours")),
        (3_600, revived()),
        (9_500, bridged()),
    ]);
    check_rest(
        quiet(),
        script.clone(),
        10_000,
        expect![[r#"
        2.600s  ~user Started 0
        3.500s  ~user: "What are your hours"...
        9.500s  ~history, Generate turn-1, Speak #1 "Sorry, you were cut off.", Finish #1
    "#]],
    );
    let prompt = prompt_of(&play(quiet(), script, 10_000).conversation).join("\n");
    expect![[r#"
        user: What are your hours
        assistant: Sorry, you were cut off.
        system: The line was cut off for a moment, and the caller has just been told so. Go on from there: do not repeat what they heard, and do not apologise again."#]].assert_eq(&prompt);
}

#[test]
fn a_tool_whose_fate_is_unknown_is_not_run_again_and_the_model_is_told() {
    let options = CallOptions { tools: vec![function("book", vec![])], ..quiet() };
    let outcome = ToolOutcome::Failed { error: "it may have been run".into(), message: None };
    let unknown = Event::ToolFinished { turn: TurnId(1), call_id: "call-book".into(), outcome };
    let script = vec![
        (2_300, calls(1, &["book"])),
        (3_600, revived()),
        (3_600, unknown),
        (9_500, bridged()),
    ];
    let script = then(asked("Book it."), script);
    check_rest(
        options.clone(),
        script.clone(),
        10_000,
        expect![[r#"
        9.500s  Speak #1 "Sorry, you were cut off.", Finish #1, ~history, Generate turn-1
    "#]],
    );
    let prompt = prompt_of(&play(options, script, 10_000).conversation).join("\n");
    expect![[r#"
        user: Book it.
        calls: book
        result of book: it may have been run
        assistant: Sorry, you were cut off.
        system: The line was cut off for a moment, and the caller has just been told so. Go on from there: do not repeat what they heard, and do not apologise again."#]].assert_eq(&prompt);
}

#[test]
fn whoever_listened_goes_on_listening_after_the_bridge() {
    let script =
        up(vec![(3_000, revived()), (4_000, bridged()), (4_100, began(1)), (5_000, heard(1))]);
    check_rest(
        quiet(),
        script,
        6_000,
        expect![[r#"
        4.000s  Speak #1 "Sorry, you were cut off.", Finish #1
        4.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "Sorry, you were cut off."
        5.000s  ~assistant Stopped 0, ~assistant: "Sorry, you were cut off.", ~history
    "#]],
    );
}
