//! Calls in which anything happens in any order, under any settings.

use proptest::{collection::vec, prelude::*};

use super::{super::*, Step};
use crate::{
    AddedRole, Answerer, Control, EndpointingRule, Fillers, Hook, HookAction, HookTrigger,
    KeypadPlan, PatternOptions, StartSpeaking, StopSpeaking, TextPattern, TimedWord, TurnJudge,
    VoicemailPlan, VoicemailQuestions, WaitFunction,
};

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
        1 => (0..40_000u64).prop_map(|wait| Event::LegLost {
            reason: EndedReason::CustomerEndedCall,
            wait: ms(wait),
        }),
        2 => any::<bool>().prop_map(|bridged| Event::LegBack {
            bridge: bridged.then(|| "You were cut off.".into()),
        }),
        1 => (0..40_000u64).prop_map(|wait| Event::Revived {
            reason: EndedReason::WorkerDied,
            wait: ms(wait),
        }),
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
            finish: if filtered { Finish::ContentFilter } else { Finish::Broken },
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

pub(super) fn script() -> impl Strategy<Value = Vec<Step>> {
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

pub(super) fn options() -> impl Strategy<Value = CallOptions> {
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
                fillers: flags
                    .1
                    .then(|| Fillers { first: "one moment".into(), further: "still here".into() }),
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
