//! A campaign's progress: a bar on a terminal, a line for each change elsewhere.

use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::time::sleep;

use crate::{client::Client, console::Console};

/// How often the server is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a server may be gone, which may be started anew, before we give up.
const PATIENCE: u32 = 60;

pub async fn run(client: &Client, console: Console, id: &str) -> Result<ExitCode, String> {
    let path = format!("/v2/campaign/{id}?includeCounters=true");
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
    let bar = stderr()
        .is_terminal()
        .then(|| ProgressBar::new(0))
        .map(|bar| bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
    let (mut said, mut failures) = (String::new(), 0);
    loop {
        let campaign = match client.get(&path).await {
            Ok(campaign) => campaign,
            Err(problem) if failures < PATIENCE && !said.is_empty() => {
                failures += 1;
                tracing::debug!(problem, "the server does not answer");
                sleep(LOOK_EVERY).await;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        failures = 0;
        let now = Progress::of(&campaign);
        let line = now.to_string();
        match &bar {
            Some(bar) => {
                bar.set_length(now.total);
                bar.set_position(now.done);
                bar.set_message(line.clone());
            }
            None if line != said => console.line(&line),
            None => {}
        }
        said = line;
        if now.is_over {
            if let Some(bar) = bar {
                bar.finish_and_clear();
                console.line(&said);
            }
            return Ok(ExitCode::SUCCESS);
        }
        sleep(LOOK_EVERY).await;
    }
}

struct Progress {
    status: String,
    total: u64,
    done: u64,
    counts: Vec<(&'static str, u64)>,
    is_over: bool,
}

impl Progress {
    fn of(campaign: &Value) -> Self {
        let count = |field: &str| campaign["contactCounters"][field].as_u64().unwrap_or_default();
        let metric = |field: &str| campaign["callMetrics"][field].as_u64().unwrap_or_default();
        let left = count("pending") + count("dispatched");
        let done = count("completed") + count("failed") + count("skipped") + count("predialFailed");
        let mut status = campaign["status"].as_str().unwrap_or_default().to_owned();
        let is_over = matches!(status.as_str(), "ended" | "cancelled" | "archived");
        if campaign["paused"] == true {
            status.push_str(", paused");
        }
        let counts = vec![
            ("waiting", count("pending")),
            ("on the phone", count("dispatched")),
            ("completed", count("completed")),
            ("failed", count("failed")),
            ("skipped", count("skipped")),
            ("refused before dialling", count("predialFailed")),
            ("dialled", metric("dialed")),
            ("picked up", metric("connected")),
        ];
        Self {
            status,
            total: left + done,
            done,
            counts,
            is_over: is_over && count("dispatched") == 0,
        }
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.status)?;
        let told = self.counts.iter().filter(|(_, count)| *count > 0);
        told.into_iter().try_for_each(|(what, count)| write!(f, ", {count} {what}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_what_there_is_and_leaves_out_what_there_is_not() {
        let campaign = json!({"status": "in-progress", "paused": true,
            "contactCounters": {"pending": 5, "dispatched": 1, "completed": 3, "failed": 0, "skipped": 1, "predialFailed": 0},
            "callMetrics": {"dialed": 4, "connected": 2}});
        let progress = Progress::of(&campaign);
        assert_eq!((progress.done, progress.total, progress.is_over), (4, 10, false));
        assert_eq!(
            progress.to_string(),
            "in-progress, paused, 5 waiting, 1 on the phone, 3 completed, 1 skipped, 4 dialled, 2 picked up"
        );
    }
}
