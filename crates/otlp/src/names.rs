//! Their names and ours: metrics and attributes of the Collector's hostmetrics receiver, of the semantic conventions, old
//! and new, and of the Python SDK's system metrics. Pure.

use sysmon_wire::metrics::{
    CPU_COUNT, CPU_FREQUENCY, CPU_UTILIZATION, DISK_IO, DISK_IO_TIME, DISK_MERGED,
    DISK_OPERATION_TIME, DISK_OPERATIONS, DISK_PENDING, DISK_WEIGHTED_IO_TIME, FS_INODES_USAGE,
    FS_LIMIT, FS_USAGE, FS_UTILIZATION, LOAD_1M, LOAD_5M, LOAD_15M, MEMORY_AVAILABLE, MEMORY_DIRTY,
    MEMORY_LIMIT, MEMORY_SHARED, MEMORY_USAGE, MEMORY_UTILIZATION, Metric, NET_CONNECTIONS,
    NET_DROPPED, NET_ERRORS, NET_IO, NET_PACKETS, PAGING_FAULTS, PAGING_OPERATIONS, PAGING_USAGE,
    PAGING_UTILIZATION, PROCESS_COUNT, PROCESSES_CREATED, UPTIME,
};

/// What is computed from a metric besides its own series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    /// Processor time: utilization follows from two readings, and the time itself is not kept.
    Cpu,
    Memory,
    MemoryLimit,
    MemoryShare,
    Swap,
    Processes,
    Network,
    Disk,
    Space,
    Inodes,
    Uptime,
}

/// What becomes of an attribute's values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    Same,
    Lower,
    /// Pairs of theirs and ours; others stay as they are.
    Renamed(&'static [(&'static str, &'static str)]),
    /// `cpu0` is processor 0.
    Cpu,
}

/// An attribute: what they call it, and what we do; left out of the series where `ours` is empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rename {
    pub(crate) theirs: &'static [&'static str],
    pub(crate) ours: &'static str,
    pub(crate) values: Values,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    names: &'static [&'static str],
    pub(crate) metric: Metric,
    pub(crate) attributes: &'static [Rename],
    pub(crate) role: Role,
}

const fn rename(theirs: &'static [&'static str], ours: &'static str, values: Values) -> Rename {
    Rename {
        theirs,
        ours,
        values,
    }
}

pub(crate) const CPU: &str = "cpu.logical_number";
pub(crate) const MODE: &str = "cpu.mode";
pub(crate) const MEMORY_STATE: &str = "system.memory.state";
pub(crate) const PAGING_STATE: &str = "system.paging.state";
pub(crate) const DEVICE: &str = "system.device";
pub(crate) const MOUNT: &str = "system.filesystem.mountpoint";
pub(crate) const SPACE_STATE: &str = "system.filesystem.state";
pub(crate) const PROCESS_STATE: &str = "process.state";
pub(crate) const INTERFACE: &str = "network.interface.name";
pub(crate) const NET_DIRECTION: &str = "network.io.direction";
pub(crate) const DISK_DIRECTION: &str = "disk.io.direction";

const CPU_ATTRIBUTES: &[Rename] = &[
    rename(&["cpu", "system.cpu.logical_number"], CPU, Values::Cpu),
    rename(
        &["state", "system.cpu.state"],
        MODE,
        Values::Renamed(&[("wait", "iowait"), ("irq", "interrupt")]),
    ),
];

const MEMORY_ATTRIBUTES: &[Rename] = &[rename(
    &["state"],
    MEMORY_STATE,
    Values::Renamed(&[("buffered", "buffers")]),
)];

const PAGING_ATTRIBUTES: &[Rename] = &[
    rename(&["state"], PAGING_STATE, Values::Same),
    rename(&["device"], DEVICE, Values::Same),
    rename(&["type"], "system.paging.fault.type", Values::Same),
    rename(
        &["direction"],
        "system.paging.direction",
        Values::Renamed(&[("page_in", "in"), ("page_out", "out")]),
    ),
];

const DISK_ATTRIBUTES: &[Rename] = &[
    rename(&["device"], DEVICE, Values::Same),
    rename(&["direction"], DISK_DIRECTION, Values::Same),
];

const NET_ATTRIBUTES: &[Rename] = &[
    rename(&["device", "system.device"], INTERFACE, Values::Same),
    rename(&["direction"], NET_DIRECTION, Values::Same),
    rename(&["protocol"], "network.transport", Values::Same),
    rename(&["state"], "network.connection.state", Values::Lower),
];

