//! The metric registry: one table of everything sysmon measures by itself.
//!
//! Names follow the OpenTelemetry semantic conventions for system metrics; metrics that these lack have names in the same
//! style under `system.linux.`, `container.`, `hw.` or `sysmon.`. A series **without** a device attribute is the host's
//! total: all physical interfaces, all whole disks, the fullest filesystem, the hottest sensor.

use crate::{Kind, Label, MetricDef, SeriesKey};

/// A metric of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// OpenTelemetry name.
    pub name: &'static str,
    /// Unit in UCUM notation.
    pub unit: &'static str,
    /// Gauge or counter.
    pub kind: Kind,
    /// Decimal exponent of the stored integers.
    pub scale: i8,
    /// Description for people, in one line.
    pub about: &'static str,
}

impl Metric {
    /// The definition as it travels.
    pub fn def(&self) -> MetricDef {
        MetricDef {
            name: Label::new(self.name),
            unit: Label::new(self.unit),
            kind: self.kind,
            scale: self.scale,
        }
    }

    /// The series of this metric with these attributes.
    pub fn series(&self, attributes: &[(&str, &str)]) -> SeriesKey {
        let mut attributes: Vec<_> = attributes
            .iter()
            .map(|(n, v)| (Label::new(n), Label::new(v)))
            .collect();
        attributes.sort();
        SeriesKey {
            metric: self.def(),
            attributes,
        }
    }
}

macro_rules! registry {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $unit:literal, $kind:ident, $scale:literal, $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $id: Metric =
                Metric { name: $name, unit: $unit, kind: Kind::$kind, scale: $scale, about: $about };
        )*
        /// Every metric, in the order of the table.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

