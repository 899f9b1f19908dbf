//! Every message of the protocol.
//!
//! A connection begins with one *control* stream (bidirectional, opened by the client): [`Hello`]
//! up, [`Welcome`] down. Then, for an agent: [`ToAgent`] down and [`FromAgent`] up the control
//! stream, and rows as [`Push`] on streams of their own, one live and one for backfill. For a
//! subscriber: each [`Request`] opens a bidirectional stream, [`Reply`] frames come back on it,
//! and resetting the stream cancels the request.
//!
//! Compatibility: a variant, once released, never changes; new ones are added at the end and sent
//! only to peers whose minor version knows them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::alerts::Alerts;
use crate::timeline::Timeline;
use crate::{HostFacts, Label, Process, ProcessIdentity, SeriesTable, UnixMs};

/// Raw bytes, such as a row block.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

/// Identifies one run of one agent: a random number made when the agent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// What a client wants of the hub; each is open to certain roles only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Push rows of the host that the certificate names.
    Push,
    /// Read the fleet.
    View,
    /// Get a first certificate, with a token; open to those who have none.
    Join,
    /// Show an edge the redacted fleet: [`Reply::Fleet`] on a stream the hub opens.
    Mirror,
}

/// The first frame a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Minor version of the protocol the client speaks.
    pub minor: u16,
    /// Version of the client's program, for people.
    pub version: Label,
    /// What it wants.
    pub purpose: Purpose,
    /// The client's clock.
    pub now: UnixMs,
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// Come in.
    Accepted {
        /// Minor version both sides use from now on.
        minor: u16,
        /// Version of the hub's program, for people.
        version: Label,
        /// Name of the hub.
        name: Label,
        /// The hub's clock.
        now: UnixMs,
    },
    /// No, and why.
    Refused {
        /// The reason, for people.
        reason: Label,
    },
}

/// What a joining machine sends on the control stream after its welcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token's secret.
    pub secret: Blob,
    /// What it wants to be called, if the token names nobody.
    pub name: Label,
    /// A signing request for its key (PKCS #10, DER).
    pub request: Blob,
}

/// The answer to a [`JoinRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinReply {
    /// Its certificate.
    Granted {
        /// The authority's certificate, in PEM.
        authority: Blob,
        /// The certificate, in PEM.
        certificate: Blob,
    },
    /// No, and why.
    Refused {
        /// The reason, for people.
        reason: Label,
    },
}

/// What the hub tells an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Rows of `run` in these inclusive ranges are durable and can be forgotten.
    Ack {
        /// The run.
        run: RunId,
        /// Inclusive ranges of sequence numbers.
        ranges: Vec<(u64, u64)>,
    },
    /// Somebody looks at the host's processes: tell all of them with every sample for this long.
    WatchProcesses {
        /// Milliseconds; asked for again while somebody looks.
        for_ms: u32,
    },
    /// Sample more often for a while.
    Burst {
        /// Milliseconds between samples, at least [`crate::limits::BURST_INTERVAL_MS_MIN`].
        interval_ms: u32,
        /// Milliseconds it lasts, at most [`crate::limits::BURST_MS_MAX`].
        for_ms: u32,
    },
}

/// What an agent tells the hub beside its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// What the host is; sent first, and again when it changes.
    Facts(HostFacts),
    /// All processes at a moment, because [`ToAgent::WatchProcesses`] asked.
    Processes {
        /// The moment.
        time: UnixMs,
        /// By pid; those that use most if there are too many.
        processes: Vec<Process>,
    },
    /// What the agent cannot see and why, in words; sent when it changes.
    Notes(Vec<Label>),
}

/// Whether a stream of rows carries the present or the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Rows as they are taken.
    Live,
    /// Rows of an outage, or of an earlier run.
    Backfill,
}

/// A frame on a stream of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// Rows of this run follow. Forgets series and rows of whatever came before on the stream.
    Begin {
        /// The run.
        run: RunId,
        /// The lane.
        lane: Lane,
    },
    /// Further series of the run.
    Series(SeriesTable),
    /// Rows that go on from the last frame of rows.
    Rows(Blob),
    /// Rows of which the first is a keyframe.
    Keyframe(Blob),
    /// Processes that the next rows name by their [`ProcessIdentity::id`].
    Processes(Vec<ProcessIdentity>),
}

