//! What is tested: the categories of the bench of turns.

use clap::ValueEnum;

use super::phrases::{self, Line};

/// What a caller does that the agent has to take rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Category {
    /// Whole sentences
    Plain,
    /// "I'd like to ... um ... Thursday"
    Hesitation,
    /// A phone number, in groups
    Number,
    /// A name, letter by letter
    Spelling,
    /// A pause of two seconds in a sentence
    Thought,
    /// "Mm-hm", over the agent
    Backchannel,
    /// A sentence over the agent, to be answered
    Interruption,
    /// Coughs over the agent
    Cough,
    /// A door that slams while the agent speaks
    Slam,
    /// The agent's own voice, that comes back at -20 dB
    Echo,
}

/// What is done over the agent, and what the agent should make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing: it speaks on.
    Noise,
    /// It stops, and answers.
    Words,
}

impl Category {
    /// What callers say, or do over the agent.
    pub fn lines(self) -> &'static [Line] {
        match self {
            Self::Plain | Self::Echo => phrases::PLAIN,
            Self::Hesitation => phrases::HESITATIONS,
            Self::Number => phrases::NUMBERS,
            Self::Spelling => phrases::SPELLINGS,
            Self::Thought => phrases::THOUGHTS,
            Self::Backchannel => phrases::BACKCHANNELS,
            Self::Interruption => phrases::INTERRUPTIONS,
            Self::Cough => phrases::COUGHS,
            Self::Slam => phrases::SLAMS,
        }
    }

    /// None: what is said is said while nobody else speaks.
    pub fn over(self) -> Option<Over> {
        match self {
            Self::Plain | Self::Hesitation | Self::Number | Self::Spelling | Self::Thought => None,
            Self::Interruption => Some(Over::Words),
            Self::Backchannel | Self::Cough | Self::Slam | Self::Echo => Some(Over::Noise),
        }
    }

    /// What the agent says first, which tells what is asked for.
    pub fn greeting(self) -> &'static str {
        match self {
            Self::Number => "What is your phone number?",
            Self::Spelling => "Could you spell your last name?",
            Self::Plain
            | Self::Hesitation
            | Self::Thought
            | Self::Backchannel
            | Self::Interruption
            | Self::Cough
            | Self::Slam
            | Self::Echo => "Hello, how can I help you?",
        }
    }
}
