use expect_test::expect;

use super::*;
use crate::{Fillers, Hook, HookAction, HookTrigger};

fn patient() -> CallOptions {
    let fillers = Fillers { first: "One moment.".into(), further: "I am still here.".into() };
    CallOptions { fillers: Some(fillers), ..quiet() }
}

#[test]
fn a_caller_who_waits_for_the_model_hears_that_somebody_is_there() {
    let script = [
        asked("Hello."),
        vec![
            (4_600, began(1)),
            (5_600, heard(1)),
            (9_700, began(2)),
            (10_200, piece(1, "Hi!")),
            (10_300, finished(1)),
            (10_700, heard(2)),
            (10_800, began(3)),
            (11_000, heard(3)),
        ],
    ];
    check(
        patient(),
        script.concat(),
        20_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            4.500s  filler -> Speak #1 "One moment.", Finish #1
            4.600s  ~assistant Started 1, ~speechStarted 1 ForceSay "One moment."
            5.600s  ~assistant Stopped 1, ~assistant: "One moment.", ~history
            7.000s  hang -> ~hang
            9.600s  filler -> Speak #2 "I am still here.", Finish #2
            9.700s  ~assistant Started 1, ~speechStarted 1 ForceSay "One moment. I am still here."
            10.200s  Speak #3 "Hi!", ~model-output turn-1
            10.300s  Finish #3
            10.700s  ~assistant Stopped 1, ~assistant: "I am still here.", ~history
            10.800s  ~assistant Started 1, ~speechStarted 1 Model "One moment. I am still here. Hi!"
            11.000s  ~assistant Stopped 1, ~assistant: "Hi!", ~history
        "#]],
    );
}

#[test]
fn a_filler_sounds_in_front_of_words_that_a_voice_does_not_begin_to_say() {
    let script = [
        asked("Hello."),
        vec![
            (2_500, piece(1, "Hi!")),
            (2_600, finished(1)),
            (4_510, began(2)),
            (5_500, heard(2)),
            (9_510, cut(3, "")),
            (9_900, began(1)),
            (10_400, heard(1)),
        ],
    ];
    check(
        patient(),
        script.concat(),
        20_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.500s  Speak #1 "Hi!", ~model-output turn-1
            2.600s  Finish #1
            4.500s  filler -> Fill #2 "One moment."
            4.510s  ~assistant Started 1, ~speechStarted 1 ForceSay "Hi!"
            5.500s  ~assistant Stopped 1, ~assistant: "One moment.", ~history
            9.500s  filler -> Fill #3 "I am still here."
            9.900s  ~assistant Started 1, ~speechStarted 1 Model "Hi!"
            10.400s  ~assistant Stopped 1, ~assistant: "Hi!", ~history
        "#]],
    );
}

#[test]
fn what_a_tool_says_comes_instead_of_a_filler() {
    let delayed = ToolMessage::Delayed { content: "Still looking.".into(), after: ms(4_000) };
    let options = CallOptions { tools: vec![function("book", vec![delayed])], ..patient() };
    let script = [asked("Book it."), vec![(2_300, calls(1, &["book"]))]];
    check(
        options,
        script.concat(),
        7_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
            6.300s  delayed message -> Speak #1 "Still looking.", Finish #1
        "#]],
    );
}

#[test]
fn no_filler_is_begun_right_before_a_hook_speaks() {
    let texts = vec!["Sorry for the delay.".into()];
    let hook = Hook { on: HookTrigger::ModelSilent, actions: vec![HookAction::Say { texts }] };
    let options = CallOptions { hooks: vec![hook], ..patient() };
    // The model speaks, and stops for long: the next filler would begin a second before the hook.
    let script = [
        asked("Hello."),
        vec![(4_600, began(1)), (5_500, heard(1)), (7_050, began(2)), (8_000, heard(2))],
    ];
    check(
        options,
        script.concat(),
        11_900,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            4.500s  filler -> Speak #1 "One moment.", Finish #1
            4.600s  ~assistant Started 1, ~speechStarted 1 ForceSay "One moment."
            5.500s  ~assistant Stopped 1, ~assistant: "One moment.", ~history
            7.000s  hang -> ~hang, Speak #2 "Sorry for the delay.", Finish #2
            7.050s  ~assistant Started 1, ~speechStarted 1 ForceSay "One moment. Sorry for the delay."
            8.000s  ~assistant Stopped 1, ~assistant: "Sorry for the delay.", ~history
        "#]],
    );
}

