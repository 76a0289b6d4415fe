//! The actor of one call: carries events into the conversation and commands out of it.
//!
//! Every input is journalled before the conversation sees it, and counted as carried out after its
//! commands are. A successor replays the journal: what was carried out is replayed for the state
//! alone, what was not is carried out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_core::{CallTime, Command, Conversation, Event, Interruptions, Message, TurnId};
use ractor::ActorProcessingErr;
use serde::{Deserialize, Serialize};

use crate::{
    CallContext, Leaf, Port, Role, endpointing, model::ModelInput, revival,
    tool_executor::ToolInput, transcriber::TranscriberInput, voice::VoiceInput, voicemail,
};

/// The actor of one call.
pub struct CallActor {
    context: Arc<CallContext>,
    conversation: Conversation,
    /// One alarm per call, always set to the conversation's next deadline.
    alarm: Option<(CallTime, Leaf)>,
    /// The latest question to the endpointing server; the one before it is of no use any more.
    endpointing: Option<Leaf>,
    /// Entries that the disk refused, as far as the journal says so.
    entries_lost: u64,
    /// The latest question whether a voicemail answered.
    voicemail: Option<Leaf>,
}

/// What the call actor is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CallInput {
    Event(Event),
    Deadline,
}

/// Everything that was decided on, in order.
#[derive(Debug, Default)]
pub struct CallJournal {
    entries: Vec<JournalEntry>,
    /// Entries whose commands were carried out.
    carried_out: usize,
    /// Commands of the next entry that were begun: each is carried out at most once, since a
    /// sentence or a booking made twice is worse than one left out.
    commands_begun: usize,
    /// Times that the first entry not carried out was begun by a successor.
    attempts: u8,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    pub at: CallTime,
    pub input: CallInput,
}

/// How often an entry is carried out before it is taken for the cause of the crash.
const ATTEMPTS_MAX: u8 = 2;

impl Role for CallActor {
    const NAME: &'static str = "call";
    type Input = CallInput;

    fn port(context: &CallContext) -> &Port<CallInput> {
        &context.ports.call
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        let conversation = Conversation::new(context.spec.options.clone());
        let mut actor = Self {
            context,
            conversation,
            alarm: None,
            endpointing: None,
            voicemail: None,
            entries_lost: 0,
        };
        actor.replay();
        actor.set_alarm();
        Ok(actor)
    }

    fn handle(&mut self, input: CallInput) -> Result<(), ActorProcessingErr> {
        if self.context.is_suspended() {
            return Ok(());
        }
        let entry = JournalEntry { at: self.context.clock.now(), input };
        self.note_gap();
        self.context.journal.append(serde_json::to_vec(&entry)?);
        self.journal().entries.push(entry.clone());
        // From here the journal is answerable for the input, not the port.
        self.context.ports.call.done();
        self.carry(&entry);
        self.journal().advance();
        self.set_alarm();
        Ok(())
    }
}

impl CallJournal {
    /// The journal of a former process: all of it was carried out there, or is lost.
    pub(crate) fn of_the_past(entries: Vec<JournalEntry>) -> Self {
        Self { carried_out: entries.len(), entries, ..Self::default() }
    }

    /// The next entry is carried out.
    fn advance(&mut self) {
        self.carried_out += 1;
        self.commands_begun = 0;
        self.attempts = 0;
    }
}

impl CallActor {
    /// Rebuilds the conversation, and carries out what a dead predecessor had only begun.
    fn replay(&mut self) {
        let (done, begun) = {
            let mut journal = self.journal();
            let at = journal.carried_out;
            let begun = journal.entries.get(at).cloned();
            if begun.is_some() {
                journal.attempts += 1;
                if journal.attempts > ATTEMPTS_MAX {
                    journal.attempts = 0;
                    journal.commands_begun = 0;
                    journal.entries.remove(at);
                }
            }
            (journal.entries[..at].to_vec(), journal.entries.get(at).cloned())
        };
        for entry in &done {
            decide(&mut self.conversation, entry);
        }
        if let Some(entry) = begun {
            self.carry(&entry);
            self.journal().advance();
        }
    }

    /// Says in the journal that the disk refused some of it: nobody goes on from what is left.
    fn note_gap(&mut self) {
        let lost = self.context.journal.lost();
        if lost > self.entries_lost {
            self.entries_lost = lost;
            self.context.journal.append(revival::gap(lost));
        }
    }

    fn carry(&mut self, entry: &JournalEntry) {
        let due = match &entry.input {
            CallInput::Deadline => self.conversation.next_deadline().map(|(due, _reason)| due),
            CallInput::Event(_) => None,
        };
        self.context.turns().note_input(entry, due);
        let begun = self.journal().commands_begun;
        let before = self.conversation.interruptions();
        for command in decide(&mut self.conversation, entry).into_iter().skip(begun) {
            self.journal().commands_begun += 1;
            self.context.turns().note_command(entry.at, &command);
            self.carry_out(command);
        }
        count_interruptions(before, self.conversation.interruptions());
    }

