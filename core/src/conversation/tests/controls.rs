use expect_test::expect;

use super::*;
use crate::{AddedRole, Control};

fn say(content: &str) -> Control {
    Control::Say {
        content: content.into(),
        end_call_after_spoken: false,
        interruptions_enabled: None,
        interrupt_assistant: false,
    }
}

fn add(role: AddedRole, content: &str, trigger_response: bool) -> Event {
    Event::Control(Control::AddMessage { role, content: content.into(), trigger_response })
}

#[test]
fn a_message_is_spoken_when_nobody_else_speaks() {
    check(
        quiet(),
        vec![(0, Event::LegConnected), (500, Event::Control(say("Good news.")))],
        1_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            0.500s  Speak #1 "Good news.", Finish #1
        "#]],
    );
}

#[test]
fn a_message_waits_for_the_end_of_a_reply_in_the_making() {
    check(
        quiet(),
        [
            asked("Hello."),
            vec![
                (2_300, piece(1, "Well,")),
                (2_400, Event::Control(say("Good news."))),
                (2_500, piece(1, " good day.")),
                (2_600, finished(1)),
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
            2.300s  Speak #1 "Well,", ~model-output turn-1
            2.500s  Speak #1 " good day.", ~model-output turn-1
            2.600s  Finish #1, Speak #2 "Good news.", Finish #2
        "#]],
    );
}

#[test]
fn a_message_waits_for_the_caller_unless_it_may_not_be_interrupted() {
    let asking = vec![(0, Event::LegConnected), (1_000, voice(1_000))];
    let later = vec![(1_800, silence(1_700)), (1_900, said("Hello."))];
    let polite = (1_200, Event::Control(say("Good news.")));
    check(
        quiet(),
        [asking.clone(), vec![polite], later.clone()].concat(),
        2_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.800s  ~user Stopped 0
        1.900s  ~user: "Hello."
        2.100s  endpointing -> ~history, Generate turn-1, Speak #1 "Good news.", Finish #1
    "#]],
    );
    let urgent = Control::Say {
        content: "Fire!".into(),
        end_call_after_spoken: false,
        interruptions_enabled: Some(false),
        interrupt_assistant: false,
    };
    let urgent = vec![(1_200, Event::Control(urgent)), (1_300, began(1))];
    let heard = vec![(2_200, heard(1))];
    check(
        quiet(),
        [asking, urgent, later, heard].concat(),
        2_500,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.200s  Speak #1 "Fire!", Finish #1
        1.300s  ~assistant Started 0, ~speechStarted 0 ForceSay "Fire!"
        1.800s  ~user Stopped 0
        1.900s  ~user: "Hello."
        2.200s  ~assistant Stopped 0, ~assistant: "Fire!", ~history
        2.200s  endpointing -> ~history, Generate turn-1
    "#]],
    );
}

#[test]
fn a_message_that_interrupts_takes_the_place_of_what_plays() {
    let message = Control::Say {
        content: "Hold on.".into(),
        end_call_after_spoken: false,
        interruptions_enabled: None,
        interrupt_assistant: true,
    };
    check(
        quiet(),
        [
            asked("Hello."),
            vec![(2_300, piece(1, "Well,")), (2_400, began(1)), (2_500, Event::Control(message))],
        ]
        .concat(),
        3_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Well,", ~model-output turn-1
            2.400s  ~assistant Started 1, ~speechStarted 1 Model "Well,"
            2.500s  CancelReply turn-1, Cut #1, ~assistant Stopped 1, Speak #2 "Hold on.", Finish #2
        "#]],
    );
}

#[test]
fn a_call_ends_after_a_message_that_says_so_was_heard() {
    let goodbye = Control::Say {
        content: "Bye.".into(),
        end_call_after_spoken: true,
        interruptions_enabled: None,
        interrupt_assistant: false,
    };
    check(
        quiet(),
        vec![
            (0, Event::LegConnected),
            (500, Event::Control(goodbye)),
            (600, began(1)),
            (900, heard(1)),
        ],
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            0.500s  Speak #1 "Bye.", Finish #1
            0.600s  ~assistant Started 0, ~speechStarted 0 ForceSay "Bye."
            0.900s  ~assistant Stopped 0, ~assistant: "Bye.", ~history, ~Ended assistant-ended-call-after-message-spoken, End assistant-ended-call-after-message-spoken
        "#]],
    );
}

#[test]
fn an_added_message_is_answered_at_once_or_with_what_the_caller_says() {
    check(
        quiet(),
        vec![(0, Event::LegConnected), (500, add(AddedRole::System, "They are VIP.", true))],
        600,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            0.500s  ~history, Generate turn-1
        "#]],
    );
    check(
        quiet(),
        vec![
            (0, Event::LegConnected),
            (1_000, voice(1_000)),
            (1_200, add(AddedRole::System, "They are VIP.", true)),
            (1_800, silence(1_700)),
            (1_900, said("Hello.")),
            (2_500, finished(1)),
        ],
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.200s  ~history
            1.800s  ~user Stopped 0
            1.900s  ~user: "Hello."
            2.100s  endpointing -> ~history, Generate turn-1
        "#]],
    );
}

#[test]
fn an_added_message_is_answered_after_what_is_being_said() {
    check(
        quiet(),
        [
            answered("Hello."),
            vec![(3_000, add(AddedRole::User, "By the way", true)), (5_000, heard(1))],
        ]
        .concat(),
        5_100,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.000s  ~history
            5.000s  ~assistant Stopped 1, ~assistant: "Let me tell you a long story.", ~history, Generate turn-2
        "#]],
    );
}

#[test]
fn a_muted_assistant_makes_no_sound_until_it_is_unmuted() {
    let script = [
        answered("Hello."),
        vec![
            (3_000, Event::Control(Control::MuteAssistant)),
            (3_010, cut(1, "Let me")),
            (4_000, said("Can you hear me?")),
            (5_000, Event::Control(say("Not now."))),
            (6_000, Event::Control(Control::UnmuteAssistant)),
            (7_000, said("And now?")),
        ],
    ]
    .concat();
    check(
        quiet(),
        script.clone(),
        8_000,
        expect![[r#"
        0.000s  ~InProgress, ~assistant.started
        1.000s  ~user Started 0
        1.650s  ~user Stopped 0
        1.700s  ~user: "Hello."
        2.000s  endpointing -> ~history, Generate turn-1
        2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
        2.400s  Finish #1
        2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
        3.000s  Cut #1, ~assistant Stopped 1
        3.010s  ~assistant: "Let me", ~history
        4.000s  ~user: "Can you hear me?"
        4.400s  endpointing -> ~history
        7.000s  ~user: "And now?"
        7.400s  endpointing -> ~history, Generate turn-2
    "#]],
    );
    check_history(
        quiet(),
        script,
        8_000,
        expect![[r#"
        1.000s .. 1.600s  user: Hello.
        2.500s .. 3.010s  assistant: Let me--
        4.000s .. 4.000s  user: Can you hear me?
        7.000s .. 7.000s  user: And now?
    "#]],
    );
}

#[test]
fn the_first_message_can_be_asked_for() {
    check(
        CallOptions { first_message: Some("Welcome!".into()), ..quiet() },
        vec![(0, Event::LegConnected), (500, Event::Control(Control::SayFirstMessage))],
        600,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            0.500s  Speak #1 "Welcome!", Finish #1
        "#]],
    );
}

#[test]
fn a_client_can_end_the_call() {
    check(
        quiet(),
        [answered("Hello."), vec![(3_000, Event::Control(Control::EndCall))]].concat(),
        60_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user Started 0
            1.650s  ~user Stopped 0
            1.700s  ~user: "Hello."
            2.000s  endpointing -> ~history, Generate turn-1
            2.300s  Speak #1 "Let me tell you a long story.", ~model-output turn-1
            2.400s  Finish #1
            2.500s  ~assistant Started 1, ~speechStarted 1 Model "Let me tell you a long story."
            3.000s  Cut #1, ~assistant Stopped 1, ~Ended manually-canceled, End manually-canceled
        "#]],
    );
}

#[test]
fn muting_what_the_call_was_to_end_after_ends_the_call() {
    let goodbye = Control::Say {
        content: "Goodbye.".into(),
        end_call_after_spoken: true,
        interruptions_enabled: None,
        interrupt_assistant: false,
    };
    check(
        quiet(),
        vec![
            (0, Event::LegConnected),
            (500, Event::Control(goodbye)),
            (600, began(1)),
            (700, Event::Control(Control::MuteAssistant)),
        ],
        2_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            0.500s  Speak #1 "Goodbye.", Finish #1
            0.600s  ~assistant Started 0, ~speechStarted 0 ForceSay "Goodbye."
            0.700s  Cut #1, ~assistant Stopped 0, ~Ended assistant-ended-call-after-message-spoken, End assistant-ended-call-after-message-spoken
        "#]],
    );
}
