//! Maps recorded series to those of the metric registry, or to custom ones.

use std::collections::HashMap;

use sysmon_wire::metrics::{
    CLOCK_ERROR, CLOCK_SYNCHRONIZED, CONTEXT_SWITCHES, DISK_IO, DISK_IO_TIME, DISK_MERGED,
    DISK_OPERATION_TIME, DISK_OPERATIONS, DISK_PENDING, DISK_WEIGHTED_IO_TIME, ENTROPY, FILES_OPEN,
    FS_INODES_LIMIT, FS_INODES_USAGE, FS_LIMIT, FS_READ_ONLY, FS_USAGE, INTERRUPTS, LOAD_1M,
    LOAD_5M, LOAD_15M, MEMORY_AVAILABLE, MEMORY_COMMITTED, MEMORY_DIRTY, MEMORY_LIMIT,
    MEMORY_SHARED, MEMORY_SLAB, MEMORY_USAGE, MEMORY_WRITEBACK, MEMORY_ZSWAP, Metric, NET_DROPPED,
    NET_ERRORS, NET_IO, NET_PACKETS, NET_UP, OOM_KILLS, PAGING_FAULTS, PAGING_LIMIT,
    PAGING_OPERATIONS, PAGING_USAGE, PRESSURE_TIME, PROCESS_COUNT, PROCESSES_CREATED,
    TCP_LISTEN_OVERFLOWS, TCP_OPENS, TCP_RETRANSMITS, TCP_SEGMENTS, UDP_DATAGRAMS, UDP_ERRORS,
};
use sysmon_wire::{Kind, Label, MetricDef, SeriesKey};

use crate::recording::{Recording, Series};

type Attributes = &'static [(&'static str, &'static str)];

const VDA: (&str, &str) = ("system.device", "vda");
const READ: (&str, &str) = ("disk.io.direction", "read");
const WRITE: (&str, &str) = ("disk.io.direction", "write");
const ETH0: (&str, &str) = ("network.interface.name", "eth0");
const RECEIVE: (&str, &str) = ("network.io.direction", "receive");
const TRANSMIT: (&str, &str) = ("network.io.direction", "transmit");
const ROOT: (&str, &str) = ("system.filesystem.mountpoint", "/");

const fn memory(state: &'static str) -> (&'static str, &'static str) {
    ("system.memory.state", state)
}