#[test]
fn nobody_is_told_to_wait_who_speaks_or_who_asked_nothing() {
    let script = [asked("Hello."), vec![(4_400, voice(4_350)), (4_500, silence(4_480))]];
    let log = play(patient(), script.concat(), 4_900).log;
    assert!(!log.contains("filler"), "{log}");

    let mode = FirstMessageMode::AssistantSpeaksFirstWithModelGeneratedMessage;
    let options = CallOptions { first_message_mode: mode, ..patient() };
    let log = play(options, up(vec![]), 20_000).log;
    assert!(!log.contains("filler"), "{log}");
}

/// A reply of which a call came whole, and then the connection was lost.
#[test]
fn a_call_that_a_model_makes_again_after_its_reply_broke_is_not_run_again() {
    let broken = Event::ReplyFinished { turn: TurnId(1), finish: Finish::Broken };
    let script = [
        asked("Book it."),
        vec![
            (2_300, calls(1, &["book"])),
            (2_310, broken),
            (2_400, done(1, "book", "booked")),
            (2_600, calls(1, &["book"])),
            (2_610, finished(1)),
            (2_800, piece(1, "Booked.")),
            (2_900, finished(1)),
        ],
    ];
    check(
        CallOptions { tools: vec![function("book", vec![])], ..quiet() },
        script.concat(),
        3_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Book it."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
            2.400s  ~history, Generate turn-1
            2.600s  ~tool-calls 1, ~history
            2.610s  Generate turn-1
            2.800s  Speak #1 "Booked.", ~model-output turn-1
            2.900s  Finish #1
        "#]],
    );
}

#[test]
fn a_voice_that_is_lost_while_kept_words_sound_is_apologised_for_behind_them() {
    let script = [
        asked("Hello."),
        vec![
            (2_500, piece(1, "Hi!")),
            (2_600, finished(1)),
            (4_510, began(2)),
            (4_800, Event::StageFailed { failure: failure(Stage::Voice) }),
            (4_801, cut(1, "")),
            (5_500, heard(2)),
            (5_510, began(3)),
            (7_000, heard(3)),
        ],
    ];
    check(
        patient(),
        script.concat(),
        20_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.500s  Speak #1 "Hi!", ~model-output turn-1
            2.600s  Finish #1
            4.500s  filler -> Fill #2 "One moment."
            4.510s  ~assistant Started 1, ~speechStarted 1 ForceSay "Hi!"
            4.800s  Cut #1, Fill #3 "I am sorry, something went wrong on our side. Please call again later."
            5.500s  ~assistant Stopped 1, ~assistant: "One moment.", ~history
            5.510s  ~assistant Started 1
            7.000s  ~assistant Stopped 1, ~assistant: "I am sorry, something went wrong on our side. Please call again later.", ~history, ~Ended pipeline-error-openai-voice-failed, End pipeline-error-openai-voice-failed
        "#]],
    );
}

#[test]
fn a_reply_that_broke_for_good_is_trimmed_and_apologised_for() {
    let broken = Event::ReplyFinished { turn: TurnId(1), finish: Finish::Broken };
    let script = [asked("Hello."), vec![(2_300, piece(1, "We open at nine. On")), (2_400, broken)]];
    check(
        quiet(),
        script.concat(),
        3_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "We open at nine. On", ~model-output turn-1
            2.400s  Trim #1, Finish #1, Speak #2 "Sorry, I lost my thread there. Could you say that again?", Finish #2
        "#]],
    );
}
