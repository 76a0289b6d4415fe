//! The workers of the local providers as a program of their own, for hosts without one.

use std::{env, process::ExitCode};

/// `provider-worker worker NAME`, as `Net::worker_program` is started.
fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(2).collect();
    offhook_providers::worker::run(&args)
}
