//! The command line of `offhook bench`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use offhook_media::AudioFormat;

use super::{
    caller::WORDS_MAX, campaigns::CampaignsArgs, fleet::Load, setups::Rate, slots::SlotsArgs,
    turns::TurnsArgs,
};
use crate::fake_carriers::Carrier;

/// What to measure.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    measure: Option<Measure>,
    #[command(flatten)]
    calls: CallsArgs,
}

#[derive(Subcommand)]
enum Measure {
    /// Many calls at the same time (this is what `offhook bench` does)
    #[command(
        after_help = "Examples:\n  offhook bench calls --calls 100 --turns 8 --barge-in 0.2\n  \
        offhook bench calls --carrier twilio --calls 200 --setups-per-second 20"
    )]
    Calls(CallsArgs),
    /// How turns are taken: callers who speak, hesitate, interrupt and cough, to noise
    #[command(after_help = "Examples:\n  offhook bench turns --check\n  \
        offhook bench turns --plan aggressive --category thought --snr 10,clean")]
    Turns(TurnsArgs),
    /// What a concurrency slot costs whoever waits for one
    #[command(after_help = "Example:\n  offhook bench slots --rate 1000 --check")]
    Slots(SlotsArgs),
    /// What a long list of contacts costs: the import, the disk, the next dial after a kill
    #[command(after_help = "Example:\n  offhook bench campaigns --contacts 100000 --check")]
    Campaigns(CampaignsArgs),
}

#[derive(Args)]
struct CallsArgs {
    /// Calls at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    calls: u32,
    /// Time between the first calls
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = time)]
    ramp: Duration,
    /// Calls in all: as one ends the next is placed; by default as many as at the same time
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    total: Option<u32>,
    #[command(flatten)]
    common: Options,
}

/// What is to be measured.
pub enum Bench {
    Calls(Load, Box<Options>),
    Turns(TurnsArgs),
    Slots(SlotsArgs),
    Campaigns(CampaignsArgs),
}

/// How calls are to be measured.
#[derive(Args, Clone)]
pub struct Options {
    /// Callers dial a number of this fake carrier's, in place of opening websockets
    #[arg(long, value_enum, conflicts_with_all = ["url", "assistant", "format"])]
    pub carrier: Option<Carrier>,
    /// Afterwards, so many calls come every second, are greeted, and hang up
    #[arg(long, value_name = "CALLS", requires = "carrier",
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    setups_per_second: Option<u32>,
    /// For so long
    #[arg(long, default_value_t = 60, requires = "setups_per_second",
        value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// A running server; without one, a server and fake providers are started for the bench
    #[arg(long, value_name = "URL", visible_alias = "server")]
    pub url: Option<String>,
    /// API key of that server; on this machine, by default the one in offhook-data/api-key
    #[arg(
        long,
        value_name = "KEY",
        visible_alias = "key",
        env = "OFFHOOK_API_KEY",
        hide_env_values = true
    )]
    pub api_key: Option<String>,
    /// The assistant that answers: a JSON file as `POST /assistant` takes it; by default one on
    /// Deepgram, OpenAI and ElevenLabs whose plan waits for nothing
    #[arg(long, value_name = "FILE.json")]
    pub assistant: Option<PathBuf>,
    /// Fake providers that the running server uses: tells its time from theirs
    #[arg(long, value_name = "URL", requires = "url")]
    pub fakes: Option<String>,
    /// Process of the running server, if it is on this machine: measures its CPU and memory
    #[arg(long, value_name = "PID", requires = "url")]
    pub pid: Option<u32>,
    /// What callers say, for real providers: recordings in turn; may be repeated. Without any, they
    /// speak tones, which only the fakes understand
    #[arg(long, value_name = "IN.wav", requires = "url")]
    pub wav: Vec<PathBuf>,
    /// Turns of a call
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub turns: u32,
    /// Words of an answer behind the two numbers it begins with, five a second
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::from(WORDS_MAX)))]
    pub words: u32,
    /// Share of the answers that callers interrupt, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub barge_in: f64,
    /// The audio of the calls
    #[arg(long, value_enum, default_value_t = Format::Mulaw8000)]
    pub format: Format,
    /// Deepgram's transcriber: `deepgram` (Nova, the server tells turns apart) or `flux` (which does
    /// it itself)
    #[arg(long, value_enum, default_value_t = Transcriber::Deepgram)]
    pub transcriber: Transcriber,
    /// Longest wait of a caller for an answer; the turn then counts as lost
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub patience: Duration,
    /// Decides on pauses and interruptions
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to write everything that was measured, as JSON; `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// What phones use
    #[value(name = "mulaw-8000")]
    Mulaw8000,
    /// What browsers use
    #[value(name = "pcm16-16000")]
    Pcm16000,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transcriber {
    Deepgram,
    Flux,
}

impl BenchArgs {
    pub fn read(self) -> Result<Bench, String> {
        let args = match self.measure {
            None => self.calls,
            Some(Measure::Calls(args)) => args,
            Some(Measure::Turns(args)) => return Ok(Bench::Turns(args)),
            Some(Measure::Slots(args)) => return Ok(Bench::Slots(args)),
            Some(Measure::Campaigns(args)) => return Ok(Bench::Campaigns(args)),
        };
        let total = args.total.unwrap_or(args.calls);
        if total < args.calls {
            return Err(format!(
                "--total {total} is less than --calls {}: expected at least as many in all as at the \
                 same time",
                args.calls
            ));
        }
        let load = Load { calls: args.calls, ramp: args.ramp, total };
        Ok(Bench::Calls(load, Box::new(args.common)))
    }
}

impl Options {
    /// The rate at which calls come afterwards.
    pub fn setups(&self) -> Option<Rate> {
        let (calls_per_second, seconds) = (self.setups_per_second?, self.seconds);
        Some(Rate { calls_per_second, seconds })
    }
}

impl Format {
    pub fn audio(self) -> AudioFormat {
        match self {
            Self::Mulaw8000 => AudioFormat::mulaw(),
            Self::Pcm16000 => AudioFormat::pcm16(16_000),
        }
    }
}

/// The name that an option's value has on the command line.
pub fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

pub fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "expected a number from 0 to 1".into())
}

/// The longest time that an option takes: nobody waits longer for a bench.
const TIME_MAX: Duration = Duration::from_secs(3_600);

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()));
    let unit_s = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err("expected a time such as 10ms, 2s or 1m".into()),
    };
    let seconds = number.trim().parse::<f64>().ok().map(|number| number * unit_s);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| *time <= TIME_MAX)
        .ok_or_else(|| "expected a time such as 10ms, 2s or 1m, at most an hour".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("2 m"), Ok(Duration::from_secs(120)));
        for wrong in ["10", "", "ms", "-1s", "10h", "2000m"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_between_none_and_all() {
        assert_eq!(share("0.25"), Ok(0.25));
        assert!(share("25").is_err() && share("NaN").is_err());
    }
}