const SPACE_ATTRIBUTES: &[Rename] = &[
    rename(&["device"], DEVICE, Values::Same),
    rename(&["mountpoint"], MOUNT, Values::Same),
    rename(&["state"], SPACE_STATE, Values::Same),
    rename(&["type", "system.filesystem.type"], "", Values::Same),
    rename(&["mode", "system.filesystem.mode"], "", Values::Same),
];

const PROCESS_ATTRIBUTES: &[Rename] = &[rename(
    &["status", "process.status"],
    PROCESS_STATE,
    Values::Same,
)];

macro_rules! mappings {
    ($($role:ident $metric:ident $attributes:expr, $($name:literal)+;)*) => {
        &[$(Mapping {
            names: &[$($name),+],
            metric: $metric,
            attributes: $attributes,
            role: Role::$role,
        }),*]
    };
}

const MAPPINGS: &[Mapping] = mappings! {
    Cpu CPU_UTILIZATION CPU_ATTRIBUTES, "system.cpu.time";
    Plain CPU_UTILIZATION CPU_ATTRIBUTES, "system.cpu.utilization";
    Plain CPU_FREQUENCY CPU_ATTRIBUTES, "system.cpu.frequency";
    Plain CPU_COUNT &[], "system.cpu.logical.count";
    Plain LOAD_1M &[], "system.cpu.load_average.1m";
    Plain LOAD_5M &[], "system.cpu.load_average.5m";
    Plain LOAD_15M &[], "system.cpu.load_average.15m";
    Memory MEMORY_USAGE MEMORY_ATTRIBUTES, "system.memory.usage";
    MemoryLimit MEMORY_LIMIT &[], "system.memory.limit";
    MemoryShare MEMORY_UTILIZATION MEMORY_ATTRIBUTES, "system.memory.utilization";
    Plain MEMORY_AVAILABLE &[], "system.linux.memory.available" "system.memory.linux.available";
    Plain MEMORY_DIRTY &[], "system.linux.memory.dirty";
    Plain MEMORY_SHARED &[], "system.memory.linux.shared" "system.linux.memory.shared";
    Swap PAGING_USAGE PAGING_ATTRIBUTES, "system.paging.usage";
    Plain PAGING_UTILIZATION PAGING_ATTRIBUTES, "system.paging.utilization";
    Plain PAGING_FAULTS PAGING_ATTRIBUTES, "system.paging.faults";
    Plain PAGING_OPERATIONS PAGING_ATTRIBUTES, "system.paging.operations";
    Processes PROCESS_COUNT PROCESS_ATTRIBUTES, "system.processes.count" "system.process.count";
    Plain PROCESSES_CREATED &[], "system.processes.created" "system.process.created";
    Disk DISK_IO DISK_ATTRIBUTES, "system.disk.io";
    Plain DISK_OPERATIONS DISK_ATTRIBUTES, "system.disk.operations";
    Plain DISK_OPERATION_TIME DISK_ATTRIBUTES, "system.disk.operation_time" "system.disk.time";
    Plain DISK_IO_TIME DISK_ATTRIBUTES, "system.disk.io_time";
    Plain DISK_WEIGHTED_IO_TIME DISK_ATTRIBUTES, "system.disk.weighted_io_time";
    Plain DISK_MERGED DISK_ATTRIBUTES, "system.disk.merged";
    Plain DISK_PENDING DISK_ATTRIBUTES, "system.disk.pending_operations";
    Space FS_USAGE SPACE_ATTRIBUTES, "system.filesystem.usage";
    Plain FS_UTILIZATION SPACE_ATTRIBUTES, "system.filesystem.utilization";
    Plain FS_LIMIT SPACE_ATTRIBUTES, "system.filesystem.limit";
    Inodes FS_INODES_USAGE SPACE_ATTRIBUTES, "system.filesystem.inodes.usage";
    Network NET_IO NET_ATTRIBUTES, "system.network.io";
    Plain NET_PACKETS NET_ATTRIBUTES, "system.network.packets" "system.network.packet.count";
    Plain NET_ERRORS NET_ATTRIBUTES, "system.network.errors";
    Plain NET_DROPPED NET_ATTRIBUTES, "system.network.dropped" "system.network.packet.dropped" "system.network.dropped_packets";
    Plain NET_CONNECTIONS NET_ATTRIBUTES, "system.network.connections" "system.network.connection.count";
    Uptime UPTIME &[], "system.uptime";
};

