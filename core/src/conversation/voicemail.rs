//! What is done when nobody but a voicemail answers.
//!
//! Once one is noticed, the assistant is silent until the beep, leaves its message and ends the
//! call. A person who picks up in the meantime gets the assistant.

mod asking;

use super::{Conversation, Floor, turn::Abandoned};
use crate::{Answerer, CallTime, EndedReason, VoicemailPlan, voicemail};

pub(super) use asking::Asking;

/// Characters of the other side's words that are looked at: a long greeting.
const HEARD_MAX: usize = 2_000;

/// Whether a voicemail answered, as far as we know.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Voicemail {
    /// Nothing is known. `unjudged`: words were heard before they were to be judged.
    Open { unjudged: bool },
    /// It is greeting; the assistant is silent until then.
    Greeting { until: CallTime },
    /// The assistant leaves its message, if it has one.
    Leaving,
    /// A person is there.
    Human,
}

impl Default for Voicemail {
    fn default() -> Self {
        Self::Open { unjudged: false }
    }
}

impl Conversation {
    /// Whether the assistant says nothing for now, whatever happens.
    pub(super) fn is_silent(&self) -> bool {
        self.muted || self.awaits_beep()
    }

    pub(super) fn awaits_beep(&self) -> bool {
        matches!(self.voicemail, Voicemail::Greeting { .. })
    }

    /// When words are first judged, or the beep is waited for no longer.
    pub(super) fn voicemail_at(&self) -> Option<CallTime> {
        let plan = self.options.voicemail.as_ref()?;
        let start = self.began_at? + plan.start_at;
        match self.voicemail {
            Voicemail::Open { unjudged: true } => Some(start),
            Voicemail::Greeting { until } => Some(until),
            Voicemail::Open { .. } | Voicemail::Leaving | Voicemail::Human => None,
        }
    }

    pub(super) fn voicemail_due(&mut self) {
        match self.voicemail {
            Voicemail::Open { .. } => {
                self.voicemail = Voicemail::default();
                self.judge_greeting("");
            }
            Voicemail::Greeting { .. } => self.leave_message(),
            Voicemail::Leaving | Voicemail::Human => {}
        }
    }

    /// Looks at what the other side says, before anybody answers it.
    pub(super) fn overhear(&mut self, text: &str, is_final: bool) {
        if self.options.voicemail.is_none() || self.began_at.is_none() || self.is_echo(text) {
            return;
        }
        match self.voicemail {
            Voicemail::Open { .. } => {
                self.judge_greeting(text);
                let start = self.options.voicemail.as_ref().map(|plan| plan.start_at);
                let start = self.began_at.zip(start).map(|(began, after)| began + after);
                if let Voicemail::Open { unjudged } = &mut self.voicemail {
                    *unjudged = start.is_some_and(|start| self.now < start);
                }
                if is_final && self.voicemail_heard.len() + text.len() < HEARD_MAX {
                    self.voicemail_heard.push(' ');
                    self.voicemail_heard.push_str(text);
                }
            }
            Voicemail::Greeting { .. } if is_final && voicemail::is_human(text) => {
                self.voicemail = Voicemail::Human;
            }
            Voicemail::Leaving if is_final && voicemail::is_human(text) => {
                self.voicemail = Voicemail::Human;
                if let Floor::Closing(_) = self.floor {
                    self.abandon_turn(Abandoned::All);
                    self.floor = Floor::Caller;
                }
            }
            Voicemail::Greeting { .. } | Voicemail::Leaving | Voicemail::Human => {}
        }
    }

    /// A beep was heard.
    pub(super) fn beeped(&mut self) {
        match self.voicemail {
            Voicemail::Greeting { .. } => self.leave_message(),
            // People who said hello have telephones that beep, too.
            Voicemail::Open { .. }
                if self.thinks_of_voicemail() && !voicemail::is_human(&self.voicemail_heard) =>
            {
                self.leave_message();
            }
            Voicemail::Open { .. } | Voicemail::Leaving | Voicemail::Human => {}
        }
    }

    /// The carrier says who answered.
    pub(super) fn answered(&mut self, by: Answerer) {
        if self.options.voicemail.is_none() {
            return;
        }
        match (by, &self.voicemail) {
            (Answerer::Human, Voicemail::Open { .. } | Voicemail::Greeting { .. }) => {
                self.voicemail = Voicemail::Human;
            }
            (Answerer::Voicemail, Voicemail::Open { .. }) => self.voicemail_answered(),
            (Answerer::VoicemailReady, Voicemail::Open { .. } | Voicemail::Greeting { .. }) => {
                self.leave_message();
            }
            (
                Answerer::Human | Answerer::Voicemail | Answerer::VoicemailReady,
                Voicemail::Greeting { .. } | Voicemail::Leaving | Voicemail::Human,
            ) => {}
        }
    }

    fn judge_greeting(&mut self, latest: &str) {
        let heard = format!("{} {latest}", self.voicemail_heard);
        if self.thinks_of_voicemail() && voicemail::is_greeting(&heard) {
            self.voicemail_answered();
        }
    }

    /// Whether the call is young enough for a voicemail, and not too young.
    fn thinks_of_voicemail(&self) -> bool {
        let (Some(plan), Some(began)) = (&self.options.voicemail, self.began_at) else {
            return false;
        };
        (began + plan.start_at..=began + plan.until).contains(&self.now)
    }

    /// A voicemail it is: the assistant waits for its beep, where it has something to leave.
    fn voicemail_answered(&mut self) {
        let has_message =
            |plan: &&VoicemailPlan| plan.message.is_some() || plan.recording.is_some();
        let plan = self.options.voicemail.as_ref().filter(has_message);
        let (Some(plan), Some(began)) = (plan, self.began_at) else {
            self.leave_message();
            return;
        };
        self.voicemail = Voicemail::Greeting { until: began + plan.beep_due };
        self.reply_wanted = false;
        self.abandon_turn(Abandoned::All);
        self.drop_speculation();
    }

    fn leave_message(&mut self) {
        self.voicemail = Voicemail::Leaving;
        let plan = self.options.voicemail.as_ref();
        match plan.and_then(|plan| plan.recording.clone()) {
            Some(url) => self.close_with_recording(EndedReason::Voicemail, url),
            None => {
                let message = plan.and_then(|plan| plan.message.clone());
                self.close(EndedReason::Voicemail, message);
            }
        }
    }
}
