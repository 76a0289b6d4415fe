//! Scripts against a fresh conversation in virtual time, compared with the log of its commands.
//!
//! In the log `~` is something published; `#2` is a speech.

mod absence;
mod barge_in;
mod captions;
mod controls;
mod echo;
mod endings;
mod endpointing;
mod false_interruptions;
mod fillers;
mod first_message;
mod history;
mod hooks;
mod keypad;
mod language;
mod noisy_lines;
mod properties;
mod replayed_words;
mod replies;
mod speculation;
mod start_speaking;
mod tools;
mod voicemail;
mod voicemail_asking;

use std::{fmt::Write as _, time::Duration};

use expect_test::Expect;
use serde_json::json;

use super::*;
use crate::{
    EndedReason, FailureClass, Finish, FirstMessageMode, Role, SpeechId, SpeechTiming, Stage,
    StageFailure, ToolCall, ToolKind, ToolMessage, ToolOutcome, ToolSpec, TranscriptType,
};

/// The caller speaks first, and there is nothing configured but what the contract defaults to.
fn quiet() -> CallOptions {
    CallOptions {
        first_message_mode: FirstMessageMode::AssistantWaitsForUser,
        ..CallOptions::default()
    }
}

/// A call whose leg is up from its beginning.
fn up(script: Vec<(u64, Event)>) -> Vec<(u64, Event)> {
    [vec![(0, Event::LegConnected)], script].concat()
}

/// A call in which the caller asked something and turn 1 was begun at 2.000s.
fn asked(text: &str) -> Vec<(u64, Event)> {
    vec![
        (0, Event::LegConnected),
        (1_000, voice(1_000)),
        (1_650, silence(1_600)),
        (1_700, said(text)),
    ]
}

/// ... and is hearing the beginning of a long reply, speech 1, since 2.500s.
fn answered(text: &str) -> Vec<(u64, Event)> {
    [
        asked(text),
        vec![
            (2_300, piece(1, "Let me tell you a long story.")),
            (2_400, finished(1)),
            (2_500, began(1)),
        ],
    ]
    .concat()
}

fn voice(at_ms: u64) -> Event {
    Event::SpeechStarted { at: CallTime::from_millis(at_ms) }
}

fn silence(at_ms: u64) -> Event {
    Event::SpeechStopped { at: CallTime::from_millis(at_ms) }
}

fn said(text: &str) -> Event {
    Event::Transcript { text: text.into(), is_final: true }
}

fn saying(text: &str) -> Event {
    Event::Transcript { text: text.into(), is_final: false }
}

fn piece(turn: u32, text: &str) -> Event {
    Event::ReplyText { turn: TurnId(turn), text: text.into() }
}

fn finished(turn: u32) -> Event {
    Event::ReplyFinished { turn: TurnId(turn), finish: Finish::Stop }
}

fn calls(turn: u32, names: &[&str]) -> Event {
    let call = |name: &&str| ToolCall {
        id: format!("call-{name}"),
        name: (*name).into(),
        arguments: json!({}),
    };
    Event::ReplyToolCalls { turn: TurnId(turn), calls: names.iter().map(call).collect() }
}

fn done(turn: u32, name: &str, result: &str) -> Event {
    let outcome = ToolOutcome::Done { result: result.into(), message: None };
    Event::ToolFinished { turn: TurnId(turn), call_id: format!("call-{name}"), outcome }
}

fn began(speech: u32) -> Event {
    Event::SpeechBegan { speech: SpeechId(speech) }
}

fn heard(speech: u32) -> Event {
    Event::SpeechHeard { speech: SpeechId(speech) }
}

fn cut(speech: u32, heard: &str) -> Event {
    Event::SpeechCut { speech: SpeechId(speech), heard: heard.into() }
}

fn failure(stage: Stage) -> StageFailure {
    StageFailure {
        stage,
        provider: "openai".into(),
        class: FailureClass::Unavailable,
        detail: "connected to openai, and it answered 503".into(),
    }
}

fn hung_up() -> Event {
    Event::LegClosed { reason: EndedReason::CustomerEndedCall }
}

fn function(name: &str, messages: Vec<ToolMessage>) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: json!({"type": "object"}),
        kind: ToolKind::Function,
        is_async: false,
        messages,
    }
}

fn start(content: &str, blocking: bool) -> ToolMessage {
    ToolMessage::Start { content: content.into(), blocking }
}

/// Plays `script`, lets time pass until `until_ms` and compares the log.
#[track_caller]
fn check(options: CallOptions, script: Vec<(u64, Event)>, until_ms: u64, want: Expect) {
    want.assert_eq(&play(options, script, until_ms).log);
}

/// Like [`check`], for the history.
#[track_caller]
fn check_history(options: CallOptions, script: Vec<(u64, Event)>, until_ms: u64, want: Expect) {
    let played = play(options, script, until_ms);
    let mut log = String::new();
    for entry in played.conversation.history() {
        let line = show_message(&entry.message);
        writeln!(log, "{} .. {}  {line}", entry.at, entry.until).unwrap();
    }
    want.assert_eq(&log);
}

struct Played {
    conversation: Conversation,
    log: String,
}