/// What a subscriber asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The hub's own state.
    Status,
    /// Every host's line.
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
    /// Every series of one host.
    Host {
        /// The host.
        host: Label,
        /// The earliest row wanted.
        from: UnixMs,
        /// The latest; none to go on with live rows.
        until: Option<UnixMs>,
    },
    /// One metric over time.
    Query {
        /// An alias or a full metric name.
        metric: Label,
        /// Of one host, or of all.
        host: Option<Label>,
        /// From this moment.
        from: UnixMs,
        /// Up to and including this one.
        to: UnixMs,
        /// Milliseconds one point stands for; at least 1.
        step_ms: i64,
        /// How the rows of one step become a point.
        aggregate: Aggregate,
    },
    /// A host's processes.
    Processes {
        /// The host.
        host: Label,
        /// The moment, of which those that used most are known; none for all of them, live.
        at: Option<UnixMs>,
    },
    /// Let a host sample more often for a while; closing the stream ends it before.
    Burst {
        /// The host.
        host: Label,
        /// Milliseconds between samples.
        interval_ms: u32,
        /// Milliseconds it lasts.
        for_ms: u32,
    },
    /// What is different from before; for hubs of minor version 2 or later.
    Changes {
        /// Of one host, or of all.
        host: Option<Label>,
        /// The moment; none for now.
        at: Option<UnixMs>,
        /// The most changes wanted, at most [`crate::limits::CHANGES_MAX`].
        limit: u16,
    },
    /// One metric over time, its series put together or chosen; for hubs of minor version 3 or later.
    /// Answered like [`Request::Query`].
    Select {
        /// An alias or a full metric name.
        metric: Label,
        /// Of one host, or of all.
        host: Option<Label>,
        /// From this moment.
        from: UnixMs,
        /// Up to and including this one.
        to: UnixMs,
        /// Milliseconds one point stands for; at least 1.
        step_ms: i64,
        /// How the rows of one step become a point.
        aggregate: Aggregate,
        /// How series become one; none to leave each as it is.
        group: Option<Group>,
        /// Only so many series, those that are highest on average; 0 for all.
        top: u16,
    },
    /// When there are rows, and what happened; for hubs of minor version 3 or later.
    Timeline {
        /// To one host, or to all.
        host: Option<Label>,
        /// From this moment.
        from: UnixMs,
        /// Up to this one.
        to: UnixMs,
        /// Into how many steps the time is cut, at most [`crate::limits::TIMELINE_STEPS_MAX`].
        steps: u16,
    },
    /// A new certificate for whoever asks, with the same role and name; open to every role, and answered with
    /// [`Reply::Renewed`]. For hubs of minor version 4 or later.
    Renew {
        /// A signing request for its key (PKCS #10, DER).
        request: Blob,
    },
    /// The busiest processes of all hosts as one list; for hubs of minor version 4 or later.
    Top {
        /// Of one host, or of all.
        host: Option<Label>,
        /// The moment; none for now, and then it follows again as hosts report, at most once a second.
        at: Option<UnixMs>,
        /// What the busiest are by.
        by: TopBy,
        /// The most processes wanted, at most [`crate::limits::TOP_MAX`].
        limit: u16,
    },
    /// What fires, and how it is told; for hubs of minor version 4 or later.
    Alerts,
    /// Whoever asks takes care of what fires; answered like [`Request::Alerts`]. For hubs of minor version 4 or
    /// later.
    Acknowledge {
        /// Of which hosts: a name with `*` for any letters, or `#TAG`.
        host: Label,
        /// Of which rule: a name with `*` for any letters; of all if not set.
        rule: Option<Label>,
        /// What they say about it.
        note: Label,
    },
    /// Nobody takes care of it any more; answered like [`Request::Alerts`]. For hubs of minor version 4 or later.
    Unacknowledge {
        /// Of which hosts, as in [`Request::Acknowledge`].
        host: Label,
        /// Of which rule; of all if not set.
        rule: Option<Label>,
    },
}

/// What the busiest processes are by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopBy {
    /// Processor time.
    #[default]
    Cpu,
    /// Memory.
    Memory,
    /// Bytes read from storage and written to it.
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

/// A process, and the host that it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProcess {
    /// The host.
    pub host: Label,
    /// The process.
    pub process: Process,
}

/// How several series become one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Series that agree in these become one: names of attributes, or `host`. With none, all do.
    pub by: Vec<Label>,
    /// What their values at one moment become.
    pub across: Aggregate,
}

/// How several values of a series become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregate {
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The newest.
    Last,
    /// Their sum.
    Sum,
    /// What they add a second, on average; for hubs of minor version 3 or later, as what follows.
    Rate,
    /// The value that so many thousandths of them are below.
    Quantile(u16),
}

