//! How every connection begins, and how a machine joins.

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::{Label, UnixMs};

/// What a client wants of the hub; each is open to certain roles only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Push rows of the host that the certificate names.
    Push,
    /// Read the fleet.
    View,
    /// Get a first certificate, with a token; open to those who have none.
    Join,
    /// Show an edge the redacted fleet: `Reply::Fleet` on a stream the hub opens.
    Mirror,
}

/// The first frame a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Minor version of the protocol the client speaks.
    pub minor: u16,
    /// Version of the client's program, for people.
    pub version: Label,
    /// What it wants.
    pub purpose: Purpose,
    /// The client's clock.
    pub now: UnixMs,
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// Come in.
    Accepted {
        /// Minor version both sides use from now on.
        minor: u16,
        /// Version of the hub's program, for people.
        version: Label,
        /// Name of the hub.
        name: Label,
        /// The hub's clock.
        now: UnixMs,
    },
    /// No, and why.
    Refused {
        /// The reason, for people.
        reason: Label,
    },
}

/// What a joining machine sends on the control stream after its welcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token's secret.
    pub secret: Blob,
    /// What it wants to be called, if the token names nobody.
    pub name: Label,
    /// A signing request for its key (PKCS #10, DER).
    pub request: Blob,
}

/// The answer to a [`JoinRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinReply {
    /// Its certificate.
    Granted {
        /// The authority's certificate, in PEM.
        authority: Blob,
        /// The certificate, in PEM.
        certificate: Blob,
    },
    /// No, and why.
    Refused {
        /// The reason, for people.
        reason: Label,
    },
}
