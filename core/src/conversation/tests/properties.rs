//! What holds whatever happens, in whatever order.

use std::collections::{HashMap, HashSet};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    AddedRole, Answerer, Control, EndpointingRule, Hook, HookAction, HookTrigger, KeypadPlan,
    PatternOptions, StartSpeaking, StopSpeaking, TextPattern, TimedWord, TurnJudge, VoicemailPlan,
    VoicemailQuestions, WaitFunction,
};

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
        "leave a message",
        "Hello?",
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
        1 => Just(Event::WordsPaused),
        1 => Just(Event::TranscriberLost),
        2 => Just(Event::EagerEndOfTurn),
        1 => Just(Event::TurnResumed),
        2 => (0..4u32, 0..5_000u64).prop_map(|(request, timeout)| {
            Event::EndpointingAnswered { request, timeout: ms(timeout) }
        }),
        8 => speculative_reply(),
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
        2 => prop::sample::select(vec!['1', '7', '#', '*', 'x'])
            .prop_map(|key| Event::KeyPressed { key }),
        3 => control().prop_map(Event::Control),
        1 => any::<u32>().prop_map(|at| Event::Beep { at: CallTime::from_millis(at.into()) }),
        1 => prop::sample::select(vec![
            Answerer::Human,
            Answerer::Voicemail,
            Answerer::VoicemailReady,
        ])
        .prop_map(|by| Event::Answered { by }),
        1 => (1..4u32, any::<bool>()).prop_map(|(request, is_voicemail)| {
            Event::VoicemailJudged { request, is_voicemail }
        }),
        1 => (prop::sample::select(vec!["en", "es"]), 0..6u32).prop_map(|(language, words)| {
            Event::LanguageHeard { language: language.into(), words }
        }),
        3 => (speech(), 0..5_000u64, 0..5_000u64).prop_map(|(speech, start, length)| {
            let (start, end) = (ms(start), ms(start + length));
            let words = vec![TimedWord { text: " word".into(), start, end }];
            Event::SpeechTimed { speech, words }
        }),
    ]
}

