//! Exports: what the hub has committed, sent to engines that other people run.
//!
//! A [`Destination`](destination::DestinationOptions) has a [`Cursor`] that says which rows it has. Nothing queues in
//! memory: a [`worker`] compares the cursor with what the history has, reads what is missing through a [`Source`], and
//! hands it to an [`Engine`]. Rows of an outage, rows that arrive late, and a past that is asked for are the same thing:
//! spans of hosts that the cursor has as pending. Some engines want no past: they get the [`Present`] of all hosts.

#![warn(clippy::missing_errors_doc)]

pub mod aggregate;
pub mod cursor;
pub mod destination;
pub mod engine;
pub mod engines;
pub mod names;
mod present;
pub mod read_back;
#[cfg(any(feature = "receiver", all(test, feature = "otlp")))]
pub mod receiver;
mod rows;
mod source;
mod span;
pub mod worker;

pub use cursor::Cursor;
pub use engine::{Batch, Engine, EngineError, Sent};
pub use present::{EventPosition, HostNow, Present};
pub use rows::{HostMinutes, HostRows, Minute, Step};
pub use source::{Committed, LateRows, Source, SourceError};
pub use span::{Span, SpanSet};
