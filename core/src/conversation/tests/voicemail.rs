use expect_test::expect;

use super::*;
use crate::{Answerer, VoicemailPlan};

fn plan(message: Option<&str>) -> CallOptions {
    let voicemail = VoicemailPlan {
        start_at: Duration::ZERO,
        until: Duration::from_secs(30),
        beep_due: Duration::from_secs(20),
        message: message.map(Into::into),
        recording: None,
        questions: None,
    };
    CallOptions { voicemail: Some(voicemail), silence_timeout: ms(10_000), ..quiet() }
}

fn leaving() -> CallOptions {
    plan(Some("Please call us back."))
}

/// The greeting of a voicemail that answers.
fn greeted() -> Vec<(u64, Event)> {
    up(vec![
        (1_080, voice(1_000)),
        (3_000, saying("Hi, you've reached Ann. I can't come")),
        (4_000, saying("Hi, you've reached Ann. I can't come to the phone right now.")),
        (4_500, said("Hi, you've reached Ann. I can't come to the phone right now.")),
        (5_000, silence(4_800)),
    ])
}

fn beep(at_ms: u64) -> (u64, Event) {
    (at_ms + 50, Event::Beep { at: CallTime::from_millis(at_ms) })
}

#[test]
fn the_message_is_left_after_the_beep() {
    let script = [greeted(), vec![beep(8_000), (8_300, began(1)), (10_000, heard(1))]].concat();
    check(
        leaving(),
        script,
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        3.000s  ~user: "Hi, you've reached Ann. I can't come"...
        4.000s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."...
        4.500s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."
        5.000s  ~user Stopped 0
        5.200s  endpointing -> ~history
        8.050s  Speak #1 "Please call us back.", Finish #1
        8.300s  ~assistant Started 0, ~speechStarted 0 ForceSay "Please call us back."
        10.000s  ~assistant Stopped 0, ~assistant: "Please call us back.", ~history, ~Ended voicemail, End voicemail
    "#]],
    );
}

#[test]
fn a_beep_that_does_not_come_is_not_waited_for_for_ever() {
    check(
        leaving(),
        greeted(),
        21_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        3.000s  ~user: "Hi, you've reached Ann. I can't come"...
        4.000s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."...
        4.500s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."
        5.000s  ~user Stopped 0
        5.200s  endpointing -> ~history
        20.000s  voicemail -> Speak #1 "Please call us back.", Finish #1
    "#]],
    );
}

#[test]
fn without_a_message_the_call_ends_at_once() {
    check(
        plan(None),
        greeted(),
        21_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        3.000s  ~user: "Hi, you've reached Ann. I can't come"...
        4.000s  ~history, ~Ended voicemail, End voicemail
    "#]],
    );
}

#[test]
fn the_first_message_is_broken_off() {
    let options = CallOptions {
        first_message: Some("Hello, this is Sarah.".into()),
        first_message_mode: FirstMessageMode::AssistantSpeaksFirst,
        ..leaving()
    };
    let script = [greeted(), vec![(1_200, began(1)), (4_100, cut(1, "Hello, this"))]];
    let mut script = script.concat();
    script.sort_by_key(|(at, _)| *at);
    check(
        options,
        script,
        6_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started, Speak #1 "Hello, this is Sarah.", Finish #1
        1.080s  ~user Started 0
        1.200s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello, this is Sarah."
        3.000s  ~user: "Hi, you've reached Ann. I can't come"...
        4.000s  Cut #1, ~assistant Stopped 0, ~user: "Hi, you've reached Ann. I can't come to the phone right now."...
        4.100s  ~assistant: "Hello, this", ~history
        4.500s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."
        5.000s  ~user Stopped 0
        5.200s  endpointing -> ~history
    "#]],
    );
}