/// What a metric is here; none if it is kept under its own name.
pub(crate) fn mapping(name: &str) -> Option<&'static Mapping> {
    MAPPINGS
        .iter()
        .find(|mapping| mapping.names.contains(&name))
}

/// By how much a value is multiplied that has their unit where ours is another of the same quantity.
pub(crate) fn factor(theirs: &str, ours: &str) -> f64 {
    match (theirs, ours) {
        ("ms", "s") => 1e-3,
        ("us", "s") => 1e-6,
        ("ns", "s") => 1e-9,
        ("min", "s") => 60.0,
        ("%", "1") => 0.01,
        ("KiBy", "By") => 1024.0,
        ("MiBy", "By") => 1_048_576.0,
        ("GiBy", "By") => 1_073_741_824.0,
        ("kBy", "By") => 1e3,
        ("MBy", "By") => 1e6,
        ("GBy", "By") => 1e9,
        ("MHz", "Hz") => 1e6,
        ("GHz", "Hz") => 1e9,
        _ => 1.0,
    }
}

/// Whether an interface carries no traffic that another does not count too: loopback, bridges, tunnels, and the ends of
/// containers and virtual machines. Only names arrive here; an agent asks the kernel.
pub(crate) fn is_virtual_interface(name: &str) -> bool {
    const KINDS: [&str; 30] = [
        "lo",
        "veth",
        "br-",
        "docker",
        "virbr",
        "vnet",
        "tun",
        "tap",
        "wg",
        "cali",
        "cilium",
        "lxc",
        "flannel",
        "cni",
        "cbr",
        "kube",
        "dummy",
        "bond",
        "team",
        "sit",
        "gre",
        "ipip",
        "vxlan",
        "tailscale",
        "zt",
        "utun",
        "awdl",
        "llw",
        "bridge",
        "br0",
    ];
    // A VLAN's traffic is its parent's.
    name.contains('.') || KINDS.iter().any(|kind| name.starts_with(kind))
}

/// Whether a disk is a file, in memory, or built from other disks.
pub(crate) fn is_derived_disk(name: &str) -> bool {
    const KINDS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "bcache", "drbd"];
    KINDS.iter().any(|kind| name.starts_with(kind))
}

/// Whether a disk is a partition of `disk`: `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
pub(crate) fn is_partition_of(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else {
        return false;
    };
    let rest = match disk.ends_with(|c: char| c.is_ascii_digit()) {
        true => rest.strip_prefix('p').unwrap_or(""),
        false => rest,
    };
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a type of filesystem stores nothing on a disk of its own, or is an image that is always full.
pub(crate) fn is_virtual_filesystem(kind: &str) -> bool {
    const KINDS: [&str; 24] = [
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fusectl",
        "hugetlbfs",
        "iso9660",
        "mqueue",
        "nsfs",
        "overlay",
        "proc",
        "pstore",
        "ramfs",
        "securityfs",
        "squashfs",
        "sysfs",
        "tmpfs",
    ];
    KINDS.contains(&kind) || kind == "tracefs" || kind == "erofs"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_of_their_names_means_one_metric() {
        let names: Vec<_> = MAPPINGS.iter().flat_map(|m| m.names).collect();
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(mapping("system.network.packets").is_some() && mapping("http.requests").is_none());
    }

    #[test]
    fn interfaces_and_disks_that_others_count_are_left_out_of_totals() {
        for name in [
            "lo", "lo0", "veth12ab", "docker0", "br-1f", "eth0.100", "tun0", "bond0",
        ] {
            assert!(is_virtual_interface(name), "{name}");
        }
        for name in ["eth0", "enp3s0", "wlan0", "en0", "Ethernet 2", "ib0"] {
            assert!(!is_virtual_interface(name), "{name}");
        }
        for (name, disk) in [
            ("sda1", "sda"),
            ("nvme0n1p2", "nvme0n1"),
            ("mmcblk0p1", "mmcblk0"),
        ] {
            assert!(is_partition_of(name, disk), "{name}");
        }
        for (name, disk) in [
            ("sda", "sda"),
            ("sdab", "sda"),
            ("nvme0n12", "nvme0n1"),
            ("sdb1", "sda"),
        ] {
            assert!(!is_partition_of(name, disk), "{name}");
        }
    }
}
