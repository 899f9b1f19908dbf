//! What a listener lets in before it knows the peer: limits by address and in total.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::{Endpoint, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::slots::{Slot, Slots};

/// Limits of a listener for peers that it does not know yet.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionLimits {
    /// Connections at once, handshakes among them.
    pub connections: usize,
    /// Handshakes at once of one network: an IPv4 address, or an IPv6 /64.
    pub handshakes_per_network: usize,
    /// Handshakes at once from which on a peer has to prove its address first (QUIC's Retry), so that forged addresses
    /// cost nothing. A real peer pays one round trip.
    pub challenge_from: usize,
}

/// A connection attempt that was refused before the handshake.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The peer's address, which may be forged.
    pub address: SocketAddr,
    /// The limit that was reached.
    pub reason: &'static str,
}

/// The slots of one connection: the handshake's is free once the peer is known.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) _handshake: Slot<IpAddr>,
    pub(crate) connection: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    connections: Arc<Semaphore>,
    handshakes: Arc<Slots<IpAddr>>,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            handshakes: Slots::new(limits.handshakes_per_network),
        }
    }

    /// The next attempt that may begin a handshake, or that was refused; `None` once the endpoint is closed.
    pub(crate) async fn next(
        &self,
        endpoint: &Endpoint,
    ) -> Option<Result<(Incoming, Admitted), Refusal>> {
        loop {
            let incoming = endpoint.accept().await?;
            if self.handshakes.used() >= self.limits.challenge_from
                && !incoming.remote_address_validated()
            {
                // Fails only for an address that is validated already; then the peer retransmits.
                let _ = incoming.retry();
                continue;
            }
            let address = canonical(incoming.remote_address());
            let refusal = |reason| Some(Err(Refusal { address, reason }));
            let Some(handshake) = self.handshakes.acquire(network_of(address.ip())) else {
                // The peer retries by itself, as after a lost packet.
                incoming.ignore();
                return refusal("too many handshakes at once from this network");
            };
            let Ok(connection) = Arc::clone(&self.connections).try_acquire_owned() else {
                incoming.refuse();
                return refusal("too many connections");
            };
            let admitted = Admitted {
                _handshake: handshake,
                connection,
            };
            return Some(Ok((incoming, admitted)));
        }
    }
}

/// The address without an IPv6 mapping.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The key by which an address is limited: an IPv6 peer usually has a whole /64.
pub fn network_of(address: IpAddr) -> IpAddr {
    const HOST_BITS: u32 = 64;
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> HOST_BITS << HOST_BITS)),
        v4 => v4,
    }
}
