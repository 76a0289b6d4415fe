use std::{fmt, path::PathBuf};

use thiserror::Error;

/// Everything that is wrong with the settings, found at once.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong. Secrets are never part of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    #[error("cannot read the settings in `{path}`: {reason}")]
    Unreadable { path: PathBuf, reason: String },

    #[error("`{path}` is not valid TOML: line {line}: {reason}")]
    NotToml { path: PathBuf, line: usize, reason: String },

    #[error("prices in `{path}`, line {line}: {reason}")]
    Price { path: PathBuf, line: usize, reason: String },

    #[error("unknown setting `{key}` from {origin}, did you mean `{nearest}`?")]
    Unknown { key: String, origin: String, nearest: String },

    #[error("`{key}` from {origin} is a section, it takes settings such as `{example}`")]
    Section { key: String, origin: String, example: String },

    #[error(
        "calls.inbound_reserve = `{reserve}`: expected at most calls.concurrency_limit, \
         which is {limit}"
    )]
    Reserve { reserve: u32, limit: u32 },

    #[error("{key} = {given} from {origin}: expected {expected}")]
    Invalid { key: String, given: String, origin: String, expected: String },
}
