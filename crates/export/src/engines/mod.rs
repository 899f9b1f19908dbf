//! The engines.

#[cfg(feature = "stream")]
mod address;
#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "otlp", feature = "remote-write"))]
mod presence;
#[cfg(any(feature = "otlp", feature = "remote-write"))]
mod protobuf;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "remote-write")]
pub mod remote_write;
#[cfg(test)]
#[cfg(feature = "stream")]
mod servers;
#[cfg(feature = "stream")]
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "stream")]
mod values;

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
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "only PostgreSQL tells hubs apart")
)]
pub fn engine(
    options: &DestinationOptions,
    hub: &HubIdentity,
) -> Result<Box<dyn Engine>, DestinationError> {
    match options.kind {
        #[cfg(feature = "postgres")]
        crate::destination::EngineKind::Postgres => {
            Ok(Box::new(postgres::Postgres::new(options, hub)?))
        }
        #[cfg(feature = "remote-write")]
        crate::destination::EngineKind::RemoteWrite => {
            Ok(Box::new(remote_write::RemoteWrite::new(options)?))
        }
        #[cfg(feature = "otlp")]
        crate::destination::EngineKind::OtlpGrpc | crate::destination::EngineKind::OtlpHttp => {
            Ok(Box::new(otlp::Otlp::new(options)?))
        }
        #[cfg(feature = "redis")]
        crate::destination::EngineKind::Redis => Ok(Box::new(redis::Redis::new(options)?)),
        #[cfg(feature = "mqtt")]
        crate::destination::EngineKind::Mqtt => Ok(Box::new(mqtt::Mqtt::new(options)?)),
        #[allow(unreachable_patterns, reason = "a build can leave out engines")]
        kind => Err(DestinationError::NotBuilt(kind.as_str())),
    }
}

/// Refuses settings of HTTP and of rows for a kind that has no use for them.
#[cfg(feature = "stream")]
fn refuse_unused(options: &DestinationOptions) -> Result<(), DestinationError> {
    let unused = [
        ("labels", !options.labels.is_empty()),
        ("tags", !options.tags.is_empty()),
        ("headers", !options.headers.is_empty()),
        ("token", options.token.is_some()),
    ];
    match unused.iter().find(|(_, is_set)| *is_set) {
        Some((key, _)) => Err(DestinationError::Setting(format!(
            "{key}: a destination of the kind {} has no use for it; remove it",
            options.kind.as_str()
        ))),
        None => Ok(()),
    }
}

/// The name that everything of a destination begins with: one hub's alone.
#[cfg(feature = "stream")]
fn prefix(options: &DestinationOptions, forbidden: &str) -> Result<String, DestinationError> {
    let prefix = options
        .options
        .get("prefix")
        .map_or("sysmon", String::as_str);
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || forbidden.contains(c);
    match prefix.is_empty() || prefix.len() > 64 || prefix.contains(is_wrong) {
        true => Err(DestinationError::Setting(
            "prefix: give a short name such as sysmon".to_owned(),
        )),
        false => Ok(prefix.to_owned()),
    }
}
