//! What can go wrong between two programs, in words for people.

use std::io;
use std::net::SocketAddr;

use quinn::{ConnectionError, VarInt};
use sysmon_certs::CertError;
use sysmon_wire::codec::CodecError;
use thiserror::Error;

/// Why a connection or stream was closed; the number travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Nothing is wrong.
    Done = 0,
    /// The peer may not do this.
    Refused = 1,
    /// The peer did not keep to the protocol.
    Protocol = 2,
    /// The program is stopping.
    Shutdown = 3,
    /// A limit was reached.
    Limit = 4,
}

impl From<CloseCode> for VarInt {
    fn from(code: CloseCode) -> Self {
        VarInt::from_u32(code as u32)
    }
}

/// What went wrong on a link.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The name has no address.
    #[error("cannot find {target}: {source}")]
    Resolve {
        /// What was looked up.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// The name has no address at all.
    #[error("cannot find {0}: the name has no address")]
    NoAddress(String),
    /// No socket.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No socket to connect from.
    #[error("cannot open a UDP socket: {0}")]
    Socket(io::Error),
    /// The certificate or key cannot be used.
    #[error(transparent)]
    Identity(#[from] CertError),
    /// The TLS library refuses the configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// Nobody answered.
    #[error("no answer from {0}: is the hub running there, and is UDP let through?")]
    NoAnswer(SocketAddr),
    /// The hub's certificate was refused here, or ours there.
    #[error("{0}")]
    Certificate(String),
    /// The peer said no.
    #[error("refused: {0}")]
    Refused(String),
    /// The connection ended.
    #[error("connection lost: {0}")]
    Lost(ConnectionError),
    /// The stream ended inside a frame or was reset.
    #[error("the peer ended the stream")]
    StreamEnded,
    /// The peer closed the stream with a reason.
    #[error("the peer closed the stream with code {0}")]
    StreamClosed(u64),
    /// Bytes that are no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A frame that is longer than it may be here.
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// How long it says that it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A peer did not say what it wants in time.
    #[error("no hello in time")]
    HelloTimeout,
}

/// TLS alerts as QUIC error codes (RFC 9001, section 4.8; RFC 8446, section 6).
const CRYPTO: std::ops::Range<u64> = 0x100..0x200;

impl From<ConnectionError> for LinkError {
    fn from(error: ConnectionError) -> Self {
        match &error {
            // Found wrong by us.
            ConnectionError::TransportError(e) if CRYPTO.contains(&u64::from(e.code)) => {
                Self::Certificate(our_refusal(&e.reason))
            }
            // Found wrong by the peer.
            ConnectionError::ConnectionClosed(close)
                if CRYPTO.contains(&u64::from(close.error_code)) =>
            {
                Self::Certificate(their_refusal(u64::from(close.error_code) - CRYPTO.start))
            }
            ConnectionError::ApplicationClosed(close)
                if close.error_code == CloseCode::Refused.into() =>
            {
                let reason = sysmon_wire::Label::from_bytes(&close.reason);
                Self::Refused(reason.to_string())
            }
            _ => Self::Lost(error),
        }
    }
}

fn our_refusal(reason: &str) -> String {
    let what = if reason.contains("UnknownIssuer") || reason.contains("BadSignature") {
        "the peer's certificate was made by another authority: this program's identity is of another hub"
    } else if reason.contains("NotValidForName") || reason.contains("extended key usage") {
        "the peer's certificate is not that of a hub"
    } else if reason.contains("expired") {
        "the peer's certificate has expired, or this machine's clock is ahead"
    } else if reason.contains("not valid yet") {
        "the peer's certificate is not valid yet: this machine's clock is behind"
    } else if reason.contains("NoCertificatesPresented") || reason.contains("sent no cert") {
        "the peer showed no certificate"
    } else {
        "the secure handshake failed"
    };
    format!("{what} ({})", sysmon_wire::Label::new(reason))
}

fn their_refusal(alert: u64) -> String {
    match alert {
        42 | 43 | 46 | 48 => {
            "the peer does not accept this program's certificate: it was made by another authority"
                .to_owned()
        }
        44 => "the peer has revoked this program's certificate".to_owned(),
        45 => "the peer says this program's certificate has expired: renew it, or set the clock"
            .to_owned(),
        116 => "the peer wants a certificate and this program has none".to_owned(),
        120 => "the peer does not speak this version of the protocol".to_owned(),
        other => format!("the peer refused the secure handshake (TLS alert {other})"),
    }
}

impl From<quinn::WriteError> for LinkError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::ConnectionLost(e) => e.into(),
            quinn::WriteError::Stopped(code) => Self::StreamClosed(code.into()),
            _ => Self::StreamEnded,
        }
    }
}

impl From<quinn::ReadError> for LinkError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::ConnectionLost(e) => e.into(),
            quinn::ReadError::Reset(code) => Self::StreamClosed(code.into()),
            _ => Self::StreamEnded,
        }
    }
}
