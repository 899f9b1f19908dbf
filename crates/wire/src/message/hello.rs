//! The start of every connection, and joining.

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::{Label, UnixMs};

/// The purpose of a connection; each is allowed to certain roles only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    Push,
    View,
    /// Enrol with a join token; allowed without a certificate.
    Join,
    /// Show an edge the redacted fleet: `Reply::Fleet` on a stream the hub opens.
    Mirror,
    /// Renew the certificate, for a program that speaks another protocol otherwise.
    Renew,
}

/// The first frame a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Minor version of the protocol the client speaks.
    pub minor: u16,
    /// Version of the client's program, for display.
    pub version: Label,
    pub purpose: Purpose,
    pub now: UnixMs,
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    Accepted {
        /// Minor version both sides use from now on.
        minor: u16,
        /// Version of the hub's program, for display.
        version: Label,
        name: Label,
        now: UnixMs,
    },
    Refused {
        reason: Label,
    },
    /// Another machine is connected with the same identity.
    Copy {
        reason: Label,
    },
}

/// What a joining machine sends on the control stream after its welcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    pub secret: Blob,
    /// The requested name, if the token is not bound to one.
    pub name: Label,
    /// A signing request for its key (PKCS #10, DER).
    pub request: Blob,
}

/// The answer to a [`JoinRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinReply {
    Granted {
        /// The authority's certificate, in PEM.
        authority: Blob,
        certificate: Blob,
    },
    Refused {
        reason: Label,
    },
}

/// What an edge sends to the hub that pairs with it, and that has proved to have the pairing code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairOffer {
    /// The name that the edge would like.
    pub name: Label,
    /// A signing request for its key (PKCS #10, DER).
    pub request: Blob,
}

/// Ends a pairing: the hub sends its name after the [`JoinReply`], the edge the name that it has saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    pub name: Label,
}