    /// Hands a command to whoever does it; never waits for them.
    fn carry_out(&mut self, command: Command) {
        let ports = &self.context.ports;
        match command {
            Command::Generate { turn } => {
                ports.transcriber.send(TranscriberInput::TurnTaken);
                self.ask_model(turn, self.conversation.prompt());
            }
            Command::Speculate { turn } => {
                self.ask_model(turn, self.conversation.supposing_turn_over().prompt());
            }
            // The model is at work on it already, as the speculation.
            Command::Adopt { speculation, .. } => {
                ports.transcriber.send(TranscriberInput::TurnTaken);
                ports.model.send(ModelInput::Adopt { speculation });
            }
            Command::AskEndpointing { request } => {
                let supposed = self.conversation.supposing_turn_over();
                self.endpointing =
                    endpointing::ask(&self.context, request, supposed.history()).map(Leaf::spawn);
            }
            Command::AskVoicemail { request } => {
                let question = self.conversation.voicemail_question();
                self.voicemail =
                    Some(Leaf::spawn(voicemail::ask(&self.context, request, question)));
            }
            Command::CancelReply { turn } => ports.model.send(ModelInput::Cancel { turn }),
            Command::Speak { speech, text } => ports.voice.send(VoiceInput::Speak { speech, text }),
            // The voice has fetched it since the call began.
            Command::PlayRecording { speech, url: _ } => {
                ports.voice.send(VoiceInput::PlayRecording { speech });
            }
            Command::Fill { speech, text } => ports.voice.send(VoiceInput::Fill { speech, text }),
            Command::TrimSpeech { speech } => ports.voice.send(VoiceInput::Trim { speech }),
            Command::FinishSpeech { speech } => ports.voice.send(VoiceInput::Finish { speech }),
            Command::CutSpeech { speech } => {
                // At once: the voice may be slow, or wedged.
                let cleared = self.context.hush(speech);
                ports.voice.send(VoiceInput::Cut { speech, cleared });
            }
            Command::RunTool { turn, call } => ports.tools.send(ToolInput::Run { turn, call }),
            Command::Publish(event) => {
                self.context.publish(event, self.conversation.history());
            }
            Command::End { reason } => self.context.end(reason, None),
        }
    }

    fn ask_model(&self, turn: TurnId, messages: Vec<Message>) {
        let ports = &self.context.ports;
        // It connects while the model thinks.
        ports.voice.send(VoiceInput::Prepare);
        let tools = self.context.spec.options.tools.clone();
        ports.model.send(ModelInput::Generate { turn, messages, tools });
    }

    fn set_alarm(&mut self) {
        let due = self.conversation.next_deadline().map(|(due, _reason)| due);
        if due == self.alarm.as_ref().map(|(at, _)| *at) {
            return;
        }
        self.alarm = due.map(|due| {
            let context = self.context.clone();
            let at = context.clock.instant_of(due);
            let ring = async move {
                tokio::time::sleep_until(at).await;
                context.ports.call.send(CallInput::Deadline);
            };
            (due, Leaf::spawn(ring))
        });
    }

    fn journal(&self) -> MutexGuard<'_, CallJournal> {
        lock(&self.context.slots.call)
    }
}

impl CallContext {
    /// What was said and done in the call so far, rebuilt from its journal.
    pub fn history(&self) -> Vec<offhook_core::Entry> {
        let mut conversation = Conversation::new(self.spec.options.clone());
        let journal = lock(&self.slots.call);
        // What an actor died of is not met again here.
        for entry in &journal.entries[..journal.carried_out] {
            decide(&mut conversation, entry);
        }
        conversation.history().to_vec()
    }
}

fn count_interruptions(before: Interruptions, after: Interruptions) {
    for (kind, before, after) in
        [("true", before.confirmed, after.confirmed), ("false", before.mistaken, after.mistaken)]
    {
        let new = u64::from(after.saturating_sub(before));
        if new > 0 {
            metrics::counter!("offhook_interruptions_total", "kind" => kind).increment(new);
        }
    }
}

pub(crate) fn decide(conversation: &mut Conversation, entry: &JournalEntry) -> Vec<Command> {
    match &entry.input {
        CallInput::Event(event) => conversation.handle(entry.at, event.clone()),
        CallInput::Deadline => conversation.handle_timeout(entry.at),
    }
}

fn lock(journal: &Mutex<CallJournal>) -> MutexGuard<'_, CallJournal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}
