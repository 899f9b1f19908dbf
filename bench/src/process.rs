//! Resource usage of a process, from `/proc` (Linux only).

use std::fs;
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub memory_bytes: u64,
    pub peak_bytes: u64,
    /// Context switches of all threads, voluntary and involuntary.
    pub switches: u64,
}

/// None if the process has exited, or on other systems than Linux.
pub fn usage(pid: u32) -> Option<Usage> {
    let mut usage = Usage::default();
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // First word: nanoseconds on a processor (Documentation/scheduler/sched-stats.rst).
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let ns: u64 = text.split_whitespace().next()?.parse().ok()?;
        usage.cpu += Duration::from_nanos(ns);
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        usage.switches += field(&status, "voluntary_ctxt_switches:").unwrap_or(0)
            + field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    usage.memory_bytes = field(&status, "VmRSS:").unwrap_or(0) * 1024;
    usage.peak_bytes = field(&status, "VmHWM:").unwrap_or(0) * 1024;
    Some(usage)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

pub fn count() -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .count()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.memory_bytes > 100_000 && usage.peak_bytes >= usage.memory_bytes);
        assert!(count() > 0);
    }
}
