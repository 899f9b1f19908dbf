//! Facts about a host, as opposed to its metrics.

use serde::{Deserialize, Serialize};

use crate::{Label, UnixMs};

/// Facts about a host that change at most when it restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// What tells the machine from every other: the id in `/etc/machine-id`, or what a sender of OTLP calls `host.id`.
    pub id: Label,
    /// Operating system and version, such as `Debian GNU/Linux 12`.
    pub os: Label,
    /// Kernel release.
    pub kernel: Label,
    /// Processor architecture, such as `x86_64`.
    pub arch: Label,
    /// Processor model.
    pub cpu_model: Label,
    /// Logical processors.
    pub cpus: u32,
    /// Physical memory in bytes.
    pub memory_bytes: u64,
    /// When the host booted.
    pub boot: UnixMs,
    /// Version of the agent.
    pub agent_version: Label,
    /// What sends the rows of a host that has no agent, such as `otlp gateway col-1`; empty for an agent.
    pub source: Label,
    /// Milliseconds between two rows; 0 if not known.
    pub interval_ms: u32,
    /// Tags for grouping hosts, such as `home` or `desk`.
    pub tags: Vec<Label>,
}

impl HostFacts {
    /// Placeholder before the agent sends its facts.
    pub fn unknown() -> Self {
        let none = Label::new("");
        Self {
            id: none.clone(),
            os: none.clone(),
            kernel: none.clone(),
            arch: none.clone(),
            cpu_model: none.clone(),
            cpus: 0,
            memory_bytes: 0,
            boot: UnixMs(0),
            agent_version: none.clone(),
            source: none,
            interval_ms: 0,
            tags: Vec::new(),
        }
    }
}
