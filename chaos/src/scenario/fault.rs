//! What can be broken.

use std::{fmt, time::Duration};

use offhook_core::{FailureClass, Stage};
use offhook_providers::ProviderError;
use offhook_supervisors as supervisors;

/// A provider of a call: `transcriber 1` is the one that its document wants, the others are its
/// fallbacks in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    pub stage: Stage,
    pub nth: usize,
}

/// A fault and its moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    pub when: When,
    pub fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// After the call was placed.
    At(Duration),
    /// When a provider has understood, generated or spoken so many words in the call; of a voice,
    /// fractions are parts of words.
    Words { of: Who, count: f32 },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A provider is in trouble for a while; without an end, for good.
    Trouble { who: Who, trouble: Trouble, lasts: Option<Duration> },
    /// Every session of a provider ends.
    Drop { who: Who },
    /// An actor is killed, panics or wedges.
    Actor { role: &'static str, how: supervisors::Fault },
    /// What the store writes fails for a while.
    DiskFull { lasts: Duration },
    /// What is written waits for so long.
    DiskStalls { lasts: Duration },
    /// The receiver of webhooks is down for a while.
    Receiver { trouble: ReceiverTrouble, lasts: Duration },
    /// The server of the tool has this trouble from here on.
    Tool(ReceiverTrouble),
    /// The process stands still: all timers are late by this.
    Standstill(Duration),
    /// Nothing of the caller's audio arrives for so long; what was sent comes late, all at once.
    LateAudio(Duration),
    /// So many frames of the caller's audio never arrive.
    LostFrames(u32),
    /// The leg's socket breaks, and the client is back after this long, if it comes back.
    LegBreaks { back_after: Option<Duration> },
    /// The leg's socket stays open and carries nothing any more; the client is back on another.
    LegHalfOpen { back_after: Option<Duration> },
    /// The node is told to stop.
    Drain,
}

/// What a provider does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// New sessions and requests are answered with an error.
    Refuses(FailureClass),
    /// New sessions and requests are not answered.
    Hangs,
    /// Sessions that are open, or are opened meanwhile, take everything and say nothing.
    Mute,
    /// The same, and they read nothing either.
    HalfOpen,
    /// Whatever is said comes later by this.
    Late(Duration),
    /// What is said breaks the protocol.
    Garbles,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverTrouble {
    /// Connections are refused.
    Down,
    /// Every answer is this status.
    Answers(u16),
    /// Requests are taken and not answered.
    Hangs,
}

impl Who {
    pub const fn transcriber(nth: usize) -> Self {
        Self { stage: Stage::Transcriber, nth }
    }

    pub const fn model(nth: usize) -> Self {
        Self { stage: Stage::Model, nth }
    }

    pub const fn voice(nth: usize) -> Self {
        Self { stage: Stage::Voice, nth }
    }

    /// The provider's name in the call's document.
    pub fn name(self) -> String {
        format!("{}-{}", self.stage, self.nth)
    }
}

impl Trouble {
    /// The error that a session or request meets at once, if it does.
    pub fn refusal(self) -> Option<ProviderError> {
        match self {
            Self::Refuses(class) => Some(ProviderError::new(class, "refused on purpose")),
            Self::Hangs | Self::Mute | Self::HalfOpen | Self::Late(_) | Self::Garbles => None,
        }
    }

    pub const fn silences(self) -> bool {
        matches!(self, Self::Mute | Self::HalfOpen)
    }
}

impl Fault {
    /// Whether it is the call's own media leg that it breaks.
    pub const fn is_of_leg(&self) -> bool {
        matches!(
            self,
            Self::LateAudio(_)
                | Self::LostFrames(_)
                | Self::LegBreaks { .. }
                | Self::LegHalfOpen { .. }
        )
    }

    /// Whether it meets all calls of the node at once.
    pub const fn is_of_node(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { .. }
                | Self::DiskStalls { .. }
                | Self::Receiver { .. }
                | Self::Standstill(_)
                | Self::Drain
        )
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stage, self.nth)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "at {:.3} s", at.as_secs_f64()),
            Self::Words { of, count } => write!(f, "after {count} words of {of}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble { who, trouble, lasts: None } => write!(f, "{who} {trouble} for good"),
            Self::Trouble { who, trouble, lasts: Some(lasts) } => {
                write!(f, "{who} {trouble} for {lasts:?}")
            }
            Self::Drop { who } => write!(f, "{who} drops its sessions"),
            Self::Actor { role, how } => write!(f, "actor {role}: {how:?}"),
            Self::DiskFull { lasts } => write!(f, "the disk is full for {lasts:?}"),
            Self::DiskStalls { lasts } => write!(f, "the disk answers nobody for {lasts:?}"),
            Self::Receiver { trouble, lasts } => write!(f, "the receiver {trouble} for {lasts:?}"),
            Self::Tool(trouble) => write!(f, "the tool's server {trouble}"),
            Self::Standstill(time) => write!(f, "the process stands still for {time:?}"),
            Self::LateAudio(by) => write!(f, "the caller's audio is late by {by:?}"),
            Self::LostFrames(frames) => write!(f, "{frames} frames of the caller are lost"),
            Self::LegBreaks { back_after } => {
                write!(f, "the leg breaks, its client is back {}", after(*back_after))
            }
            Self::LegHalfOpen { back_after } => {
                write!(f, "the leg goes half-open, its client is back {}", after(*back_after))
            }
            Self::Drain => write!(f, "the node is told to stop"),
        }
    }
}

fn after(time: Option<Duration>) -> String {
    time.map_or_else(|| "never".into(), |time| format!("after {time:?}"))
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuses(class) => match class.retry_after() {
                Some(after) => write!(f, "refuses ({}, retry after {after:?})", class.name()),
                None => write!(f, "refuses ({})", class.name()),
            },
            Self::Hangs => f.write_str("answers nobody"),
            Self::Mute => f.write_str("takes everything and says nothing"),
            Self::HalfOpen => f.write_str("stops reading and says nothing"),
            Self::Late(by) => write!(f, "is late by {by:?}"),
            Self::Garbles => f.write_str("breaks its protocol"),
        }
    }
}

impl fmt::Display for ReceiverTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("is down"),
            Self::Answers(status) => write!(f, "answers with {status}"),
            Self::Hangs => f.write_str("does not answer"),
        }
    }
}
