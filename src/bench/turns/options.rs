//! The command line of `offhook bench turns`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    super::options::{Transcriber, share},
    cases::{Selection, Snr},
    category::Category,
};
use crate::call_command;

/// The line without noise, among the noises.
const CLEAN: &str = "clean";

/// Noise that anybody could speak over, in dB below speech.
const SNR_MAX: u32 = 60;

#[derive(Args)]
pub struct TurnsArgs {
    /// The assistant's plans: `default` (what a document without any gets), `aggressive` (the
    /// contract's function for quick answers, and 0.2 s to wait), or a JSON file with fields of an
    /// assistant that replace its own
    #[arg(long, value_name = "default|aggressive|FILE.json", default_value = "default")]
    plan: String,
    /// What callers do; may be repeated. By default everything
    #[arg(long, value_enum)]
    category: Vec<Category>,
    /// Noise, in dB below the caller's speech, or `clean` for none; several with commas
    #[arg(long, value_delimiter = ',', default_values = ["20", "10", "5"], value_parser = snr)]
    snr: Vec<Snr>,
    /// Calls of each category and noise
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    calls: u32,
    /// Calls at the same time
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=500))]
    at_once: u32,
    /// Deepgram's transcriber: `deepgram` (Nova, the server tells turns apart) or `flux` (which does
    /// it itself)
    #[arg(long, value_enum, default_value_t = Transcriber::Deepgram)]
    transcriber: Transcriber,
    /// Share of the words that come back as echo of which the transcriber makes words, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    echo_words: f64,
    /// Decides on voices, noises, pauses and moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Holds one call alone, by the number that the report gave it; everything else has to be as it
    /// was
    #[arg(long, value_name = "NUMBER")]
    case: Option<u32>,
    /// Fails where turns are taken worse than they should be
    #[arg(long)]
    check: bool,
    /// Where to write everything that was measured, as JSON; `-` for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How turns are to be measured.
pub struct Options {
    pub plan: Plan,
    pub selection: Selection,
    pub at_once: u32,
    pub transcriber: Transcriber,
    pub echo_words: f64,
    pub check: bool,
    pub json: Option<PathBuf>,
}

/// Fields of an assistant.
pub struct Plan {
    pub name: String,
    pub fields: Value,
}

impl TurnsArgs {
    pub fn read(self) -> Result<Options, String> {
        let categories = match self.category.is_empty() {
            true => Category::value_variants().to_vec(),
            false => self.category,
        };
        let selection = Selection {
            categories,
            snrs: self.snr,
            calls: self.calls,
            seed: self.seed,
            only: self.case,
        };
        Ok(Options {
            plan: Plan::read(&self.plan)?,
            selection,
            at_once: self.at_once,
            transcriber: self.transcriber,
            echo_words: self.echo_words,
            check: self.check,
            json: self.json,
        })
    }
}

impl Plan {
    fn read(name: &str) -> Result<Self, String> {
        let fields = match name {
            "default" => json!({}),
            // Page "Voice pipeline configuration".
            "aggressive" => json!({"startSpeakingPlan": {
                "waitSeconds": 0.2,
                "smartEndpointingPlan": {
                    "provider": "livekit",
                    "waitFunction": "2000 / (1 + exp(-10 * (x - 0.5)))",
                },
            }}),
            file => call_command::read_assistant(file.as_ref())?,
        };
        Ok(Self { name: name.to_owned(), fields })
    }

    /// The largest share of lines that may be cut off.
    pub fn cut_offs_max(&self) -> f64 {
        if self.name == "aggressive" { 0.05 } else { 0.02 }
    }
}

fn snr(text: &str) -> Result<Snr, String> {
    if text == CLEAN {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|snr| *snr <= SNR_MAX);
    number.map(Some).ok_or_else(|| format!("expected decibels from 0 to {SNR_MAX}, or `{CLEAN}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_a_number_of_decibels_or_none() {
        assert_eq!((snr("20"), snr("clean")), (Ok(Some(20)), Ok(None)));
        assert!(snr("-3").is_err() && snr("61").is_err() && snr("loud").is_err());
    }

    #[test]
    fn a_plan_is_a_name_or_a_file() {
        assert_eq!(Plan::read("default").unwrap().fields, json!({}));
        assert_eq!(Plan::read("aggressive").unwrap().cut_offs_max(), 0.05);
        assert!(Plan::read("no-such-file.json").is_err());
    }
}
