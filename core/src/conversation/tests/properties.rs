//! What holds whatever happens, in whatever order.

use std::collections::HashSet;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{AddedRole, Control, StopSpeaking};

/// One step of a random call: what happens, and how long after the step before.
#[derive(Clone, Debug)]
enum Step {
    Event(u64, Event),
    /// Time passes and the alarm rings, whether or not anything is due.
    Timeout(u64),
    /// The alarm rings when it was asked to.
    Alarm,
}

fn words() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        " ",
        "yes",
        "Yes.",
        "uh-huh",
        "stop",
        "I want",
        "I want to go.",
        "It is 555",
        "你好。",
    ])
    .prop_map(str::to_owned)
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        (words(), any::<bool>(), any::<Option<bool>>(), any::<bool>()).prop_map(
            |(content, end_call_after_spoken, interruptions_enabled, interrupt_assistant)| {
                Control::Say {
                    content: format!("say {content}"),
                    end_call_after_spoken,
                    interruptions_enabled,
                    interrupt_assistant,
                }
            }
        ),
        (words(), any::<bool>()).prop_map(|(content, trigger_response)| Control::AddMessage {
            role: AddedRole::User,
            content,
            trigger_response,
        }),
        Just(Control::MuteAssistant),
        Just(Control::UnmuteAssistant),
        Just(Control::SayFirstMessage),
    ]
}

fn outcome() -> impl Strategy<Value = ToolOutcome> {
    let message = prop::option::of(words());
    (any::<bool>(), message).prop_map(|(is_done, message)| {
        if is_done {
            ToolOutcome::Done { result: "result".into(), message }
        } else {
            ToolOutcome::Failed { error: "error".into(), message }
        }
    })
}

fn tool_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["book", "announce", "log", "unknown", "endCall"])
}

fn event() -> impl Strategy<Value = Event> {
    let turn = 0..8u32;
    let speech = || (0..12u32).prop_map(SpeechId);
    prop_oneof![
        2 => Just(Event::LegConnected),
        4 => any::<u32>().prop_map(|at| voice(u64::from(at))),
        4 => (0..20_000u64).prop_map(silence),
        8 => (words(), any::<bool>())
            .prop_map(|(text, is_final)| Event::Transcript { text, is_final }),
        1 => Just(Event::EndOfTurn),
        8 => (turn.clone(), words()).prop_map(|(turn, text)| piece(turn, &format!("model {text}"))),
        4 => (turn.clone(), vec(tool_name(), 0..3)).prop_map(|(turn, names)| calls(turn, &names)),
        6 => turn.clone().prop_map(finished),
        2 => (turn.clone(), any::<bool>()).prop_map(|(turn, filtered)| Event::ReplyFinished {
            turn: TurnId(turn),
            finish: if filtered { Finish::ContentFilter } else { Finish::Length },
        }),
        4 => (turn, tool_name(), outcome()).prop_map(|(turn, name, outcome)| Event::ToolFinished {
            turn: TurnId(turn),
            call_id: format!("call-{name}"),
            outcome,
        }),
        6 => speech().prop_map(|speech| Event::SpeechBegan { speech }),
        6 => speech().prop_map(|speech| Event::SpeechHeard { speech }),
        6 => (speech(), words())
            .prop_map(|(speech, heard)| Event::SpeechCut { speech, heard }),
        2 => (speech(), words()).prop_map(|(speech, text)| Event::SpeechTrimmed {
            speech,
            text: format!("model {text}"),
        }),
        3 => control().prop_map(Event::Control),
    ]
}

