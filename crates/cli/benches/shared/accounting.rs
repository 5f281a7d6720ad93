//! What the kernel says a process has used.

use std::time::Duration;

/// Processor time so far, user and system, of all threads that ever were.
pub(crate) fn cpu(process: u32) -> Duration {
    let stat = read(process, "stat");
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // The kernel tells processes 100 ticks a second on every platform Rust runs on.
    Duration::from_millis(ticks * 10)
}

/// A figure of `/proc/<process>/status` in KiB, such as `VmRSS` (memory now) or `VmHWM` (most so far).
pub(crate) fn memory(process: u32, name: &str) -> u64 {
    let status = read(process, "status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

fn read(process: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{process}/{file}")).expect("the process runs")
}
