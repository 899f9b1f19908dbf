//! How the QUIC library is set up, and why.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig, VarInt};
use sysmon_certs::Identity;
use sysmon_wire::ALPN;

use crate::{CloseCode, LinkError};

/// A connection without a sign of life for this long is lost. Long enough for a laptop that
/// changes networks, short enough that a dead peer's memory is soon free.
const IDLE_TIMEOUT_MS: u32 = 20_000;

/// Below half the idle timeout, so that one lost packet does not end a quiet connection.
const KEEP_ALIVE: Duration = Duration::from_secs(8);

/// Time a peer has to finish the handshake and say hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the longest frame of somebody who is not let in yet: a hello, and a request to join with its signing
/// request.
pub(crate) const STRANGER_FRAME_BYTES_MAX: usize = 8 << 10;

/// Bytes that somebody may send ahead who is not let in yet.
const STRANGER_WINDOW_BYTES: u32 = 32 << 10;

/// Connections that have sent something and wait to be looked at, and what is kept of them.
const ARRIVALS_MAX: usize = 1_024;
const ARRIVAL_BYTES_MAX: u64 = 16 << 10;
const ARRIVALS_BYTES_MAX: u64 = 4 << 20;

/// Requests a subscriber may have open: a screen shows far fewer things at once.
const REQUEST_STREAMS_MAX: u32 = 64;

/// Row streams an agent may have open: live, backfill, and one of each just ending.
const ROW_STREAMS_MAX: u32 = 4;

/// Bytes a stream may send ahead of its reader: one frame of the largest size.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Bytes a connection may send ahead of its readers.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes kept for sending again what a peer has not confirmed.
const SEND_WINDOW_BYTES: u64 = 4 << 20;

/// Lets a peer that is known have as many streams as it needs, and send as much ahead.
pub(crate) fn open_up(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES));
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(REQUEST_STREAMS_MAX));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(ROW_STREAMS_MAX));
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS).into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(REQUEST_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(ROW_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None);
    transport
}

pub(crate) fn server_config(identity: &Identity) -> Result<ServerConfig, LinkError> {
    let tls = identity.server_config(&[ALPN])?;
    let quic = QuicServerConfig::try_from(tls).map_err(|e| LinkError::Tls(e.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(quic));
    let mut transport = transport();
    // One stream, for the hello; more for those who are let in: see `open_up`.
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW_BYTES));
    config.transport_config(Arc::new(transport));
    config
        .migration(true)
        .max_incoming(ARRIVALS_MAX)
        .incoming_buffer_size(ARRIVAL_BYTES_MAX)
        .incoming_buffer_size_total(ARRIVALS_BYTES_MAX);
    Ok(config)
}

pub(crate) fn client_config(identity: &Identity) -> Result<ClientConfig, LinkError> {
    quic_config(identity.client_config(&[ALPN])?)
}

pub(crate) fn quic_config(tls: rustls::ClientConfig) -> Result<ClientConfig, LinkError> {
    let quic = QuicClientConfig::try_from(tls).map_err(|e| LinkError::Tls(e.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

/// A socket on `address`; where the host has no IPv6, "any address" means any IPv4 address.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    UdpSocket::bind(address).or_else(|error| {
        if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != std::io::ErrorKind::AddrInUse {
            UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        } else {
            Err(error)
        }
    })
}

/// Time for the packets that say farewell to leave. Peers that miss them notice by the silence.
const FAREWELL: Duration = Duration::from_millis(10);

/// Closes all connections of an endpoint. What quinn would wait for besides is that late packets of
/// the peers have died out, which matters only to those who go on using the socket.
pub(crate) async fn farewell(endpoint: &Endpoint, reason: &[u8]) {
    if endpoint.open_connections() > 0 {
        endpoint.close(CloseCode::Shutdown.into(), reason);
        tokio::time::sleep(FAREWELL).await;
    }
}
