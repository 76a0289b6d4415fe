//! A call of a process that is gone, as its journal tells it, and how another goes on with it.

use std::collections::HashSet;

use jiff::Timestamp;
use offhook_api::artifact::RecordingUrls;
use offhook_core::{
    CallOptions, CallTime, Command, Conversation, EndedReason, Entry, Event, ToolCall, ToolOutcome,
    TurnId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    CallClock, CallContext,
    call::{CallInput, JournalEntry, decide},
    tool_executor::ToolInput,
};

/// The first line of a call's journal: what is needed to read the rest, and to set the call up.
#[derive(Serialize, Deserialize)]
struct Opening {
    org: String,
    assistant: Value,
    options: CallOptions,
    started_ms: i64,
    #[serde(default)]
    variable_values: Value,
    #[serde(default)]
    recording: Option<RecordingUrls>,
    #[serde(default)]
    keys: CallKeys,
}

/// Where the keys of a call's providers come from; none of them is here in clear.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallKeys {
    /// Credentials that the call's document brought itself, sealed for the call.
    pub sealed: Option<Value>,
    /// Stored credentials, by id, in the order in which they count.
    pub stored: Vec<String>,
    /// Credentials of servers, by id.
    pub servers: Vec<String>,
    /// The phone number that the call brought itself, sealed for the call.
    #[serde(default)]
    pub phone_number: Option<Value>,
}

/// The intent of a tool, written down before its request leaves.
#[derive(Deserialize)]
struct Intent {
    tool: Begun,
}

/// Entries of the journal that the disk refused.
#[derive(Serialize, Deserialize)]
struct Gap {
    lost: u64,
}

/// The line that says so.
pub(crate) fn gap(lost: u64) -> Vec<u8> {
    json!({ "lost": lost }).to_string().into_bytes()
}

/// Somebody else has the caller.
#[derive(Serialize, Deserialize)]
struct Forwarded {
    forwarded: bool,
}

/// The line that says so: the call is not to be taken up, it would be taken from them.
pub(crate) fn forwarded() -> Vec<u8> {
    json!({ "forwarded": true }).to_string().into_bytes()
}

#[derive(Deserialize)]
struct Begun {
    id: String,
}

/// A call of a process that is gone.
pub struct Revival {
    pub org: String,
    pub assistant: Value,
    pub options: CallOptions,
    pub variable_values: Value,
    pub recording: Option<RecordingUrls>,
    pub keys: CallKeys,
    pub started_ms: i64,
    pub history: Vec<Entry>,
    /// The end that was decided on; nobody knows how far it was carried out.
    pub ended: Option<EndedReason>,
    /// When its leg connected, if it did.
    pub connected_at: Option<CallTime>,
    pub(crate) entries: Vec<JournalEntry>,
    pub(crate) tools: Vec<LeftTool>,
    last_at: CallTime,
    /// Lines that could not be read, or are not there.
    missing: u64,
    /// Processes that took the call up since its leg was last there.
    taken_up: usize,
}

/// A tool whose result never came.
pub(crate) struct LeftTool {
    turn: TurnId,
    call: ToolCall,
    /// Its request may have left.
    was_begun: bool,
}

/// Processes that take a call up without its leg coming back: after so many, the call is taken for
/// what they died of.
const TAKEN_UP_MAX: usize = 3;

/// Told to the model of a tool that was running when the process died.
const FATE_UNKNOWN: &str =
    "the tool may have been run, its outcome is unknown: it was not run again";

impl Revival {
    /// Replays a journal; `None` when it does not begin as a journal does.
    pub fn read(lines: &[Vec<u8>]) -> Option<Self> {
        let (first, rest) = lines.split_first()?;
        let opening: Opening = serde_json::from_slice(first).ok()?;
        let (mut entries, mut begun) = (Vec::new(), HashSet::new());
        let (mut lost, mut unreadable) = (0, 0);
        let mut is_forwarded = false;
        for line in rest {
            if let Ok(entry) = serde_json::from_slice::<JournalEntry>(line) {
                entries.push(entry);
            } else if let Ok(Intent { tool }) = serde_json::from_slice(line) {
                begun.insert(tool.id);
            } else if let Ok(gap) = serde_json::from_slice::<Gap>(line) {
                lost = gap.lost;
            } else if let Ok(it) = serde_json::from_slice::<Forwarded>(line) {
                is_forwarded |= it.forwarded;
            } else {
                unreadable += 1;
            }
        }
        let mut conversation = Conversation::new(opening.options.clone());
        let mut past = Past::default();
        for entry in &entries {
            let commands = decide(&mut conversation, entry);
            past.note(entry, commands);
        }
        let tools = past.tools.into_iter().map(|(turn, call)| {
            let was_begun = begun.contains(&call.id);
            LeftTool { turn, call, was_begun }
        });
        Some(Self {
            org: opening.org,
            assistant: opening.assistant,
            options: opening.options,
            variable_values: opening.variable_values,
            recording: opening.recording,
            keys: opening.keys,
            started_ms: opening.started_ms,
            history: conversation.history().to_vec(),
            ended: past.ended.or(is_forwarded.then_some(EndedReason::AssistantForwardedCall)),
            connected_at: past.connected_at,
            tools: tools.collect(),
            last_at: entries.last().map(|entry| entry.at).unwrap_or_default(),
            entries,
            missing: lost + unreadable,
            taken_up: past.taken_up,
        })
    }

