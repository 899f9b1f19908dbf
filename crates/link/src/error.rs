//! Errors of a link, and the codes that close connections and streams.
#![allow(missing_docs, reason = "the messages say what the variants mean")]

use std::io;
use std::net::SocketAddr;

use quinn::{ConnectionError, VarInt};
use sysmon_certs::CertError;
use sysmon_wire::codec::CodecError;
use thiserror::Error;

/// Why a connection or stream was closed, as its QUIC error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Finished without an error.
    Done = 0,
    /// The peer is not allowed to do this.
    Refused = 1,
    /// The peer violated the protocol.
    Protocol = 2,
    /// The program is stopping.
    Shutdown = 3,
    /// The peer exceeded a limit.
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
    #[error("cannot resolve {target}: {source}")]
    Resolve { target: String, source: io::Error },
    #[error("cannot resolve {0}: the name has no address")]
    NoAddress(String),
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot open a UDP socket: {0}")]
    Socket(io::Error),
    #[error(transparent)]
    Identity(#[from] CertError),
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    #[error("no answer from {0}: check that the hub is running there and that UDP reaches it")]
    NoAnswer(SocketAddr),
    #[error("{0}")]
    Certificate(String),
    #[error("refused: {0}")]
    Refused(String),
    /// Another machine is connected with the same identity.
    #[error("refused: {0}")]
    Copy(String),
    #[error("connection lost: {0}")]
    Lost(ConnectionError),
    #[error("the peer ended the stream")]
    StreamEnded,
    #[error("the peer closed the stream with code {0}")]
    StreamClosed(u64),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLong { length: usize, limit: usize },
    #[error(
        "no edge waits to be paired at {0}: run `sysmon-edge pair` there while the edge itself is stopped, and check that UDP reaches it"
    )]
    NotPairing(String),
    #[error(
        "what answers at {0} does not have this pairing code: copy the code that `sysmon-edge pair` shows there now, and stop the edge if it is running"
    )]
    Code(String),
    #[error(
        "{0} peers came without the pairing code: find out who reaches this port, then pair again"
    )]
    TooManyAttempts(u32),
    #[error("no hello in time")]
    HelloTimeout,
}

/// TLS alerts as QUIC error codes (RFC 9001, section 4.8; RFC 8446, section 6).
const CRYPTO: std::ops::Range<u64> = 0x100..0x200;

impl From<ConnectionError> for LinkError {
    fn from(error: ConnectionError) -> Self {
        match &error {
            // Rejected by us.
            ConnectionError::TransportError(e) if CRYPTO.contains(&u64::from(e.code)) => {
                Self::Certificate(our_refusal(&e.reason))
            }
            // Rejected by the peer.
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
        "the peer's certificate is from another authority: this program's identity belongs to another hub"
    } else if reason.contains("NotValidForName") || reason.contains("extended key usage") {
        "the peer's certificate is not a hub's"
    } else if reason.contains("expired") {
        "the peer's certificate has expired, or this machine's clock is ahead"
    } else if reason.contains("not valid yet") {
        "the peer's certificate is not valid yet: this machine's clock is behind"
    } else if reason.contains("NoCertificatesPresented") || reason.contains("sent no cert") {
        "the peer presented no certificate"
    } else {
        "the TLS handshake failed"
    };
    format!("{what} ({})", sysmon_wire::Label::new(reason))
}

fn their_refusal(alert: u64) -> String {
    match alert {
        42 | 43 | 46 | 48 => {
            "the peer rejected this program's certificate: it is from another authority"
                .to_owned()
        }
        44 => "the peer rejected this program's certificate: it is revoked".to_owned(),
        45 => "the peer rejected this program's certificate: it has expired; enrol again, or set the clock"
            .to_owned(),
        116 => "the peer requires a certificate and this program has none".to_owned(),
        120 => "the peer does not support this version of the protocol".to_owned(),
        other => format!("the peer refused the TLS handshake (alert {other})"),
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
