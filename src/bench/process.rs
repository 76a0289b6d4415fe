//! What a process uses, as Linux tells it (proc(5)).

use std::{fs, time::Duration};

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
}

impl Process {
    /// This program.
    pub fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// CPU time of all its threads so far, in steps of 10 ms; none once it has ended.
    pub fn cpu(self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let ticks = cpu_ticks(&stat)?;
        Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Memory that it holds (RSS), in KiB.
    pub fn rss_kib(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        rss_kib(&status)
    }
}

/// `utime` and `stime`: the 14th and 15th field. The second is the program's name in parentheses, in
/// which anything may stand.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn rss_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_whatever_the_program_is_called() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1500 0 0 0 730 219 5 6 20 0 9 0 100 1 2";
        assert_eq!(cpu_ticks(stat), Some(949));
        assert_eq!(cpu_ticks("42 (cut"), None);
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(rss_kib("Name:\toffhook\nVmRSS:\t   21044 kB\nThreads:\t9\n"), Some(21_044));
        assert_eq!(rss_kib("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_process_uses_memory_and_one_that_is_not_there_nothing() {
        assert!(Process::own().rss_kib().unwrap() > 500);
        assert!(Process::own().cpu().is_some());
        let none = Process { pid: u32::MAX };
        assert_eq!((none.rss_kib(), none.cpu()), (None, None));
    }
}
