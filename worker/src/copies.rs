//! Counts the payload bytes this process has copied or sent on their way between tasks; it stops none of them.
use std::sync::atomic::{AtomicU64, Ordering};

static COPIED: AtomicU64 = AtomicU64::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);

/// Bytes of values this process has written into its node's area, read out of it without mapping, or received from
/// others. What is only mapped is not copied.
#[must_use]
pub fn copied_bytes() -> u64 {
    COPIED.load(Ordering::Relaxed)
}

/// Notes that bytes of values were copied.
pub fn note_copy(bytes: usize) {
    COPIED.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// Bytes of values this process, as a worker, has sent to workers and clients that asked it for them.
#[must_use]
pub fn sent_bytes() -> u64 {
    SENT.load(Ordering::Relaxed)
}

/// Notes that bytes of values were sent.
pub(crate) fn note_sent(bytes: u64) {
    SENT.fetch_add(bytes, Ordering::Relaxed);
}
