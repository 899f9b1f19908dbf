//! Hooks into a running agent, for measurements.

use std::fmt::Debug;

use sysmon_link::LinkError;
use sysmon_wire::UnixMs;

/// Receives the events of an agent's connections and rows. Called on the agent's own thread: must not block.
pub trait Observer: Debug + Send + Sync {
    fn connected(&self) {}
    fn disconnected(&self, _error: &LinkError) {}
    fn failed(&self, _error: &LinkError) {}
    fn pushed(&self, _seq: u64, _time: UnixMs) {}
    /// The hub committed the rows of this run in these inclusive ranges.
    fn acknowledged(&self, _ranges: &[(u64, u64)]) {}
}

impl Observer for () {}
