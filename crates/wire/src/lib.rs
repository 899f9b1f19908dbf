//! What travels between sysmon's programs: messages, the metric registry, labels, rows and their codec.
//!
//! Pure: no socket, clock, file or terminal. [`limits`] bounds everything that is decoded, and every text becomes a
//! [`Label`] while it is decoded, so that later code never sees a raw string.
#![warn(clippy::missing_errors_doc)]

pub mod codec;
mod facts;
mod hash;
mod label;
mod limit;
pub mod limits;
pub mod message;
pub mod metrics;
mod process;
pub mod quantity;
pub mod rows;
mod scale;
mod schema;
mod seqset;
mod time;
pub mod varint;

pub use facts::HostFacts;
pub use hash::fnv1a;
pub use label::Label;
pub use limit::{LimitGauge, LimitState};
pub use message::{alerts, timeline};
pub use process::{Process, ProcessArguments, ProcessIdentity};
pub use rows::{ABSENT, Row, RowDecoder, RowEncoder, RowError, RowMark};
pub use scale::{Number, ScaleRange};
pub use schema::{Kind, MetricDef, SchemaError, SeriesKey, SeriesTable, SeriesTableBuilder};
pub use seqset::SeqSet;
pub use time::UnixMs;

/// The application protocol of TLS: the major version of everything in this crate.
pub const ALPN: &[u8] = b"sysmon/1";

/// The minor version that this build supports; both sides use the lower of the two.
///
/// A message variant added later is sent only to a peer whose minor version knows it; existing
/// variants and structs never change. So an older agent works with a newer hub and the reverse.
pub const MINOR: u16 = 1;
