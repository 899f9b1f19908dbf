//! Stateless resets: what a restarted listener answers to packets of the connections that its former process had.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use quinn_proto::{HashedConnectionIdGenerator, InvalidCid};
use ring::hmac;
use sysmon_certs::ResetSecret;
use sysmon_clock::Clock;

use crate::TokenBucket;

/// After the resets at once, so many a second for each that was possible at once.
const REFILL_PER_S: f64 = 0.1;

/// Issues connection IDs that the next process recognizes, and limits the resets for them.
struct Recognizing {
    ids: HashedConnectionIdGenerator,
    resets: Arc<Mutex<TokenBucket>>,
    clock: Clock,
}

impl ConnectionIdGenerator for Recognizing {
    fn generate_cid(&mut self) -> ConnectionId {
        self.ids.generate_cid()
    }

    /// Quinn asks only before it sends a reset.
    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        self.ids.validate(id)?;
        let mut resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        match resets.try_take(self.clock.instant()) {
            true => Ok(()),
            false => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        self.ids.cid_len()
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        self.ids.cid_lifetime()
    }
}

/// An endpoint whose connection IDs and reset tokens follow from the secret. It sends a reset to each of `connections`
/// at once. Quinn's own limit, one reset a time however many packets wait, would leave most of a fleet to the idle
/// time-out. A reset is shorter than the packet that it answers, so the endpoint amplifies nothing, and the limit is
/// what it reflects at most.
pub(crate) fn endpoint_config(
    secret: &ResetSecret,
    connections: usize,
    clock: &Clock,
) -> EndpointConfig {
    let tokens = hmac::Key::new(hmac::HMAC_SHA256, &secret.derive("stateless reset tokens"));
    let [a, b, c, d, e, f, g, h, ..] = secret.derive("connection ids");
    let key = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let at_once = connections as f64;
    let bucket = TokenBucket::new(at_once * REFILL_PER_S, at_once, clock.instant());
    let (resets, clock) = (Arc::new(Mutex::new(bucket)), clock.clone());
    let mut config = EndpointConfig::new(Arc::new(tokens));
    config
        .cid_generator(move || {
            Box::new(Recognizing {
                ids: HashedConnectionIdGenerator::from_key(key),
                resets: Arc::clone(&resets),
                clock: clock.clone(),
            })
        })
        .min_reset_interval(Duration::ZERO);
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_clock::{ManualTime, Random};

    #[test]
    fn only_connection_ids_of_the_same_secret_get_a_reset_and_not_more_than_the_limit() {
        let time = ManualTime::new(sysmon_clock::Clock::system().now());
        let clock = time.clock();
        let generator = |secret: [u8; 32]| Recognizing {
            ids: HashedConnectionIdGenerator::from_key(u64::from(secret[0])),
            resets: Arc::new(Mutex::new(TokenBucket::new(1.0, 10.0, clock.instant()))),
            clock: clock.clone(),
        };
        let secret = ResetSecret::generate(&Random::seeded(1)).unwrap();
        let other = ResetSecret::generate(&Random::seeded(2)).unwrap();
        let id = generator(secret.derive("a")).generate_cid();
        let next = generator(secret.derive("a"));
        assert!(generator(other.derive("a")).validate(&id).is_err());
        assert_eq!((0..50).filter(|_| next.validate(&id).is_ok()).count(), 10);
        time.advance(Duration::from_secs(3));
        assert_eq!((0..50).filter(|_| next.validate(&id).is_ok()).count(), 3);
    }
}
