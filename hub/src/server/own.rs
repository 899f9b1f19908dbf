//! The hub looks at itself once a second.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sysmon_client::hub_figures::Figures;
use sysmon_wire::ABSENT;
use sysmon_wire::message::RunId;

use super::{Hub, now};
use crate::ingest::IngestError;
use crate::own::{INTERVAL_MS, Recorder, largest_lag_ms};

impl Hub {
    /// The hub's figures now.
    pub(super) fn figures(&self) -> Figures {
        let (history_bytes, commit_us) = match self.history {
            Some(_) => self.history_figures(),
            None => (0, 0),
        };
        let known = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let fleet = self.fleet();
        let (rows, values) = fleet.totals();
        Figures {
            ingest_rows: known(rows),
            ingest_values: known(values),
            // Before the first commit, as without a history, there is no such time.
            commit_us: if commit_us > 0 {
                known(commit_us)
            } else {
                ABSENT
            },
            ring_bytes: known(fleet.ring_size().0),
            unsealed_bytes: known(fleet.head_bytes()),
            history_bytes: known(history_bytes),
            subscribers: known(self.subscribers.load(Ordering::Relaxed)),
            agents: known(self.agents.load(Ordering::Relaxed)),
            refused: known(self.refused.load(Ordering::Relaxed)),
            lag_ms: largest_lag_ms(&fleet, now()),
            cpu_us: cpu_us().unwrap_or(ABSENT),
            resident_bytes: resident_bytes().unwrap_or(ABSENT),
        }
    }
}

/// Agents sample on whole seconds; this much later their rows have come, and what is not there is late.
const ROWS_COME_MS: i64 = 500;

/// Records the hub's figures of every whole second, as agents do.
pub(super) async fn record(hub: &Hub) {
    let Err(error) = record_all(hub).await;
    tracing::warn!("the hub's own figures are not recorded any more: {error}");
    std::future::pending::<()>().await;
}

async fn record_all(hub: &Hub) -> Result<Infallible, IngestError> {
    let run = RunId(fastrand::u64(..));
    let mut recorder = Recorder::start(&mut hub.fleet(), &hub.name, run, now())?;
    loop {
        let left = INTERVAL_MS - (now().0 - ROWS_COME_MS).rem_euclid(INTERVAL_MS);
        tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
        record_one(hub, &mut recorder)?;
    }
}

fn record_one(hub: &Hub, recorder: &mut Recorder) -> Result<(), IngestError> {
    let figures = hub.figures();
    let mut fleet = hub.fleet();
    recorder.record(&mut fleet, &figures, now())?;
    let (generation, news) = (fleet.generation(), fleet.take_news());
    drop(fleet);
    hub.announce(generation);
    hub.tell_news(news);
    Ok(())
}

/// Microseconds of processor time this process has used.
fn cpu_us() -> Option<i64> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)
    }
    #[cfg(not(unix))]
    None
}

/// Bytes of memory this process has in use; known on Linux only.
fn resident_bytes() -> Option<i64> {
    // proc_pid_status(5).
    resident_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_of(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_as_the_kernel_writes_it() {
        let status = "Name:\tsysmon-hub\nVmHWM:\t   99 kB\nVmRSS:\t   15360 kB\nThreads:\t3\n";
        assert_eq!(resident_of(status), Some(15 << 20));
        assert_eq!(resident_of("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_measured() {
        assert!(cpu_us() > Some(0) && resident_bytes() > Some(1 << 20));
    }
}
