//! What clients ask for while the call runs, and how the call starts.

use super::{Conversation, Floor, absence::Away, turn::Abandoned};
use crate::{
    AddedRole, CallStatus, Control, EndedReason, Entry, FirstMessageMode, Message, ServerEvent,
};

/// Messages that clients may add to one conversation. A model reads all of them in each turn, and
/// each sends the whole history out again.
const MESSAGES_ADDED_MAX: u32 = 200;

impl Conversation {
    pub(super) fn leg_connected(&mut self) {
        self.floor = Floor::Idle { since: self.now };
        self.began_at = Some(self.now);
        self.silence_began();
        self.publish(ServerEvent::StatusUpdate {
            status: CallStatus::InProgress,
            ended_reason: None,
        });
        self.publish(ServerEvent::AssistantStarted);
        match self.options.first_message_mode {
            FirstMessageMode::AssistantSpeaksFirst => self.say_first_message(),
            FirstMessageMode::AssistantSpeaksFirstWithModelGeneratedMessage => {
                self.generate_first_message();
            }
            // A message that came before the leg may want a reply.
            FirstMessageMode::AssistantWaitsForUser => self.yield_floor(),
        }
    }

    pub(super) fn control(&mut self, control: Control) {
        match (&self.floor, control) {
            (_, Control::EndCall) => self.end(EndedReason::ManuallyCanceled),
            // The last words stand.
            (Floor::Closing(_) | Floor::Ended, _) => {}
            (
                _,
                Control::Say {
                    content,
                    end_call_after_spoken,
                    interruptions_enabled,
                    interrupt_assistant,
                },
            ) => {
                let then_end = end_call_after_spoken
                    .then_some(EndedReason::AssistantEndedCallAfterMessageSpoken);
                self.say_on_request(
                    content,
                    interruptions_enabled.unwrap_or(true),
                    interrupt_assistant,
                    then_end,
                );
            }
            (_, Control::AddMessage { role, content, trigger_response }) => {
                self.add_message(role, content, trigger_response);
            }
            (_, Control::MuteAssistant) => self.mute(),
            (_, Control::UnmuteAssistant) => self.muted = false,
            (Floor::Ringing, Control::SayFirstMessage) => {}
            (
                Floor::Idle { .. }
                | Floor::Caller
                | Floor::Assistant(_)
                | Floor::Paused(_)
                | Floor::Away(_),
                Control::SayFirstMessage,
            ) => self.say_first_message(),
        }
    }

    fn say_on_request(
        &mut self,
        content: String,
        interruptible: bool,
        interrupt_assistant: bool,
        then_end: Option<EndedReason>,
    ) {
        // An end that hangs on what is cut off hangs on this instead.
        let then_end = then_end.or_else(|| interrupt_assistant.then(|| self.asked_end()).flatten());
        if interrupt_assistant {
            self.abandon_turn(Abandoned::All);
        }
        self.silence_broken();
        let speech = self.say(content, interruptible, then_end.clone());
        if let (None, Some(reason)) = (speech, then_end) {
            // It will not be heard, but the end that hangs on it was asked for.
            self.end(reason);
        }
    }

    pub(super) fn add_message(&mut self, role: AddedRole, content: String, trigger_response: bool) {
        let message = match role {
            AddedRole::System => Message::System { content },
            AddedRole::User => Message::User { content },
            AddedRole::Assistant => Message::Assistant { content, interrupted: false },
        };
        if self.messages_added >= MESSAGES_ADDED_MAX {
            return;
        }
        self.messages_added += 1;
        self.history.push(Entry { at: self.now, until: self.now, message });
        self.publish(ServerEvent::ConversationUpdate);
        if !trigger_response || self.is_silent() {
            return;
        }
        match self.floor {
            Floor::Idle { .. } => self.begin_turn(None, true),
            // The reply to what they say next, or to what is being said, comes first.
            Floor::Ringing
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Paused(_)
            | Floor::Away(_) => {
                self.reply_wanted = true;
            }
            Floor::Closing(_) | Floor::Ended => {}
        }
    }

    fn mute(&mut self) {
        let asked_end = self.asked_end();
        self.muted = true;
        self.reply_wanted = false;
        self.abandon_turn(Abandoned::All);
        if let Some(reason) = asked_end {
            // What it hung on will not be heard, but the end was asked for.
            self.end(reason);
        }
    }

    /// Why the call ends after what is being said, or was when it was stopped.
    fn asked_end(&self) -> Option<EndedReason> {
        let stopped = match &self.floor {
            Floor::Paused(pause) | Floor::Away(Away { pause: Some(pause), .. }) => {
                pause.asked_end()
            }
            Floor::Ringing
            | Floor::Idle { .. }
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => None,
        };
        stopped.or_else(|| self.speeches.asked_end())
    }

    fn say_first_message(&mut self) {
        let interruptible = self.options.first_message_interruptions_enabled;
        self.silence_broken();
        match self.options.first_message.clone() {
            Some(text) => {
                self.say(text, interruptible, None);
            }
            None => self.generate_first_message(),
        }
    }

    fn generate_first_message(&mut self) {
        let interruptible = self.options.first_message_interruptions_enabled;
        match self.floor {
            Floor::Idle { .. } if !self.is_silent() => self.begin_turn(None, interruptible),
            Floor::Idle { .. }
            | Floor::Ringing
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Paused(_)
            | Floor::Away(_)
            | Floor::Closing(_)
            | Floor::Ended => {}
        }
    }
}
