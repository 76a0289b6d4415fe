//! How far a bench is, on standard error: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// How often a line says how far it is, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub struct Progress {
    total: u32,
    bar: Option<ProgressBar>,
    said: Instant,
}

impl Progress {
    pub fn new(total: u32) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{elapsed:>5} {wide_bar} {pos}/{len} calls, {msg}");
            let bar = ProgressBar::new(u64::from(total));
            bar.with_style(style.expect("the template of the bar is well formed"))
        });
        Self { total, bar, said: Instant::now() }
    }

    /// A stage of the bench begins.
    pub fn say(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.println(what),
            None => eprintln!("offhook bench: {what}"),
        }
    }

    pub fn show(&mut self, ended: u32, up: u32) {
        let state = format!("{up} up");
        if let Some(bar) = &self.bar {
            bar.set_position(u64::from(ended));
            bar.set_message(state);
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            eprintln!("offhook bench: {ended} of {} calls ended, {state}", self.total);
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
