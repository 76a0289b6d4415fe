//! Stops of the assistant that were none: what ends them, and what is spoken then.

mod meanwhile;

use expect_test::expect;

use super::*;
use crate::{Control, StopSpeaking};

/// The log from 2.600s on: what comes before is the same in all of these scripts.
#[track_caller]
pub(super) fn check_rest(
    options: CallOptions,
    script: Vec<(u64, Event)>,
    until_ms: u64,
    want: Expect,
) {
    let log = play(options, script, until_ms).log;
    let rest = log.lines().skip_while(|line| *line < "2.600s");
    want.assert_eq(&rest.fold(String::new(), |log, line| format!("{log}{line}\n")));
}

fn acknowledging() -> CallOptions {
    let stop_speaking = StopSpeaking {
        acknowledgement_phrases: vec!["yeah".into(), "mm-hmm".into()],
        ..StopSpeaking::default()
    };
    CallOptions { stop_speaking, ..quiet() }
}

/// A cough of 300 ms over the long reply; 3.200s is the cut.
pub(super) fn coughed() -> Vec<(u64, Event)> {
    [
        answered("Hello."),
        vec![(3_080, voice(3_000)), (3_210, cut(1, "Let me tell")), (3_500, silence(3_300))],
    ]
    .concat()
}

/// A cough over a reply that the model is still making.
fn coughed_early() -> Vec<(u64, Event)> {
    [
        asked("Hello."),
        vec![
            (2_300, piece(1, "Let me tell you")),
            (2_500, began(1)),
            (3_080, voice(3_000)),
            (3_210, cut(1, "Let me")),
            (3_500, silence(3_300)),
        ],
    ]
    .concat()
}

pub(super) fn then(before: Vec<(u64, Event)>, more: Vec<(u64, Event)>) -> Vec<(u64, Event)> {
    let mut script = [before, more].concat();
    script.sort_by_key(|(at, _)| *at);
    script
}

