//! The assistant's turn, from the question to the last word.

use std::time::Duration;

use super::{history::Key, reply::HANG_AFTER, speeches::Speech};
use crate::{CallTime, EndedReason, Message, SpeechId, SpeechSource, ToolCall, TurnId};

/// How long after a turn began words without a new voice still belong to its question.
///
/// Finals come within a second of the words; what comes later is said over the assistant by a
/// voice that was missed.
const LATE_WORDS: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub id: TurnId,
    pub begun_at: CallTime,
    /// The caller's entry that it answers.
    pub answers: Option<Key>,
    /// Whether the caller may interrupt the reply; a message of its own says so itself.
    pub interruptible: bool,
    /// A speech of it has begun to sound.
    pub began_speaking: bool,
    pub hang_was_published: bool,
    /// Times that the caller was told to wait, and when last.
    pub fillers: u32,
    pub filled_at: CallTime,
    /// What the model is told for this turn alone, behind the conversation.
    pub aside: Vec<Message>,
    /// Times that it was stopped for a voice that brought no words.
    pub false_cuts: u32,
    /// Times that tools were run in it.
    pub tool_rounds: u32,
    /// What the calls of the present round came to, by their places.
    pub answered_calls: Vec<(Key, Option<Spoken>)>,
    /// Calls that were made in it, with the places of their results.
    pub called: Vec<(Key, ToolCall)>,
    /// A stream of the model broke in it, and the model may make the same calls again.
    pub was_broken: bool,
    pub delayed: Vec<DelayedMessage>,
    /// The model asked to end the call, for this reason.
    pub ending: Option<EndedReason>,
    pub reply: Reply,
}

/// How far the reply is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// The model will be asked, not before this.
    Due { not_before: CallTime },
    /// The model was asked.
    Generating {
        /// The id that its words come with: the turn's own, or that of a speculation.
        asked_as: TurnId,
        /// When it was asked, or last said something.
        last_output_at: CallTime,
        /// The speech that its words go to.
        speech: Option<SpeechId>,
        /// It has said something, or asked for tools.
        has_output: bool,
    },
    /// The model is done, and its tools are not.
    Tools,
    /// Nothing more will come; what was given to the voice is still spoken.
    Done,
}

/// What is given up with a turn, besides the model's work on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// Everything that was to be spoken.
    All,
    /// The same but for kept words that sound: they need no voice to end.
    AllButKept,
    /// Everything that the caller may interrupt.
    Interruptible,
    /// The model's words; messages that others asked for are spoken.
    Reply,
}

impl Abandoned {
    pub(super) fn includes(self, speech: &Speech) -> bool {
        match self {
            Self::All => true,
            Self::AllButKept => !speech.is_kept || speech.began_at.is_none(),
            Self::Interruptible => speech.interruptible,
            Self::Reply => speech.source == SpeechSource::Model,
        }
    }
}

/// What is spoken in place of a model's reply once a tool is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spoken {
    pub content: String,
    pub end_call: bool,
}

/// Spoken when the result of this call has not come by then.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DelayedMessage {
    pub at: CallTime,
    pub key: Key,
    pub content: String,
}

impl Turn {
    /// A turn in which the model is asked.
    pub(super) fn reply(id: TurnId, begun_at: CallTime, not_before: CallTime) -> Self {
        Self { reply: Reply::Due { not_before }, ..Self::message(id, begun_at) }
    }

    /// A turn that consists of messages no model made.
    pub(super) fn message(id: TurnId, begun_at: CallTime) -> Self {
        Self {
            id,
            begun_at,
            answers: None,
            interruptible: true,
            began_speaking: false,
            hang_was_published: false,
            fillers: 0,
            filled_at: CallTime::ZERO,
            aside: Vec::new(),
            false_cuts: 0,
            tool_rounds: 0,
            answered_calls: Vec::new(),
            called: Vec::new(),
            was_broken: false,
            delayed: Vec::new(),
            ending: None,
            reply: Reply::Done,
        }
    }

    /// Whether what comes with `id` belongs to its reply.
    pub(super) fn is_generating(&self, id: TurnId) -> bool {
        self.asked_as() == Some(id)
    }

    /// What the model was asked as, if it is at work.
    pub(super) fn asked_as(&self) -> Option<TurnId> {
        match self.reply {
            Reply::Generating { asked_as, .. } => Some(asked_as),
            Reply::Due { .. } | Reply::Tools | Reply::Done => None,
        }
    }

    /// When the model's silence is one that the caller may notice, unless that was told.
    pub(super) fn hang_at(&self) -> Option<CallTime> {
        match self.reply {
            Reply::Generating { last_output_at, .. } if !self.hang_was_published => {
                Some(last_output_at + HANG_AFTER)
            }
            Reply::Generating { .. } | Reply::Due { .. } | Reply::Tools | Reply::Done => None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.reply == Reply::Done
    }

    /// Whether words without voice that come by `now` were said before it began.
    pub(super) fn answers_words_before(&self, now: CallTime) -> bool {
        self.answers.is_some() && now < self.begun_at + LATE_WORDS
    }
}
