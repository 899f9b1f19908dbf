//! QUIC settings and sockets.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig, VarInt};
use sysmon_certs::Identity;
use sysmon_wire::ALPN;
use sysmon_wire::message::Purpose;

use crate::{CloseCode, LinkError};

/// A silent connection is lost after this time: long enough for a laptop that changes networks, short enough to free a
/// dead peer's memory soon.
const IDLE_TIMEOUT_MS: u32 = 20_000;

/// Below half the idle timeout, so that one lost packet does not end a quiet connection.
const KEEP_ALIVE: Duration = Duration::from_secs(8);

/// A terminal only listens. If the hub's updates cease it asks after this time whether the hub is still there, and a hub
/// that was restarted answers with a reset.
const VIEWER_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Time a peer has to finish the handshake and say hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a frame from a peer that is not accepted yet: a hello, or a join request with its signing request.
pub(crate) const UNKNOWN_FRAME_BYTES_MAX: usize = 8 << 10;

/// Receive window of a peer that is not accepted yet.
const UNKNOWN_WINDOW_BYTES: u32 = 32 << 10;

/// Connection attempts waiting for [`Endpoint::accept`], and bytes buffered for one and for all of them.
const INCOMING_MAX: usize = 1_024;
const INCOMING_BYTES_MAX: u64 = 16 << 10;
const INCOMING_BYTES_TOTAL_MAX: u64 = 4 << 20;

/// Open requests of a subscriber: a screen needs far fewer at once.
const REQUEST_STREAMS_MAX: u32 = 64;

/// Open row streams of an agent: live, backfill, and one of each that is ending.
const ROW_STREAMS_MAX: u32 = 4;

/// Receive window of a stream: one frame of the largest size.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Receive window of an accepted connection.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes buffered for retransmission until the peer acknowledges them.
const SEND_WINDOW_BYTES: u64 = 4 << 20;

/// Raises the limits of a connection whose peer was accepted.
pub(crate) fn raise_limits(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES));
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(REQUEST_STREAMS_MAX));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(ROW_STREAMS_MAX));
}

/// Assumed before a round trip was measured: the first packet is sent again after three of them. Quinn's 333 ms are meant
/// for the whole Internet; after a restart of the hub some first packets of a fleet are lost.
const INITIAL_RTT: Duration = Duration::from_millis(100);

fn transport(keep_alive: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS).into()))
        .keep_alive_interval(Some(keep_alive))
        .initial_rtt(INITIAL_RTT)
        .max_concurrent_bidi_streams(VarInt::from_u32(REQUEST_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(ROW_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None);
    transport
}

pub(crate) fn server_config(
    identity: &Identity,
    accepts_joins: bool,
) -> Result<ServerConfig, LinkError> {
    quic_server_config(identity.server_config(&[ALPN], accepts_joins)?)
}

pub(crate) fn quic_server_config(tls: rustls::ServerConfig) -> Result<ServerConfig, LinkError> {
    let quic = QuicServerConfig::try_from(tls).map_err(|e| LinkError::Tls(e.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(quic));
    let mut transport = transport(KEEP_ALIVE);
    // One stream, for the hello; `raise_limits` follows once the peer is accepted.
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(UNKNOWN_WINDOW_BYTES));
    config.transport_config(Arc::new(transport));
    config
        .migration(true)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL_MAX);
    Ok(config)
}

pub(crate) fn client_config(identity: &Identity) -> Result<ClientConfig, LinkError> {
    quic_config(identity.client_config(&[ALPN])?)
}

pub(crate) fn quic_config(tls: rustls::ClientConfig) -> Result<ClientConfig, LinkError> {
    let quic = QuicClientConfig::try_from(tls).map_err(|e| LinkError::Tls(e.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport(KEEP_ALIVE)));
    Ok(config)
}

/// The configuration for a connection of this purpose.
pub(crate) fn for_purpose(mut config: ClientConfig, purpose: Purpose) -> ClientConfig {
    if purpose == Purpose::View {
        config.transport_config(Arc::new(transport(VIEWER_KEEP_ALIVE)));
    }
    config
}

/// A socket on `address`; on a host without IPv6, `[::]` falls back to `0.0.0.0`.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    UdpSocket::bind(address).or_else(|error| {
        if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != std::io::ErrorKind::AddrInUse {
            UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        } else {
            Err(error)
        }
    })
}

/// Receive buffer of a socket that many peers send to: what ten thousand hosts send in the burst of a whole second.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Asks for a receive buffer that holds the burst of a whole second, as far as the system allows it.
pub(crate) fn enlarge_buffer(socket: &UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    if socket
        .recv_buffer_size()
        .is_ok_and(|bytes| bytes >= RECEIVE_BUFFER_BYTES)
    {
        return;
    }
    let asked = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    let bytes = socket.recv_buffer_size().unwrap_or_default();
    if asked.is_err() || bytes < RECEIVE_BUFFER_BYTES {
        tracing::info!(
            bytes,
            "the receive buffer is smaller than asked for, which is enough for a few hundred hosts: for more raise net.core.rmem_max to 8388608"
        );
    }
}

/// Time for close frames to leave. A peer that misses them runs into its idle time-out.
const CLOSE_DELAY: Duration = Duration::from_millis(10);

/// Closes all connections of an endpoint. Unlike `Endpoint::wait_idle` it does not wait for late packets to die out, which
/// matters only if the socket stays in use.
pub(crate) async fn close_endpoint(endpoint: &Endpoint, reason: &[u8]) {
    if endpoint.open_connections() > 0 {
        endpoint.close(CloseCode::Shutdown.into(), reason);
        tokio::time::sleep(CLOSE_DELAY).await;
    }
}

/// The address that programs on the listener's machine connect to.
pub(crate) fn loopback_of(listening: SocketAddr) -> SocketAddr {
    let ip = match listening {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        other => other.ip().to_canonical(),
    };
    SocketAddr::new(ip, listening.port())
}