/// Recorded series with a counterpart in the registry. The machine had one disk and one interface, so their bytes
/// are the totals of the host.
#[rustfmt::skip]
const KNOWN: &[(&str, Metric, Attributes)] = &[
    ("node_context_switches_total", CONTEXT_SWITCHES, &[]),
    ("node_disk_io_now{device=\"vda\"}", DISK_PENDING, &[VDA]),
    ("node_disk_io_time_seconds_total{device=\"vda\"}", DISK_IO_TIME, &[VDA]),
    ("node_disk_io_time_weighted_seconds_total{device=\"vda\"}", DISK_WEIGHTED_IO_TIME, &[VDA]),
    ("node_disk_read_bytes_total{device=\"vda\"}", DISK_IO, &[READ]),
    ("node_disk_read_time_seconds_total{device=\"vda\"}", DISK_OPERATION_TIME, &[READ, VDA]),
    ("node_disk_reads_completed_total{device=\"vda\"}", DISK_OPERATIONS, &[READ, VDA]),
    ("node_disk_reads_merged_total{device=\"vda\"}", DISK_MERGED, &[READ, VDA]),
    ("node_disk_write_time_seconds_total{device=\"vda\"}", DISK_OPERATION_TIME, &[WRITE, VDA]),
    ("node_disk_writes_completed_total{device=\"vda\"}", DISK_OPERATIONS, &[WRITE, VDA]),
    ("node_disk_writes_merged_total{device=\"vda\"}", DISK_MERGED, &[WRITE, VDA]),
    ("node_disk_written_bytes_total{device=\"vda\"}", DISK_IO, &[WRITE]),
    ("node_entropy_available_bits", ENTROPY, &[]),
    ("node_filefd_allocated", FILES_OPEN, &[]),
    ("node_filesystem_files{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"}", FS_INODES_LIMIT, &[ROOT]),
    ("node_filesystem_files_free{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"}", FS_INODES_USAGE, &[ROOT, ("system.filesystem.state", "free")]),
    ("node_filesystem_free_bytes{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"}", FS_USAGE, &[ROOT, ("system.filesystem.state", "free")]),
    ("node_filesystem_readonly{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"}", FS_READ_ONLY, &[ROOT]),
    ("node_filesystem_size_bytes{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"/\"}", FS_LIMIT, &[ROOT]),
    ("node_forks_total", PROCESSES_CREATED, &[]),
    ("node_intr_total", INTERRUPTS, &[]),
    ("node_load1", LOAD_1M, &[]),
    ("node_load15", LOAD_15M, &[]),
    ("node_load5", LOAD_5M, &[]),
    ("node_memory_Buffers_bytes", MEMORY_USAGE, &[memory("buffers")]),
    ("node_memory_Cached_bytes", MEMORY_USAGE, &[memory("cached")]),
    ("node_memory_Committed_AS_bytes", MEMORY_COMMITTED, &[]),
    ("node_memory_Dirty_bytes", MEMORY_DIRTY, &[]),
    ("node_memory_MemAvailable_bytes", MEMORY_AVAILABLE, &[]),
    ("node_memory_MemFree_bytes", MEMORY_USAGE, &[memory("free")]),
    ("node_memory_MemTotal_bytes", MEMORY_LIMIT, &[]),
    ("node_memory_SReclaimable_bytes", MEMORY_SLAB, &[("linux.memory.slab.state", "reclaimable")]),
    ("node_memory_SUnreclaim_bytes", MEMORY_SLAB, &[("linux.memory.slab.state", "unreclaimable")]),
    ("node_memory_Shmem_bytes", MEMORY_SHARED, &[]),
    ("node_memory_SwapFree_bytes", PAGING_USAGE, &[("system.paging.state", "free")]),
    ("node_memory_SwapTotal_bytes", PAGING_LIMIT, &[]),
    ("node_memory_Writeback_bytes", MEMORY_WRITEBACK, &[]),
    ("node_memory_Zswap_bytes", MEMORY_ZSWAP, &[]),
    ("node_netstat_TcpExt_ListenOverflows", TCP_LISTEN_OVERFLOWS, &[]),
    ("node_netstat_Tcp_ActiveOpens", TCP_OPENS, &[("network.tcp.side", "active")]),
    ("node_netstat_Tcp_InSegs", TCP_SEGMENTS, &[RECEIVE]),
    ("node_netstat_Tcp_OutSegs", TCP_SEGMENTS, &[TRANSMIT]),
    ("node_netstat_Tcp_PassiveOpens", TCP_OPENS, &[("network.tcp.side", "passive")]),
    ("node_netstat_Tcp_RetransSegs", TCP_RETRANSMITS, &[]),
    ("node_netstat_Udp_InDatagrams", UDP_DATAGRAMS, &[RECEIVE]),
    ("node_netstat_Udp_InErrors", UDP_ERRORS, &[]),
    ("node_netstat_Udp_OutDatagrams", UDP_DATAGRAMS, &[TRANSMIT]),
    ("node_network_receive_bytes_total{device=\"eth0\"}", NET_IO, &[RECEIVE]),
    ("node_network_receive_drop_total{device=\"eth0\"}", NET_DROPPED, &[ETH0, RECEIVE]),
    ("node_network_receive_errs_total{device=\"eth0\"}", NET_ERRORS, &[ETH0, RECEIVE]),
    ("node_network_receive_packets_total{device=\"eth0\"}", NET_PACKETS, &[ETH0, RECEIVE]),
    ("node_network_transmit_bytes_total{device=\"eth0\"}", NET_IO, &[TRANSMIT]),
    ("node_network_transmit_drop_total{device=\"eth0\"}", NET_DROPPED, &[ETH0, TRANSMIT]),
    ("node_network_transmit_errs_total{device=\"eth0\"}", NET_ERRORS, &[ETH0, TRANSMIT]),
    ("node_network_transmit_packets_total{device=\"eth0\"}", NET_PACKETS, &[ETH0, TRANSMIT]),
    ("node_network_up{device=\"eth0\"}", NET_UP, &[ETH0]),
    ("node_pressure_cpu_waiting_seconds_total", PRESSURE_TIME, &[("linux.pressure.resource", "cpu"), ("linux.pressure.scope", "some")]),
    ("node_pressure_io_stalled_seconds_total", PRESSURE_TIME, &[("linux.pressure.resource", "io"), ("linux.pressure.scope", "full")]),
    ("node_pressure_io_waiting_seconds_total", PRESSURE_TIME, &[("linux.pressure.resource", "io"), ("linux.pressure.scope", "some")]),
    ("node_pressure_memory_stalled_seconds_total", PRESSURE_TIME, &[("linux.pressure.resource", "memory"), ("linux.pressure.scope", "full")]),
    ("node_pressure_memory_waiting_seconds_total", PRESSURE_TIME, &[("linux.pressure.resource", "memory"), ("linux.pressure.scope", "some")]),
    ("node_procs_blocked", PROCESS_COUNT, &[("process.state", "blocked")]),
    ("node_procs_running", PROCESS_COUNT, &[("process.state", "running")]),
    ("node_timex_maxerror_seconds", CLOCK_ERROR, &[]),
    ("node_timex_sync_status", CLOCK_SYNCHRONIZED, &[]),
    ("node_vmstat_oom_kill", OOM_KILLS, &[]),
    ("node_vmstat_pgmajfault", PAGING_FAULTS, &[("system.paging.fault.type", "major")]),
    ("node_vmstat_pswpin", PAGING_OPERATIONS, &[("system.paging.direction", "in")]),
    ("node_vmstat_pswpout", PAGING_OPERATIONS, &[("system.paging.direction", "out")]),
];

