//! Everything that was measured, in one place.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    answer::Wrong,
    call::Outcome,
    caller::{BargeIn, Turn},
    clock::Moment,
    fakes::FakesReport,
    fleet::Load,
    overhead::{LeastSilence, Overhead, SEGMENTS, split},
    playback::GAP,
    samples::Samples,
    setups::Setups,
    usage::Usage,
};

/// Lateness of the bench's own timers, p99, from which latencies say more about the machine than
/// about the server, in ms: half a frame.
const LATE_MS: f64 = 10.0;

/// What is promised of the first audio of a call over a carrier, p95, in ms: from the carrier's
/// first webhook, without what the voice takes.
pub const FIRST_AUDIO_P95_MS: f64 = 150.0;

/// Calls and turns that went wrong and are named one by one.
const NAMED_MAX: usize = 20;

#[derive(Debug)]
pub struct Results {
    pub settings: Value,
    pub load: Load,
    pub completed: u32,
    /// Calls that came to no good end: which, and why.
    pub failures: Vec<(u32, String)>,
    /// Every turn; what the fakes saw of it is known in the end only.
    turns: Vec<Turn>,
    pub answered: u64,
    pub lost: Vec<(u32, u32)>,
    /// Words are known where callers speak in tones.
    pub wrong: Option<Wrong>,
    pub gaps: Vec<Duration>,
    pub setup: Samples,
    /// Of calls over a carrier: when each was greeted, and how long after the first webhook.
    pub greeted: Vec<Moment>,
    pub first_audio: Samples,
    /// Calls that came at a rate afterwards.
    pub setups: Option<Setups>,
    pub response: Samples,
    pub ahead: Samples,
    /// Onset to word of the interruption, onset to silence.
    pub told: Samples,
    pub silent: Samples,
    pub barge_ins: u64,
    pub lateness: Samples,
    pub overhead: Option<Overhead>,
    pub fakes_report: FakesReport,
    pub server: Option<Usage>,
    pub fakes: Option<Usage>,
    pub callers: Usage,
    pub took: Duration,
}

impl Results {
    pub fn new(settings: Value, load: Load, callers: Usage, knows_words: bool) -> Self {
        Self {
            settings,
            load,
            completed: 0,
            failures: Vec::new(),
            turns: Vec::new(),
            answered: 0,
            lost: Vec::new(),
            wrong: knows_words.then(Wrong::default),
            gaps: Vec::new(),
            setup: Samples::default(),
            greeted: Vec::new(),
            first_audio: Samples::default(),
            setups: None,
            response: Samples::default(),
            ahead: Samples::default(),
            told: Samples::default(),
            silent: Samples::default(),
            barge_ins: 0,
            lateness: Samples::default(),
            overhead: None,
            fakes_report: FakesReport::default(),
            server: None,
            fakes: None,
            callers,
            took: Duration::ZERO,
        }
    }

