//! Alerts: [`rule`] says what is bad, [`engine`] finds it in the rows, [`desk`] knows who was told and
//! [`silence`] who wants to hear nothing, and [`notify`] tells somebody. [`week`] is what a series usually does.

pub mod desk;
pub mod engine;
mod host_id;
pub mod notify;
pub mod replay;
pub mod rule;
pub mod silence;
pub mod week;

pub use host_id::HostId;
