//! What the caller types instead of saying it.

use super::{Conversation, Floor};
use crate::{CallTime, Entry, Message, ServerEvent, keypad::KeypadEntry};

impl Conversation {
    pub(super) fn key_pressed(&mut self, key: char) {
        let Some(plan) = self.options.keypad else { return };
        // Whoever types is still there.
        if let Floor::Idle { since } = &mut self.floor {
            *since = self.now;
        }
        if let Some(entry) = self.keypad.press(self.now, key, &plan) {
            self.keypad_entered(&entry);
        }
    }

    /// When an entry is over for want of another key.
    pub(super) fn keypad_due(&self) -> Option<CallTime> {
        self.keypad.due()
    }

    pub(super) fn keypad_overdue(&mut self) {
        if let Some(entry) = self.keypad.take() {
            self.keypad_entered(&entry);
        }
    }

    /// An entry is the caller's turn: it goes behind what they were saying, and is answered at
    /// once. Speech that may not be interrupted is heard to its end before.
    fn keypad_entered(&mut self, entry: &KeypadEntry) {
        self.give_up_pause(true);
        if self.is_interruptible() {
            self.interrupt();
            // Nobody speaks who might go on.
            self.quiet_until = self.quiet_until.min(self.now);
        }
        match self.floor {
            Floor::Idle { .. } | Floor::Caller => {
                self.floor = Floor::Caller;
                self.utterance.hear(&entry.text(), true, self.now);
                self.answer_caller();
            }
            Floor::Assistant(_) => {
                let message = Message::User { content: entry.text() };
                self.history.push(Entry { at: entry.began_at, until: self.now, message });
                self.publish(ServerEvent::ConversationUpdate);
                self.reply_wanted = true;
            }
            Floor::Ringing
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => {}
        }
    }
}
