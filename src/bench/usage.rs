//! What the processes of a bench use while all calls are up.

use std::time::Duration;

use serde_json::{Value, json};

use super::{clock::Moment, process::Process};

/// Points of memory over time that are kept; of more, every other one is dropped.
const POINTS_MAX: usize = 2_000;

/// Memory is compared between the end and when this share of all calls had ended, at most
/// [`FIRST_CALLS_MAX`]: by then caches are full and the allocator has seen every size.
const FIRST_CALLS_SHARE: u32 = 10;
const FIRST_CALLS_MAX: u32 = 500;

/// One process.
#[derive(Debug)]
pub struct Usage {
    process: Process,
    idle_kib: Option<u64>,
    steady_from: Option<(Moment, Duration)>,
    /// How long the steady state lasted, and the CPU time used in it.
    steady: Option<(Duration, Duration)>,
    /// The most memory in the steady state, in KiB.
    steady_kib: u64,
    /// Time since the start, calls that had ended, memory in KiB.
    points: Vec<(Duration, u32, u64)>,
    /// Every how many points one is kept.
    stride: u32,
    skipped: u32,
}

impl Usage {
    /// A process that is idle.
    pub fn of_idle(process: Process) -> Self {
        Self {
            process,
            idle_kib: process.rss_kib(),
            steady_from: None,
            steady: None,
            steady_kib: 0,
            points: Vec::new(),
            stride: 1,
            skipped: 0,
        }
    }

    /// All calls are up.
    pub fn steady_begins(&mut self, now: Moment) {
        self.steady_from = self.process.cpu().map(|cpu| (now, cpu));
    }

    /// The number of calls begins to fall.
    pub fn steady_ends(&mut self, now: Moment) {
        let Some((from, before)) = self.steady_from.take() else { return };
        self.steady_kib = self.steady_kib.max(self.process.rss_kib().unwrap_or_default());
        let used = self.process.cpu().map(|after| after.saturating_sub(before));
        self.steady = used.map(|used| (now.since(from), used));
    }

    pub fn sample(&mut self, since_start: Duration, ended: u32) {
        let Some(kib) = self.process.rss_kib() else { return };
        if self.steady_from.is_some() {
            self.steady_kib = self.steady_kib.max(kib);
        }
        self.skipped += 1;
        if self.skipped < self.stride {
            return;
        }
        self.skipped = 0;
        if self.points.len() == POINTS_MAX {
            let mut nth = 0;
            self.points.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.stride *= 2;
        }
        self.points.push((since_start, ended, kib));
    }

    /// The length of the steady state.
    pub fn steady_time(&self) -> Option<Duration> {
        self.steady.map(|(time, _)| time).filter(|time| !time.is_zero())
    }

    /// CPU in the steady state, in percent of a core.
    pub fn cpu_percent(&self) -> Option<f64> {
        let (_, cpu) = self.steady?;
        Some(100.0 * cpu.as_secs_f64() / self.steady_time()?.as_secs_f64())
    }

    pub fn idle_kib(&self) -> Option<u64> {
        self.idle_kib
    }

    /// Memory in the steady state beyond that of the idle process, in KiB a call.
    pub fn kib_a_call(&self, calls: u32) -> Option<f64> {
        self.steady_time()?;
        let more = self.steady_kib as f64 - self.idle_kib? as f64;
        Some(more / f64::from(calls))
    }

    /// Memory once the first calls had ended and while the last still ran, in KiB, each with the
    /// calls that had ended; none where calls did not follow one another.
    pub fn first_and_last(&self, calls: u32, total: u32) -> Option<[(u32, u64); 2]> {
        let first = (total / FIRST_CALLS_SHARE).clamp(1, FIRST_CALLS_MAX);
        let last = total.checked_sub(calls).filter(|last| *last > first)?;
        let at = |wanted| {
            let point = self.points.iter().find(|(_, ended, _)| *ended >= wanted)?;
            Some((point.1, point.2))
        };
        Some([at(first)?, at(last)?])
    }

    pub fn json(&self, calls: u32, total: u32) -> Value {
        let a_call = |value: Option<f64>| value.map(|value| value / f64::from(calls));
        let memory = self
            .first_and_last(calls, total)
            .map(|points| points.map(|(ended, kib)| json!({"calls_ended": ended, "rss_kib": kib})));
        let points: Vec<Value> = self
            .points
            .iter()
            .map(|(time, ended, kib)| {
                json!({"seconds": time.as_secs_f64(), "calls_ended": ended, "rss_kib": kib})
            })
            .collect();
        json!({
            "pid": self.process.pid,
            "cpu_percent": self.cpu_percent(),
            "cpu_percent_a_call": a_call(self.cpu_percent()),
            "rss_idle_kib": self.idle_kib,
            "rss_steady_kib": (self.steady_kib > 0).then_some(self.steady_kib),
            "rss_kib_a_call": self.kib_a_call(calls),
            "first_and_last": memory,
            "over_time": points,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage() -> Usage {
        Usage::of_idle(Process::own())
    }

    #[test]
    fn cpu_and_memory_are_of_the_steady_state() {
        let mut usage = usage();
        assert_eq!((usage.cpu_percent(), usage.kib_a_call(10)), (None, None));
        usage.idle_kib = Some(20_000);
        usage.steady = Some((Duration::from_secs(40), Duration::from_secs(14)));
        usage.steady_kib = 80_000;
        assert_eq!(usage.cpu_percent(), Some(35.0));
        assert_eq!(usage.kib_a_call(100), Some(600.0));
    }

    #[test]
    fn memory_is_compared_between_the_first_calls_and_the_last() {
        let mut usage = usage();
        usage.points = (0..=5_000).step_by(10).map(|n| (Duration::ZERO, n, u64::from(n))).collect();
        assert_eq!(usage.first_and_last(100, 5_000), Some([(500, 500), (4_900, 4_900)]));
        assert_eq!(usage.first_and_last(100, 100), None);
    }

    #[test]
    fn memory_over_a_long_time_takes_a_bounded_room() {
        let mut usage = usage();
        for second in 0..3 * POINTS_MAX as u32 {
            usage.sample(Duration::from_secs(u64::from(second)), second);
        }
        assert!(usage.points.len() <= POINTS_MAX);
        assert!(usage.points.is_sorted());
        assert!(usage.points.last().unwrap().1 > 2 * POINTS_MAX as u32);
    }
}
