//! Structured logs on standard error.

use std::io::IsTerminal;

use offhook_config::{LogFormat, Settings};
use tracing_subscriber::{EnvFilter, fmt};

/// Sets up logging: text on a terminal, JSON elsewhere, unless the settings say which.
pub fn init(settings: &Settings) -> Result<(), String> {
    let level = &settings.server.log_level;
    let filter = EnvFilter::try_new(level).map_err(|error| {
        format!("server.log_level `{level}` is no log filter ({error}); try `info` or `info,offhook_actors=debug`")
    })?;
    let json = match settings.server.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let result = match json {
        true => builder.json().flatten_event(true).try_init(),
        false => builder.try_init(),
    };
    result.map_err(|error| format!("cannot set up logging: {error}"))
}
