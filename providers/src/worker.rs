//! The C libraries of the local providers, each in a child process of ours.
//!
//! A host of these providers runs [`run`] when its program is started as `PROGRAM worker NAME`
//! (`Net::worker_program` is that program). The library is loaded at run time, so building needs
//! nothing; a crash of it ends the child, which its provider reports as a failure like any other.
//!
//! Parent and child speak in frames (`frame.rs`) over the child's standard input and output: first
//! the parent's settings, then the child's `ready` or `failed`, then whatever that worker does. A
//! worker whose input is closed finishes what it was given and exits, so none outlives its parent.

pub(crate) mod child;
pub(crate) mod flite;
pub(crate) mod frame;
pub(crate) mod pocketsphinx;

use std::{io, process::ExitCode};

use offhook_core::FailureClass;
use serde::{Deserialize, Serialize};

/// Runs the worker that `args` (what follows `worker` on the command line) names, until its input
/// is closed.
pub fn run(args: &[String]) -> ExitCode {
    let worker = args.first().map(String::as_str);
    let input = &mut io::BufReader::new(io::stdin().lock());
    let output = &mut io::BufWriter::new(io::stdout().lock());
    let ended = match worker {
        Some(pocketsphinx::NAME) => pocketsphinx::run(input, output),
        Some(flite::NAME) => flite::run(input, output),
        Some(_) | None => Err(Failed {
            class: FailureClass::BadRequest,
            detail: format!(
                "unknown worker `{}`, expected one of: {}, {}",
                worker.unwrap_or_default(),
                pocketsphinx::NAME,
                flite::NAME
            ),
        }),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // The parent may be gone; its exit status says the same then.
            let _ = frame::write_json(output, &Reply::<()>::Failed(failed.clone()));
            eprintln!("{}", failed.detail);
            ExitCode::FAILURE
        }
    }
}

/// Why a worker gives up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub class: FailureClass,
    pub detail: String,
}

impl Failed {
    fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into() }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::new(FailureClass::Closed, format!("worker lost its pipe: {error}"))
    }
}

/// What every worker may say; `Event` is what this one says when it works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply<Event> {
    /// It has loaded its library and model.
    Ready,
    /// Its last words.
    Failed(Failed),
    Event(Event),
}
