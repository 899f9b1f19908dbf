//! What one client address may use of the edge. Pure: time comes as an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sysmon_link::TokenBucket;

use super::network::Network;

/// Requests of one address, on average and at once: a page with its charts needs some fifteen.
const REQUESTS_PER_S: f64 = 50.0;
const REQUESTS_BURST: f64 = 200.0;

/// Connections of one address: a browser opens six, and a household shares an address.
const CONNECTIONS_MAX: u32 = 64;

const VIEWERS_MAX: u32 = 32;

/// How many times as much as a customer's address the networks around it may use: a /64, a /56 and a /48.
const SHARES: [u32; 3] = [1, 2, 4];

/// Addresses with an entry of their own; beyond, all new ones share one.
const ADDRESSES_MAX: usize = 20_000;

const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connection,
    Viewer,
}

#[derive(Debug)]
struct Usage {
    requests: TokenBucket,
    connections: u32,
    viewers: u32,
    /// How many times as much as a single customer it may use.
    share: u32,
}

impl Usage {
    fn is_idle(&self, now: Instant) -> bool {
        self.connections == 0 && self.viewers == 0 && self.requests.is_full(now)
    }

    fn count(&mut self, kind: Kind) -> (&mut u32, u32) {
        match kind {
            Kind::Connection => (&mut self.connections, CONNECTIONS_MAX * self.share),
            Kind::Viewer => (&mut self.viewers, VIEWERS_MAX * self.share),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    usage: HashMap<Network, Usage>,
    /// Number of entries at which idle ones are removed next.
    prune_at: usize,
    pruned: Option<Instant>,
}

impl Clients {
    fn usage(&mut self, network: Network, share: u32, now: Instant) -> (Network, &mut Usage) {
        let mut network = network;
        if !self.usage.contains_key(&network) {
            self.prune(now);
            if self.usage.len() >= ADDRESSES_MAX {
                network = Network::Shared;
            }
        }
        let usage = self.usage.entry(network).or_insert_with(|| Usage {
            requests: TokenBucket::new(
                REQUESTS_PER_S * f64::from(share),
                REQUESTS_BURST * f64::from(share),
                now,
            ),
            connections: 0,
            viewers: 0,
            share,
        });
        (network, usage)
    }

    /// Removes idle entries. That visits every entry, so it happens only when their number has doubled, and at most
    /// once a second while the table is full.
    fn prune(&mut self, now: Instant) {
        let is_due = |at: Instant| now.saturating_duration_since(at) >= PRUNE_INTERVAL;
        if self.usage.len() < self.prune_at
            || self.usage.len() >= ADDRESSES_MAX && !self.pruned.is_none_or(is_due)
        {
            return;
        }
        self.pruned = Some(now);
        self.usage.retain(|_, usage| !usage.is_idle(now));
        self.prune_at = (self.usage.len() * 2).clamp(64, ADDRESSES_MAX);
    }

    /// Whether the address and the networks around it have requests left. The narrowest is asked first, so that one
    /// customer uses only its own share of the provider's.
    pub(super) fn allow_request(&mut self, address: IpAddr, now: Instant) -> bool {
        let mut networks = Network::around(address).zip(SHARES);
        networks.all(|(network, share)| self.usage(network, share, now).1.requests.try_take(now))
    }

    fn acquire(&mut self, address: IpAddr, kind: Kind, now: Instant) -> Option<Vec<Network>> {
        let mut acquired = Vec::new();
        for (network, share) in Network::around(address).zip(SHARES) {
            let (network, usage) = self.usage(network, share, now);
            let (count, max) = usage.count(kind);
            if *count >= max {
                self.release(&acquired, kind);
                return None;
            }
            *count += 1;
            acquired.push(network);
        }
        Some(acquired)
    }

    fn release(&mut self, networks: &[Network], kind: Kind) {
        for network in networks {
            if let Some(usage) = self.usage.get_mut(network) {
                let (count, _) = usage.count(kind);
                *count = count.saturating_sub(1);
            }
        }
    }
}

pub(super) fn lock(clients: &Mutex<Clients>) -> MutexGuard<'_, Clients> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection or viewer of an address, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    clients: Arc<Mutex<Clients>>,
    networks: Vec<Network>,
    kind: Kind,
}

impl Permit {
    pub(super) fn acquire(
        clients: &Arc<Mutex<Clients>>,
        address: IpAddr,
        kind: Kind,
        now: Instant,
    ) -> Option<Self> {
        let networks = lock(clients).acquire(address, kind, now)?;
        Some(Self {
            clients: Arc::clone(clients),
            networks,
            kind,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.clients).release(&self.networks, self.kind);
    }
}

/// A connection or viewer, counted until it is dropped.
pub(super) struct Counted {
    count: Arc<AtomicU64>,
    _permit: Option<Permit>,
}

impl Counted {
    /// None if there are `max` already.
    pub(super) fn new(count: &Arc<AtomicU64>, max: u64, permit: Option<Permit>) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let counted = Self {
            count: Arc::clone(count),
            _permit: permit,
        };
        (before < max).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::Clock;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn now() -> Instant {
        Clock::system().instant()
    }

