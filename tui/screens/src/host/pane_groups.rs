//! The tables of panes as data: which series make a row, and which columns it has.

use sysmon_wire::metrics::{
    BATTERY_CHARGE, CHECK_CERTIFICATE_EXPIRY, CHECK_DURATION, CHECK_UP, CONTAINER_CPU_THROTTLED,
    CONTAINER_CPU_TIME, CONTAINER_DISK_IO, CONTAINER_MEMORY_USAGE, CONTAINER_OOM_KILLS,
    CONTAINER_PIDS, CONTAINER_RESTARTS, CONTAINER_UNHEALTHY, DISK_HEALTH_FAILING,
    DISK_HEALTH_INTERFACE_ERRORS, DISK_HEALTH_PENDING, DISK_HEALTH_POWER_ON,
    DISK_HEALTH_REALLOCATED, DISK_HEALTH_SELF_TEST, DISK_HEALTH_SPARE, DISK_HEALTH_TEMPERATURE,
    DISK_HEALTH_UNCORRECTABLE, DISK_HEALTH_WEAR, DISK_IO, DISK_IO_TIME, DISK_OPERATIONS,
    DISK_PENDING, ENERGY, FAN_SPEED, FS_INODES_LIMIT, FS_INODES_USAGE, FS_LIMIT, FS_READ_ONLY,
    FS_UNREACHABLE, FS_USAGE, FS_UTILIZATION, GPU_MEMORY_LIMIT, GPU_MEMORY_USAGE, GPU_UTILIZATION,
    Metric, NET_DROPPED, NET_ERRORS, NET_IO, NET_PACKETS, NET_SPEED, POWER, PROCESS_WATCHED,
    TEMPERATURE, UNIT_ACTIVE, UNITS_FAILED, UNITS_RESTARTING, UPS_CHARGE, UPS_INPUT_VOLTAGE,
    UPS_LOAD, UPS_LOW_BATTERY, UPS_ON_BATTERY, UPS_REACHABLE, UPS_REPLACE_BATTERY, UPS_RUNTIME,
};

use super::state::Pane;
use crate::theme::Severity;

pub(super) type Attributes = &'static [(&'static str, &'static str)];

