//! How many bytes of values a worker holds in one place, of how many it may; it knows no value.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much is held of what may be; clones count together.
#[derive(Clone, Debug)]
pub(super) struct Room {
    held: Arc<AtomicU64>,
    limit: u64,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    held: Arc<AtomicU64>,
    size: u64,
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self { held: Arc::default(), limit }
    }

    /// Bytes that may be held.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts so many bytes if there is room for them.
    pub(super) fn reserve(&self, size: u64) -> Option<Counted> {
        self.reserve_below(size, self.limit)
    }

    /// Counts a copy if there is room for it: it can be had again, so it must leave half of the room to results.
    pub(super) fn reserve_copy(&self, size: u64) -> Option<Counted> {
        self.reserve_below(size, self.limit / 2)
    }

    fn reserve_below(&self, size: u64, limit: u64) -> Option<Counted> {
        let add = |held: u64| held.checked_add(size).filter(|sum| *sum <= limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Counted { held: Arc::clone(&self.held), size })
    }

    /// Counts what is here whether or not there is room for it.
    pub(super) fn take(&self, size: u64) -> Counted {
        self.held.fetch_add(size, Ordering::Relaxed);
        Counted { held: Arc::clone(&self.held), size }
    }
}

impl Counted {
    /// How many bytes that are.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.fetch_sub(self.size, Ordering::Relaxed);
    }
}