registry! {
    CPU_UTILIZATION = "system.cpu.utilization", "1", Gauge, -3, "Share of time busy (without `cpu.mode`) or in a mode (`cpu.mode`), over all processors or for one (`cpu.logical_number`)";
    CPU_FREQUENCY = "system.cpu.frequency", "Hz", Gauge, 6, "Current frequency of a processor (`cpu.logical_number`)";
    CPU_COUNT = "system.cpu.logical.count", "{cpu}", Gauge, 0, "Logical processors";
    LOAD_1M = "system.cpu.load_average.1m", "1", Gauge, -2, "Load average over one minute";
    LOAD_5M = "system.cpu.load_average.5m", "1", Gauge, -2, "Load average over five minutes";
    LOAD_15M = "system.cpu.load_average.15m", "1", Gauge, -2, "Load average over fifteen minutes";
    CONTEXT_SWITCHES = "system.linux.context_switches", "{switch}", Counter, 0, "Context switches";
    INTERRUPTS = "system.linux.interrupts", "{interrupt}", Counter, 0, "Interrupts served";
    PROCESSES_CREATED = "system.process.created", "{process}", Counter, 0, "Processes and threads created";
    PROCESS_COUNT = "system.process.count", "{process}", Gauge, 0, "Processes by `process.state` (running, blocked), or all";
    MEMORY_LIMIT = "system.memory.limit", "By", Gauge, 0, "Physical memory";
    MEMORY_USAGE = "system.memory.usage", "By", Gauge, 0, "Memory by `system.memory.state`: used, free, buffers, cached";
    MEMORY_UTILIZATION = "system.memory.utilization", "1", Gauge, -3, "Share of physical memory in use (not available)";
    MEMORY_AVAILABLE = "system.linux.memory.available", "By", Gauge, 0, "Memory available without swapping: the kernel's estimate, and what ZFS can give back of its read cache";
    MEMORY_DIRTY = "system.linux.memory.dirty", "By", Gauge, 0, "Memory waiting to be written to disk";
    MEMORY_WRITEBACK = "system.linux.memory.writeback", "By", Gauge, 0, "Memory being written to disk";
    MEMORY_SHARED = "system.memory.linux.shared", "By", Gauge, 0, "Memory in shared segments and tmpfs";
    MEMORY_SLAB = "system.linux.memory.slab.usage", "By", Gauge, 0, "Kernel slab memory by `linux.memory.slab.state`: reclaimable, unreclaimable";
    MEMORY_COMMITTED = "system.linux.memory.committed", "By", Gauge, 0, "Memory committed to processes";
    MEMORY_HUGEPAGES = "system.linux.memory.hugepages.usage", "By", Gauge, 0, "Huge pages by `system.memory.state`: used, free";
    MEMORY_ZSWAP = "system.linux.memory.zswap", "By", Gauge, 0, "Memory used by compressed swap";
    PAGING_LIMIT = "system.paging.limit", "By", Gauge, 0, "Swap space";
    PAGING_USAGE = "system.paging.usage", "By", Gauge, 0, "Swap by `system.paging.state`: used, free";
    PAGING_UTILIZATION = "system.paging.utilization", "1", Gauge, -3, "Share of swap in use";
    PAGING_FAULTS = "system.paging.faults", "{fault}", Counter, 0, "Page faults by `system.paging.fault.type`: minor, major";
    PAGING_OPERATIONS = "system.paging.operations", "{operation}", Counter, 0, "Pages swapped by `system.paging.direction`: in, out";
    OOM_KILLS = "system.linux.oom_kills", "{process}", Counter, 0, "Processes killed because memory ran out";
    PRESSURE_TIME = "system.linux.pressure.time", "s", Counter, -6, "Time stalled by `linux.pressure.resource` (cpu, memory, io) and `linux.pressure.scope` (some, full)";
    DISK_IO = "system.disk.io", "By", Counter, 0, "Bytes by `disk.io.direction` (read, write), of one disk (`system.device`) or of all, each byte once in any stack of disks";
    DISK_OPERATIONS = "system.disk.operations", "{operation}", Counter, 0, "Completed operations by `disk.io.direction`";
    DISK_OPERATION_TIME = "system.disk.operation_time", "s", Counter, -3, "Time spent in operations by `disk.io.direction`, summed over operations";
    DISK_MERGED = "system.disk.merged", "{operation}", Counter, 0, "Operations merged into others by `disk.io.direction`";
    DISK_IO_TIME = "system.disk.io_time", "s", Counter, -3, "Time a disk was busy";
    DISK_WEIGHTED_IO_TIME = "system.disk.weighted_io_time", "s", Counter, -3, "Time a disk was busy, weighted by operations in flight";
    DISK_PENDING = "system.disk.pending_operations", "{operation}", Gauge, 0, "Operations in flight";
    DISK_ERRORS = "system.linux.disk.errors", "{error}", Counter, 0, "Commands that failed on a SCSI or SATA disk (`system.device`), unsupported commands included";
    DISK_HEALTH_FAILING = "hw.physical_disk.failing", "1", Gauge, 0, "1 if a disk (`system.device`) says of itself that it fails (SMART)";
    DISK_HEALTH_SELF_TEST = "hw.physical_disk.self_test.failed", "1", Gauge, 0, "1 if the newest self-test of a disk found something";
    DISK_HEALTH_TEMPERATURE = "hw.physical_disk.temperature", "Cel", Gauge, -3, "Temperature of a disk as it says itself";
    DISK_HEALTH_WEAR = "hw.physical_disk.wear", "1", Gauge, -3, "Share of its life that a disk has used; more than 1 if it lives longer";
    DISK_HEALTH_SPARE = "hw.physical_disk.spare", "1", Gauge, -3, "Share of spare blocks that a disk has left";
    DISK_HEALTH_REALLOCATED = "hw.physical_disk.sectors.reallocated", "{sector}", Counter, 0, "Bad sectors that a disk has replaced";
    DISK_HEALTH_PENDING = "hw.physical_disk.sectors.pending", "{sector}", Gauge, 0, "Sectors that a disk could not read and will replace when they are written";
    DISK_HEALTH_UNCORRECTABLE = "hw.physical_disk.errors", "{error}", Counter, 0, "Errors that a disk could not correct";
    DISK_HEALTH_INTERFACE_ERRORS = "hw.physical_disk.interface_errors", "{error}", Counter, 0, "Errors on the way to a disk: cables and connectors";
    DISK_HEALTH_POWER_ON = "hw.physical_disk.power_on.time", "s", Gauge, 0, "Time that a disk was switched on";
    RAID_MISSING = "system.linux.raid.missing", "{disk}", Gauge, 0, "Disks missing from an array (`system.device`)";
    FS_ERRORS = "system.linux.filesystem.errors", "{error}", Counter, 0, "Errors that ext4 recorded on a device (`system.device`) since the last repair";
    FS_LIMIT = "system.filesystem.limit", "By", Gauge, 0, "Size of a filesystem, or of the datasets of a pool together";
    FS_USAGE = "system.filesystem.usage", "By", Gauge, 0, "Space by `system.filesystem.state`: used, free, reserved";
    FS_UTILIZATION = "system.filesystem.utilization", "1", Gauge, -3, "Share of a filesystem in use, as `df` shows it; without `system.filesystem.mountpoint` the highest of all writable ones";
    FS_INODES_LIMIT = "system.filesystem.inodes.limit", "{inode}", Gauge, 0, "Inodes of a filesystem";
    FS_INODES_USAGE = "system.filesystem.inodes.usage", "{inode}", Gauge, 0, "Inodes by `system.filesystem.state`: used, free";
    FS_READ_ONLY = "system.filesystem.read_only", "1", Gauge, 0, "1 where a filesystem is mounted read-only";
    FS_UNREACHABLE = "system.filesystem.unreachable", "1", Gauge, 0, "1 where a filesystem did not answer in time";
    NET_IO = "system.network.io", "By", Counter, 0, "Bytes by `network.io.direction` (receive, transmit), of one interface (`network.interface.name`) or of all, each byte once in any stack of interfaces";
    NET_PACKETS = "system.network.packet.count", "{packet}", Counter, 0, "Packets by `network.io.direction`";
    NET_ERRORS = "system.network.errors", "{error}", Counter, 0, "Network errors by `network.io.direction`";
    NET_DROPPED = "system.network.packet.dropped", "{packet}", Counter, 0, "Packets dropped by `network.io.direction`";
    NET_SPEED = "system.network.link.speed", "bit/s", Gauge, 6, "Negotiated speed of an interface";
    NET_UP = "system.network.link.up", "1", Gauge, 0, "1 where an interface has a carrier";
    NET_CONNECTIONS = "system.network.connection.count", "{connection}", Gauge, 0, "Sockets by `network.transport` and `network.connection.state`";
    TCP_SEGMENTS = "system.network.tcp.segments", "{segment}", Counter, 0, "TCP segments by `network.io.direction`";
    TCP_RETRANSMITS = "system.network.tcp.retransmits", "{segment}", Counter, 0, "TCP segments retransmitted";
    TCP_OPENS = "system.network.tcp.opens", "{connection}", Counter, 0, "TCP connections opened by `network.tcp.side`: active, passive";
    TCP_LISTEN_OVERFLOWS = "system.network.tcp.listen_overflows", "{connection}", Counter, 0, "TCP connections lost to a full accept queue";
    UDP_DATAGRAMS = "system.network.udp.datagrams", "{datagram}", Counter, 0, "UDP datagrams by `network.io.direction`";
    UDP_ERRORS = "system.network.udp.errors", "{error}", Counter, 0, "UDP datagrams lost to full buffers, bad checksums or closed ports";
    TEMPERATURE = "hw.temperature", "Cel", Gauge, -3, "Temperature of a sensor (`hw.name`), or of the hottest";
    TEMPERATURE_LIMIT = "hw.temperature.limit", "Cel", Gauge, -3, "Critical temperature that a sensor (`hw.name`) reports";
    FAN_SPEED = "hw.fan.speed", "rpm", Gauge, 0, "Speed of a fan (`hw.name`)";
    POWER = "hw.power", "W", Gauge, -6, "Power measured by a sensor (`hw.name`)";
    ENERGY = "hw.energy", "J", Counter, -6, "Energy used by a processor domain (`hw.name`)";
    BATTERY_CHARGE = "hw.battery.charge", "1", Gauge, -3, "Charge of a battery (`hw.name`)";
    BATTERY_DISCHARGING = "hw.battery.discharging", "1", Gauge, 0, "1 while a battery (`hw.name`) is discharging";
    UPS_REACHABLE = "hw.ups.reachable", "1", Gauge, 0, "1 while the agent learns the state of a UPS (`hw.name`), 0 while its program or its cable does not answer";
    UPS_ON_BATTERY = "hw.ups.on_battery", "1", Gauge, 0, "1 while a UPS (`hw.name`) feeds from its battery";
    UPS_LOW_BATTERY = "hw.ups.low_battery", "1", Gauge, 0, "1 while a UPS (`hw.name`) says that its battery is nearly empty";
    UPS_REPLACE_BATTERY = "hw.ups.replace_battery", "1", Gauge, 0, "1 while a UPS (`hw.name`) says that its battery needs to be replaced";
    UPS_CHARGE = "hw.ups.charge", "1", Gauge, -3, "Charge of the battery of a UPS (`hw.name`)";
    UPS_LOAD = "hw.ups.load", "1", Gauge, -3, "Load of a UPS (`hw.name`), as a share of what it can feed";
    UPS_RUNTIME = "hw.ups.runtime", "s", Gauge, 0, "Time that the battery of a UPS (`hw.name`) lasts with the present load, as the UPS estimates it";
    UPS_INPUT_VOLTAGE = "hw.ups.input.voltage", "V", Gauge, -1, "Voltage at the input of a UPS (`hw.name`)";
    GPU_UTILIZATION = "hw.gpu.utilization", "1", Gauge, -3, "Share of time a GPU (`hw.id`) was busy";
    GPU_MEMORY_LIMIT = "hw.gpu.memory.limit", "By", Gauge, 0, "Memory of a GPU (`hw.id`)";
    GPU_MEMORY_USAGE = "hw.gpu.memory.usage", "By", Gauge, 0, "Memory of a GPU (`hw.id`) in use";
    FILES_OPEN = "system.linux.file_handles.usage", "{file}", Gauge, 0, "Open file handles";
    ENTROPY = "system.linux.entropy", "bit", Gauge, 0, "Entropy available to the kernel";
    USERS = "system.user.count", "{user}", Gauge, 0, "Users logged in";
    UPTIME = "system.uptime", "s", Gauge, 0, "Time since the host or the container booted, by the kernel's clock";
    CLOCK_SYNCHRONIZED = "system.clock.synchronized", "1", Gauge, 0, "1 while the kernel's clock is synchronised with a time source";
    CLOCK_ERROR = "system.clock.error", "s", Gauge, -6, "Maximum error of the kernel's clock (the kernel's estimate)";
    PROCESS_IDENTITY = "sysmon.process.identity", "1", Gauge, 0, "Identity of the process at a rank (`sysmon.rank`) among the busiest; identities are sent with the rows";
    PROCESS_RANKED = "sysmon.process.ranked", "{process}", Gauge, 0, "How many of the processes that use most by `sysmon.process.measure` (cpu, memory, disk) have a rank, none left out";
    PROCESS_CPU = "process.cpu.utilization", "1", Gauge, -3, "Processor time of the process at a rank, as a share of one processor";
    PROCESS_MEMORY = "process.memory.usage", "By", Gauge, 0, "Resident memory of the process at a rank";
    PROCESS_DISK_RATE = "process.disk.rate", "By/s", Gauge, 0, "Bytes per second by `disk.io.direction` of the process at a rank";
    PROCESS_THREADS = "process.thread.count", "{thread}", Gauge, 0, "Threads of the process at a rank";
    CONTAINER_CPU_TIME = "container.cpu.time", "s", Counter, -6, "Processor time used by a container (`container.name`)";
    CONTAINER_CPU_THROTTLED = "container.cpu.throttled.time", "s", Counter, -6, "Time a container was throttled by its CPU limit";
    CONTAINER_MEMORY_USAGE = "container.memory.usage", "By", Gauge, 0, "Memory of a container without the file cache that the kernel reclaims first, as `docker stats` shows it";
    CONTAINER_DISK_IO = "container.disk.io", "By", Counter, 0, "Bytes by `disk.io.direction` of a container";
    CONTAINER_PIDS = "container.process.count", "{process}", Gauge, 0, "Processes of a container";
    CONTAINER_OOM_KILLS = "container.oom_kills", "{process}", Counter, 0, "Processes of a container killed because memory ran out";
    CONTAINER_RUNNING = "container.running", "1", Gauge, 0, "1 while a container (`container.name`) runs, as Docker or Podman says; 0 if it has stopped";
    CONTAINER_UNHEALTHY = "container.unhealthy", "1", Gauge, 0, "1 while the health check of a container fails";
    CONTAINER_RESTARTS = "container.restarts", "{restart}", Counter, 0, "Times that the engine started a container again by its restart policy; known of those that started within a minute";
    CONTAINER_EXIT_CODE = "container.exit_code", "1", Gauge, 0, "How a container ended that does not run";
    UNITS_FAILED = "systemd.unit.failed", "{unit}", Gauge, 0, "Failed systemd units: one (`systemd.unit.name`), or their number";
    UNITS_RESTARTING = "systemd.unit.restarting", "{unit}", Gauge, 0, "systemd units waiting for an automatic restart: one (`systemd.unit.name`), or their number";
    UNIT_ACTIVE = "systemd.unit.active", "1", Gauge, 0, "1 while a watched systemd unit (`systemd.unit.name`) is active";
    UNIT_RESTARTS = "systemd.unit.restarts", "{restart}", Counter, 0, "Times that systemd started a watched service again by itself";
    UNIT_MEMORY = "systemd.unit.memory.usage", "By", Gauge, 0, "Memory of a watched unit with its processes, as systemd counts it";
    PROCESS_WATCHED = "system.process.watched", "{process}", Gauge, 0, "Processes of a watched program (`process.executable.name`)";
    CHECK_UP = "sysmon.check.up", "1", Gauge, 0, "1 if a service answered as expected (`sysmon.check.name`), or if a heartbeat is on time";
    CHECK_DURATION = "sysmon.check.duration", "s", Gauge, -6, "Time until a service answered, or one `sysmon.check.phase` of it: dns, connect, tls, first_byte";
    CHECK_CERTIFICATE_EXPIRY = "sysmon.check.certificate.expiry", "s", Gauge, 0, "Time until the certificate of a service (`sysmon.check.name`) expires; negative if it has";
    CHECK_CERTIFICATE_EXPIRY_MIN = "sysmon.check.certificate.expiry.min", "s", Gauge, 0, "Time left below which the certificate of a service (`sysmon.check.name`) has to be renewed";
    HEARTBEAT_TIME = "sysmon.heartbeat.time", "s", Gauge, 0, "When a heartbeat (`sysmon.check.name`) was heard last, in seconds since 1970";
    PACKAGE_UPDATES = "system.package.update.count", "{package}", Gauge, 0, "Packages of which the package manager has a newer version: all, or of those by `system.update.kind` (security; with zypper these are patches)";
    REBOOT_REQUIRED = "system.reboot.required", "1", Gauge, 0, "1 while the host has to be restarted for its updates, or for one reason (`system.reboot.reason`: kernel, packages)";
    AGENT_SAMPLE_TIME = "sysmon.agent.sample.time", "s", Gauge, -6, "Time the agent needed for its last sample";
    AGENT_ROWS_DROPPED = "sysmon.agent.rows.dropped", "{row}", Counter, 0, "Rows the agent dropped because its spool was full";
    AGENT_SPOOL_ERRORS = "sysmon.agent.spool.errors", "{error}", Counter, 0, "Failed writes to the agent's spool on disk; the rows stayed in memory";
    AGENT_READ_ERRORS = "sysmon.agent.read.errors", "{error}", Counter, 0, "Sources that the agent failed to read or parse";
    LIMIT_REACHED = "sysmon.limit.reached", "{time}", Counter, 0, "Times that something was left out because of a limit (`limit`), of the agent or, for the host that stands for the hub, of the hub";
    EXPORT_LAG = "sysmon.export.lag", "s", Gauge, -3, "Age of the oldest row that a destination of the hub's exports (`sysmon.export.name`) lacks";
    EXPORT_ROWS = "sysmon.export.rows", "{row}", Counter, 0, "Rows sent to a destination (`sysmon.export.name`)";
    EXPORT_BYTES = "sysmon.export.bytes", "By", Counter, 0, "Bytes sent to a destination (`sysmon.export.name`)";
    EXPORT_REFUSED = "sysmon.export.refused", "{value}", Counter, 0, "Values that a destination (`sysmon.export.name`) refused for good";
    EXPORT_LOST = "sysmon.export.lost", "s", Counter, -3, "Seconds of hosts, added up, that a destination (`sysmon.export.name`) lacks and the history no longer has";
    HUB_INGEST_ROWS = "sysmon.hub.ingest.rows", "{row}", Counter, 0, "Rows ingested by the hub";
    HUB_INGEST_VALUES = "sysmon.hub.ingest.values", "{value}", Counter, 0, "Values in those rows";
    HUB_COMMIT_TIME = "sysmon.hub.commit.time", "s", Gauge, -6, "Duration of the hub's last commit to its history";
    HUB_RING_USAGE = "sysmon.hub.ring.usage", "By", Gauge, 0, "Memory used by the rows of all hosts";
    HUB_RING_UNSEALED = "sysmon.hub.ring.unsealed", "By", Gauge, 0, "Part of it used by rows that are not compressed yet";
    HUB_HISTORY_USAGE = "sysmon.hub.history.usage", "By", Gauge, 0, "Size of the hub's history on disk";
    HUB_HISTORY_DAMAGED = "sysmon.hub.history.damaged", "{file}", Gauge, 0, "Damaged histories that the hub moved aside; remove the files once you no longer need them";
    HUB_SUBSCRIBERS = "sysmon.hub.subscriber.count", "{subscription}", Gauge, 0, "Open subscriptions";
    HUB_HOSTS = "sysmon.hub.host.count", "{host}", Gauge, 0, "Hosts by `sysmon.host.state`: live, stale, offline";
    HUB_ALERTS = "sysmon.hub.alert.count", "{alert}", Gauge, 0, "Firing alerts by `sysmon.alert.severity`: warning, critical";
    FLEET_CPU_UTILIZATION = "sysmon.fleet.cpu.utilization", "1", Gauge, -3, "Mean of `system.cpu.utilization` over the live hosts of a hub";
    FLEET_NETWORK_RATE = "sysmon.fleet.network.rate", "By/s", Gauge, 0, "Traffic of the live hosts of a hub by `network.io.direction` (receive, transmit)";
    FLEET_DISK_RATE = "sysmon.fleet.disk.rate", "By/s", Gauge, 0, "Disk traffic of the live hosts of a hub by `disk.io.direction` (read, write)";
    HUB_AGENTS = "sysmon.hub.agent.count", "{agent}", Gauge, 0, "Connected agents";
    HUB_AGENTS_OUTDATED = "sysmon.hub.agent.outdated", "{agent}", Gauge, 0, "Live hosts whose agent is so old that the next release of the hub will not support it, or this one does not";
    HUB_REFUSED = "sysmon.hub.refused", "{refusal}", Counter, 0, "Connections, streams and requests refused by the hub";
    HUB_DATAGRAMS_DROPPED = "sysmon.hub.datagram.dropped", "{datagram}", Counter, 0, "Datagrams that the kernel dropped because the hub's receive buffer was full (Linux)";
    HUB_OTLP_POINTS = "sysmon.hub.otlp.points", "{point}", Counter, 0, "Points that the hub received as OTLP";
    HUB_OTLP_REJECTED = "sysmon.hub.otlp.rejected", "{point}", Counter, 0, "Points among them that could not be stored; the hub's log and the answer to their sender say why";
    HUB_LAG = "sysmon.hub.lag", "s", Gauge, -3, "Age of the newest row of the live host with the greatest delay";
    HUB_CPU_TIME = "sysmon.hub.cpu.time", "s", Counter, -6, "Processor time the hub used";
    HUB_MEMORY_USAGE = "sysmon.hub.memory.usage", "By", Gauge, 0, "Resident memory of the hub";
}

