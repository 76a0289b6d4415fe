//! What holds whatever happens, in whatever order.

mod calls;

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use self::calls::{options, script};
use super::*;

/// One step of a random call: what happens, and how long after the step before.
#[derive(Clone, Debug)]
enum Step {
    Event(u64, Event),
    /// Time passes and the alarm rings, whether or not anything is due.
    Timeout(u64),
    /// The alarm rings when it was asked to.
    Alarm,
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
            Command::Fill { speech, .. } => assert!(over.insert(*speech)),
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
        Command::Speak { text, .. } | Command::Fill { text, .. } => text.clone(),
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
            | Command::Fill { .. }
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
                | Command::Fill { .. }
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
    fn nothing_is_spoken_of_a_reply_after_it_was_cancelled(
        options in options(), steps in script()
    ) {
        let (_, given) = run(options, &steps);
        let mut cancelled = HashSet::new();
        for (step, commands) in steps.iter().zip(&given) {
            if let Step::Event(_, Event::ReplyText { turn, text }) = step
                && cancelled.contains(turn)
            {
                let is_of_it = |command: &Command| {
                    matches!(command, Command::Speak { text: said, .. } if said == text.trim_start())
                };
                prop_assert!(!commands.iter().any(is_of_it), "{step:?} led to {commands:?}");
            }
            for command in commands {
                if let Command::CancelReply { turn } = command {
                    cancelled.insert(*turn);
                } else if let Command::Generate { turn } = command {
                    cancelled.remove(turn);
                }
            }
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
            if let Command::Speak { speech, text } | Command::Fill { speech, text } = command {
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
