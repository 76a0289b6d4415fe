use expect_test::expect;

use super::*;
use crate::KeypadPlan;

fn with_keypad() -> CallOptions {
    let plan = KeypadPlan { delimiter: Some('#'), ..KeypadPlan::default() };
    CallOptions { keypad: Some(plan), ..quiet() }
}

/// Keys a quarter of a second apart.
fn keys(from_ms: u64, keys: &str) -> Vec<(u64, Event)> {
    let pressed = |(index, key)| (from_ms + 250 * index as u64, Event::KeyPressed { key });
    keys.chars().enumerate().map(pressed).collect()
}

#[test]
fn keys_up_to_the_delimiter_are_a_turn() {
    check(
        with_keypad(),
        up(keys(1_000, "12#")),
        2_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.500s  ~history, Generate turn-1
    "#]],
    );
    check_history(
        with_keypad(),
        up(keys(1_000, "12#")),
        2_000,
        expect![[r#"
        1.500s .. 1.500s  user: User's Keypad Entry: 12
    "#]],
    );
}

#[test]
fn keys_are_a_turn_two_seconds_after_the_last_one() {
    check(
        with_keypad(),
        up(keys(1_000, "12")),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        3.250s  keypad -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn an_entry_interrupts_and_is_answered_at_once() {
    let script = [answered("Hello."), keys(3_000, "1#"), vec![(3_300, cut(1, "Let me tell"))]];
    check(
        with_keypad(),
        script.concat(),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
        2.400s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        3.250s  Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1, ~history
        3.300s  ~assistant: "Let me tell", ~history, Generate turn-2
    "#]],
    );
}

#[test]
fn an_entry_waits_for_speech_that_may_not_be_interrupted() {
    let options = CallOptions {
        first_message: Some("Please type your number.".into()),
        first_message_mode: FirstMessageMode::AssistantSpeaksFirst,
        ..with_keypad()
    };
    let script = [up(vec![(100, began(1))]), keys(500, "1#"), vec![(2_000, heard(1))]];
    check(
        options,
        script.concat(),
        3_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started, Speak #1 "Please type your number.", Finish #1
        0.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "Please type your number."
        0.750s  ~history
        2.000s  ~assistant Stopped 0, ~assistant: "Please type your number.", ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn an_entry_goes_behind_the_words_before_it() {
    let script =
        [up(vec![(1_000, voice(1_000)), (1_500, said("My number is"))]), keys(1_600, "7#")];
    check_history(
        with_keypad(),
        script.concat(),
        3_000,
        expect![[r#"
        1.000s .. 1.850s  user: My number is User's Keypad Entry: 7
    "#]],
    );
}

#[test]
fn keys_are_passed_over_without_a_plan() {
    check(
        quiet(),
        up(keys(1_000, "12#")),
        9_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
    "#]],
    );
}

#[test]
fn whoever_types_is_not_silent() {
    let options = CallOptions { silence_timeout: Duration::from_secs(3), ..with_keypad() };
    let plan = KeypadPlan { timeout: None, delimiter: Some('#') };
    let options = CallOptions { keypad: Some(plan), ..options };
    check(
        options,
        up(keys(2_000, "12")),
        6_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        5.250s  silence -> ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}