fn rare_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(hung_up()),
        Just(Event::EndRequested { reason: EndedReason::CallDeleted }),
        Just(Event::StageFailed { failure: failure(Stage::Transcriber) }),
        Just(Event::StageFailed { failure: failure(Stage::Voice) }),
        (0..8u32).prop_map(|turn| Event::ReplyFailed {
            turn: TurnId(turn),
            failure: failure(Stage::Model),
        }),
        Just(Event::Control(Control::EndCall)),
    ]
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    let gap = || prop_oneof![0..50u64, 0..1_000u64, 0..40_000u64];
    let step = prop_oneof![
        60 => (gap(), event()).prop_map(|(gap, event)| Step::Event(gap, event)),
        1 => (gap(), rare_event()).prop_map(|(gap, event)| Step::Event(gap, event)),
        10 => gap().prop_map(Step::Timeout),
        25 => Just(Step::Alarm),
    ];
    vec(step, 0..120).prop_map(|mut steps| {
        steps.insert(0, Step::Event(0, Event::LegConnected));
        steps
    })
}

fn options() -> impl Strategy<Value = CallOptions> {
    let mode = prop::sample::select(vec![
        FirstMessageMode::AssistantSpeaksFirst,
        FirstMessageMode::AssistantSpeaksFirstWithModelGeneratedMessage,
        FirstMessageMode::AssistantWaitsForUser,
    ]);
    let limit = prop::sample::select(vec![
        Duration::ZERO,
        Duration::from_secs(30),
        Duration::from_secs(600),
        Duration::MAX,
    ]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (mode, 0..3u32, limit.clone(), limit, flags).prop_map(
        |(first_message_mode, num_words, silence_timeout, max_duration, flags)| CallOptions {
            first_message_mode,
            first_message: flags.0.then(|| "first message".into()),
            first_message_interruptions_enabled: flags.1,
            end_call_message: flags.2.then(|| "goodbye".into()),
            stop_speaking: StopSpeaking {
                num_words,
                acknowledgement_phrases: vec!["uh-huh".into()],
                interruption_phrases: vec!["stop".into()],
                ..StopSpeaking::default()
            },
            end_call_phrases: vec!["It is 555".into()],
            silence_timeout,
            max_duration,
            tools: vec![
                function(
                    "book",
                    vec![ToolMessage::Delayed { content: "delayed".into(), after: ms(500) }],
                ),
                function("announce", vec![start("announce", true)]),
                ToolSpec { is_async: true, ..function("log", vec![]) },
                ToolSpec { kind: ToolKind::EndCall, ..function("endCall", vec![]) },
            ],
            ..CallOptions::default()
        },
    )
}

/// Every step with the commands that it led to, and the conversation after all of them.
fn run(options: CallOptions, steps: &[Step]) -> (Conversation, Vec<Vec<Command>>) {
    let mut conversation = Conversation::new(options);
    let mut now = CallTime::ZERO;
    let mut given = Vec::new();
    for step in steps {
        let commands = match step {
            Step::Event(gap, event) => {
                now = now + ms(*gap);
                conversation.handle(now, event.clone())
            }
            Step::Timeout(gap) => {
                now = now + ms(*gap);
                conversation.handle_timeout(now)
            }
            Step::Alarm => match conversation.next_deadline() {
                // A year off is never.
                Some((due, _)) if due < now + Duration::from_secs(31_536_000) => {
                    now = now.max(due);
                    conversation.handle_timeout(now)
                }
                Some(_) | None => Vec::new(),
            },
        };
        if !matches!(step, Step::Event(..))
            && let Some((due, reason)) = conversation.next_deadline()
        {
            assert!(due > now, "still due at {now}: {reason} at {due}");
        }
        given.push(commands);
    }
    (conversation, given)
}

fn check_speeches(given: &[Vec<Command>]) {
    let mut over = HashSet::new();
    let mut open = None;
    for command in given.iter().flatten() {
        match command {
            Command::Speak { speech, .. } => {
                assert!(!over.contains(speech), "spoken after its end: {speech:?}");
                assert_eq!(open.get_or_insert(*speech), speech, "two speeches at once");
            }
            Command::TrimSpeech { speech } => assert_eq!(open, Some(*speech)),
            Command::FinishSpeech { speech } => {
                assert!(over.insert(*speech), "finished after its end: {speech:?}");
                assert_eq!(open.take(), Some(*speech));
            }
            Command::CutSpeech { speech } => {
                over.insert(*speech);
                open = open.filter(|open| open != speech);
            }
            Command::Generate { .. }
            | Command::CancelReply { .. }
            | Command::RunTool { .. }
            | Command::Publish(_)
            | Command::End { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_call_ends_at_most_once_and_nothing_follows(
        options in options(), steps in script()
    ) {
        let (conversation, given) = run(options, &steps);
        let ends = given.iter().flatten().filter(|c| matches!(c, Command::End { .. })).count();
        prop_assert_eq!(ends, usize::from(conversation.is_over()));
        let after = given.iter().flatten().skip_while(|c| !matches!(c, Command::End { .. }));
        prop_assert!(after.count() <= 1);
    }

    #[test]
    fn speeches_are_spoken_one_after_the_other_and_never_after_their_end(
        options in options(), steps in script()
    ) {
        let (_, given) = run(options, &steps);
        check_speeches(&given);
    }

    #[test]
    fn replaying_a_call_gives_the_same_state_and_commands(
        options in options(), steps in script()
    ) {
        prop_assert_eq!(run(options.clone(), &steps), run(options, &steps));
    }

    #[test]
    fn history_holds_nothing_of_the_assistant_that_was_not_reported_heard(
        options in options(), steps in script()
    ) {
        // What each speech was given, and which of it the voice reported.
        let (conversation, given) = run(options, &steps);
        let mut texts: Vec<(SpeechId, String)> = Vec::new();
        for command in given.iter().flatten() {
            if let Command::Speak { speech, text } = command {
                match texts.iter_mut().find(|(id, _)| id == speech) {
                    Some((_, whole)) => whole.push_str(text),
                    None => texts.push((*speech, text.clone())),
                }
            }
        }
        let mut reported = HashSet::new();
        for step in &steps {
            match step {
                Step::Event(_, Event::SpeechHeard { speech }) => {
                    let text = texts.iter().find(|(id, _)| id == speech);
                    reported.extend(text.map(|(_, text)| text.trim().to_owned()));
                }
                Step::Event(_, Event::SpeechCut { heard, .. }) => {
                    reported.insert(heard.trim().to_owned());
                }
                Step::Event(_, Event::SpeechTrimmed { text, .. }) => {
                    reported.insert(text.trim().to_owned());
                }
                Step::Event(..) | Step::Timeout(_) | Step::Alarm => {}
            }
        }
        for entry in conversation.history() {
            if let Message::Assistant { content, .. } = &entry.message {
                prop_assert!(reported.contains(content), "{content:?} was not heard");
            }
        }
    }

    #[test]
    fn a_call_that_is_left_alone_ends_by_itself(options in options(), steps in script()) {
        let limits = CallOptions::default();
        let options = CallOptions { max_duration: limits.max_duration, ..options };
        let (mut conversation, _) = run(options, &steps);
        for _ in 0..10_000 {
            let Some((due, _)) = conversation.next_deadline() else { break };
            conversation.handle_timeout(due);
        }
        prop_assert!(conversation.is_over(), "{conversation:#?}");
    }

    #[test]
    fn every_call_in_the_prompt_has_its_result_right_behind_it(
        options in options(), steps in script()
    ) {
        let (conversation, _) = run(options, &steps);
        let mut due: Vec<String> = Vec::new();
        for message in conversation.prompt() {
            match message {
                Message::ToolResult { call_id, .. } => {
                    prop_assert!(!due.is_empty(), "a result without a call: {call_id}");
                    prop_assert_eq!(due.remove(0), call_id);
                }
                Message::System { .. } | Message::User { .. } | Message::Assistant { .. } => {
                    prop_assert!(due.is_empty(), "no result for {due:?}");
                }
                Message::ToolCalls { calls } => {
                    prop_assert!(due.is_empty(), "no result for {due:?}");
                    due = calls.into_iter().map(|call| call.id).collect();
                }
            }
        }
        prop_assert!(due.is_empty(), "no result for {due:?}");
    }
}
