//! Failed log-ins of each network, and the growing time for which they make it wait. Pure: time comes as an argument.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::network::Network;

/// Failures of a network that make nobody wait: people mistype. One for each width, the customer's own first.
const FREE: [u32; 3] = [5, 20, 40];

/// First and longest wait; doubled with each failure in between.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Failures are forgotten after this time without another one.
const FORGET: Duration = Duration::from_secs(900);

/// Networks with an entry of their own; beyond, all new ones share one.
const NETWORKS_MAX: usize = 20_000;

/// Log lines about failures, each second at most.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
    until: Instant,
    /// When somebody last logged in from there; then only failures of the customer itself count.
    trusted: Option<Instant>,
}

impl Failures {
    fn new(now: Instant) -> Self {
        Self {
            count: 0,
            last: now,
            until: now,
            trusted: None,
        }
    }

    fn is_trusted(&self, now: Instant) -> bool {
        self.trusted
            .is_some_and(|at| now.saturating_duration_since(at) < FORGET)
    }

    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < FORGET || self.is_trusted(now)
    }
}

#[derive(Debug, Default)]
pub(super) struct Attempts {
    failures: HashMap<Network, Failures>,
    logged: Option<Instant>,
    unlogged: u64,
}

impl Attempts {
    /// How long the address has to wait until its login is looked at again; none if it may try now.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut networks = Network::around_guesser(address).map(|network| self.of(network));
        let own = networks.next().flatten();
        let is_trusted = own.is_some_and(|own| own.is_trusted(now));
        let wide = networks.flatten().filter(|_| !is_trusted);
        let ends = own.into_iter().chain(wide).map(|failures| failures.until);
        let wait = ends.max()?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    fn of(&self, network: Network) -> Option<&Failures> {
        let own = self.failures.get(&network);
        own.or_else(|| self.failures.get(&Network::Shared))
    }

    /// Counts a failure, and logs it unless another one was logged just now.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        if self.failures.len() >= NETWORKS_MAX {
            self.failures.retain(|_, failures| failures.is_recent(now));
        }
        let mut most = 0;
        for (network, free) in Network::around_guesser(address).zip(FREE) {
            let is_new = !self.failures.contains_key(&network);
            let network = match is_new && self.failures.len() >= NETWORKS_MAX {
                true => Network::Shared,
                false => network,
            };
            let failures = self.failures.entry(network);
            let failures = failures.or_insert_with(|| Failures::new(now));
            if now.saturating_duration_since(failures.last) >= FORGET {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            if let Some(beyond) = failures.count.checked_sub(free + 1) {
                let doubled = WAIT.0.saturating_mul(1 << beyond.min(10));
                failures.until = now + doubled.min(WAIT.1);
            }
            most = most.max(failures.count);
        }
        let is_due = self
            .logged
            .is_none_or(|at| now.saturating_duration_since(at) >= LOG_INTERVAL);
        if is_due {
            let unlogged = std::mem::take(&mut self.unlogged);
            tracing::warn!(%address, failures = most, unlogged, "log-in failed");
            self.logged = Some(now);
        } else {
            self.unlogged += 1;
        }
    }

    /// Somebody logged in. The count stays: it may be a guesser with an account.
    pub(super) fn succeeded(&mut self, address: IpAddr, now: Instant) {
        let Some(own) = Network::around_guesser(address).next() else {
            return;
        };
        if self.failures.contains_key(&own) || self.failures.len() < NETWORKS_MAX {
            let own = self.failures.entry(own);
            own.or_insert_with(|| Failures::new(now)).trusted = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::Clock;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of a thousand guesses, one each tenth of a second, are looked at.
    fn guesses(attempts: &mut Attempts, start: Instant, address: impl Fn(u32) -> IpAddr) -> usize {
        let tried = (0..1_000).filter(|n| {
            let (now, address) = (start + Duration::from_millis(100) * *n, address(*n));
            let may = attempts.wait(address, now).is_none();
            if may {
                attempts.failed(address, now);
            }
            may
        });
        tried.count()
    }

    #[test]
    fn each_failure_after_the_first_ones_doubles_the_wait_of_its_network_alone() {
        let (mut attempts, now) = (Attempts::default(), Clock::system().instant());
        // In a hundred seconds: six at once, then after 1, 3, 7, 15, 31 and 63 seconds.
        assert_eq!(guesses(&mut attempts, now, |_| ip("1.2.3.4")), 12);
        let later = now + Duration::from_secs(100);
        assert!(
            attempts
                .wait(ip("1.2.3.4"), later)
                .is_some_and(|wait| wait <= WAIT.1)
        );
        assert_eq!(attempts.wait(ip("1.2.3.5"), later), None, "a neighbour");
        assert_eq!(attempts.wait(ip("1.2.3.4"), later + WAIT.1), None);
        let forgotten = later + FORGET;
        attempts.failed(ip("1.2.3.4"), forgotten);
        assert_eq!(attempts.wait(ip("1.2.3.4"), forgotten), None);
    }

    #[test]
    fn neighbours_together_have_to_wait_but_not_somebody_who_logged_in() {
        let now = Clock::system().instant();
        for neighbours in ["1.2.3.N", "2001:db8:0:12NN::1", "2001:db8:0:NN00::1"] {
            let address = |n: u32| {
                let number = format!("{:02x}", n % 200);
                ip(&neighbours
                    .replace("NN", &number)
                    .replace('N', &(n % 200).to_string()))
            };
            let mut attempts = Attempts::default();
            let tried = guesses(&mut attempts, now, address);
            assert!(tried < 60, "{neighbours}: {tried}");
            let (good, later) = (address(7), now + Duration::from_secs(99));
            assert!(attempts.wait(good, later).is_some(), "{neighbours}");
            attempts.succeeded(good, later);
            assert_eq!(attempts.wait(good, later), None, "{neighbours}");
        }
    }

    #[test]
    fn the_table_of_networks_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Clock::system().instant());
        for n in 0..NETWORKS_MAX as u32 * 2 {
            attempts.failed(IpAddr::from((n << 8).to_be_bytes()), now);
        }
        assert!(attempts.failures.len() <= NETWORKS_MAX + 1);
        attempts.failed(ip("9.9.9.9"), now + FORGET);
        assert!(attempts.failures.len() <= 2);
    }
}
