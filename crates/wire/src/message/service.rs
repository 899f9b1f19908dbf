//! Services as the public sees them, and what operators say about their incidents.

use serde::{Deserialize, Serialize};

use crate::{Label, UnixMs};

/// Whether a service can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceState {
    Up,
    /// From some places only.
    Partly,
    Down,
    /// Nobody tried lately.
    #[default]
    Unknown,
}

impl ServiceState {
    /// The state in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Partly => "partly",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// A service under its public name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub name: Label,
    pub state: ServiceState,
    /// The share of the last 24 hours, 7, 30 and 90 days in which it was up, in millionths; none where less than half of the days is known.
    pub shares: [Option<u32>; 4],
    /// The same for each day (UTC), the last one today.
    pub days: Vec<Option<u32>>,
}

/// What an operator says about an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub title: Label,
    /// Public names of the services that it is about; may be empty.
    pub services: Vec<Label>,
    pub opened: UnixMs,
    /// None while it lasts.
    pub resolved: Option<UnixMs>,
    /// The oldest first.
    pub updates: Vec<IncidentUpdate>,
}

/// A further word about an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentUpdate {
    pub time: UnixMs,
    pub text: Label,
}

/// Everything that is shown of services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    pub services: Vec<Service>,
    /// The newest first.
    pub incidents: Vec<Incident>,
}
