//! Offhook: a self-hosted, fault-tolerant runtime for voice agents on the phone.

mod auth;
mod bench;
mod call_command;
mod campaign_command;
mod chaos_command;
mod cli;
mod client;
mod config_command;
mod console;
mod demo;
mod doctor;
mod fake_carriers;
mod fakes_command;
mod http;
mod logs;
mod outbox_command;
mod serve;
mod server_args;
mod server_child;
mod signer;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Workers are this program again, hosting C libraries that may crash: nothing else is set up.
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).map(String::as_str) == Some("worker") {
        return offhook_providers::worker::run(&args[2..]);
    }
    cli::run()
}
