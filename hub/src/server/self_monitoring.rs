//! Measures the hub itself once a second.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sysmon_client::hub_figures::Figures;
use sysmon_wire::message::{HostLimit, RunId};
use sysmon_wire::{ABSENT, Label, UnixMs};

use super::{ExportState, Hub};
use crate::VERSION;
use crate::ingest::IngestError;
use crate::limits::LimitLog;
use crate::self_monitoring::{INTERVAL_MS, Recorder, largest_lag_ms, outdated_agents};

impl Hub {
    pub(super) fn figures(&self) -> Figures {
        let (history_bytes, commit_us) = self.history_figures();
        let damaged_histories = self.damaged_histories().into();
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        #[cfg(feature = "otlp")]
        let (otlp_points, otlp_rejected) = self.otlp.points();
        #[cfg(not(feature = "otlp"))]
        let (otlp_points, otlp_rejected) = (0, 0);
        let core = self.core();
        let fleet = &core.fleet;
        let (rows, values) = fleet.totals();
        Figures {
            ingest_rows: signed(rows),
            ingest_values: signed(values),
            // Unknown before the first commit, and without a history.
            commit_us: if commit_us > 0 {
                signed(commit_us)
            } else {
                ABSENT
            },
            ring_bytes: signed(fleet.ring_size().0),
            unsealed_bytes: signed(fleet.head_bytes()),
            history_bytes: signed(history_bytes),
            damaged_histories,
            subscribers: signed(self.subscribers.get()),
            agents: signed(self.agents.get()),
            outdated_agents: outdated_agents(fleet, VERSION),
            refused: signed(self.refused.load(Ordering::Relaxed)),
            datagrams_dropped: self.port.and_then(datagrams_dropped).unwrap_or(ABSENT),
            otlp_points: signed(otlp_points),
            otlp_rejected: signed(otlp_rejected),
            lag_ms: largest_lag_ms(fleet, self.now()),
            cpu_us: cpu_us().unwrap_or(ABSENT),
            resident_bytes: resident_bytes().unwrap_or(ABSENT),
        }
    }
}

/// Rows of a whole second have arrived this much later; what is missing then is late.
const ARRIVAL_MS: i64 = 500;

pub(super) async fn record(hub: &Hub) {
    let Err(error) = record_every_second(hub).await;
    tracing::warn!(%error, "the hub's own figures are no longer recorded");
    std::future::pending::<()>().await;
}

async fn record_every_second(hub: &Hub) -> Result<Infallible, IngestError> {
    let run = RunId(hub.random.u64());
    let mut log = LimitLog::default();
    let mut recorder = hub.update(|core| Recorder::start(core, &hub.name, run, hub.now()))?;
    loop {
        let left = INTERVAL_MS - (hub.now().0 - ARRIVAL_MS).rem_euclid(INTERVAL_MS);
        tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
        let (figures, limits) = (hub.figures(), hub.enforced_limits());
        let exports: Vec<_> = hub.exports().iter().map(ExportState::line).collect();
        hub.update(|core| recorder.record(core, &figures, &limits, &exports, hub.now()))?;
        log_limits(&mut log, &hub.limits(), hub.now());
    }
}

fn log_limits(log: &mut LimitLog, limits: &[HostLimit], now: UnixMs) {
    for HostLimit { host, state } in log.due(limits, now) {
        let host = host.as_ref().map(Label::as_str);
        let (limit, max, current) = (state.name.as_str(), state.max, state.current);
        let reached_total = state.reached_total;
        tracing::warn!(host, limit, max, current, reached_total, "limit reached");
    }
}

fn cpu_us() -> Option<i64> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)
    }
    #[cfg(not(unix))]
    None
}

/// What the kernel dropped of the datagrams to a local port, since its socket was opened.
fn datagrams_dropped(port: u16) -> Option<i64> {
    // proc_net_udp: the last column is sk_drops.
    let read = |path| std::fs::read_to_string(path).ok();
    let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(read);
    let found = tables
        .iter()
        .flatten()
        .filter_map(|table| dropped_of(table, port));
    found.reduce(i64::saturating_add)
}

fn dropped_of(table: &str, port: u16) -> Option<i64> {
    let of_line = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let (_, local) = columns.nth(1)?.rsplit_once(':')?;
        let (_, remote) = columns.next()?.rsplit_once(':')?;
        let is_ours = u16::from_str_radix(local, 16) == Ok(port) && remote == "0000";
        is_ours.then(|| columns.next_back()?.parse().ok())?
    };
    table
        .lines()
        .skip(1)
        .filter_map(of_line)
        .reduce(i64::saturating_add)
}

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

    #[test]
    fn dropped_datagrams_are_those_of_the_socket_that_listens_on_the_port() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1044: 0100007F:D2B1 00000000:0000 07 00000000:00000000 00:00000000 00000000  0  0 61512 2 00000000d0b1b5ab 69245\n\
            1045: 0100007F:D2B1 0200007F:1F90 07 00000000:00000000 00:00000000 00000000  0  0 61513 2 00000000d0b1b5ac 7\n\
            1046: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000  0  0 61514 2 00000000d0b1b5ad 8\n";
        assert_eq!(dropped_of(table, 53_937), Some(69_245));
        assert_eq!(dropped_of(table, 8_080), Some(8));
        assert_eq!(dropped_of(table, 1), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn datagrams_that_find_the_buffer_full_are_counted() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(datagrams_dropped(address.port()), Some(0));
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..1_000 {
            sender.send_to(&[0; 1_200], address).unwrap();
        }
        assert!(datagrams_dropped(address.port()) > Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_measured() {
        assert!(cpu_us() > Some(0) && resident_bytes() > Some(1 << 20));
    }
}
