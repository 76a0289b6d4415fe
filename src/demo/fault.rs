//! What the demo breaks: the transcriber's process, as `kill -9` does.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// Time for another process to take the place of the dead one.
const REPLACED_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked for.
const REPLACED_POLL: Duration = Duration::from_millis(5);

/// A process that was killed.
#[derive(Clone, Copy, Debug)]
pub struct Killed {
    pub pid: u32,
    pub at: Instant,
}

/// The process that took the place of a dead one.
#[derive(Clone, Copy, Debug)]
pub struct Replacement {
    pub pid: u32,
    pub after: Duration,
}

/// Kills the process that transcribes for a server.
pub fn kill_transcriber(server: u32) -> Result<Killed, String> {
    let pid = *transcribers(server)
        .first()
        .ok_or_else(|| format!("process {server} has no child `worker pocketsphinx` to kill"))?;
    let process = Pid::from_raw(pid.cast_signed()).ok_or("0 is no process")?;
    let failed = |error| format!("cannot kill process {pid}: {error}");
    kill_process(process, Signal::KILL).map_err(failed)?;
    Ok(Killed { pid, at: Instant::now() })
}

/// Waits for the server to start another transcriber.
pub async fn replacement(server: u32, killed: Killed) -> Option<Replacement> {
    while killed.at.elapsed() < REPLACED_LIMIT {
        if let Some(pid) = transcribers(server).into_iter().find(|pid| *pid != killed.pid) {
            return Some(Replacement { pid, after: killed.at.elapsed() });
        }
        sleep(REPLACED_POLL).await;
    }
    None
}

/// The processes that transcribe for a server; dead ones have no command line.
fn transcribers(server: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| parent(*pid) == Some(server) && transcribes(*pid))
        .collect()
}

/// The fourth field of `/proc/<pid>/stat` (proc(5)); the second may have spaces and brackets in it.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn transcribes(pid: u32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    words.windows(2).any(|words| words == [b"worker".as_slice(), b"pocketsphinx".as_slice()])
}

#[cfg(test)]
mod tests {
    use tokio::process::Command;

    use super::*;

    fn child() -> tokio::process::Child {
        let mut command = Command::new("sh");
        command.args(["-c", "read forever", "worker", "pocketsphinx"]).kill_on_drop(true);
        command.stdin(std::process::Stdio::piped()).spawn().unwrap()
    }

    #[tokio::test]
    async fn a_transcriber_is_killed_and_its_successor_is_found() {
        let server = std::process::id();
        assert!(kill_transcriber(server).unwrap_err().contains("no child `worker pocketsphinx`"));
        let mut first = child();
        let killed = loop {
            // The child has its command line only once it has executed the program.
            match kill_transcriber(server) {
                Ok(killed) => break killed,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(Some(killed.pid), first.id());
        assert!(!first.wait().await.unwrap().success());
        let second = child();
        let replacement = replacement(server, killed).await.unwrap();
        assert_eq!(Some(replacement.pid), second.id());
    }
}
