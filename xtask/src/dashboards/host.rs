//! Everything that is measured of a host.

use sysmon_wire::metrics::*;

use super::Lines;
use super::lines::of;
use super::model::{Dashboard, Row, Variable, chart, closed, hosts_and, row, stacked};

const DIRECTION: &str = "network.io.direction";
const INTERFACE: &str = "network.interface.name";
const DISK_WAY: &str = "disk.io.direction";
const DISK: &str = "system.device";
const MOUNTPOINT: &str = "system.filesystem.mountpoint";

pub(super) fn host() -> Dashboard {
    let devices = [
        (
            "interface",
            "Interface",
            NET_IO,
            INTERFACE,
            "system.network.",
        ),
        ("disk", "Disk", DISK_IO, DISK, "system.disk."),
        (
            "mountpoint",
            "Filesystem",
            FS_UTILIZATION,
            MOUNTPOINT,
            "system.filesystem.",
        ),
    ];
    let device = |(name, label, metric, attribute, prefix)| Variable {
        name,
        label,
        lines: of(metric).by(attribute),
        attribute: Some(attribute),
        prefix,
    };
    Dashboard {
        id: "host",
        title: "Host",
        about: "Everything that is measured of the chosen hosts",
        variables: hosts_and(devices.map(device).into()),
        rows: vec![
            processor(),
            memory(),
            pressure(),
            disks(),
            filesystems(),
            network(),
            protocols(),
            sensors(),
            disk_health(),
            containers(),
            checks(),
            system(),
        ],
    }
}

/// Lines of each interface in both directions.
fn interface(metric: Metric) -> Lines {
    of(metric).by(INTERFACE).by(DIRECTION)
}

/// Lines of each disk in both directions.
fn disk(metric: Metric) -> Lines {
    of(metric).by(DISK).by(DISK_WAY)
}

fn filesystem(metric: Metric) -> Lines {
    of(metric).by(MOUNTPOINT)
}

fn processor() -> Row {
    row(
        "Processor",
        vec![
            chart("Processor", [of(CPU_UTILIZATION)]),
            stacked(
                "Processor by mode",
                [of(CPU_UTILIZATION)
                    .by("cpu.mode")
                    .without("cpu.logical_number")],
            ),
            chart(
                "Single processors",
                [of(CPU_UTILIZATION)
                    .by("cpu.logical_number")
                    .without("cpu.mode")],
            ),
            chart(
                "Load",
                [
                    of(LOAD_1M).named("1 min"),
                    of(LOAD_5M).named("5 min"),
                    of(LOAD_15M).named("15 min"),
                    of(CPU_COUNT).named("processors"),
                ],
            ),
            chart("Frequency", [of(CPU_FREQUENCY).by("cpu.logical_number")]),
            chart(
                "Processes",
                [
                    of(PROCESS_COUNT).named("all"),
                    of(PROCESS_COUNT).by("process.state"),
                ],
            ),
            chart(
                "Switches and interrupts",
                [
                    of(CONTEXT_SWITCHES).named("context switches"),
                    of(INTERRUPTS).named("interrupts"),
                ],
            ),
            chart("Processes created", [of(PROCESSES_CREATED)]),
        ],
    )
}

fn memory() -> Row {
    row(
        "Memory",
        vec![
            chart("Memory in use", [of(MEMORY_UTILIZATION)]),
            stacked(
                "Memory by state",
                [of(MEMORY_USAGE).by("system.memory.state")],
            ),
            chart(
                "Memory that is available",
                [
                    of(MEMORY_AVAILABLE).named("available"),
                    of(MEMORY_LIMIT).named("all"),
                ],
            ),
            chart(
                "Memory to be written",
                [
                    of(MEMORY_DIRTY).named("dirty"),
                    of(MEMORY_WRITEBACK).named("being written"),
                ],
            ),
            chart(
                "Memory promised and shared",
                [
                    of(MEMORY_COMMITTED).named("committed"),
                    of(MEMORY_SHARED).named("shared"),
                ],
            ),
            chart(
                "Memory of the kernel",
                [
                    of(MEMORY_SLAB).by("linux.memory.slab.state").named("slab"),
                    of(MEMORY_HUGEPAGES)
                        .by("system.memory.state")
                        .named("huge pages"),
                    of(MEMORY_ZSWAP).named("compressed swap"),
                ],
            ),
            chart("Swap in use", [of(PAGING_UTILIZATION)]),
            chart(
                "Swap by state",
                [
                    of(PAGING_USAGE).by("system.paging.state"),
                    of(PAGING_LIMIT).named("all"),
                ],
            ),
            chart(
                "Paging",
                [of(PAGING_OPERATIONS)
                    .by("system.paging.direction")
                    .named("pages")],
            ),
            chart(
                "Page faults",
                [of(PAGING_FAULTS).by("system.paging.fault.type")],
            ),
            chart("Processes killed because memory ran out", [of(OOM_KILLS)]),
        ],
    )
}