/// What the model says to one of the first speculations; its words name it.
fn speculative_reply() -> impl Strategy<Value = Event> {
    let number = 1..5u32;
    prop_oneof![
        4 => number.clone().prop_map(|n| piece(speculation(n), &format!("supposed-{n}. "))),
        2 => (number.clone(), vec(tool_name(), 0..3))
            .prop_map(|(n, names)| calls(speculation(n), &names)),
        2 => number.clone().prop_map(|n| finished(speculation(n))),
        1 => number.prop_map(|n| Event::ReplyFailed {
            turn: TurnId(speculation(n)),
            failure: failure(Stage::Model),
        }),
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

fn start_speaking() -> impl Strategy<Value = StartSpeaking> {
    let judge = prop_oneof![
        Just(TurnJudge::Ending),
        Just(TurnJudge::Estimate { wait: WaitFunction::default() }),
        Just(TurnJudge::Server { until_answered: WaitFunction::default() }),
    ];
    (judge, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(judge, native_end_of_turn, speculation, has_rule)| StartSpeaking {
            judge,
            native_end_of_turn,
            speculation,
            rules: has_rule.then(rule).into_iter().collect(),
            ..StartSpeaking::default()
        },
    )
}

fn rule() -> EndpointingRule {
    let pattern = TextPattern::new("want", PatternOptions::default()).unwrap();
    EndpointingRule { assistant: None, customer: Some(pattern), timeout: ms(2_000) }
}

fn hooks() -> impl Strategy<Value = Vec<Hook>> {
    let trigger = prop_oneof![
        (0..60_000u64, 0..4u32, any::<bool>()).prop_map(|(timeout, count_max, resets_on_words)| {
            HookTrigger::CallerSilent { timeout: ms(timeout), count_max, resets_on_words }
        }),
        Just(HookTrigger::AssistantInterrupted),
        (0..200_000u64).prop_map(|age| HookTrigger::CallAged { age: ms(age) }),
        Just(HookTrigger::ModelSilent),
    ];
    let action = prop_oneof![
        4 => vec(Just("hook".to_owned()), 0..3).prop_map(|texts| HookAction::Say { texts }),
        2 => Just(HookAction::Ask { messages: vec![Message::System { content: "ask".into() }] }),
        2 => any::<bool>().prop_map(|trigger_response| HookAction::AddMessage {
            role: AddedRole::System,
            content: "added".into(),
            trigger_response,
        }),
        1 => Just(HookAction::EndCall),
    ];
    let hook = (trigger, vec(action, 0..3)).prop_map(|(on, actions)| Hook { on, actions });
    vec(hook, 0..3)
}

fn voicemail() -> impl Strategy<Value = Option<VoicemailPlan>> {
    let plan = any::<[bool; 2]>().prop_map(|[has_message, has_recording]| VoicemailPlan {
        start_at: ms(1_000),
        until: ms(40_000),
        beep_due: ms(30_000),
        message: has_message.then(|| "message".into()),
        recording: has_recording.then(|| "https://example.com/a.wav".into()),
        questions: Some(VoicemailQuestions { start_at: ms(2_000), every: ms(4_000), attempts: 3 }),
    });
    prop::option::of(plan)
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
    let by_itself = (hooks(), voicemail());
    let plans = (start_speaking(), by_itself);
    (mode, 0..3u32, limit.clone(), limit, flags, plans).prop_map(
        |(first_message_mode, num_words, silence_timeout, max_duration, flags, plans)| {
            let (start_speaking, (hooks, voicemail)) = plans;
            CallOptions {
                hooks,
                voicemail,
                start_speaking,
                keypad: flags.0.then(KeypadPlan::default),
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
            }
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
            Command::PlayRecording { speech, .. } => {
                assert!(over.insert(*speech), "played after its end: {speech:?}");
                assert_eq!(open, None);
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
            | Command::Speculate { .. }
            | Command::Adopt { .. }
            | Command::AskEndpointing { .. }
            | Command::AskVoicemail { .. }
            | Command::CancelReply { .. }
            | Command::RunTool { .. }
            | Command::Publish(_)
            | Command::End { .. } => {}
        }
    }
}

/// What a command makes happen for others than the model, by the words of a speculation in it.
fn supposed_words(command: &Command) -> Vec<u32> {
    let said = match command {
        Command::Speak { text, .. } => text.clone(),
        Command::Publish(event) => serde_json::to_string(event).unwrap(),
        Command::Generate { .. }
        | Command::Speculate { .. }
        | Command::Adopt { .. }
        | Command::AskEndpointing { .. }
        | Command::AskVoicemail { .. }
        | Command::CancelReply { .. }
        | Command::FinishSpeech { .. }
        | Command::TrimSpeech { .. }
        | Command::PlayRecording { .. }
        | Command::CutSpeech { .. }
        | Command::RunTool { .. }
        | Command::End { .. } => String::new(),
    };
    (1..5).filter(|number| said.contains(&format!("supposed-{number}."))).collect()
}

/// Follows the speculations of a call through its commands.
#[derive(Default)]
struct Supposed {
    running: Option<TurnId>,
    adopted: HashSet<u32>,
    turn: u32,
}

impl Supposed {
    fn check(&mut self, command: &Command) {
        for number in supposed_words(command) {
            assert!(self.adopted.contains(&number), "{command:?} of what did not happen");
        }
        match command {
            Command::Speculate { turn } => {
                assert!(turn.is_speculative() && self.running.is_none());
                self.running = Some(*turn);
            }
            Command::Adopt { turn, speculation: id } => {
                assert_eq!(self.running.take(), Some(*id));
                self.adopted.insert(id.0 - speculation(0));
                self.begins(*turn);
            }
            Command::Generate { turn } => self.begins(*turn),
            Command::CancelReply { turn } if self.running == Some(*turn) => self.running = None,
            Command::RunTool { turn, .. } => assert!(!turn.is_speculative() && turn.0 <= self.turn),
            Command::CancelReply { .. }
            | Command::AskEndpointing { .. }
            | Command::AskVoicemail { .. }
            | Command::Speak { .. }
            | Command::FinishSpeech { .. }
            | Command::TrimSpeech { .. }
            | Command::PlayRecording { .. }
            | Command::CutSpeech { .. }
            | Command::Publish(_)
            | Command::End { .. } => {}
        }
    }

    fn begins(&mut self, turn: TurnId) {
        assert!(!turn.is_speculative() && turn.0 >= self.turn);
        self.turn = turn.0;
    }
}

/// Plays the steps at fixed times; the model answers each turn as whatever it was asked as. The
/// commands are given as if nothing had been supposed.
fn run_as_asked(options: CallOptions, steps: &[Step]) -> Vec<Vec<Command>> {
    let mut conversation = Conversation::new(options);
    let mut now = CallTime::ZERO;
    let mut asked_as: HashMap<TurnId, TurnId> = HashMap::new();
    let mut given = Vec::new();
    for step in steps {
        let commands = match step {
            Step::Event(gap, event) => {
                now = now + ms(*gap);
                let mut event = event.clone();
                if let Event::ReplyText { turn, .. }
                | Event::ReplyToolCalls { turn, .. }
                | Event::ReplyFinished { turn, .. }
                | Event::ReplyFailed { turn, .. } = &mut event
                {
                    if turn.is_speculative() {
                        continue;
                    }
                    *turn = asked_as.get(turn).copied().unwrap_or(*turn);
                }
                conversation.handle(now, event)
            }
            Step::Timeout(gap) => {
                now = now + ms(*gap);
                conversation.handle_timeout(now)
            }
            Step::Alarm => {
                now = now + ms(700);
                conversation.handle_timeout(now)
            }
        };
        let mut plain = Vec::new();
        for command in commands {
            match command {
                Command::Speculate { .. } => {}
                Command::Adopt { turn, speculation } => {
                    asked_as.insert(turn, speculation);
                    plain.push(Command::Generate { turn });
                }
                Command::CancelReply { turn: id } => {
                    let turn = asked_as.iter().find(|(_, asked)| **asked == id).map(|(t, _)| *t);
                    if turn.is_some() || !id.is_speculative() {
                        plain.push(Command::CancelReply { turn: turn.unwrap_or(id) });
                    }
                }
                Command::Generate { turn } => {
                    asked_as.remove(&turn);
                    plain.push(Command::Generate { turn });
                }
                Command::AskEndpointing { .. }
                | Command::AskVoicemail { .. }
                | Command::Speak { .. }
                | Command::FinishSpeech { .. }
                | Command::TrimSpeech { .. }
                | Command::PlayRecording { .. }
                | Command::CutSpeech { .. }
                | Command::RunTool { .. }
                | Command::Publish(_)
                | Command::End { .. } => plain.push(command),
            }
        }
        given.push(plain);
    }
    given
}

/// Whether a text is what was reported heard, in one piece, or in several where it was stopped and
/// resumed.
fn is_made_of(text: &str, reported: &HashSet<String>) -> bool {
    reported.contains(text)
        || reported.iter().filter(|piece| !piece.is_empty()).any(|piece| {
            let rest = text.strip_prefix(piece.as_str());
            rest.is_some_and(|rest| is_made_of(rest.trim_start(), reported))
        })
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
    fn nothing_is_spoken_run_or_published_of_a_turn_that_did_not_happen(
        options in options(), steps in script()
    ) {
        let (_, given) = run(options, &steps);
        let mut supposed = Supposed::default();
        for (step, commands) in steps.iter().zip(&given) {
            if let Step::Event(_, event) = step
                && let Event::ReplyText { turn, .. } | Event::ReplyToolCalls { turn, .. } = event
                && supposed.running == Some(*turn)
            {
                prop_assert!(
                    commands.iter().all(|c| matches!(c, Command::CancelReply { .. })),
                    "{event:?} led to {commands:?}"
                );
            }
            commands.iter().for_each(|command| supposed.check(command));
        }
    }

    #[test]
    fn supposing_changes_nothing_but_when_the_model_is_asked(
        options in options(), steps in script()
    ) {
        let with = |speculation| {
            let mut options = options.clone();
            options.start_speaking.speculation = speculation;
            run_as_asked(options, &steps)
        };
        prop_assert_eq!(with(true), with(false));
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
        let mut reported = HashSet::from([String::new()]);
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
                prop_assert!(is_made_of(content, &reported), "{content:?} was not heard");
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
