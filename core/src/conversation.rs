//! Whose turn it is.

use crate::{CallOptions, CallTime, Command, Deadline, Entry, Event, Message};

/// One call's conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    options: CallOptions,
}

impl Conversation {
    pub fn new(options: CallOptions) -> Self {
        Self { options }
    }

    /// Takes one event and says what to do about it.
    pub fn handle(&mut self, _now: CallTime, _event: Event) -> Vec<Command> {
        unimplemented!()
    }

    /// When [`Conversation::handle_timeout`] next has something to do, and what for.
    pub fn next_deadline(&self) -> Option<Deadline> {
        unimplemented!()
    }

    /// Does what fell due by `now`.
    pub fn handle_timeout(&mut self, _now: CallTime) -> Vec<Command> {
        unimplemented!()
    }

    /// What the model is asked with: the preamble and the history, as heard so far.
    pub fn prompt(&self) -> Vec<Message> {
        self.options.preamble.clone()
    }

    /// What was said and done so far, oldest first, without the preamble.
    pub fn history(&self) -> &[Entry] {
        &[]
    }
}