fn pressure() -> Row {
    let some = |resource| {
        of(PRESSURE_TIME)
            .with("linux.pressure.resource", resource)
            .with("linux.pressure.scope", "some")
    };
    row(
        "Pressure",
        vec![
            chart("A task waited for a processor", [some("cpu").named("")]),
            chart("A task waited for memory", [some("memory").named("")]),
            chart("A task waited for disks", [some("io").named("")]),
            chart(
                "All tasks waited",
                [of(PRESSURE_TIME)
                    .by("linux.pressure.resource")
                    .with("linux.pressure.scope", "full")],
            ),
        ],
    )
}

fn disks() -> Row {
    closed(
        "Disks",
        vec![
            chart(
                "All disks",
                ["read", "write"].map(|way| of(DISK_IO).with(DISK_WAY, way)),
            ),
            chart("Bytes", [disk(DISK_IO)]),
            chart("Operations", [disk(DISK_OPERATIONS)]),
            chart("Time busy", [of(DISK_IO_TIME).by(DISK)]),
            chart("Time in operations", [disk(DISK_OPERATION_TIME)]),
            chart(
                "Time weighted by operations in flight",
                [of(DISK_WEIGHTED_IO_TIME).by(DISK)],
            ),
            chart("Operations in flight", [of(DISK_PENDING).by(DISK)]),
            chart("Merged operations", [disk(DISK_MERGED)]),
            chart("Errors of disks", [of(DISK_ERRORS).by(DISK)]),
            chart("Disks missing from arrays", [of(RAID_MISSING).by(DISK)]),
        ],
    )
}

fn filesystems() -> Row {
    closed(
        "Filesystems",
        vec![
            chart("Filesystems in use", [filesystem(FS_UTILIZATION)]),
            chart(
                "Space",
                [
                    filesystem(FS_USAGE).by("system.filesystem.state"),
                    filesystem(FS_LIMIT).named("all"),
                ],
            ),
            chart(
                "Inodes",
                [
                    filesystem(FS_INODES_USAGE).by("system.filesystem.state"),
                    filesystem(FS_INODES_LIMIT).named("all"),
                ],
            ),
            chart("Read-only", [filesystem(FS_READ_ONLY)]),
            chart("Not answering", [filesystem(FS_UNREACHABLE)]),
            chart("Errors of filesystems", [of(FS_ERRORS).by(DISK)]),
        ],
    )
}

fn network() -> Row {
    closed(
        "Network",
        vec![
            chart(
                "All interfaces",
                ["receive", "transmit"].map(|way| of(NET_IO).with(DIRECTION, way)),
            ),
            chart("Bytes of interfaces", [interface(NET_IO)]),
            chart("Packets", [interface(NET_PACKETS)]),
            chart("Errors of interfaces", [interface(NET_ERRORS)]),
            chart("Packets dropped", [interface(NET_DROPPED)]),
            chart("Link speed", [of(NET_SPEED).by(INTERFACE)]),
            chart("Link up", [of(NET_UP).by(INTERFACE)]),
        ],
    )
}

fn protocols() -> Row {
    closed(
        "Protocols",
        vec![
            chart(
                "Sockets",
                [of(NET_CONNECTIONS)
                    .by("network.transport")
                    .by("network.connection.state")],
            ),
            chart(
                "TCP segments",
                [
                    of(TCP_SEGMENTS).by(DIRECTION),
                    of(TCP_RETRANSMITS).named("retransmitted"),
                ],
            ),
            chart(
                "TCP connections",
                [
                    of(TCP_OPENS).by("network.tcp.side").named("opened"),
                    of(TCP_LISTEN_OVERFLOWS).named("lost to a full queue"),
                ],
            ),
            chart("UDP datagrams", [of(UDP_DATAGRAMS).by(DIRECTION)]),
            chart("UDP datagrams lost", [of(UDP_ERRORS)]),
        ],
    )
}

fn sensors() -> Row {
    let (sensor, gpu) = ("hw.name", "hw.id");
    closed(
        "Hardware",
        vec![
            chart(
                "Temperature",
                [
                    of(TEMPERATURE).by(sensor),
                    of(TEMPERATURE_LIMIT).by(sensor).named("critical"),
                ],
            ),
            chart("Hottest sensor", [of(TEMPERATURE)]),
            chart("Fans", [of(FAN_SPEED).by(sensor)]),
            chart(
                "Power",
                [
                    of(POWER).by(sensor),
                    of(ENERGY).by(sensor).named("processor"),
                ],
            ),
            chart("Batteries", [of(BATTERY_CHARGE).by(sensor)]),
            chart(
                "Batteries discharging",
                [of(BATTERY_DISCHARGING).by(sensor)],
            ),
            chart(
                "UPS",
                [
                    of(UPS_CHARGE).by(sensor).named("charge"),
                    of(UPS_LOAD).by(sensor).named("load"),
                ],
            ),
            chart("Runtime of the UPS", [of(UPS_RUNTIME).by(sensor)]),
            chart(
                "Input voltage of the UPS",
                [of(UPS_INPUT_VOLTAGE).by(sensor)],
            ),
            chart(
                "State of the UPS",
                [
                    of(UPS_REACHABLE).by(sensor).named("reachable"),
                    of(UPS_ON_BATTERY).by(sensor).named("on battery"),
                    of(UPS_LOW_BATTERY).by(sensor).named("low battery"),
                    of(UPS_REPLACE_BATTERY).by(sensor).named("replace battery"),
                ],
            ),
            chart("Graphics cards", [of(GPU_UTILIZATION).by(gpu)]),
            chart(
                "Memory of graphics cards",
                [
                    of(GPU_MEMORY_USAGE).by(gpu),
                    of(GPU_MEMORY_LIMIT).by(gpu).named("all"),
                ],
            ),
        ],
    )
}

