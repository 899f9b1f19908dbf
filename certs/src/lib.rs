//! The certificate authority, identities with a role, and the TLS configurations made from them.
//!
//! `certs/README.md` explains the trust model to operators.
#![warn(clippy::missing_errors_doc)]

mod authority;
mod bearer;
mod error;
mod fingerprint;
mod https;
mod hub_state;
mod identity;
mod join;
mod key;
mod name;
mod pairing;
mod peer;
mod provider;
mod register;
mod reset_secret;
mod role;
mod scope;
mod tls;
mod token;

pub use authority::{Authority, CERTIFICATE_DAYS_MAX, SignedCertificate};
pub use bearer::{BearerToken, BearerTokenError};
pub use error::CertError;
pub use fingerprint::Fingerprint;
pub use https::https_config_of;
pub use hub_state::HubState;
pub use identity::Identity;
pub use join::{JoinKey, join_config};
pub use name::{NameError, PEER_NAME_BYTES_MAX, PeerName};
pub use pairing::{PairingCode, PairingCodeError};
pub use peer::{Peer, is_of_same_key, peer_of, serial_of, validity_of};
pub use register::{IssuedCertificate, Register};
pub use reset_secret::ResetSecret;
pub use role::{Role, RoleError, server_name};
pub use scope::{HostScope, ScopeError, scope_of};
pub use token::{
    StoredToken, Token, TokenArgument, TokenError, TokenReferenceError, TokenStore,
    TokenStoreError, TokenTerms,
};
