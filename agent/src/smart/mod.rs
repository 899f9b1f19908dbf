//! Health of disks: what `smartctl` says, gathered as root by `sysmon-agent smart` and read from a file by the agent.

mod attributes;
mod gather;
mod parse;
mod report;

pub use gather::{SmartError, gather};
pub use report::{Disk, FILE, Report};
