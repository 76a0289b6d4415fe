//! What the process takes of the machine, from `/proc` (proc(5)). Where there is none the metrics
//! stay at zero.

use std::fs;

/// Ticks of a second in `/proc/self/stat`: `USER_HZ`, which is 100 on every Linux that Rust builds
/// for.
const TICKS_PER_SECOND: u64 = 100;

/// Looks it up.
pub fn observe() {
    if let Some(ms) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_ms(&stat)) {
        metrics::counter!("offhook_process_cpu_milliseconds_total").absolute(ms);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kib) = number(&status, "VmRSS:") {
        metrics::gauge!("offhook_process_resident_bytes").set((kib * 1_024) as f64);
    }
    if let Some(threads) = number(&status, "Threads:") {
        metrics::gauge!("offhook_process_threads").set(threads as f64);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        let open = files.count().saturating_sub(1);
        metrics::gauge!("offhook_process_open_files").set(open as f64);
    }
}

/// User and system time; the name of the program before them may hold anything, blanks included.
fn cpu_ms(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * 1_000 / TICKS_PER_SECOND)
}

fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 12345 1 1";
        assert_eq!(cpu_ms(stat), Some(3_000));
        assert_eq!(cpu_ms("nonsense"), None);
    }

    #[test]
    fn memory_and_threads_are_read_by_name() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t9\n";
        assert_eq!(number(status, "VmRSS:"), Some(2_048));
        assert_eq!(number(status, "Threads:"), Some(9));
        assert_eq!(number(status, "VmSwap:"), None);
    }
}