/// An answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The request cannot be met; the last frame.
    Refused {
        /// The reason, for people.
        reason: Label,
    },
    /// To [`Request::Status`].
    Status(HubStatus),
    /// To [`Request::Fleet`]: a part of the picture, or what changed since.
    Fleet(FleetUpdate),
    /// To [`Request::Host`]: what the host is; comes first, and again on change.
    Host(Box<HostLine>),
    /// To [`Request::Host`]: further series, as in [`Push::Series`].
    HostSeries(SeriesTable),
    /// To [`Request::Host`]: rows, as in [`Push::Keyframe`], in place of all rows before; comes
    /// again when rows of the past have come. Earlier series stay valid.
    HostKeyframe(Blob),
    /// To [`Request::Host`]: rows, as in [`Push::Rows`].
    HostRows(Blob),
    /// To [`Request::Query`]: a series, or a further part of the one before.
    Points(Points),
    /// Nothing more follows of what was there when the request was made.
    Complete,
    /// To [`Request::Processes`]: as they were at a moment.
    Processes {
        /// The moment.
        time: UnixMs,
        /// Whether these are all, or only those that used most.
        all: bool,
        /// The processes.
        processes: Vec<Process>,
    },
    /// To [`Request::Changes`]: the most telling first.
    Changes {
        /// The end of the minute that was compared with the time before it.
        time: UnixMs,
        /// What is different.
        changes: Vec<Change>,
    },
    /// To [`Request::Timeline`].
    Timeline(Timeline),
    /// To [`Request::Renew`].
    Renewed {
        /// Certificates of the authorities that are trusted from now on, in PEM, one after the other.
        authority: Blob,
        /// The certificate, in PEM.
        certificate: Blob,
    },
    /// To [`Request::Top`], in place of the list before.
    Top {
        /// The moment.
        time: UnixMs,
        /// Hosts whose processes are known of that moment.
        hosts: u32,
        /// The busiest first.
        processes: Vec<HostProcess>,
    },
    /// To [`Request::Fleet`] and [`Request::Host`] of a time of which only minutes or hours are kept: what follows
    /// has a row for each of them, at its beginning, and reaches so much further back. For peers of minor version 4
    /// or later; others are told the same rows.
    Resolution {
        /// Milliseconds from one row to the next.
        step_ms: i64,
    },
    /// To [`Request::Alerts`] and [`Request::Acknowledge`]; to edges, of which alerts somebody takes care.
    Alerts(Alerts),
}

/// The hub about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubStatus {
    /// Name of the hub.
    pub name: Label,
    /// Version of its program.
    pub version: Label,
    /// The hub's clock.
    pub now: UnixMs,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Rows taken in since it started.
    pub ingest_rows_total: u64,
    /// Values in those rows.
    pub ingest_values_total: u64,
    /// Bytes the rings hold.
    pub ring_bytes: u64,
    /// Values the rings hold.
    pub ring_values: u64,
    /// Bytes of history on disk.
    pub history_bytes: u64,
    /// Subscriptions open.
    pub subscribers: u64,
    /// Connections refused since it started.
    pub refused_total: u64,
}

/// Whether a host reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostState {
    /// Its rows come in.
    Live,
    /// Its last row is some seconds old.
    Stale,
    /// It has been silent for longer.
    Offline,
}

impl HostState {
    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Offline => "offline",
        }
    }
}

/// How bad an alert is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// Worth getting up for.
    Critical,
}

impl Severity {
    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// An alert of a host that fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLine {
    /// The rule's name.
    pub rule: Label,
    /// How bad it is.
    pub severity: Severity,
    /// When it became bad.
    pub since: UnixMs,
    /// What it says, for people.
    pub summary: Label,
}

/// How whole a host's record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostHealth {
    /// Rows kept.
    pub rows: u64,
    /// Rows that came again and were ignored.
    pub duplicate_rows: u64,
    /// Rows between the first and last of each run that have not come.
    pub missing_rows: u64,
    /// Rows refused: from the future, or over a limit.
    pub refused_rows: u64,
    /// The oldest row kept.
    pub oldest: UnixMs,
    /// How far the host's clock is ahead of the hub's.
    pub clock_offset_ms: i64,
    /// Series the host has.
    pub series: u32,
}

/// What is known of a host apart from its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLine {
    /// Stands for the host in this stream.
    pub index: u32,
    /// Its name.
    pub name: Label,
    /// What it is.
    pub facts: HostFacts,
    /// How whole its record is.
    pub health: HostHealth,
    /// What its agent cannot see and why.
    pub notes: Vec<Label>,
    /// Alerts that fire, worst first.
    pub alerts: Vec<AlertLine>,
}

/// A host's values at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTick {
    /// The host.
    pub index: u32,
    /// Whether it reports.
    pub state: HostState,
    /// When the row was taken; 0 if there is none.
    pub time: UnixMs,
    /// The first [`crate::metrics::SUMMARY`] aliases' values, scaled as their metrics; rates for
    /// counters, a second; [`crate::ABSENT`] where the host has none.
    pub values: Vec<i64>,
}

