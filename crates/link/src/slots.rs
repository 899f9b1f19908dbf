//! How much of something each peer may have at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Slots by key, such as an address or a certificate.
#[derive(Debug)]
pub struct Slots<K> {
    used: Mutex<HashMap<K, usize>>,
    total: AtomicUsize,
    per_key: usize,
}

/// A slot in use; dropping it frees the slot.
#[derive(Debug)]
pub struct Slot<K: Eq + Hash> {
    slots: Arc<Slots<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Slots<K> {
    /// `per_key` slots for each key.
    pub fn new(per_key: usize) -> Arc<Self> {
        Arc::new(Self {
            used: Mutex::default(),
            total: AtomicUsize::new(0),
            per_key,
        })
    }

    /// Slots in use, of all keys together.
    pub fn used(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// A slot of `key`, unless all of them are in use.
    pub fn acquire(self: &Arc<Self>, key: K) -> Option<Slot<K>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let count = used.entry(key.clone()).or_default();
        if *count >= self.per_key {
            return None;
        }
        *count += 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        Some(Slot {
            slots: Arc::clone(self),
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        self.slots.total.fetch_sub(1, Ordering::Relaxed);
        let used = self.slots.used.lock();
        let mut used = used.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = used.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                used.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_slot_is_free_again() {
        let slots = Slots::new(2);
        let (a, b) = (slots.acquire("x"), slots.acquire("x"));
        assert!(a.is_some() && b.is_some() && slots.acquire("x").is_none());
        assert_eq!(slots.used(), 2);
        assert!(slots.acquire("y").is_some());
        drop(a);
        assert!(slots.acquire("x").is_some());
        drop(b);
        assert!(slots.used.lock().unwrap().is_empty());
    }
}
