//! The engines.

#[cfg(feature = "remote-write")]
mod http;
#[cfg(feature = "remote-write")]
pub mod remote_write;

use thiserror::Error;

use crate::Engine;
use crate::destination::{DestinationOptions, EngineKind};

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
pub fn engine(options: &DestinationOptions) -> Result<Box<dyn Engine>, DestinationError> {
    match options.kind {
        #[cfg(feature = "remote-write")]
        EngineKind::RemoteWrite => Ok(Box::new(remote_write::RemoteWrite::new(options)?)),
        kind => Err(DestinationError::NotBuilt(kind.as_str())),
    }
}
