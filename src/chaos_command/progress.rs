//! How far the runs are, on standard error: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use offhook_chaos::scenario::Outcome;

use super::options::Options;

/// How often a line says how far it is, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub struct Progress {
    name: &'static str,
    bar: Option<ProgressBar>,
    said: Instant,
}

impl Progress {
    pub fn new(name: &'static str, options: &Options) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let template = match options.time {
                Some(_) => "{elapsed:>5} {msg} {pos} runs",
                None => "{elapsed:>5} {msg:30} {wide_bar} {pos}/{len} runs",
            };
            let style = ProgressStyle::with_template(template);
            let bar = ProgressBar::new(options.runs);
            bar.with_style(style.expect("the template of the bar is well formed"))
                .with_message(name)
        });
        Self { name, bar, said: Instant::now() }
    }

    pub fn show(&mut self, outcomes: &[Outcome]) {
        if let Some(bar) = &self.bar {
            bar.set_position(outcomes.len() as u64);
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            let failed = outcomes.iter().filter(|outcome| !outcome.broken.is_empty()).count();
            eprintln!("offhook chaos: {}: {} runs, {failed} broken", self.name, outcomes.len());
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