/// History of one value of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spark {
    /// The host.
    pub index: u32,
    /// Place in [`crate::metrics::ALIASES`].
    pub alias: u8,
    /// The moment of the last point; the others lie whole steps before it.
    pub end: UnixMs,
    /// Means, oldest first, scaled as in [`HostTick::values`].
    pub points: Vec<i64>,
}

/// A part of the fleet's picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetUpdate {
    /// The hub's clock, or the moment asked for.
    pub now: UnixMs,
    /// Hosts that are new or whose line changed.
    pub lines: Vec<HostLine>,
    /// Hosts with new values or another state.
    pub ticks: Vec<HostTick>,
    /// History of the hosts in `lines` with the first picture, and again when their past changes.
    pub sparks: Vec<Spark>,
}

/// A series over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Points {
    /// Its host.
    pub host: Label,
    /// Its metric's full name.
    pub metric: Label,
    /// Unit of the values: the metric's, per second for counters.
    pub unit: Label,
    /// Its attributes.
    pub attributes: Vec<(Label, Label)>,
    /// Moment of the first value.
    pub start: UnixMs,
    /// Milliseconds between values.
    pub step_ms: i64,
    /// Unscaled values; NaN where there is no row.
    pub values: Vec<f64>,
}

/// A series, or a process in one respect, that is different from before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its host.
    pub host: Label,
    /// The metric's full name; of a process `cpu`, `mem`, `disk.read` or `disk.write`.
    pub metric: Label,
    /// The series' attributes.
    pub attributes: Vec<(Label, Label)>,
    /// The process, if it is one.
    pub process: Option<ProcessIdentity>,
    /// Unit of the values: the metric's, per second for counters.
    pub unit: Label,
    /// The median of the time before.
    pub before: f64,
    /// The median of the minute.
    pub after: f64,
    /// Since when it has been nearer to what it is than to what it was.
    pub began: UnixMs,
    /// How telling it is, from 0 to 1.
    pub score: f64,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, CodecError};
    use proptest::prelude::*;

    fn bytes<M: Serialize>(message: &M) -> Vec<u8> {
        let mut out = Vec::new();
        codec::encode(message, &mut out).unwrap();
        out
    }

    /// If this fails, older peers no longer understand this build.
    #[test]
    fn the_first_words_never_change() {
        let hello = Hello {
            minor: 3,
            version: "1".into(),
            purpose: Purpose::View,
            now: UnixMs(2),
        };
        assert_eq!(bytes(&hello), [3, 1, b'1', 1, 4]);
        let no = Welcome::Refused {
            reason: "no".into(),
        };
        assert_eq!(bytes(&no), [1, 2, b'n', b'o']);
        assert_eq!(
            bytes(&Push::Begin {
                run: RunId(9),
                lane: Lane::Backfill
            }),
            [0, 9, 1]
        );
        assert_eq!(bytes(&Push::Rows(Blob(vec![5, 6]))), [2, 2, 5, 6]);
        assert_eq!(
            bytes(&ToAgent::Ack {
                run: RunId(1),
                ranges: vec![(1, 2)]
            }),
            [0, 1, 1, 1, 2]
        );
    }

    #[test]
    fn labels_are_cleaned_while_they_are_decoded() {
        let reason = bytes(&(1u8, "a\x1b[2Jb"));
        let refused: Welcome = codec::decode(&reason).unwrap();
        assert_eq!(
            refused,
            Welcome::Refused {
                reason: "a\u{fffd}[2Jb".into()
            }
        );
    }

    #[test]
    fn a_length_that_lies_allocates_nothing() {
        // A blob of 2^60 bytes.
        let lie = [&[2u8, 253][..], &(1u64 << 60).to_le_bytes()].concat();
        assert!(matches!(
            codec::decode::<Push>(&lie),
            Err(CodecError::Malformed(_))
        ));
    }

    #[test]
    fn bytes_after_a_message_are_refused() {
        let mut long = bytes(&Reply::Complete);
        long.push(0);
        assert!(matches!(
            codec::decode::<Reply>(&long),
            Err(CodecError::Trailing(1))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = codec::decode::<Hello>(&bytes);
            let _ = codec::decode::<Welcome>(&bytes);
            let _ = codec::decode::<Push>(&bytes);
            let _ = codec::decode::<FromAgent>(&bytes);
            let _ = codec::decode::<ToAgent>(&bytes);
            let _ = codec::decode::<Request>(&bytes);
            let _ = codec::decode::<Reply>(&bytes);
        }
    }
}
