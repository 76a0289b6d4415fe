//! `offhook config`: shows the settings.

use std::{io::Write, process::ExitCode};

use clap::Args;

/// What to show.
#[derive(Args)]
pub struct ConfigArgs {
    /// Every setting with its default, unit and reason, as a settings file
    #[arg(long, required = true)]
    defaults: bool,
}

pub fn run(args: &ConfigArgs) -> Result<ExitCode, String> {
    if args.defaults {
        std::io::stdout()
            .write_all(offhook_config::render_defaults().as_bytes())
            .map_err(|error| format!("cannot write the settings: {error}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