#[test]
fn a_person_who_picks_up_during_the_greeting_gets_the_assistant() {
    let script = [greeted(), vec![(6_080, voice(6_000)), (6_700, silence(6_500))]].concat();
    let script = [script, vec![(6_800, said("Hello? Sorry, I'm here."))]].concat();
    check(
        leaving(),
        script,
        8_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        3.000s  ~user: "Hi, you've reached Ann. I can't come"...
        4.000s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."...
        4.500s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."
        5.000s  ~user Stopped 0
        5.200s  endpointing -> ~history
        6.080s  ~user Started 0
        6.700s  ~user Stopped 0
        6.800s  ~user: "Hello? Sorry, I'm here."
        6.900s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_person_who_picks_up_during_the_message_gets_the_assistant() {
    let more = vec![beep(8_000), (8_300, began(1)), (9_000, said("Hello? Who is this?"))];
    let script = [greeted(), more, vec![(9_100, cut(1, "Please"))]].concat();
    check(
        leaving(),
        script,
        12_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        3.000s  ~user: "Hi, you've reached Ann. I can't come"...
        4.000s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."...
        4.500s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."
        5.000s  ~user Stopped 0
        5.200s  endpointing -> ~history
        8.050s  Speak #1 "Please call us back.", Finish #1
        8.300s  ~assistant Started 0, ~speechStarted 0 ForceSay "Please call us back."
        9.000s  Cut #1, ~assistant Stopped 0, ~user: "Hello? Who is this?"
        9.100s  ~assistant: "Please", ~history
        9.400s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn people_are_answered_as_ever() {
    let script = up(vec![(1_080, voice(1_000)), (1_700, silence(1_600)), (1_800, said("Hello?"))]);
    check(
        leaving(),
        [script, vec![beep(2_500)]].concat(),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        1.700s  ~user Stopped 0
        1.800s  ~user: "Hello?"
        2.000s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_beep_before_any_word_is_a_voicemails() {
    check(
        leaving(),
        up(vec![beep(3_000)]),
        4_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        3.050s  Speak #1 "Please call us back.", Finish #1
    "#]],
    );
}

#[test]
fn a_beep_late_in_the_call_is_none() {
    let mut script = greeted();
    script.retain(|(_, event)| *event == Event::LegConnected);
    let options = CallOptions { silence_timeout: ms(60_000), ..leaving() };
    check(
        options,
        [script, vec![beep(40_000)]].concat(),
        45_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
    "#]],
    );
}

#[test]
fn words_of_a_voicemail_wait_until_they_are_judged() {
    let mut options = leaving();
    options.voicemail.as_mut().unwrap().start_at = ms(7_000);
    check(
        options,
        greeted(),
        8_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        3.000s  ~user: "Hi, you've reached Ann. I can't come"...
        4.000s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."...
        4.500s  ~user: "Hi, you've reached Ann. I can't come to the phone right now."
        5.000s  ~user Stopped 0
        5.200s  endpointing -> ~history, Generate turn-1
        7.000s  voicemail -> CancelReply turn-1
    "#]],
    );
}

#[test]
fn the_carriers_word_counts() {
    let answered = |by| vec![(1_000, Event::Answered { by })];
    let log = |by| play(leaving(), up([answered(by), vec![beep(3_000)]].concat()), 4_000).log;
    expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        3.050s  Speak #1 "Please call us back.", Finish #1
    "#]]
    .assert_eq(&log(Answerer::Voicemail));
    expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  Speak #1 "Please call us back.", Finish #1
    "#]]
    .assert_eq(&log(Answerer::VoicemailReady));
    expect![[r#"
        0.000s  ~InProgress, ~assistant.started
    "#]]
    .assert_eq(&log(Answerer::Human));
}

#[test]
fn nobody_listens_for_voicemails_unless_asked_to() {
    let log = play(quiet(), [greeted(), vec![beep(8_000)]].concat(), 9_000).log;
    assert!(!log.contains("voicemail"), "{log}");
}

#[test]
fn a_recorded_message_is_played_in_place_of_a_spoken_one() {
    let mut options = leaving();
    if let Some(plan) = &mut options.voicemail {
        (plan.message, plan.recording) = (None, Some("https://example.com/a.wav".into()));
    }
    let script = [greeted(), vec![beep(8_000), (8_300, began(1)), (30_000, heard(1))]].concat();
    check_from_beep(
        options,
        script,
        expect![[r#"
            8.050s  Play #1 https://example.com/a.wav
            8.300s  ~assistant Started 0
            30.000s  ~assistant Stopped 0, ~Ended voicemail, End voicemail
        "#]],
    );
}

#[test]
fn a_recorded_message_that_cannot_be_had_ends_the_call() {
    let mut options = leaving();
    if let Some(plan) = &mut options.voicemail {
        (plan.message, plan.recording) = (None, Some("https://example.com/a.wav".into()));
    }
    let script = [greeted(), vec![beep(8_000), (8_300, cut(1, ""))]].concat();
    check_from_beep(
        options,
        script,
        expect![[r#"
        8.050s  Play #1 https://example.com/a.wav
        8.300s  ~Ended voicemail, End voicemail
    "#]],
    );
}

/// Compares the log from the beep on.
#[track_caller]
fn check_from_beep(options: CallOptions, script: Vec<(u64, Event)>, want: Expect) {
    let log = play(options, script, 90_000).log;
    let end = log.lines().skip_while(|line| !line.starts_with("8.050s"));
    want.assert_eq(&end.map(|line| format!("{line}\n")).collect::<String>());
}
