//! The QUIC shell: connect, listen, hello, framed streams, reconnecting with back-off.
//!
//! I/O around the messages of `sysmon-wire` and the identities of `sysmon-certs`; what messages mean is up to the
//! programs.
#![warn(clippy::missing_errors_doc)]

mod admission;
mod backoff;
mod certificate;
mod client;
mod error;
mod frame;
mod listener;
mod pairing;
mod renewal;
mod reset;
mod slots;
mod token_bucket;
mod transport;

pub use admission::{AdmissionLimits, Refusal, network_of};
pub use backoff::Backoff;
pub use certificate::{PeerCertificate, peer_certificate};
pub use client::{Connector, HubSession, Replies};
pub use error::{CloseCode, LinkError};
pub use frame::{FrameReceiver, FrameSender};
pub use listener::{
    IncomingConnection, JoinSession, ListenOptions, Listener, NewSession, PeerSession,
};
pub use pairing::{PairedEdge, Pairing, PairingListener};
pub use renewal::{RENEWAL_INTERVAL, renew_if_due};
pub use slots::{Slot, Slots};
pub use token_bucket::{LogLimiter, TokenBucket};
pub use transport::HELLO_TIMEOUT;

/// The QUIC connection, for opening further streams.
pub use quinn::Connection;