#[derive(Clone, Copy, Debug)]
pub(super) enum Show {
    /// A share as percent; warning and critical from these values on.
    Share(f64, f64),
    /// With a decimal prefix.
    Amount,
    /// Bytes with a binary prefix.
    Size,
    /// A counter since the host started.
    Total,
    /// With its unit behind it.
    Unit(&'static str),
    /// Seconds as milliseconds.
    Milliseconds,
    /// Seconds as days.
    Days,
    /// The first word, which is critical, if 0; the second otherwise.
    Either(&'static str, &'static str),
    /// Seconds as a span.
    Span,
    /// This word if not 0.
    Word(&'static str, Severity),
    /// This word if 0.
    WordWithout(&'static str, Severity),
}

impl Show {
    pub(super) fn width(self) -> usize {
        match self {
            Self::Share(..) | Self::Size => 7,
            Self::Milliseconds | Self::Days => 9,
            Self::Either(a, b) => a.len().max(b.len()) + 2,
            Self::Amount | Self::Total | Self::Span | Self::Unit(_) => 9,
            Self::Word(word, _) | Self::WordWithout(word, _) => word.len() + 2,
        }
    }
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) metric: Metric,
    pub(super) with: Attributes,
    pub(super) show: Show,
}

#[derive(Debug)]
pub(super) struct Group {
    /// There is a row for each value of this attribute among the series of this metric.
    pub(super) metric: Metric,
    pub(super) attribute: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) trend: (Metric, Attributes),
}

const fn column(title: &'static str, metric: Metric, with: Attributes, show: Show) -> Column {
    Column {
        title,
        metric,
        with,
        show,
    }
}

const NO: f64 = f64::INFINITY;
const READ: Attributes = &[("disk.io.direction", "read")];
pub(super) const WRITE: Attributes = &[("disk.io.direction", "write")];
const RECEIVE: Attributes = &[("network.io.direction", "receive")];
const TRANSMIT: Attributes = &[("network.io.direction", "transmit")];
const USED: Attributes = &[("system.filesystem.state", "used")];
const FREE: Attributes = &[("system.filesystem.state", "free")];

const READ_ONLY: Show = Show::Word("read-only", Severity::None);
const NO_ANSWER: Show = Show::Word("no answer", Severity::Critical);

const FILESYSTEMS: &[Group] = &[Group {
    metric: FS_UTILIZATION,
    attribute: "system.filesystem.mountpoint",
    columns: &[
        column("%", FS_UTILIZATION, &[], Show::Share(0.90, 0.97)),
        column("used", FS_USAGE, USED, Show::Size),
        column("free", FS_USAGE, FREE, Show::Size),
        column("of", FS_LIMIT, &[], Show::Size),
        column("inodes", FS_INODES_USAGE, USED, Show::Amount),
        column("of", FS_INODES_LIMIT, &[], Show::Amount),
        column("", FS_READ_ONLY, &[], READ_ONLY),
        column("", FS_UNREACHABLE, &[], NO_ANSWER),
    ],
    trend: (FS_UTILIZATION, &[]),
}];

const INTERFACES: &[Group] = &[Group {
    metric: NET_IO,
    attribute: "network.interface.name",
    columns: &[
        column("in/s", NET_IO, RECEIVE, Show::Amount),
        column("out/s", NET_IO, TRANSMIT, Show::Amount),
        column("pk in/s", NET_PACKETS, RECEIVE, Show::Amount),
        column("pk out/s", NET_PACKETS, TRANSMIT, Show::Amount),
        column("err in", NET_ERRORS, RECEIVE, Show::Total),
        column("err out", NET_ERRORS, TRANSMIT, Show::Total),
        column("drop in", NET_DROPPED, RECEIVE, Show::Total),
        column("drop out", NET_DROPPED, TRANSMIT, Show::Total),
        column("bit/s", NET_SPEED, &[], Show::Amount),
    ],
    trend: (NET_IO, RECEIVE),
}];

const DISKS: &[Group] = &[Group {
    metric: DISK_IO,
    attribute: "system.device",
    columns: &[
        column("read/s", DISK_IO, READ, Show::Amount),
        column("write/s", DISK_IO, WRITE, Show::Amount),
        column("reads/s", DISK_OPERATIONS, READ, Show::Amount),
        column("writes/s", DISK_OPERATIONS, WRITE, Show::Amount),
        column("busy %", DISK_IO_TIME, &[], Show::Share(0.9, NO)),
        column("waiting", DISK_PENDING, &[], Show::Amount),
    ],
    trend: (DISK_IO_TIME, &[]),
}];

const FAILING: Show = Show::Word("FAILING", Severity::Critical);
const TEST_FAILED: Show = Show::Word("test failed", Severity::Warning);

const DISK_HEALTH: &[Group] = &[Group {
    metric: DISK_HEALTH_FAILING,
    attribute: "system.device",
    columns: &[
        column("worn %", DISK_HEALTH_WEAR, &[], Show::Share(0.9, NO)),
        column("pending", DISK_HEALTH_PENDING, &[], Show::Amount),
        column("replaced", DISK_HEALTH_REALLOCATED, &[], Show::Total),
        column("errors", DISK_HEALTH_UNCORRECTABLE, &[], Show::Total),
        column("", DISK_HEALTH_FAILING, &[], FAILING),
        column("", DISK_HEALTH_SELF_TEST, &[], TEST_FAILED),
        column("spare %", DISK_HEALTH_SPARE, &[], Show::Share(NO, NO)),
        column("temp", DISK_HEALTH_TEMPERATURE, &[], Show::Unit("°C")),
        column("cable", DISK_HEALTH_INTERFACE_ERRORS, &[], Show::Total),
        column("on for", DISK_HEALTH_POWER_ON, &[], Show::Days),
    ],
    trend: (DISK_HEALTH_TEMPERATURE, &[]),
}];

macro_rules! sensor {
    ($metric:ident, $unit:literal) => {
        Group {
            metric: $metric,
            attribute: "hw.name",
            columns: &[column("value", $metric, &[], Show::Unit($unit))],
            trend: ($metric, &[]),
        }
    };
}

const SENSORS: &[Group] = &[
    sensor!(TEMPERATURE, "°C"),
    sensor!(FAN_SPEED, "rpm"),
    sensor!(POWER, "W"),
    // Joules a second are watts.
    sensor!(ENERGY, "W"),
    sensor!(BATTERY_CHARGE, "%"),
];

const UPSES: &[Group] = &[Group {
    metric: UPS_REACHABLE,
    attribute: "hw.name",
    columns: &[
        column("charge", UPS_CHARGE, &[], Show::Unit("%")),
        column("load %", UPS_LOAD, &[], Show::Share(0.9, 1.0)),
        column("lasts", UPS_RUNTIME, &[], Show::Span),
        column("", UPS_REACHABLE, &[], UNREACHABLE),
        column("", UPS_ON_BATTERY, &[], ON_BATTERY),
        column("", UPS_LOW_BATTERY, &[], BATTERY_LOW),
        column("", UPS_REPLACE_BATTERY, &[], BAD_BATTERY),
        column("input", UPS_INPUT_VOLTAGE, &[], Show::Unit("V")),
    ],
    trend: (UPS_CHARGE, &[]),
}];

const UNREACHABLE: Show = Show::WordWithout("no answer", Severity::Warning);
const ON_BATTERY: Show = Show::Word("on battery", Severity::Warning);
const BATTERY_LOW: Show = Show::Word("low", Severity::Critical);
const BAD_BATTERY: Show = Show::Word("bad battery", Severity::Warning);

const GPUS: &[Group] = &[Group {
    metric: GPU_UTILIZATION,
    attribute: "hw.id",
    columns: &[
        column("busy %", GPU_UTILIZATION, &[], Show::Share(NO, NO)),
        column("memory", GPU_MEMORY_USAGE, &[], Show::Size),
        column("of", GPU_MEMORY_LIMIT, &[], Show::Size),
        column("temp", TEMPERATURE, &[], Show::Unit("°C")),
        column("power", POWER, &[], Show::Unit("W")),
    ],
    trend: (GPU_UTILIZATION, &[]),
}];

const UNHEALTHY: Show = Show::Word("unhealthy", Severity::Warning);

const CONTAINERS: &[Group] = &[Group {
    metric: CONTAINER_MEMORY_USAGE,
    attribute: "container.name",
    columns: &[
        column("cpu %", CONTAINER_CPU_TIME, &[], Show::Share(NO, NO)),
        column("memory", CONTAINER_MEMORY_USAGE, &[], Show::Size),
        column("read/s", CONTAINER_DISK_IO, READ, Show::Amount),
        column("write/s", CONTAINER_DISK_IO, WRITE, Show::Amount),
        column("procs", CONTAINER_PIDS, &[], Show::Amount),
        column("held %", CONTAINER_CPU_THROTTLED, &[], Show::Share(0.1, NO)),
        column("killed", CONTAINER_OOM_KILLS, &[], Show::Total),
        column("", CONTAINER_UNHEALTHY, &[], UNHEALTHY),
        column("restarts", CONTAINER_RESTARTS, &[], Show::Total),
    ],
    trend: (CONTAINER_CPU_TIME, &[]),
}];

const FAILED: Show = Show::Word("failed", Severity::Warning);
const RESTARTING: Show = Show::Word("restarting", Severity::Warning);

const ACTIVE: Show = Show::Either("inactive", "active");
const RUNNING: Show = Show::Either("absent", "running");

const UNITS: &[Group] = &[
    Group {
        metric: UNITS_FAILED,
        attribute: "systemd.unit.name",
        columns: &[column("state", UNITS_FAILED, &[], FAILED)],
        trend: (UNITS_FAILED, &[]),
    },
    Group {
        metric: UNITS_RESTARTING,
        attribute: "systemd.unit.name",
        columns: &[column("state", UNITS_RESTARTING, &[], RESTARTING)],
        trend: (UNITS_RESTARTING, &[]),
    },
    Group {
        metric: UNIT_ACTIVE,
        attribute: "systemd.unit.name",
        columns: &[column("state", UNIT_ACTIVE, &[], ACTIVE)],
        trend: (UNIT_ACTIVE, &[]),
    },
    Group {
        metric: PROCESS_WATCHED,
        attribute: "process.executable.name",
        columns: &[column("state", PROCESS_WATCHED, &[], RUNNING)],
        trend: (PROCESS_WATCHED, &[]),
    },
];

const CHECKS: &[Group] = &[Group {
    metric: CHECK_UP,
    attribute: "sysmon.check.name",
    columns: &[
        column("state", CHECK_UP, &[], Show::Either("DOWN", "up")),
        column("took", CHECK_DURATION, &[], Show::Milliseconds),
        column("cert", CHECK_CERTIFICATE_EXPIRY, &[], Show::Days),
        column(
            "dns",
            CHECK_DURATION,
            &[("sysmon.check.phase", "dns")],
            Show::Milliseconds,
        ),
        column(
            "connect",
            CHECK_DURATION,
            &[("sysmon.check.phase", "connect")],
            Show::Milliseconds,
        ),
        column(
            "tls",
            CHECK_DURATION,
            &[("sysmon.check.phase", "tls")],
            Show::Milliseconds,
        ),
        column(
            "answer",
            CHECK_DURATION,
            &[("sysmon.check.phase", "first_byte")],
            Show::Milliseconds,
        ),
    ],
    trend: (CHECK_DURATION, &[]),
}];

pub(super) fn groups(pane: Pane) -> &'static [Group] {
    match pane {
        Pane::Filesystems => FILESYSTEMS,
        Pane::Interfaces => INTERFACES,
        Pane::Disks => DISKS,
        Pane::DiskHealth => DISK_HEALTH,
        Pane::Sensors => SENSORS,
        Pane::Ups => UPSES,
        Pane::Gpus => GPUS,
        Pane::Containers => CONTAINERS,
        Pane::Units => UNITS,
        Pane::Checks => CHECKS,
        _ => &[],
    }
}