    /// Why the call cannot go on from here, if it cannot.
    pub fn obstacle(&self) -> Option<String> {
        if self.ended.is_some() {
            return Some("it was about to end".into());
        }
        if self.missing > 0 {
            return Some(format!("{} lines of its journal are missing", self.missing));
        }
        (self.taken_up >= TAKEN_UP_MAX)
            .then(|| format!("{TAKEN_UP_MAX} processes took it up and died"))
    }

    /// The call's clock in this process: as old as the wall says, and never behind its journal.
    pub(crate) fn clock(&self) -> CallClock {
        let wall_ms = Timestamp::now().as_millisecond().saturating_sub(self.started_ms);
        let age = CallTime::from_millis(u64::try_from(wall_ms).unwrap_or_default());
        CallClock::resume(self.started_ms, age.max(self.last_at))
    }
}

/// What a replay brings to light.
#[derive(Default)]
struct Past {
    connected_at: Option<CallTime>,
    ended: Option<EndedReason>,
    taken_up: usize,
    /// Tools that were to be run and have no result.
    tools: Vec<(TurnId, ToolCall)>,
}

impl Past {
    fn note(&mut self, entry: &JournalEntry, commands: Vec<Command>) {
        match &entry.input {
            CallInput::Event(Event::LegConnected) => {
                self.connected_at.get_or_insert(entry.at);
            }
            CallInput::Event(Event::LegBack { .. }) => self.taken_up = 0,
            CallInput::Event(Event::Revived { .. }) => self.taken_up += 1,
            CallInput::Event(Event::ToolFinished { turn, call_id, .. }) => {
                self.tools.retain(|(of, call)| (of, &call.id) != (turn, call_id));
            }
            CallInput::Event(_) | CallInput::Deadline => {}
        }
        for command in commands {
            match command {
                Command::RunTool { turn, call } => {
                    self.tools.push((turn, call));
                }
                Command::End { reason } => self.ended = Some(reason),
                Command::Generate { .. }
                | Command::Speculate { .. }
                | Command::Adopt { .. }
                | Command::AskEndpointing { .. }
                | Command::CancelReply { .. }
                | Command::Speak { .. }
                | Command::Fill { .. }
                | Command::TrimSpeech { .. }
                | Command::FinishSpeech { .. }
                | Command::CutSpeech { .. }
                | Command::PlayRecording { .. }
                | Command::AskVoicemail { .. }
                | Command::Publish(_) => {}
            }
        }
    }
}

impl CallContext {
    /// Writes the journal's first line.
    pub fn journal_start(&self) {
        let opening = Opening {
            org: self.spec.org.clone(),
            assistant: self.spec.assistant.document().clone(),
            options: self.spec.options.clone(),
            started_ms: self.clock.epoch_ms,
            variable_values: self.spec.variable_values.clone(),
            recording: self.spec.recording.as_ref().map(|plan| plan.urls.clone()),
            keys: self.spec.keys.clone(),
        };
        match serde_json::to_vec(&opening) {
            Ok(line) => self.journal.append(line),
            Err(error) => tracing::error!(call = %self.spec.id, %error, "journal not begun"),
        }
    }

    /// Tells the conversation that its process is a new one, and sees to the tools that the old one
    /// left: what may have been run is not run again.
    pub(crate) fn take_up(&self, tools: Vec<LeftTool>) {
        let wait = self.settings.calls.leg_reconnect;
        if self.leg.was_connected() {
            self.explain_end(format!(
                "the process that held the call is gone, and its media socket did not come back \
                 within {wait:?}"
            ));
        }
        self.tell(Event::Revived { reason: EndedReason::WorkerDied, wait });
        for LeftTool { turn, call, was_begun } in tools {
            if was_begun {
                let outcome = ToolOutcome::Failed { error: FATE_UNKNOWN.into(), message: None };
                self.tell(Event::ToolFinished { turn, call_id: call.id, outcome });
            } else {
                self.ports.tools.send(ToolInput::Run { turn, call });
            }
        }
    }
}

#[cfg(test)]
mod tests;