fn disk_health() -> Row {
    let disk = |metric| of(metric).by(DISK);
    closed(
        "Health of disks",
        vec![
            chart(
                "Failing",
                [
                    disk(DISK_HEALTH_FAILING).named("failing"),
                    disk(DISK_HEALTH_SELF_TEST).named("self-test failed"),
                ],
            ),
            chart(
                "Life of disks",
                [
                    disk(DISK_HEALTH_WEAR).named("used"),
                    disk(DISK_HEALTH_SPARE).named("spare"),
                ],
            ),
            chart("Sectors that cannot be read", [disk(DISK_HEALTH_PENDING)]),
            chart("Sectors replaced", [disk(DISK_HEALTH_REALLOCATED)]),
            chart(
                "Errors that a disk could not correct",
                [
                    disk(DISK_HEALTH_UNCORRECTABLE).named("errors"),
                    disk(DISK_HEALTH_INTERFACE_ERRORS).named("on the way"),
                ],
            ),
            chart("Temperature of disks", [disk(DISK_HEALTH_TEMPERATURE)]),
            chart("Time switched on", [disk(DISK_HEALTH_POWER_ON)]),
        ],
    )
}

fn containers() -> Row {
    let container = |metric| of(metric).by("container.name");
    closed(
        "Containers",
        vec![
            chart(
                "Processors used by containers",
                [container(CONTAINER_CPU_TIME)],
            ),
            chart("Time throttled", [container(CONTAINER_CPU_THROTTLED)]),
            chart("Memory of containers", [container(CONTAINER_MEMORY_USAGE)]),
            chart(
                "Disks used by containers",
                [container(CONTAINER_DISK_IO).by(DISK_WAY)],
            ),
            chart("Processes of containers", [container(CONTAINER_PIDS)]),
            chart(
                "Containers whose memory ran out",
                [container(CONTAINER_OOM_KILLS)],
            ),
            chart(
                "State of containers",
                [
                    container(CONTAINER_RUNNING).named("running"),
                    container(CONTAINER_UNHEALTHY).named("unhealthy"),
                    container(CONTAINER_EXIT_CODE).named("exit code"),
                ],
            ),
            chart("Restarts of containers", [container(CONTAINER_RESTARTS)]),
        ],
    )
}

fn checks() -> Row {
    const NAME: &str = "sysmon.check.name";
    closed(
        "Checks",
        vec![
            chart("Up", [of(CHECK_UP).by(NAME)]),
            chart(
                "Duration",
                [of(CHECK_DURATION).by(NAME).by("sysmon.check.phase")],
            ),
            chart(
                "Certificates",
                [
                    of(CHECK_CERTIFICATE_EXPIRY).by(NAME),
                    of(CHECK_CERTIFICATE_EXPIRY_MIN).by(NAME),
                ],
            ),
            chart("Heartbeats", [of(HEARTBEAT_TIME).by(NAME)]),
        ],
    )
}

fn system() -> Row {
    let unit = "systemd.unit.name";
    closed(
        "System",
        vec![
            chart("Uptime", [of(UPTIME)]),
            chart("Users", [of(USERS)]),
            chart("Open files", [of(FILES_OPEN)]),
            chart("Entropy", [of(ENTROPY)]),
            chart(
                "systemd units",
                [
                    of(UNITS_FAILED).named("failed"),
                    of(UNITS_FAILED).by(unit).named("failed"),
                    of(UNITS_RESTARTING).named("restarting"),
                    of(UNITS_RESTARTING).by(unit).named("restarting"),
                ],
            ),
            chart(
                "Updates",
                [
                    of(PACKAGE_UPDATES).named("all"),
                    of(PACKAGE_UPDATES)
                        .with("system.update.kind", "security")
                        .named("security"),
                ],
            ),
            chart(
                "Restart required",
                [
                    of(REBOOT_REQUIRED).named("for any reason"),
                    of(REBOOT_REQUIRED).by("system.reboot.reason"),
                ],
            ),
            chart("Watched units active", [of(UNIT_ACTIVE).by(unit)]),
            chart("Restarts of watched units", [of(UNIT_RESTARTS).by(unit)]),
            chart("Memory of watched units", [of(UNIT_MEMORY).by(unit)]),
            chart(
                "Processes of watched programs",
                [of(PROCESS_WATCHED).by("process.executable.name")],
            ),
            chart("Clock synchronised", [of(CLOCK_SYNCHRONIZED)]),
            chart("Error of the clock", [of(CLOCK_ERROR)]),
        ],
    )
}
