//! Alert rules and everything that follows from them.
//!
//! [`rule`] parses rules, [`engine`] evaluates them against rows, [`baseline`] says which values are usual at an hour
//! of the week. [`active`] holds the firing alerts and who acknowledged them, [`silence`] suppresses notifications,
//! and [`notify`] delivers them. [`replay`] evaluates a rule against the past.

#![warn(clippy::missing_errors_doc)]

pub mod active;
mod alert;
pub mod baseline;
pub mod engine;
mod host_id;
pub mod notify;
pub mod replay;
pub mod rule;
pub mod silence;

pub use alert::{Alert, Transition};
pub use host_id::HostId;
