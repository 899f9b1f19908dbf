//! The QUIC shell: connect, listen, hello, framed streams, and reconnecting with back-off.
//!
//! Everything here is I/O around the messages of `sysmon-wire` and the identities of
//! `sysmon-certs`; what the messages mean is for the programs.

mod backoff;
mod client;
mod error;
mod frame;
mod listener;
mod renewal;
mod token_bucket;
mod transport;

pub use backoff::Backoff;
pub use client::{Connector, HubSession, Replies};
pub use error::{CloseCode, LinkError};
pub use frame::{FrameReceiver, FrameSender};
pub use listener::{
    IncomingConnection, JoinSession, Listener, NewSession, PeerCertificate, PeerSession,
    peer_certificate,
};
pub use renewal::{RENEWAL_INTERVAL, renew_if_due};
pub use token_bucket::TokenBucket;
pub use transport::HELLO_TIMEOUT;

/// The connection type of the QUIC library, for those who open streams of their own.
pub use quinn::Connection;