#[test]
fn after_a_cough_the_speech_goes_on_where_it_was_cut() {
    let script = then(coughed(), vec![(4_300, began(2)), (6_000, heard(2))]);
    check_rest(
        quiet(),
        script.clone(),
        8_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "you a long story.", Finish #2
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
fn a_noise_that_goes_on_is_spoken_over() {
    let script = vec![(3_080, voice(3_000)), (3_210, cut(1, "Let me tell")), (4_900, began(2))];
    check_rest(
        quiet(),
        then(answered("Hello."), script),
        9_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        4.700s  resume -> Speak #2 "you a long story.", Finish #2
        4.900s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
    "#]],
    );
}

#[test]
fn words_that_come_in_time_make_it_an_interruption() {
    let script = then(coughed(), vec![(3_900, said("Wait a moment."))]);
    check_rest(
        quiet(),
        script.clone(),
        6_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.900s  ~user: "Wait a moment.", ~assistant: "Let me tell", ~history
        3.900s  endpointing -> ~history
        4.200s  reply due -> Generate turn-2
    "#]],
    );
    check_history(
        quiet(),
        script,
        6_000,
        expect![[r#"
            1.000s .. 1.600s  user: Hello.
            2.500s .. 3.210s  assistant: Let me tell--
            3.000s .. 3.300s  user: Wait a moment.
        "#]],
    );
}

#[test]
fn words_that_come_after_the_speech_went_on_interrupt_it_again() {
    let script = vec![(4_300, began(2)), (4_400, said("Wait.")), (4_450, cut(2, "you a"))];
    let script = then(coughed(), script);
    check_rest(
        quiet(),
        script.clone(),
        6_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "you a long story.", Finish #2
        4.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        4.400s  ~user: "Wait.", Cut #2, ~assistant Stopped 1, ~user-interrupted turn-1
        4.450s  ~assistant: "Let me tell you a", ~history
        4.800s  endpointing -> ~history
        5.400s  reply due -> Generate turn-2
    "#]],
    );
    check_history(
        quiet(),
        script,
        6_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 4.450s  assistant: Let me tell you a--
        4.400s .. 4.400s  user: Wait.
    "#]],
    );
}

#[test]
fn an_acknowledgement_lets_the_speech_go_on_at_once_and_is_no_turn() {
    let script = vec![(3_600, said("Yeah.")), (3_900, began(2)), (5_000, heard(2))];
    let script = then(coughed(), script);
    check_rest(
        acknowledging(),
        script.clone(),
        20_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        3.600s  ~user: "Yeah.", Speak #2 "you a long story.", Finish #2
        3.900s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        5.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
    "#]],
    );
    check_history(
        acknowledging(),
        script,
        20_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 5.000s  assistant: Let me tell you a long story.
    "#]],
    );
}

#[test]
fn an_acknowledgement_that_becomes_a_sentence_interrupts() {
    let script = vec![(3_400, saying("Yeah")), (3_700, saying("Yeah but I"))];
    check_rest(
        acknowledging(),
        then(coughed(), script),
        3_800,
        expect![[r#"
            3.080s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.400s  ~user: "Yeah"...
            3.500s  ~user Stopped 1
            3.700s  ~user: "Yeah but I"..., ~assistant: "Let me tell", ~history
        "#]],
    );
}

#[test]
fn an_acknowledgement_whose_final_comes_late_does_not_hold_the_speech_up() {
    let script = vec![(3_400, saying("Yeah")), (4_300, began(2)), (4_600, said("Yeah."))];
    let script = then(coughed(), then(script, vec![(6_000, heard(2))]));
    check_rest(
        acknowledging(),
        script,
        20_000,
        expect![[r#"
            3.080s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.400s  ~user: "Yeah"...
            3.500s  ~user Stopped 1
            4.100s  resume -> Speak #2 "you a long story.", Finish #2
            4.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            4.600s  ~user: "Yeah."
            6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        "#]],
    );
}

#[test]
fn an_end_of_turn_makes_an_acknowledgement_final() {
    let script = vec![(3_400, saying("Mm hmm")), (3_600, Event::EndOfTurn)];
    check_rest(
        acknowledging(),
        then(coughed(), script),
        3_700,
        expect![[r#"
            3.080s  ~user Started 1
            3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
            3.400s  ~user: "Mm hmm"...
            3.500s  ~user Stopped 1
            3.600s  Speak #2 "you a long story.", Finish #2
        "#]],
    );
}

#[test]
fn a_caller_who_goes_on_before_the_answer_is_not_talked_over() {
    let script = vec![
        (2_650, voice(2_600)),
        (2_900, piece(1, "It is done.")),
        (3_100, finished(1)),
        (4_200, Event::TranscriberLost),
        (5_500, saying("and my other order")),
    ];
    check_rest(
        quiet(),
        then(asked("I want to cancel."), script),
        5_600,
        expect![[r#"
        2.650s  ~user Started 1
        5.500s  ~user: "and my other order"..., CancelReply turn-1
    "#]],
    );
}

#[test]
fn a_speech_stopped_twice_is_whole_in_the_end() {
    let script = vec![
        (4_300, began(2)),
        (5_080, voice(5_000)),
        (5_210, cut(2, "you a")),
        (5_500, silence(5_300)),
        (6_300, began(3)),
        (7_500, heard(3)),
    ];
    let script = then(coughed(), script);
    check_rest(
        quiet(),
        script.clone(),
        9_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "you a long story.", Finish #2
        4.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        5.080s  ~user Started 1
        5.200s  barge-in -> Cut #2, ~assistant Stopped 1, ~user-interrupted turn-1
        5.500s  ~user Stopped 1
        6.100s  resume -> Speak #3 "long story.", Finish #3
        6.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        7.500s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
    "#]],
    );
    check_history(
        quiet(),
        script,
        9_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 7.500s  assistant: Let me tell you a long story.
    "#]],
    );
}

#[test]
fn where_it_coughs_all_the_time_words_are_needed() {
    let mut script = answered("Hello.");
    for number in 1..=4u64 {
        let at = 1_000 + 2_000 * number;
        script.extend([
            (at + 80, voice(at)),
            (at + 500, silence(at + 300)),
            (at + 1_300, began(u32::try_from(number).unwrap() + 1)),
        ]);
    }
    script.push((10_500, saying("Hello?")));
    check_rest(
        quiet(),
        script,
        10_600,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "Let me tell you a long story.", Finish #2
        4.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        5.080s  ~user Started 1
        5.200s  barge-in -> Cut #2, ~assistant Stopped 1, ~user-interrupted turn-1
        5.500s  ~user Stopped 1
        6.100s  resume -> Speak #3 "Let me tell you a long story.", Finish #3
        6.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        7.080s  ~user Started 1
        7.200s  barge-in -> Cut #3, ~assistant Stopped 1, ~user-interrupted turn-1
        7.500s  ~user Stopped 1
        8.100s  resume -> Speak #4 "Let me tell you a long story.", Finish #4
        8.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        9.080s  ~user Started 1
        9.500s  ~user Stopped 1
        10.500s  ~user: "Hello?"..., Cut #4, ~assistant Stopped 1, ~user-interrupted turn-1
    "#]],
    );
}

#[test]
fn a_speech_that_was_over_before_the_cut_is_not_said_again() {
    let script = vec![(3_080, voice(3_000)), (3_210, heard(1)), (3_500, silence(3_300))];
    let script = then(answered("Hello."), script);
    check_rest(
        quiet(),
        script.clone(),
        6_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> ~assistant: "Let me tell you a long story.", ~history
    "#]],
    );
    check_history(
        quiet(),
        script,
        6_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 4.100s  assistant: Let me tell you a long story.
    "#]],
    );
}

#[test]
fn a_voice_that_does_not_say_what_was_heard_says_it_all_again() {
    let script = vec![(3_080, voice(3_000)), (3_500, silence(3_300))];
    check_rest(
        quiet(),
        then(answered("Hello."), script),
        4_500,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "Let me tell you a long story.", Finish #2
    "#]],
    );
}

#[test]
fn a_first_message_that_was_stopped_goes_on() {
    let options = CallOptions {
        first_message: Some("Hello, how can I help?".into()),
        first_message_interruptions_enabled: true,
        ..CallOptions::default()
    };
    let script = vec![
        (2_500, began(1)),
        (3_080, voice(3_000)),
        (3_210, cut(1, "Hello,")),
        (3_500, silence(3_300)),
        (4_300, began(2)),
        (5_000, heard(2)),
    ];
    check_rest(
        options.clone(),
        up(script.clone()),
        6_000,
        expect![[r#"
        3.080s  ~user Started 0
        3.200s  barge-in -> Cut #1, ~assistant Stopped 0, ~user-interrupted turn-0
        3.500s  ~user Stopped 0
        4.100s  resume -> Speak #2 "how can I help?", Finish #2
        4.300s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello, how can I help?"
        5.000s  ~assistant Stopped 0, ~assistant: "Hello, how can I help?", ~history
    "#]],
    );
    check_history(
        options,
        up(script),
        6_000,
        expect![[r#"
        2.500s .. 5.000s  assistant: Hello, how can I help?
    "#]],
    );
}

#[test]
fn an_end_call_phrase_is_found_across_the_cut() {
    let options = CallOptions { end_call_phrases: vec!["tell you a".into()], ..quiet() };
    let script = then(coughed(), vec![(4_300, began(2)), (6_000, heard(2))]);
    check_rest(
        options,
        script,
        8_000,
        expect![[r#"
        3.080s  ~user Started 1
        3.200s  barge-in -> Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.500s  ~user Stopped 1
        4.100s  resume -> Speak #2 "you a long story.", Finish #2
        4.300s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        6.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history, ~Ended assistant-said-end-call-phrase, End assistant-said-end-call-phrase
    "#]],
    );
}

#[test]
fn a_message_that_ends_the_call_still_does_after_a_cough() {
    let say = Control::Say {
        content: "Good bye then.".into(),
        end_call_after_spoken: true,
        interruptions_enabled: Some(true),
        interrupt_assistant: false,
    };
    let script = vec![
        (2_000, Event::Control(say)),
        (2_500, began(1)),
        (3_080, voice(3_000)),
        (3_210, cut(1, "Good")),
        (3_500, silence(3_300)),
        (4_300, began(2)),
        (5_000, heard(2)),
    ];
    check_rest(
        quiet(),
        up(script),
        6_000,
        expect![[r#"
        3.080s  ~user Started 0
        3.200s  barge-in -> Cut #1, ~assistant Stopped 0, ~user-interrupted turn-0
        3.500s  ~user Stopped 0
        4.100s  resume -> Speak #2 "bye then.", Finish #2
        4.300s  ~assistant Started 0, ~speechStarted 0 ForceSay "Good bye then."
        5.000s  ~assistant Stopped 0, ~assistant: "Good bye then.", ~history, ~Ended assistant-ended-call-after-message-spoken, End assistant-ended-call-after-message-spoken
    "#]],
    );
}

#[test]
fn mistaken_and_confirmed_interruptions_are_counted() {
    let count = |script| play(quiet(), script, 6_000).conversation.interruptions();
    let mistaken = count(coughed());
    assert_eq!((mistaken.confirmed, mistaken.mistaken), (0, 1));
    let confirmed = count(then(coughed(), vec![(3_600, said("Stop."))]));
    assert_eq!((confirmed.confirmed, confirmed.mistaken), (1, 0));
}