/// A short name for a frequently used series.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The short name: `net.rx`.
    pub alias: &'static str,
    /// The metric it stands for.
    pub metric: Metric,
    /// All attributes of the series, sorted by name.
    pub attributes: &'static [(&'static str, &'static str)],
}

/// The metrics whose series without attributes is the highest of the others, and says nothing that one of them does not.
const HIGHEST: [Metric; 2] = [FS_UTILIZATION, TEMPERATURE];

/// Whether a series is the highest of the other series of its metric, as the fullest filesystem is.
pub fn is_highest(key: &SeriesKey) -> bool {
    key.attributes.is_empty() && HIGHEST.iter().any(|m| key.metric.name == m.name)
}

/// How many of [`ALIASES`], from the first, make up a host's line in the fleet.
pub const SUMMARY: usize = 9;

macro_rules! aliases {
    ($($alias:literal = $metric:ident $({ $($name:literal: $value:literal),* })?;)*) => {
        /// Every alias; the first [`SUMMARY`] are what the fleet shows of a host.
        pub const ALIASES: &[Alias] = &[$(Alias {
            alias: $alias,
            metric: $metric,
            attributes: &[$($(($name, $value)),*)?],
        }),*];
    };
}

aliases! {
    "cpu" = CPU_UTILIZATION;
    "mem" = MEMORY_UTILIZATION;
    "load1" = LOAD_1M;
    "net.rx" = NET_IO { "network.io.direction": "receive" };
    "net.tx" = NET_IO { "network.io.direction": "transmit" };
    "disk.read" = DISK_IO { "disk.io.direction": "read" };
    "disk.write" = DISK_IO { "disk.io.direction": "write" };
    "fs.worst" = FS_UTILIZATION;
    "temp.max" = TEMPERATURE;
    "load5" = LOAD_5M;
    "load15" = LOAD_15M;
    "swap" = PAGING_UTILIZATION;
    "procs" = PROCESS_COUNT;
    "uptime" = UPTIME;
    "psi.cpu" = PRESSURE_TIME { "linux.pressure.resource": "cpu", "linux.pressure.scope": "some" };
    "psi.mem" = PRESSURE_TIME { "linux.pressure.resource": "memory", "linux.pressure.scope": "some" };
    "psi.io" = PRESSURE_TIME { "linux.pressure.resource": "io", "linux.pressure.scope": "some" };
    "updates.security" = PACKAGE_UPDATES { "system.update.kind": "security" };
}

