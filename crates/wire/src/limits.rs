//! Every limit on what a peer can make this program store or do, with its reason.

/// Bytes in one frame. The largest honest frame is a series table of [`SERIES_PER_HOST_MAX`]
/// entries at about 40 bytes each, or a reply of [`QUERY_POINTS_MAX`] points at 9.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Bytes in a [`crate::Label`]. Linux names have at most 255; command lines and mount points are cut.
pub const LABEL_BYTES_MAX: usize = 256;

/// Series of one host. A plain host has 150–400; a 256-core machine with many disks some 3,000.
pub const SERIES_PER_HOST_MAX: usize = 4096;

/// Series that one stream of rows may define from one `Begin` to the next: an agent begins again before devices that
/// came and went are so many.
pub const SERIES_PER_STREAM_MAX: usize = 4 * SERIES_PER_HOST_MAX;

/// Metrics one series table may define; the registry has about a hundred.
pub const METRICS_PER_TABLE_MAX: usize = 1024;

/// Attributes of one series; the registry's widest metric has three.
pub const ATTRIBUTES_PER_SERIES_MAX: usize = 8;

/// Rows in one frame: ten minutes at one a second, the length of a spool segment.
pub const ROWS_PER_FRAME_MAX: usize = 600;

/// Ranges a [`crate::SeqSet`] keeps. Each outage makes at most one hole, and holes close again.
pub const SEQ_RANGES_MAX: usize = 1024;

/// Hosts one hub serves: the size it is measured at.
pub const HOSTS_MAX: usize = 10_000;

/// Agent runs remembered per host for recognising repeated rows.
pub const RUNS_PER_HOST_MAX: usize = 64;

/// Points one query may return in total, over all its series.
pub const QUERY_POINTS_MAX: usize = 1_000_000;

/// Points in one reply frame, so that it stays far below [`FRAME_BYTES_MAX`].
pub const POINTS_PER_FRAME_MAX: usize = 50_000;

/// Points in one sparkline: as many as the widest terminal has cells.
pub const SPARK_POINTS_MAX: u16 = 512;

/// Hosts described in one fleet frame.
pub const HOSTS_PER_FRAME_MAX: usize = 100;

/// Milliseconds a row may lie ahead of the hub's clock before it is refused as from the future.
pub const FUTURE_MS_MAX: i64 = 60 * 60 * 1000;

/// Processes in one table, the busiest first: at 60 bytes each far below [`FRAME_BYTES_MAX`].
pub const PROCESSES_PER_TABLE_MAX: usize = 4096;

/// Arguments of processes in one message: a quarter of [`FRAME_BYTES_MAX`] with labels of maximum length.
pub const ARGUMENTS_PER_FRAME_MAX: usize = 1_000;

/// Busiest processes named by every row: five by each of three measures.
pub const RANKED_PROCESSES: usize = 15;

/// The shortest interval of a burst.
pub const BURST_INTERVAL_MS_MIN: u32 = 100;

/// Milliseconds a burst lasts at most.
pub const BURST_MS_MAX: u32 = 60_000;

/// Notes of one agent about what it cannot see.
pub const NOTES_PER_HOST_MAX: usize = 16;

/// Limits that one agent reports as reached, and that `status` lists of one host: more than an agent has.
pub const LIMITS_PER_HOST_MAX: usize = 32;

/// Limits in one status: at 100 bytes each far below [`FRAME_BYTES_MAX`].
pub const LIMITS_MAX: usize = 1_000;

/// Tags of one host: as many as an agent's configuration may have.
pub const TAGS_PER_HOST_MAX: usize = 16;

/// Processes in one top list: half of [`FRAME_BYTES_MAX`] with labels of maximum length.
pub const TOP_MAX: u16 = 500;

/// Changes in one answer: at 200 bytes each far below [`FRAME_BYTES_MAX`], and more than anybody reads.
pub const CHANGES_MAX: u16 = 1000;

/// Steps of one timeline: more than the widest terminal has cells.
pub const TIMELINE_STEPS_MAX: u16 = 1_024;

/// Events in one answer: at 100 bytes each far below [`FRAME_BYTES_MAX`]; of more, the newest.
pub const EVENTS_MAX: usize = 1_000;

/// Alerts in one reply.
pub const ALERTS_MAX: usize = 1_000;

/// Services that an edge shows: as many as a page can list.
pub const SERVICES_MAX: usize = 64;

/// Days of a service that are shown.
pub const SERVICE_DAYS: usize = 90;

/// Incidents that are shown, the newest.
pub const INCIDENTS_MAX: usize = 20;

/// Words about one incident.
pub const INCIDENT_UPDATES_MAX: usize = 30;