#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    pub(crate) key: SeriesKey,
    /// Converts recorded integers to the scale of the metric.
    pub(crate) factor: i64,
}

pub(crate) fn map_all(recording: &Recording) -> Vec<Mapped> {
    let defs = custom_defs(&recording.series);
    let name = |series: &Series| {
        let known = KNOWN.iter().find(|(name, ..)| *name == series.name);
        let key = match known {
            Some((_, metric, attributes)) if factor(metric.scale, series.decimals).is_some() => {
                metric.series(attributes)
            }
            _ => {
                let (name, labels) = split(&series.name);
                SeriesKey {
                    metric: defs
                        .get(name)
                        .cloned()
                        .unwrap_or_else(|| custom_def(name, series)),
                    attributes: attributes(labels),
                }
            }
        };
        let factor = factor(key.metric.scale, series.decimals).unwrap_or(1);
        Mapped { key, factor }
    };
    recording.series.iter().map(name).collect()
}

/// The factor from `decimals` to `scale`; none if that loses digits.
fn factor(scale: i8, decimals: u32) -> Option<i64> {
    let wanted = u32::try_from(-i32::from(scale)).ok()?;
    Some(10i64.pow(wanted.checked_sub(decimals)?))
}

/// Definitions by name: each name is one metric, with the most decimals of its series.
fn custom_defs(series: &[Series]) -> HashMap<&str, MetricDef> {
    let mut defs: HashMap<&str, MetricDef> = HashMap::new();
    for series in series {
        let (name, _) = split(&series.name);
        let new = custom_def(name, series);
        let def = defs.entry(name).or_insert_with(|| new.clone());
        def.scale = def.scale.min(new.scale);
        if new.kind == Kind::Counter {
            def.kind = Kind::Counter;
        }
    }
    defs
}

fn custom_def(name: &str, series: &Series) -> MetricDef {
    // Gauges of memory may happen to rise throughout the recording.
    let rises = series.is_counter && !name.starts_with("node_memory_");
    let unit = if name.contains("_bytes") {
        "By"
    } else if name.contains("_seconds") {
        "s"
    } else {
        "1"
    };
    MetricDef {
        name: Label::new(name),
        unit: Label::new(unit),
        kind: if rises || name.ends_with("_total") {
            Kind::Counter
        } else {
            Kind::Gauge
        },
        scale: i8::try_from(series.decimals).map_or(0, |decimals| -decimals),
    }
}

/// The name, and the text between the braces after it.
fn split(name: &str) -> (&str, &str) {
    let (name, labels) = name.split_once('{').unwrap_or((name, ""));
    (name, labels.strip_suffix('}').unwrap_or(labels))
}

/// Labels as attributes; those with an empty value are left out, as Prometheus does.
fn attributes(labels: &str) -> Vec<(Label, Label)> {
    let labels = labels.split_terminator("\",");
    let pairs = labels.filter_map(|label| label.split_once("=\""));
    let mut attributes: Vec<_> = pairs
        .map(|(name, value)| (name, value.trim_end_matches('"')))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (Label::new(name), Label::new(value)))
        .collect();
    attributes.sort();
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use sysmon_wire::SeriesTable;

    #[test]
    fn series_are_distinct_and_mapped_to_the_registry() {
        let recording = Recording::load().unwrap();
        let mapped = map_all(&recording);
        let keys: HashSet<_> = mapped.iter().map(|mapped| &mapped.key).collect();
        assert_eq!(keys.len(), 368);
        for (name, metric, attributes) in KNOWN {
            let at = recording.series.iter().position(|s| s.name == *name);
            let at = at.unwrap_or_else(|| panic!("{name} was not recorded"));
            assert_eq!(mapped[at].key, metric.series(attributes), "{name}");
        }
        // They survive the wire format.
        let table = SeriesTable::new(mapped.iter().map(|mapped| &mapped.key));
        let read_back = table.keys().unwrap();
        assert!(read_back.iter().eq(mapped.iter().map(|mapped| &mapped.key)));
        let metrics: HashSet<_> = keys.iter().map(|key| &key.metric).collect();
        let names: HashSet<_> = metrics.iter().map(|metric| &metric.name).collect();
        assert_eq!(metrics.len(), names.len(), "one definition per name");
    }

    #[test]
    fn labels_become_attributes() {
        let label = |text: &str| Label::new(text);
        let (name, labels) = split("m{b=\"x, y\",a=\"1\",c=\"\"}");
        assert_eq!(name, "m");
        assert_eq!(
            attributes(labels),
            [(label("a"), label("1")), (label("b"), label("x, y"))]
        );
        assert_eq!(attributes(split("m").1), []);
        assert_eq!(factor(-6, 2), Some(10_000));
        assert_eq!(factor(0, 2), None);
    }
}