    /// Takes a call that is over.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome.failure {
            Some(reason) => self.failures.push((outcome.nth, reason)),
            None => self.completed += 1,
        }
        outcome.setup.into_iter().for_each(|setup| self.setup.add(setup));
        self.greeted.extend(outcome.greeted);
        outcome.first_audio.into_iter().for_each(|time| self.first_audio.add(time));
        self.lateness.merge(&outcome.lateness);
        self.ahead.merge(&outcome.measured.ahead);
        self.gaps.extend(outcome.measured.gaps);
        if let Some(wrong) = &mut self.wrong {
            wrong.add(outcome.measured.wrong);
        }
        for turn in &outcome.measured.turns {
            if let (Some(asked), Some(answered)) = (turn.speech_end, turn.answered) {
                self.answered += 1;
                self.response.add(answered.since(asked));
            }
            if turn.lost {
                self.lost.push((turn.caller, turn.number));
            }
        }
        self.turns.extend(outcome.measured.turns);
        for BargeIn { onset, told, silent } in outcome.measured.barge_ins {
            self.barge_ins += 1;
            told.into_iter().for_each(|told| self.told.add(told.since(onset)));
            silent.into_iter().for_each(|silent| self.silent.add(silent.since(onset)));
        }
    }

    /// Tells the runtime's time from that of its providers.
    pub fn compare(&mut self, report: FakesReport, least: LeastSilence) {
        let mut overhead = Overhead::default();
        for turn in self.turns.iter().filter(|turn| turn.answered.is_some()) {
            let passage = report.passage(turn);
            overhead.add(passage.and_then(|passage| split(turn, passage, least)));
        }
        self.overhead = Some(overhead);
        self.fakes_report = report;
    }

    /// Does something for every process that is looked at.
    pub fn each_usage(&mut self, change: impl FnMut(&mut Usage)) {
        let processes = self.server.iter_mut().chain(&mut self.fakes);
        processes.chain([&mut self.callers]).for_each(change);
    }

    pub fn asked(&self) -> usize {
        self.turns.len()
    }

    /// Whether every call was held and every turn answered.
    pub fn is_good(&self) -> bool {
        let setups_failed = self.setups.as_ref().map_or(0, |setups| setups.failed);
        self.failures.is_empty() && self.lost.is_empty() && setups_failed == 0
    }

    /// The first audio of calls over a carrier, p95 in ms, those that came at a rate included, and
    /// whether that is as promised.
    pub fn first_audio_p95(&self) -> Option<(f64, bool)> {
        let mut all = self.first_audio.clone();
        if let Some(setups) = &self.setups {
            all.merge(&setups.first_audio);
        }
        let p95 = all.percentile_ms(0.95)?;
        Some((p95, p95 <= FIRST_AUDIO_P95_MS))
    }

    /// What went wrong, by name.
    pub fn problems(&self) -> Vec<String> {
        let calls =
            self.failures.iter().map(|(nth, reason)| format!("call {nth} failed: {reason}"));
        let turns = self
            .lost
            .iter()
            .map(|(caller, turn)| format!("turn lost: caller {caller} had no answer to {turn}"));
        let all: Vec<String> = calls.chain(turns).collect();
        let more = all.len().saturating_sub(NAMED_MAX);
        let mut named: Vec<String> = all.into_iter().take(NAMED_MAX).collect();
        if more > 0 {
            named.push(format!("and {more} more"));
        }
        named
    }

    /// What keeps the figures from being trusted.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let late_ms = self.lateness.percentile_ms(0.99).unwrap_or_default();
        if late_ms > LATE_MS {
            warnings.push(format!(
                "the callers were late themselves (p99 {late_ms:.1} ms): latencies are too high by \
                 about that; place fewer calls, or call from another machine"
            ));
        }
        let lag_ms = self.fakes_report.lag_us["p99"].as_f64().unwrap_or_default() / 1_000.0;
        if lag_ms > LATE_MS {
            warnings.push(format!(
                "the fake providers were late (p99 {lag_ms:.1} ms): the machine is busy, and response \
                 latency too high by about that; overhead is without it"
            ));
        }
        if self.server.is_some() && self.callers.steady_time().is_none() {
            warnings.push(
                "no steady state, so no CPU and memory a call: calls ended before all were up; take \
                 more --turns or a shorter --ramp"
                    .into(),
            );
        }
        let unknown = self.overhead.as_ref().map_or(0, |overhead| overhead.unknown);
        if unknown > 0 {
            warnings.push(format!(
                "{unknown} answered turns are unknown to the fakes, and not in the overhead"
            ));
        }
        warnings
    }

    pub fn json(&self) -> Value {
        let mut segments = json!({});
        let mut overhead = json!({});
        if let Some(measured) = &self.overhead {
            overhead = json!({
                "total": measured.total.json(),
                "plan_waits": measured.waited.json(),
                "unknown_turns": measured.unknown,
            });
            for ((name, _), samples) in SEGMENTS.iter().zip(&measured.segments) {
                segments[*name] = samples.json();
            }
        }
        let usage = |usage: &Usage| usage.json(self.load.calls, self.load.total);
        let longest = self.gaps.iter().max().map(|gap| gap.as_secs_f64() * 1_000.0);
        let first_audio = self.first_audio_p95().map(|(p95, is_held)| {
            json!({"times": self.first_audio.json(), "p95": p95,
                "promised_p95": FIRST_AUDIO_P95_MS, "is_held": is_held})
        });
        json!({
            "settings": self.settings,
            "took_seconds": self.took.as_secs_f64(),
            "steady_seconds": self.callers.steady_time().map(|time| time.as_secs_f64()),
            "calls": {
                "completed": self.completed,
                "failed": self.failures.len(),
                "setup_ms": self.setup.json(),
            },
            "turns": {
                "asked": self.asked(),
                "answered": self.answered,
                "lost": self.lost.len(),
            },
            "words": self.wrong.map(|wrong| json!({
                "missing": wrong.missing, "doubled": wrong.doubled, "foreign": wrong.foreign,
            })),
            "first_audio_ms": first_audio,
            "setups": self.setups.as_ref().map(Setups::json),
            "response_ms": self.response.json(),
            "overhead_ms": self.overhead.as_ref().map(|_| overhead),
            "segments_ms": self.overhead.as_ref().map(|_| segments),
            "barge_in_ms": {
                "count": self.barge_ins,
                "onset_to_told": self.told.json(),
                "onset_to_silence": self.silent.json(),
            },
            "playout": {
                "gaps_over_ms": GAP.as_millis() as u64,
                "gaps": self.gaps.len(),
                "longest_gap_ms": longest,
                "ahead_ms": self.ahead.json(),
            },
            "server": self.server.as_ref().map(usage),
            "fakes": {
                "usage": self.fakes.as_ref().map(usage),
                "timer_lag_us": self.fakes_report.lag_us,
                "providers": self.fakes_report.providers,
            },
            "callers": {"usage": usage(&self.callers), "late_ms": self.lateness.json()},
            "problems": self.problems(),
            "warnings": self.warnings(),
        })
    }
}
