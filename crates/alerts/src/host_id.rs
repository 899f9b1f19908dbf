//! The number of a host inside a running hub.

/// Index of a host, assigned in the order in which hosts become known and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub u32);
