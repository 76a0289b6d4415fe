//! What an assistant does when something happens (`hooks`, `messagePlan`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AddedRole, Message};

/// Something to do when something happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    pub on: HookTrigger,
    /// In their order.
    pub actions: Vec<HookAction>,
}

/// What a hook waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookTrigger {
    /// The caller says nothing for `timeout` after the assistant was done
    /// (`customer.speech.timeout`).
    CallerSilent {
        timeout: Duration,
        /// Times in a call that it triggers.
        count_max: u32,
        /// The caller's words set the count back.
        resets_on_words: bool,
    },
    /// The caller cut the assistant off by words (`assistant.speech.interrupted`).
    AssistantInterrupted,
    /// The call is so old (`call.timeElapsed`); triggers once.
    CallAged { age: Duration },
    /// The model is silent for so long that the caller may notice (`model.response.timeout`).
    ModelSilent,
}

/// What a hook does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookAction {
    /// Says one of these: the next one each time.
    Say { texts: Vec<String> },
    /// Has the model say something, told these behind the conversation.
    Ask { messages: Vec<Message> },
    /// Adds a message to the conversation.
    AddMessage { role: AddedRole, content: String, trigger_response: bool },
    /// Ends the call after what the hook says.
    EndCall,
}
