//! How much one address may have of the edge. Pure: time comes as an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests a second of one address, and how many at once: a page with its charts takes some fifteen.
const REQUESTS_PER_SECOND: f64 = 50.0;
const REQUESTS_AT_ONCE: f64 = 200.0;

/// Connections of one address: a browser opens six, and a family shares an address.
pub(super) const CONNECTIONS_MAX: u32 = 64;

/// People behind one address who watch live.
pub(super) const VIEWERS_MAX: u32 = 32;

/// Addresses that are remembered; beyond, all newcomers share one account.
const ADDRESSES_MAX: usize = 20_000;

/// An address, or the network that one customer of a provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    V6(u64),
    Others,
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A connection.
    Connection,
    /// Somebody who watches live.
    Viewer,
}

#[derive(Debug)]
struct Account {
    requests: f64,
    at: Instant,
    connections: u32,
    viewers: u32,
}

impl Account {
    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.requests = (self.requests + seconds * REQUESTS_PER_SECOND).min(REQUESTS_AT_ONCE);
        self.at = now;
    }

    fn is_idle(&self) -> bool {
        self.connections == 0 && self.viewers == 0 && self.requests >= REQUESTS_AT_ONCE
    }

    fn held(&mut self, kind: Kind) -> (&mut u32, u32) {
        match kind {
            Kind::Connection => (&mut self.connections, CONNECTIONS_MAX),
            Kind::Viewer => (&mut self.viewers, VIEWERS_MAX),
        }
    }
}

/// What each address has of the edge.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    accounts: HashMap<Network, Account>,
    /// How many accounts there may be before the idle are looked for again.
    look_at: usize,
    looked: Option<Instant>,
}

impl Addresses {
    fn account(&mut self, address: IpAddr, now: Instant) -> (Network, &mut Account) {
        let mut network = Network::of(address);
        if !self.accounts.contains_key(&network) {
            self.make_room(now);
            if self.accounts.len() >= ADDRESSES_MAX {
                network = Network::Others;
            }
        }
        let account = self.accounts.entry(network).or_insert(Account {
            requests: REQUESTS_AT_ONCE,
            at: now,
            connections: 0,
            viewers: 0,
        });
        account.refill(now);
        (network, account)
    }

    /// Forgets those who want nothing. That costs as much as there are accounts, so it is done once for as many
    /// newcomers, and once a second when there is no room.
    fn make_room(&mut self, now: Instant) {
        let is_due = |at: Instant| now.saturating_duration_since(at) >= Duration::from_secs(1);
        if self.accounts.len() < self.look_at
            || self.accounts.len() >= ADDRESSES_MAX && !self.looked.is_none_or(is_due)
        {
            return;
        }
        self.looked = Some(now);
        for account in self.accounts.values_mut() {
            account.refill(now);
        }
        self.accounts.retain(|_, account| !account.is_idle());
        self.look_at = (self.accounts.len() * 2).clamp(64, ADDRESSES_MAX);
    }

    /// Whether an address may ask once more.
    pub(super) fn may_ask(&mut self, address: IpAddr, now: Instant) -> bool {
        let (_, account) = self.account(address, now);
        let may = account.requests >= 1.0;
        if may {
            account.requests -= 1.0;
        }
        may
    }

    fn hold(&mut self, address: IpAddr, kind: Kind, now: Instant) -> Option<Network> {
        let (network, account) = self.account(address, now);
        let (held, max) = account.held(kind);
        (*held < max).then(|| {
            *held += 1;
            network
        })
    }

    fn release(&mut self, network: Network, kind: Kind) {
        if let Some(account) = self.accounts.get_mut(&network) {
            let (held, _) = account.held(kind);
            *held = held.saturating_sub(1);
        }
    }
}

/// The addresses, for a moment.
pub(super) fn locked(addresses: &Mutex<Addresses>) -> MutexGuard<'_, Addresses> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something an address has; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    addresses: Arc<Mutex<Addresses>>,
    network: Network,
    kind: Kind,
}

impl Held {
    /// One more for this address, if it may.
    pub(super) fn new(
        addresses: &Arc<Mutex<Addresses>>,
        address: IpAddr,
        kind: Kind,
        now: Instant,
    ) -> Option<Self> {
        let network = locked(addresses).hold(address, kind, now)?;
        Some(Self {
            addresses: Arc::clone(addresses),
            network,
            kind,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        locked(&self.addresses).release(self.network, self.kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_asks_too_often_waits_and_others_notice_nothing() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        let asked = (0..1000).filter(|_| addresses.may_ask(ip("1.2.3.4"), now));
        assert_eq!(asked.count(), REQUESTS_AT_ONCE as usize);
        assert!(addresses.may_ask(ip("1.2.3.5"), now));
        let later = now + Duration::from_secs(1);
        let asked = (0..1000).filter(|_| addresses.may_ask(ip("::ffff:1.2.3.4"), later));
        assert_eq!(asked.count(), REQUESTS_PER_SECOND as usize);
        // One network of the newer kind is one customer.
        let asked = (0..1000).filter(|n| addresses.may_ask(ip(&format!("2001:db8::{n:x}")), now));
        assert_eq!(asked.count(), REQUESTS_AT_ONCE as usize);
    }

    #[test]
    fn connections_are_given_back() {
        let (addresses, now) = (Arc::default(), Instant::now());
        let hold = |address: &str| Held::new(&addresses, ip(address), Kind::Connection, now);
        let held: Vec<_> = (0..100).filter_map(|_| hold("1.2.3.4")).collect();
        assert_eq!(held.len(), CONNECTIONS_MAX as usize);
        assert!(hold("4.3.2.1").is_some());
        drop(held);
        assert!(hold("1.2.3.4").is_some());
    }

    #[test]
    fn no_number_of_addresses_makes_it_grow() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        for n in 0..ADDRESSES_MAX as u32 * 2 {
            addresses.may_ask(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(addresses.accounts.len() <= ADDRESSES_MAX + 1);
        let later = now + Duration::from_secs(9);
        addresses.look_at = 0;
        assert!(addresses.may_ask(ip("9.9.9.9"), later));
        assert_eq!(addresses.accounts.len(), 1);
    }
}
