//! The past read back from an engine, by the minute, for moments of which the hub has nothing any more.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "remote-write")]
mod prometheus;
mod thread;

use std::sync::Arc;

use sysmon_wire::{Label, SeriesKey, UnixMs};
use thiserror::Error;

use crate::Minute;
use crate::destination::DestinationOptions;
use crate::engines::{DestinationError, HubIdentity};

pub use thread::ReadBack;

/// Minutes of one answer.
pub const MINUTES_MAX: usize = 500_000;

/// Longest time that an engine has for an answer.
pub const ANSWER_MS_MAX: u64 = 8_000;

/// What is asked of an engine.
#[derive(Clone, Debug)]
pub struct Question {
    /// The hosts.
    pub hosts: Vec<Label>,
    /// The series, of each host that has them.
    pub keys: Vec<Arc<SeriesKey>>,
    /// A metric of which every other series is wanted too, where the engine can tell.
    pub metric: Option<Label>,
    /// From this moment on,
    pub from: UnixMs,
    /// and before this one.
    pub to: UnixMs,
    /// Minutes are merged to steps of so many milliseconds, a multiple of a minute.
    pub step_ms: i64,
}

/// A series of a host with its minutes, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPast {
    /// The host.
    pub host: Label,
    /// The series.
    pub key: Arc<SeriesKey>,
    /// Its minutes, or steps.
    pub minutes: Vec<Minute>,
}

/// The past cannot be read back. No message contains a secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReadBackError {
    /// The engine does not answer, or not what was asked.
    #[error("cannot read from {address}: {reason}")]
    Engine {
        /// Its address.
        address: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Others ask already.
    #[error("too many questions wait for {0}: try again")]
    Busy(String),
}

/// A client that asks an engine.
pub(crate) trait Reader: Send {
    /// The past of series.
    fn past(&mut self, question: &Question) -> Result<Vec<SeriesPast>, String>;

    /// The first moment from `from` on, and before `to`, of which the engine has anything of these hosts.
    fn oldest(
        &mut self,
        hosts: &[Label],
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Option<UnixMs>, String>;
}

/// Whether the engine of an address can be asked: `postgres://…`, or `prometheus:` before the address of anything with
/// the query API of Prometheus.
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "only PostgreSQL tells hubs apart")
)]
pub(crate) fn reader(
    options: &DestinationOptions,
    hub: &HubIdentity,
) -> Result<Box<dyn Reader>, DestinationError> {
    let url = options.url.reveal();
    match url.split_once(':') {
        #[cfg(feature = "postgres")]
        Some(("postgres" | "postgresql", _)) => Ok(Box::new(postgres::Reader::new(options, hub)?)),
        #[cfg(feature = "remote-write")]
        Some(("prometheus", _)) => Ok(Box::new(prometheus::Reader::new(options)?)),
        _ => Err(DestinationError::Setting(
            "write postgres://USER@HOST/DATABASE, or prometheus: and the address of an engine with the query API of Prometheus"
                .to_owned(),
        )),
    }
}
