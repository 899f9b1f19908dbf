//! Requests of subscribers.

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::{Label, Process, UnixMs};

/// A subscriber's request; each opens a stream of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Status,
    Fleet {
        /// The moment to show; none for now, and then updates follow as hosts report.
        at: Option<UnixMs>,
        /// Sends only the first picture even if it is live.
        once: bool,
        /// Points of history for each of [`Request::Fleet::sparks`].
        spark_points: u16,
        /// Milliseconds one point of history stands for.
        spark_step_ms: u32,
        /// Places in [`crate::metrics::ALIASES`] to send history of.
        sparks: Vec<u8>,
    },
    Host {
        host: Label,
        /// The earliest row wanted.
        from: UnixMs,
        /// The latest; none to go on with live rows.
        until: Option<UnixMs>,
    },
    /// One metric over time; answered with [`Reply::Points`](super::Reply::Points).
    Query(Query),
    Processes {
        host: Label,
        /// The moment, of which those that used most are known; none for all of them, live.
        at: Option<UnixMs>,
    },
    /// Sample a host more often for a limited time; closing the stream ends it early.
    Burst {
        host: Label,
        interval_ms: u32,
        for_ms: u32,
    },
    /// Series and processes that changed.
    Changes {
        host: Option<Label>,
        /// The moment; none for now.
        at: Option<UnixMs>,
        /// The most changes wanted, at most [`crate::limits::CHANGES_MAX`].
        limit: u16,
    },
    /// Coverage and events of a time range.
    Timeline {
        host: Option<Label>,
        from: UnixMs,
        to: UnixMs,
        /// Into how many steps the time is cut, at most [`crate::limits::TIMELINE_STEPS_MAX`].
        steps: u16,
    },
    /// Renew the peer's certificate, with the same role and name; open to every role, and answered with
    /// `Reply::Renewed`.
    Renew {
        /// A signing request for its key (PKCS #10, DER).
        request: Blob,
    },
    /// The busiest processes of all hosts as one list.
    Top {
        host: Option<Label>,
        /// The moment; none for now, and then it follows again as hosts report, at most once a second.
        at: Option<UnixMs>,
        by: TopBy,
        /// The most processes wanted, at most [`crate::limits::TOP_MAX`].
        limit: u16,
        /// The most of each host; 0 for as many as there are.
        each: u16,
    },
    /// Firing alerts, notification routes and silences.
    Alerts,
    /// Acknowledge firing alerts; answered like [`Request::Alerts`].
    Acknowledge {
        /// Of which hosts: a name with `*` for any letters, or `#TAG`.
        host: Label,
        /// Of which rule: a name with `*` for any letters; of all if not set.
        rule: Option<Label>,
        note: Label,
    },
    /// Withdraw acknowledgements; answered like [`Request::Alerts`].
    Unacknowledge {
        host: Label,
        rule: Option<Label>,
    },
    /// Suppress notifications of matching alerts; answered like [`Request::Alerts`].
    Silence {
        /// `HOSTS`, `HOSTS:RULE` or `:RULE`.
        scope: Label,
        until: UnixMs,
        /// May be empty.
        reason: Label,
    },
    /// End a silence before its time; answered like [`Request::Alerts`].
    Unsilence {
        id: Label,
    },
}

/// The host that stands for the hub that is asked; with the hub's name after it, for that hub.
pub const HUB_HOST: &str = "hub:";

/// One metric over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// An alias or a full metric name.
    pub metric: Label,
    /// Only this host; all hosts if not set. [`HUB_HOST`] is the hub itself.
    pub host: Option<Label>,
    pub from: UnixMs,
    /// The last moment, inclusive.
    pub to: UnixMs,
    /// Milliseconds that one point stands for; at least 1.
    pub step_ms: i64,
    pub aggregate: Aggregate,
    pub group: Option<Group>,
    /// Only the series with the highest mean, at most so many; 0 for all.
    pub top: u16,
}

impl Query {
    /// The mean of every series of `metric` between two moments, a point each `step_ms`.
    pub fn new(metric: Label, from: UnixMs, to: UnixMs, step_ms: i64) -> Self {
        Self {
            metric,
            host: None,
            from,
            to,
            step_ms,
            aggregate: Aggregate::Mean,
            group: None,
            top: 0,
        }
    }
}

/// What processes are ranked by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopBy {
    #[default]
    Cpu,
    Memory,
    Disk,
}

impl TopBy {
    /// What a process uses of it.
    pub fn of(self, process: &Process) -> u64 {
        match self {
            Self::Cpu => u64::from(process.cpu_permille),
            Self::Memory => process.memory_bytes,
            Self::Disk => process
                .read_bytes_per_s
                .saturating_add(process.write_bytes_per_s),
        }
    }
}

/// How several series become one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Series that agree in these become one: names of attributes, or `host`. With none, all do.
    pub by: Vec<Label>,
    pub across: Aggregate,
}

/// How several values of a series become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregate {
    Mean,
    Min,
    Max,
    Last,
    Sum,
    /// What they add a second, on average.
    Rate,
    /// The value that so many thousandths of them are below.
    Quantile(u16),
}
