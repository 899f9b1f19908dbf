//! What a peer may be.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a certificate lets its owner be; it stands in the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes in rows and shows them.
    Hub,
    /// Pushes the rows of the one host it is named after.
    Agent,
    /// Reads the whole fleet.
    Operator,
    /// Gets the redacted view.
    Edge,
}

/// A text that is no role.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no role: use hub, agent, operator or edge")]
pub struct RoleError(String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Hub, Self::Agent, Self::Operator, Self::Edge];

    /// The word for it in certificates and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Edge => "edge",
        }
    }

    /// Whether programs of this role accept connections.
    pub(crate) const fn listens(self) -> bool {
        matches!(self, Self::Hub | Self::Edge)
    }
}

/// The DNS name that the certificates of a listening role carry and that those who connect ask for.
///
/// It never stands in any DNS: it lets the ordinary verification of server certificates prove the
/// role. Names under `.internal` are reserved for private use (ICANN, 2024).
pub const fn server_name(role: Role) -> &'static str {
    match role {
        Role::Edge => "edge.sysmon.internal",
        Role::Hub | Role::Agent | Role::Operator => "hub.sysmon.internal",
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
