//! Voicemails that the model knows.

use expect_test::expect;

use super::*;
use crate::{VOICEMAIL_ANSWER_DUE, VoicemailPlan, VoicemailQuestions};

/// The model is asked at 3, 6 and 9 s.
fn asking() -> CallOptions {
    let voicemail = VoicemailPlan {
        start_at: Duration::ZERO,
        until: Duration::from_secs(30),
        beep_due: Duration::from_secs(20),
        message: Some("Please call us back.".into()),
        recording: None,
        questions: Some(VoicemailQuestions { start_at: ms(3_000), every: ms(3_000), attempts: 3 }),
    };
    CallOptions { voicemail: Some(voicemail), silence_timeout: ms(60_000), ..quiet() }
}

/// A greeting that no rule knows.
fn greeted() -> Vec<(u64, Event)> {
    up(vec![
        (1_080, voice(1_000)),
        (2_000, said("Anna and Tom are out.")),
        (2_800, saying("Talk after the")),
    ])
}

fn judged(request: u32, is_voicemail: bool) -> Event {
    Event::VoicemailJudged { request, is_voicemail }
}

#[test]
fn a_voicemail_that_the_model_knows_gets_the_message_after_the_beep() {
    let answered = vec![
        (3_600, judged(1, true)),
        (4_000, said("Talk after the sound.")),
        (4_100, silence(4_000)),
        (5_050, Event::Beep { at: CallTime::from_millis(5_000) }),
    ];
    check(
        asking(),
        [greeted(), answered].concat(),
        9_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.080s  ~user Started 0
        2.000s  ~user: "Anna and Tom are out."
        2.800s  ~user: "Talk after the"...
        3.000s  voicemail question -> AskVoicemail 1
        4.000s  ~user: "Talk after the sound."
        4.100s  ~user Stopped 0
        4.400s  endpointing -> ~history
        5.050s  Speak #1 "Please call us back.", Finish #1
    "#]],
    );
}

#[test]
fn the_model_is_asked_about_everything_that_was_heard() {
    let played = play(asking(), greeted(), 3_000);
    let question: Vec<_> =
        played.conversation.voicemail_question().iter().map(show_message).collect();
    assert_eq!(question.len(), 2);
    assert!(question[0].contains("VOICEMAIL"), "{question:?}");
    assert_eq!(question[1], "user: Anna and Tom are out. Talk after the");
}

#[test]
fn a_person_is_answered_while_the_model_is_asked() {
    let script = up(vec![
        (2_080, voice(2_000)),
        (2_600, silence(2_500)),
        (2_700, said("Good evening.")),
        (3_700, judged(1, false)),
    ]);
    check(
        asking(),
        script,
        10_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        2.080s  ~user Started 0
        2.600s  ~user Stopped 0
        2.700s  ~user: "Good evening."
        2.900s  endpointing -> ~history, Generate turn-1
        3.000s  voicemail question -> AskVoicemail 1
        7.900s  hang -> ~hang
    "#]],
    );
}

#[test]
fn a_late_answer_is_none() {
    let late = 3_001 + u64::try_from(VOICEMAIL_ANSWER_DUE.as_millis()).unwrap();
    // Nothing more was said, so that the second question was not asked.
    let log = play(asking(), [greeted(), vec![(late, judged(1, true))]].concat(), late).log;
    assert!(log.contains("AskVoicemail 1") && !log.contains("AskVoicemail 2"), "{log}");
    let options = CallOptions { end_call_message: Some("Bye.".into()), ..asking() };
    let played = play(options, [greeted(), vec![(late, judged(1, true))]].concat(), 25_000);
    assert!(!played.log.contains("Please call us back."), "{}", played.log);
}

#[test]
fn an_answer_to_the_question_before_is_none() {
    let script = vec![
        (5_000, said("Talk after the sound.")),
        (6_100, judged(1, true)),
        (6_500, judged(2, false)),
    ];
    let log = play(asking(), [greeted(), script].concat(), 25_000).log;
    assert!(log.contains("AskVoicemail 2"), "{log}");
    assert!(!log.contains("Please call us back."), "{log}");
}

#[test]
fn a_call_in_which_nothing_is_heard_asks_nothing() {
    let log = play(asking(), up(vec![]), 20_000).log;
    assert!(!log.contains("AskVoicemail"), "{log}");
}

#[test]
fn who_said_hello_after_the_beep_was_awaited_is_a_person() {
    let script = vec![
        (3_600, judged(1, true)),
        (4_000, silence(3_900)),
        (6_080, voice(6_000)),
        (6_600, silence(6_500)),
        (6_700, said("Hello? Sorry, I'm here.")),
    ];
    let log = play(asking(), [greeted(), script].concat(), 8_000).log;
    assert!(log.contains("Generate turn-1"), "{log}");
    assert!(!log.contains("AskVoicemail 2"), "{log}");
}