fn play(options: CallOptions, script: Vec<(u64, Event)>, until_ms: u64) -> Played {
    let mut conversation = Conversation::new(options);
    let mut log = String::new();
    let mut script = script.into_iter().peekable();
    loop {
        let event_at = script.peek().map(|(ms, _)| CallTime::from_millis(*ms));
        let deadline = conversation.next_deadline();
        let (now, reason, commands) = match (event_at, deadline) {
            (Some(at), due) if due.is_none_or(|(due, _)| at <= due) => {
                let (_, event) = script.next().unwrap();
                (at, "", conversation.handle(at, event))
            }
            (_, Some((due, reason))) if due <= CallTime::from_millis(until_ms) => {
                // A deadline may lie in the past: then the alarm rings at once.
                let now = due.max(conversation.now);
                (now, reason, conversation.handle_timeout(now))
            }
            _ => break,
        };
        if !commands.is_empty() {
            let commands: Vec<_> = commands.iter().map(show).collect();
            let arrow = if reason.is_empty() { "" } else { " -> " };
            writeln!(log, "{now}  {reason}{arrow}{}", commands.join(", ")).unwrap();
        }
    }
    Played { conversation, log }
}

fn show(command: &Command) -> String {
    match command {
        Command::Generate { turn } => format!("Generate {}", turn.wire_id()),
        Command::Speculate { turn } => format!("Speculate {}", show_turn(*turn)),
        Command::Adopt { turn, speculation } => {
            format!("Adopt {} as {}", show_turn(*speculation), turn.wire_id())
        }
        Command::AskEndpointing { request } => format!("AskEndpointing {request}"),
        Command::AskVoicemail { request } => format!("AskVoicemail {request}"),
        Command::CancelReply { turn } => format!("CancelReply {}", show_turn(*turn)),
        Command::Speak { speech, text } => format!("Speak #{} {text:?}", speech.0),
        Command::PlayRecording { speech, url } => format!("Play #{} {url}", speech.0),
        Command::Fill { speech, text } => format!("Fill #{} {text:?}", speech.0),
        Command::TrimSpeech { speech } => format!("Trim #{}", speech.0),
        Command::FinishSpeech { speech } => format!("Finish #{}", speech.0),
        Command::CutSpeech { speech } => format!("Cut #{}", speech.0),
        Command::RunTool { turn, call } => format!("RunTool {} {}", turn.wire_id(), call.name),
        Command::Publish(event) => format!("~{}", show_event(event)),
        Command::End { reason } => format!("End {reason}"),
    }
}

fn show_turn(turn: TurnId) -> String {
    match turn.is_speculative() {
        true => format!("speculation-{}", turn.0 - speculation(0)),
        false => turn.wire_id(),
    }
}

/// The id of the call's speculation of this number, as [`piece`] and the like take it.
fn speculation(number: u32) -> u32 {
    TurnId::speculation(number).0
}

fn show_event(event: &ServerEvent) -> String {
    let name = event.name();
    match event {
        ServerEvent::StatusUpdate { status, ended_reason } => match ended_reason {
            Some(reason) => format!("{status:?} {reason}"),
            None => format!("{status:?}"),
        },
        ServerEvent::SpeechUpdate { status, role, turn } => {
            format!("{} {status:?} {turn}", show_role(*role))
        }
        ServerEvent::AssistantSpeechStarted { text, turn, source, timing } => {
            let timing = timing.as_ref().map(show_timing).unwrap_or_default();
            format!("speechStarted {turn} {source:?} {text:?}{timing}")
        }
        ServerEvent::Transcript { role, transcript_type, transcript } => {
            let partial = match transcript_type {
                TranscriptType::Partial => "...",
                TranscriptType::Final => "",
            };
            format!("{}: {transcript:?}{partial}", show_role(*role))
        }
        ServerEvent::ModelOutput { turn_id, .. } => format!("{name} {turn_id}"),
        ServerEvent::UserInterrupted { turn_id } => format!("{name} {turn_id}"),
        ServerEvent::ToolCalls { tool_calls } => format!("{name} {}", tool_calls.len()),
        ServerEvent::LanguageChangeDetected { language } => format!("{name} {language}"),
        ServerEvent::ConversationUpdate => "history".into(),
        ServerEvent::AssistantStarted
        | ServerEvent::CallEndpointingRequest
        | ServerEvent::TransferDestinationRequest
        | ServerEvent::TransferUpdate { .. }
        | ServerEvent::PhoneCallControl { .. }
        | ServerEvent::Hang
        | ServerEvent::EndOfCallReport { .. } => name.into(),
    }
}

fn show_timing(timing: &SpeechTiming) -> String {
    let SpeechTiming::WordAlignment { words, words_start_times_ms, words_end_times_ms } = timing;
    let times = words_start_times_ms.iter().zip(words_end_times_ms);
    let words = words.iter().zip(times);
    words.map(|(word, (start, end))| format!(" [{word}]{start}-{end}")).collect()
}

fn show_role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn show_message(message: &Message) -> String {
    match message {
        Message::System { content } => format!("system: {content}"),
        Message::User { content } => format!("user: {content}"),
        Message::Assistant { content, interrupted: false } => format!("assistant: {content}"),
        Message::Assistant { content, interrupted: true } => format!("assistant: {content}--"),
        Message::ToolCalls { calls } => {
            let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
            format!("calls: {}", names.join(", "))
        }
        Message::ToolResult { name, content, .. } => format!("result of {name}: {content}"),
    }
}

fn prompt_of(conversation: &Conversation) -> Vec<String> {
    conversation.prompt().iter().map(show_message).collect()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
