//! The certificate authority, identities with a role, and the TLS configurations made from them.
//!
//! `certs/README.md` explains the trust model to those who run sysmon.

mod authority;
mod error;
mod files;
mod hub_state;
mod identity;
mod name;
mod peer;
mod role;
mod tls;

pub use authority::{Authority, CERTIFICATE_DAYS_MAX};
pub use error::CertError;
pub use hub_state::HubState;
pub use identity::Identity;
pub use name::{NameError, PEER_NAME_BYTES_MAX, PeerName};
pub use peer::{Peer, peer_of};
pub use role::{Role, RoleError, server_name};
