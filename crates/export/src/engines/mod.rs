//! The engines.

#[cfg(feature = "remote-write")]
mod http;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "remote-write")]
pub mod remote_write;

use thiserror::Error;

use crate::Engine;
use crate::destination::DestinationOptions;

/// Which hub sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubIdentity {
    /// Stays the same for as long as the hub has its state.
    pub identity: String,
    /// The hub's name.
    pub name: String,
}

/// A destination that cannot be made from its configuration.
#[derive(Debug, Error)]
pub enum DestinationError {
    /// This build has no such engine.
    #[error("this build has no engine of the kind {0}: install one that has it")]
    NotBuilt(&'static str),
    /// A setting is wrong.
    #[error("{0}")]
    Setting(String),
}

/// The client of a destination's engine. Nothing is connected yet.
///
/// # Errors
/// A setting is wrong, or a file that it names cannot be read.
pub fn engine(
    options: &DestinationOptions,
    hub: &HubIdentity,
) -> Result<Box<dyn Engine>, DestinationError> {
    // Not every engine tells hubs apart.
    let _ = hub;
    match options.kind {
        #[cfg(feature = "postgres")]
        crate::destination::EngineKind::Postgres => {
            Ok(Box::new(postgres::Postgres::new(options, hub)?))
        }
        #[cfg(feature = "remote-write")]
        crate::destination::EngineKind::RemoteWrite => {
            Ok(Box::new(remote_write::RemoteWrite::new(options)?))
        }
        kind => Err(DestinationError::NotBuilt(kind.as_str())),
    }
}
