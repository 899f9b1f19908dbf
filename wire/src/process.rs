//! One process of a host.

use serde::{Deserialize, Serialize};

use crate::{Label, UnixMs};

/// A process as it was at a moment. `pid` and `start` together identify it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Process id of its parent.
    pub parent: u32,
    /// When it started.
    pub start: UnixMs,
    /// Its owner's name, or number where there is no name.
    pub user: Label,
    /// State letter as in `/proc/PID/stat`: `R`, `S`, `D`, `Z`, `T`, `I`.
    pub state: u8,
    /// Threads.
    pub threads: u32,
    /// Processor time over the last interval, in thousandths of one processor.
    pub cpu_permille: u32,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Bytes read from storage a second; 0 where that may not be seen.
    pub read_bytes_per_s: u64,
    /// Bytes written to storage a second; 0 where that may not be seen.
    pub write_bytes_per_s: u64,
    /// Program path or name, without arguments.
    pub command: Label,
    /// Control group path, or container name where it is known.
    pub cgroup: Label,
}
