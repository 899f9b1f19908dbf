//! A look at an agent from outside, for those who measure.

use std::fmt::Debug;

use sysmon_link::LinkError;
use sysmon_wire::UnixMs;

/// Hears what becomes of an agent's connections and of its rows. Nothing here may take long.
pub trait Observer: Debug + Send + Sync {
    /// A connection stands.
    fn connected(&self) {}
    /// A connection that stood has ended.
    fn disconnected(&self, _error: &LinkError) {}
    /// No connection came about.
    fn failed(&self, _error: &LinkError) {}
    /// A row was taken, and from here on waits for the hub.
    fn pushed(&self, _seq: u64, _time: UnixMs) {}
    /// The hub has the rows of this run in these inclusive ranges for good.
    fn acknowledged(&self, _ranges: &[(u64, u64)]) {}
}

/// Nobody looks.
impl Observer for () {}
