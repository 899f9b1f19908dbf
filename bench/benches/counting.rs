//! An allocator that counts the bytes in use, to verify what a structure reports of itself.
#![allow(
    unsafe_code,
    reason = "GlobalAlloc requires it; every call is forwarded to the system allocator"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts requested bytes, without the overhead of the system allocator.
pub(crate) struct Counting {
    live: AtomicUsize,
}

impl Counting {
    pub(crate) const fn new() -> Self {
        Self {
            live: AtomicUsize::new(0),
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }
}

// SAFETY: every call is forwarded to `System` unchanged, and counting does not touch the block.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.live.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `System` too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.live.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `System` too.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.live.fetch_add(size, Ordering::Relaxed);
        self.live.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `System` too.
        unsafe { System.realloc(block, layout, size) }
    }
}
