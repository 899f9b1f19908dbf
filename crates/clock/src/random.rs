//! Randomness that a seed makes repeatable.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};

/// A handle to a source of randomness; clones share it.
#[derive(Clone, Debug)]
pub struct Random(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// The operating system's generator for secrets, a fast one seeded by it for everything else.
    System(SystemRandom, Mutex<fastrand::Rng>),
    /// Everything follows from a seed; for tests and simulations.
    Seeded(Mutex<fastrand::Rng>),
}

impl Random {
    /// The operating system's randomness.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that seeds from the system"
    )]
    pub fn system() -> Self {
        Self(Arc::new(Source::System(
            SystemRandom::new(),
            Mutex::new(fastrand::Rng::new()),
        )))
    }

    /// The sequence that follows from `seed`. Never for secrets outside tests.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Source::Seeded(Mutex::new(
            fastrand::Rng::with_seed(seed),
        ))))
    }

    /// Whether everything follows from a seed.
    pub fn is_seeded(&self) -> bool {
        matches!(&*self.0, Source::Seeded(_))
    }

    /// Any number; good for identifiers and jitter, not for secrets.
    pub fn u64(&self) -> u64 {
        self.fast().u64(..)
    }

    /// A number from 0 up to but not including 1, for jitter.
    pub fn f64(&self) -> f64 {
        self.fast().f64()
    }

    /// Fills `bytes` with unguessable ones, for keys, token secrets and serial numbers.
    ///
    /// # Errors
    /// The operating system's generator failed.
    pub fn fill_secret(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        match &*self.0 {
            Source::System(secure, _) => secure.fill(bytes).map_err(|_| NoRandomness),
            Source::Seeded(_) => {
                self.fast().fill(bytes);
                Ok(())
            }
        }
    }

    fn fast(&self) -> MutexGuard<'_, fastrand::Rng> {
        let (Source::System(_, rng) | Source::Seeded(rng)) = &*self.0;
        rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operating system's random number generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random number generator failed")]
pub struct NoRandomness;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_secrets_of_the_system_differ() {
        let sequence = |random: Random| {
            let mut secret = [0; 16];
            random.fill_secret(&mut secret).unwrap();
            (random.u64(), secret)
        };
        assert_eq!(sequence(Random::seeded(7)), sequence(Random::seeded(7)));
        assert_ne!(sequence(Random::seeded(7)), sequence(Random::seeded(8)));
        assert_ne!(sequence(Random::system()).1, sequence(Random::system()).1);
    }
}
