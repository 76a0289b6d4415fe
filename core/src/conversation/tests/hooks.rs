use expect_test::expect;

use super::*;
use crate::{AddedRole, Control, Hook, HookAction, HookTrigger};

fn says(texts: &[&str]) -> HookAction {
    HookAction::Say { texts: texts.iter().map(ToString::to_string).collect() }
}

fn asks(content: &str) -> HookAction {
    HookAction::Ask { messages: vec![Message::System { content: content.into() }] }
}

fn silent_for(secs: u64, count_max: u32, actions: Vec<HookAction>) -> Hook {
    let timeout = Duration::from_secs(secs);
    let on = HookTrigger::CallerSilent { timeout, count_max, resets_on_words: false };
    Hook { on, actions }
}

fn with(hooks: Vec<Hook>) -> CallOptions {
    CallOptions { hooks, ..quiet() }
}

/// Each speech begins 100 ms after the text and is heard a second later.
fn spoken(speech: u32, at_ms: u64) -> Vec<(u64, Event)> {
    vec![(at_ms + 100, began(speech)), (at_ms + 1_100, heard(speech))]
}

#[test]
fn silence_is_broken_as_often_as_the_hook_says_and_then_ends_the_call() {
    let hook = silent_for(10, 2, vec![says(&["Are you there?", "Hello?"])]);
    let script = [up(vec![]), spoken(1, 10_000), spoken(2, 21_100)].concat();
    check(
        with(vec![hook]),
        script,
        90_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        10.000s  caller silent -> Speak #1 "Are you there?", Finish #1
        10.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "Are you there?"
        11.100s  ~assistant Stopped 0, ~assistant: "Are you there?", ~history
        21.100s  caller silent -> Speak #2 "Hello?", Finish #2
        21.200s  ~assistant Started 0, ~speechStarted 0 ForceSay "Hello?"
        22.200s  ~assistant Stopped 0, ~assistant: "Hello?", ~history
        52.200s  silence -> ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn several_hooks_take_their_turns_in_one_silence() {
    let hooks = vec![
        silent_for(20, 3, vec![says(&["Can I help you?"])]),
        silent_for(10, 3, vec![says(&["Are you there?"])]),
        silent_for(30, 3, vec![says(&["I will end the call now."]), HookAction::EndCall]),
    ];
    let script = [up(vec![]), spoken(1, 10_000), spoken(2, 20_000), spoken(3, 30_000)].concat();
    check(
        with(hooks),
        script,
        90_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        10.000s  caller silent -> Speak #1 "Are you there?", Finish #1
        10.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "Are you there?"
        11.100s  ~assistant Stopped 0, ~assistant: "Are you there?", ~history
        20.000s  caller silent -> Speak #2 "Can I help you?", Finish #2
        20.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "Can I help you?"
        21.100s  ~assistant Stopped 0, ~assistant: "Can I help you?", ~history
        30.000s  caller silent -> Speak #3 "I will end the call now.", Finish #3
        30.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "I will end the call now."
        31.100s  ~assistant Stopped 0, ~assistant: "I will end the call now.", ~history, ~Ended assistant-ended-call, End assistant-ended-call
    "#]],
    );
}

#[test]
fn the_silence_is_counted_from_the_end_of_the_assistants_words() {
    let hook = silent_for(5, 1, vec![says(&["Are you there?"])]);
    let script = [answered("Hello."), vec![(9_000, heard(1))]].concat();
    check(
        with(vec![hook]),
        script,
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
        2.400s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        9.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        14.000s  caller silent -> Speak #2 "Are you there?", Finish #2
    "#]],
    );
}

#[test]
fn words_set_the_count_back_where_the_hook_says_so() {
    let count = |resets_on_words| {
        let timeout = Duration::from_secs(5);
        let on = HookTrigger::CallerSilent { timeout, count_max: 1, resets_on_words };
        let hook = Hook { on, actions: vec![says(&["Are you there?"])] };
        let script = [
            up(vec![]),
            spoken(1, 5_000),
            vec![(8_000, said("Yes.")), (9_000, piece(1, "Good.")), (9_100, finished(1))],
            spoken(2, 9_200),
        ];
        let log = play(with(vec![hook]), script.concat(), 20_000).log;
        log.matches("Are you there?").count() - 2
    };
    assert_eq!(count(true), 1 + 1);
    assert_eq!(count(false), 1);
}

#[test]
fn a_noise_neither_triggers_a_hook_nor_breaks_the_silence() {
    let hook = silent_for(5, 1, vec![says(&["Are you there?"])]);
    let script = up(vec![(4_080, voice(4_000)), (4_500, silence(4_300))]);
    check(
        with(vec![hook]),
        script,
        10_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        4.080s  ~user Started 0
        4.500s  ~user Stopped 0
        6.800s  no words -> Speak #1 "Are you there?", Finish #1
    "#]],
    );
}

#[test]
fn a_tool_that_runs_is_no_silence_of_the_caller() {
    let hook = silent_for(5, 1, vec![says(&["Are you there?"])]);
    let options = CallOptions { tools: vec![function("book", vec![])], ..with(vec![hook]) };
    let script =
        [asked("Book it."), vec![(2_300, calls(1, &["book"])), (2_310, finished(1))]].concat();
    check(
        options,
        script,
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Book it."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  ~tool-calls 1, RunTool turn-1 book, ~history
    "#]],
    );
}

#[test]
fn a_prompt_has_the_model_break_the_silence() {
    let hook = silent_for(5, 1, vec![asks("Ask whether they are there.")]);
    let script =
        [up(vec![(5_400, piece(1, "Still there?")), (5_500, finished(1))]), spoken(1, 5_500)];
    let played = play(with(vec![hook.clone()]), up(vec![]), 5_100);
    assert_eq!(prompt_of(&played.conversation), ["system: Ask whether they are there."]);
    let after = play(with(vec![hook.clone()]), script.concat(), 7_000);
    assert_eq!(prompt_of(&after.conversation), ["assistant: Still there?"]);
    check(
        with(vec![hook]),
        script.concat(),
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        5.000s  caller silent -> Generate turn-1
        5.400s  Speak #1 "Still there?", ~model-output turn-1
        5.500s  Finish #1
        5.600s  ~assistant Started 1, ~speechStarted 1 Model "Still there?"
        6.600s  ~assistant Stopped 1, ~assistant: "Still there?", ~history
    "#]],
    );
}

#[test]
fn a_prompt_may_end_the_call_with_what_the_model_says() {
    let hook = silent_for(5, 1, vec![asks("Say goodbye."), HookAction::EndCall]);
    let script = [up(vec![(5_400, piece(1, "Goodbye.")), (5_500, finished(1))]), spoken(1, 5_500)];
    check(
        with(vec![hook]),
        script.concat(),
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        5.000s  caller silent -> Generate turn-1
        5.400s  Speak #1 "Goodbye.", ~model-output turn-1
        5.500s  Finish #1
        5.600s  ~assistant Started 1, ~speechStarted 1 Model "Goodbye."
        6.600s  ~assistant Stopped 1, ~assistant: "Goodbye.", ~history, ~Ended assistant-ended-call, End assistant-ended-call
    "#]],
    );
}

#[test]
fn a_call_of_a_certain_age_is_told_so_once() {
    let on = HookTrigger::CallAged { age: ms(4_000) };
    let hook = Hook { on, actions: vec![says(&["One minute left."])] };
    let script = [answered("Hello."), vec![(5_000, heard(1))], spoken(2, 5_000)].concat();
    check(
        with(vec![hook]),
        script,
        20_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
        2.400s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        4.000s  call aged -> Speak #2 "One minute left.", Finish #2
        5.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history
        5.100s  ~assistant Started 1, ~speechStarted 1 ForceSay "Let me tell you a long story. One minute left."
        6.100s  ~assistant Stopped 1, ~assistant: "One minute left.", ~history
    "#]],
    );
}

#[test]
fn a_message_can_be_added_for_the_model() {
    let added = |trigger_response| {
        let on = HookTrigger::CallAged { age: ms(4_000) };
        let content = "Wrap up.".to_owned();
        let action = HookAction::AddMessage { role: AddedRole::System, content, trigger_response };
        with(vec![Hook { on, actions: vec![action] }])
    };
    check(
        added(false),
        up(vec![]),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        4.000s  call aged -> ~history
    "#]],
    );
    check(
        added(true),
        up(vec![]),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        4.000s  call aged -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn an_interruption_is_apologised_for_before_the_next_answer() {
    let on = HookTrigger::AssistantInterrupted;
    let hook = Hook { on, actions: vec![says(&["Sorry, go ahead."])] };
    let script =
        [answered("Hello."), vec![(3_000, said("Wait a second.")), (3_010, cut(1, "Let me"))]];
    check(
        with(vec![hook]),
        script.concat(),
        5_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
        2.400s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        3.000s  ~user: "Wait a second.", Cut #1, ~assistant Stopped 1, ~user-interrupted turn-1
        3.010s  ~assistant: "Let me", ~history
        3.400s  endpointing -> ~history, Speak #2 "Sorry, go ahead.", Finish #2
        4.000s  reply due -> Generate turn-2
    "#]],
    );
}

#[test]
fn a_cough_is_not_apologised_for() {
    let on = HookTrigger::AssistantInterrupted;
    let hook = Hook { on, actions: vec![says(&["Sorry, go ahead."])] };
    let coughed =
        vec![(3_080, voice(3_000)), (3_210, cut(1, "Let me tell")), (3_500, silence(3_300))];
    let log = play(with(vec![hook]), [answered("Hello."), coughed].concat(), 8_000).log;
    assert!(!log.contains("Sorry"), "{log}");
}

#[test]
fn a_model_that_takes_long_is_excused() {
    let hook = Hook { on: HookTrigger::ModelSilent, actions: vec![says(&["One moment."])] };
    let script = [asked("Hello."), vec![(9_000, piece(1, "Hi."))]].concat();
    check(
        with(vec![hook]),
        script,
        9_100,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        7.000s  hang -> ~hang, Speak #1 "One moment.", Finish #1
        9.000s  Speak #2 "Hi.", ~model-output turn-1
    "#]],
    );
}

#[test]
fn a_muted_assistant_has_nothing_to_say_to_the_silence() {
    let hook = silent_for(5, 3, vec![says(&["Are you there?"])]);
    let script = up(vec![(1_000, Event::Control(Control::MuteAssistant))]);
    check(
        with(vec![hook]),
        script,
        60_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        30.000s  silence -> ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn silence_has_its_own_last_words() {
    let options = CallOptions {
        end_call_message: Some("Goodbye.".into()),
        silence_timeout_message: Some("I cannot hear you.".into()),
        ..quiet()
    };
    check(
        options,
        [up(vec![]), spoken(1, 30_000)].concat(),
        60_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        30.000s  silence -> Speak #1 "I cannot hear you.", Finish #1
        30.100s  ~assistant Started 0, ~speechStarted 0 ForceSay "I cannot hear you."
        31.100s  ~assistant Stopped 0, ~assistant: "I cannot hear you.", ~history, ~Ended silence-timed-out, End silence-timed-out
    "#]],
    );
}

#[test]
fn the_model_is_told_of_what_was_cut_short() {
    let script = [answered("Hello."), vec![(3_000, said("Wait.")), (3_010, cut(1, "Let me"))]];
    let played = play(quiet(), script.concat(), 4_500);
    expect![[r#"
        user: Hello.
        assistant: Let me--
        system: The caller interrupted you there: of that reply they heard nothing more than these words.
        user: Wait."#]].assert_eq(&prompt_of(&played.conversation).join("\n"));
}
