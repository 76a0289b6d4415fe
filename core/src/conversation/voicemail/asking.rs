//! Asking the model whether a voicemail answered.
//!
//! Nothing waits for the answer: the call goes on as with a person, and is a voicemail's from the
//! moment that an answer in time says so. An answer that is late or does not come says nothing.

use super::Voicemail;
use crate::{
    CallTime, Command, Message, VOICEMAIL_ANSWER_DUE,
    conversation::{Conversation, history::join},
};

/// What the model is told to do.
const TASK: &str = "We placed a phone call. You are given what the other side has said so far, as a \
    transcriber wrote it down. Did a voicemail, an answering machine or another recording answer? \
    Reply with one word: VOICEMAIL, or HUMAN if a person answered or it cannot be told yet.";

/// The questions of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::conversation) struct Asking {
    /// Times that a question was due.
    rounds: u32,
    /// The words that were asked about last.
    about: String,
    /// The question whose answer is awaited, and when it was asked.
    awaited: Option<(u32, CallTime)>,
}

impl Conversation {
    /// What the model is asked with for [`Command::AskVoicemail`].
    pub fn voicemail_question(&self) -> Vec<Message> {
        let heard = self.voicemail_asking.about.clone();
        vec![Message::System { content: TASK.into() }, Message::User { content: heard }]
    }

    /// When the next question is due, whether there will be something to ask about or not.
    pub(in crate::conversation) fn voicemail_question_at(&self) -> Option<CallTime> {
        let plan = self.options.voicemail.as_ref()?.questions.as_ref()?;
        let rounds = self.voicemail_asking.rounds;
        let is_open = matches!(self.voicemail, Voicemail::Open { .. });
        let after = plan.start_at.saturating_add(plan.every.saturating_mul(rounds));
        (is_open && rounds < plan.attempts).then_some(self.began_at? + after)
    }

    pub(in crate::conversation) fn voicemail_question_due(&mut self) {
        self.voicemail_asking.rounds += 1;
        let heard = join(self.voicemail_heard.trim(), self.utterance.partial());
        if heard.is_empty() || heard == self.voicemail_asking.about {
            return;
        }
        let request = self.voicemail_asking.rounds;
        self.voicemail_asking.about = heard;
        self.voicemail_asking.awaited = Some((request, self.now));
        self.command(Command::AskVoicemail { request });
    }

    /// The model answered.
    pub(in crate::conversation) fn voicemail_judged(&mut self, request: u32, is_voicemail: bool) {
        let awaited = self.voicemail_asking.awaited.take_if(|(asked, _)| *asked == request);
        let in_time = awaited.is_some_and(|(_, at)| self.now <= at + VOICEMAIL_ANSWER_DUE);
        if in_time && is_voicemail && matches!(self.voicemail, Voicemail::Open { .. }) {
            self.voicemail_answered();
        }
    }
}