impl Alias {
    /// Whether `key` is the series this alias stands for.
    pub fn is(&self, key: &SeriesKey) -> bool {
        key.metric.name == self.metric.name
            && key.attributes.len() == self.attributes.len()
            && key
                .attributes
                .iter()
                .zip(self.attributes)
                .all(|(a, b)| a.0 == b.0 && a.1 == b.1)
    }
}

/// The alias called `name`.
pub fn alias(name: &str) -> Option<&'static Alias> {
    ALIASES.iter().find(|alias| alias.alias == name)
}

/// The metric called `name`.
pub fn metric(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}

/// The real value of a scaled integer.
pub fn unscale(value: i64, scale: i8) -> f64 {
    // Dividing by an exact power of ten rounds once; multiplying by 0.001 would round twice.
    match scale {
        0 => value as f64,
        1.. => value as f64 * 10f64.powi(i32::from(scale)),
        _ => value as f64 / 10f64.powi(-i32::from(scale)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_aliases_are_unique_and_attributes_sorted() {
        let names: HashSet<_> = ALL.iter().map(|m| m.name).collect();
        assert_eq!(names.len(), ALL.len());
        let aliases: HashSet<_> = ALIASES.iter().map(|a| a.alias).collect();
        assert_eq!(aliases.len(), ALIASES.len());
        for alias in ALIASES {
            assert!(alias.attributes.is_sorted());
            assert!(
                alias.is(&alias.metric.series(alias.attributes)),
                "{}",
                alias.alias
            );
            assert!(!names.contains(alias.alias));
        }
    }

    #[test]
    fn values_are_unscaled_exactly() {
        assert_eq!(unscale(613, -3), 0.613);
        assert_eq!(unscale(2400, 6), 2.4e9);
    }
}