    #[test]
    fn an_address_that_asks_too_often_is_refused_and_others_are_not() {
        let (mut clients, now) = (Clients::default(), now());
        let mut allowed = |address: &str, at| {
            let allowed = (0..1000).filter(|_| clients.allow_request(ip(address), at));
            allowed.count()
        };
        assert_eq!(allowed("1.2.3.4", now), REQUESTS_BURST as usize);
        assert_eq!(allowed("1.2.3.5", now), REQUESTS_BURST as usize);
        let later = now + Duration::from_secs(1);
        assert_eq!(allowed("::ffff:1.2.3.4", later), REQUESTS_PER_S as usize);
        let mut clients = Clients::default();
        let addresses = (0..1000).map(|n| ip(&format!("2001:db8::{n:x}")));
        let allowed = addresses.filter(|address| clients.allow_request(*address, now));
        assert_eq!(allowed.count(), REQUESTS_BURST as usize, "one /64");
        for (width, share) in [(0x100, 2), (0x1_0000, 4)] {
            let mut clients = Clients::default();
            let in_turn = (0..4_000).map(|n| {
                let high = 0x2001_0db8_0000_0000_u64 + n % width;
                IpAddr::from((u128::from(high) << 64).to_be_bytes())
            });
            let allowed = in_turn.filter(|address| clients.allow_request(*address, now));
            assert_eq!(
                allowed.count(),
                REQUESTS_BURST as usize * share,
                "{width:#x} customers"
            );
        }
    }

    #[test]
    fn a_dropped_connection_makes_room_for_another() {
        let (clients, now) = (Arc::default(), now());
        let connect = |address: &str| Permit::acquire(&clients, ip(address), Kind::Connection, now);
        let permits: Vec<_> = (0..100).filter_map(|_| connect("1.2.3.4")).collect();
        assert_eq!(permits.len(), CONNECTIONS_MAX as usize);
        assert!(connect("4.3.2.1").is_some());
        drop(permits);
        assert!(connect("1.2.3.4").is_some());
        let customers = (0..1_000).filter_map(|n| connect(&format!("2001:db8:0:{n:x}::1")));
        let permits: Vec<_> = customers.collect();
        assert_eq!(permits.len(), CONNECTIONS_MAX as usize * 4, "of one /48");
        drop(permits);
        let clients = lock(&clients);
        assert!(clients.usage.values().all(|usage| usage.connections == 0));
    }

    #[test]
    fn the_table_of_addresses_is_bounded_and_forgets_idle_ones() {
        let (mut clients, now) = (Clients::default(), now());
        for n in 0..ADDRESSES_MAX as u32 * 2 {
            clients.allow_request(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(clients.usage.len() <= ADDRESSES_MAX + 1);
        let later = now + Duration::from_secs(9);
        clients.prune_at = 0;
        assert!(clients.allow_request(ip("9.9.9.9"), later));
        assert_eq!(clients.usage.len(), 1);
    }
}
