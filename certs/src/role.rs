//! Roles: what a certificate allows its peer to do.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a peer may do, as written in its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Collects rows and serves them.
    Hub,
    /// Pushes the rows of the host it is named after.
    Agent,
    /// Reads the whole fleet.
    Operator,
    /// Receives the redacted view.
    Edge,
    /// Sends rows of hosts without an agent, as far as its [`crate::HostScope`] goes.
    Gateway,
}

/// The text is not a role.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("unknown role {0:?}: use hub, agent, operator, edge or gateway")]
pub struct RoleError(String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Hub,
        Self::Agent,
        Self::Operator,
        Self::Edge,
        Self::Gateway,
    ];

    /// Roles of peers that join a hub.
    pub(crate) const PEERS: [Self; 4] = [Self::Agent, Self::Operator, Self::Edge, Self::Gateway];

    /// The name in certificates and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Edge => "edge",
            Self::Gateway => "gateway",
        }
    }

    /// Whether programs of this role accept connections.
    pub(crate) const fn listens(self) -> bool {
        matches!(self, Self::Hub | Self::Edge)
    }
}

/// The DNS name in the certificates of a listening role, which clients verify.
///
/// It is in no DNS: it makes the ordinary verification of server certificates prove the role. Names under `.internal`
/// are reserved for private use (ICANN, 2024).
pub const fn server_name(role: Role) -> &'static str {
    match role {
        Role::Edge => "edge.sysmon.internal",
        Role::Hub | Role::Agent | Role::Operator | Role::Gateway => "hub.sysmon.internal",
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}
