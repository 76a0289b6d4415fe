//! What one run does: everything that a seed expands to, in words that can be printed.

use std::{fmt, time::Duration};

use offhook_core::Stage;

use super::{
    fault::{Fault, Timed, Who},
    phrases::{BOOKING, EXCHANGES, Exchange},
};

/// One run: who is in it, what the caller does, what breaks, and what is expected all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The row of the table of faults, or `random`.
    pub scenario: &'static str,
    pub seed: u64,
    pub cast: Cast,
    pub caller: Vec<Doing>,
    pub faults: Vec<Timed>,
    pub ending: Ending,
    /// Words that may be heard twice where the leg was lost: a leg that reports nothing leaves it
    /// open which word was the last that the caller heard.
    pub seam_words: usize,
    /// Calls at the same time, each with the same script and faults.
    pub calls: u32,
    /// Calls one after the other on the same node, before the one that is measured.
    pub calls_before: u32,
    /// Between two of them.
    pub pause: Duration,
}

/// The providers of a call and how quick they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// Providers of each stage: the document's own and its fallbacks.
    pub providers: usize,
    /// Silence after which a transcriber's text is final.
    pub stt_final: Duration,
    /// Transcribers close on audio that comes faster than 1.25 times real time.
    pub stt_rate_capped: bool,
    pub llm_first_token: Duration,
    pub llm_between_tokens: Duration,
    pub tts_connect: Duration,
    pub tts_first_audio: Duration,
    /// How much faster than speech the voice's audio comes.
    pub tts_speed: u32,
    /// All calls of the run share their providers, as far as faults go.
    pub shared: bool,
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doing {
    /// Asks when the agent has spoken.
    Ask(usize),
    /// Asks what a tool has to answer.
    AskForTool,
    /// Asks when the agent has been speaking for so long.
    Interrupt {
        after: Duration,
        with: usize,
    },
    Wait(Duration),
}

/// How a call has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything was answered, and the caller hung up.
    Answered,
    /// No provider of a stage is left: the caller hears an apology.
    Apology(Stage),
    /// The tool fails, and the model says so.
    ToolFailed,
    /// The leg is gone for good.
    LegLost,
    /// Any reason will do, as long as there is one.
    Any,
}

impl Default for Cast {
    fn default() -> Self {
        Self {
            providers: 2,
            stt_final: Duration::from_millis(200),
            stt_rate_capped: false,
            llm_first_token: Duration::from_millis(120),
            llm_between_tokens: Duration::from_millis(15),
            tts_connect: Duration::from_millis(50),
            tts_first_audio: Duration::from_millis(80),
            tts_speed: 4,
            shared: false,
        }
    }
}

impl Plan {
    /// One call of two questions in which nothing breaks.
    pub fn new(scenario: &'static str, seed: u64) -> Self {
        Self {
            scenario,
            seed,
            cast: Cast::default(),
            caller: vec![Doing::Ask(0), Doing::Ask(1)],
            faults: Vec::new(),
            ending: Ending::Answered,
            seam_words: 0,
            calls: 1,
            calls_before: 0,
            pause: Duration::from_secs(1),
        }
    }

    /// Whether the disk fails in it.
    pub fn breaks_store(&self) -> bool {
        self.faults
            .iter()
            .any(|timed| matches!(timed.fault, Fault::DiskFull { .. } | Fault::DiskStalls { .. }))
    }

    /// Whether nothing of the call goes on for as long as it takes to find that out.
    pub fn wedges_call(&self) -> bool {
        let wedges = |fault: &Fault| {
            matches!(fault, Fault::Actor { role: "call", how: offhook_supervisors::Fault::Wedge })
        };
        self.faults.iter().any(|timed| wedges(&timed.fault))
    }

    /// The provider that breaks first.
    pub fn broken_provider(&self) -> Option<Who> {
        self.faults.iter().find_map(|timed| match &timed.fault {
            Fault::Trouble { who, .. } | Fault::Drop { who } => Some(*who),
            Fault::Actor { .. }
            | Fault::DiskFull { .. }
            | Fault::DiskStalls { .. }
            | Fault::Receiver { .. }
            | Fault::Tool(_)
            | Fault::Standstill(_)
            | Fault::LateAudio(_)
            | Fault::LostFrames(_)
            | Fault::LegBreaks { .. }
            | Fault::LegHalfOpen { .. }
            | Fault::Drain => None,
        })
    }

    /// The command that runs the same plan again.
    pub fn command(&self) -> String {
        let calls = if self.calls > 1 { format!(" --calls {}", self.calls) } else { String::new() };
        match self.scenario {
            "random" => format!("offhook chaos --seed {}{calls}", self.seed),
            "soak" => "offhook chaos --sockets --minutes 10 --calls 50".into(),
            name => format!("offhook chaos --scenario {name} --seed {}{calls}", self.seed),
        }
    }
}

impl Doing {
    pub fn exchange(self) -> Option<&'static Exchange> {
        match self {
            Self::Ask(nth) | Self::Interrupt { with: nth, .. } => Some(&EXCHANGES[nth]),
            Self::AskForTool => Some(&BOOKING),
            Self::Wait(_) => None,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} of {}", self.seed, self.scenario)?;
        let cast = &self.cast;
        writeln!(
            f,
            "  providers  {} a stage; transcriber final after {:?}{}; model {:?} to the first token, \
             {:?} between tokens; voice {:?} to connect, {:?} to the first audio, {} times real time",
            cast.providers,
            cast.stt_final,
            if cast.stt_rate_capped { ", capped at 1.25 times real time" } else { "" },
            cast.llm_first_token,
            cast.llm_between_tokens,
            cast.tts_connect,
            cast.tts_first_audio,
            cast.tts_speed,
        )?;
        if self.calls > 1 || self.calls_before > 0 {
            writeln!(f, "  calls      {} at once, after {}", self.calls, self.calls_before)?;
        }
        for doing in &self.caller {
            writeln!(f, "  caller     {doing}")?;
        }
        for Timed { when, fault } in &self.faults {
            writeln!(f, "  fault      {when}: {fault}")?;
        }
        writeln!(f, "  ending     {:?}", self.ending)
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(nth) => write!(f, "asks about {}", EXCHANGES[*nth].key),
            Self::AskForTool => write!(f, "asks for a {}", BOOKING.key),
            Self::Interrupt { after, with } => {
                write!(f, "after {after:?} of the answer asks about {}", EXCHANGES[*with].key)
            }
            Self::Wait(time) => write!(f, "says nothing for {time:?}"),
        }
    }
}
