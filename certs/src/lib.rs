//! The certificate authority, identities with a role, and the TLS configurations made from them.

mod name;

pub use name::{NameError, PEER_NAME_BYTES_MAX, PeerName};
