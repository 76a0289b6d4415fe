//! `offhook fakes`: fake providers in a process of their own, for measuring and for tests.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use offhook_chaos::fakes::{Fakes, FakesOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

#[derive(Args)]
pub struct FakesArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How quick they are and what they keep, as JSON
    #[arg(long, default_value = "{}", value_name = "JSON")]
    options: String,
}

/// Serves until standard input closes or SIGTERM or SIGINT comes.
pub async fn run(args: &FakesArgs) -> Result<ExitCode, String> {
    let options: FakesOptions = serde_json::from_str(&args.options)
        .map_err(|error| format!("--options cannot be read: {error}"))?;
    let listening =
        |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let mut term = listening(SignalKind::terminate())?;
    let mut int = listening(SignalKind::interrupt())?;
    let fakes = Fakes::start(args.listen, options)
        .await
        .map_err(|error| format!("cannot serve fakes at {}: {error}", args.listen))?;
    announce(fakes.address());
    tokio::select! {
        _ = stdin_closed() => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    fakes.stop().await;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "whoever started it reads the address there")]
fn announce(address: SocketAddr) {
    println!("fakes http://{address}");
}

/// Resolves when standard input closes. A thread of its own reads it: one of the runtime's would
/// keep the process from ending while it waits.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (closed, told) = oneshot::channel();
    std::thread::spawn(move || {
        // An input that cannot be read is as good as closed, and nobody may be left to be told.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    told
}
