//! The story of one task, bounded; a task that only waits in the queue costs no heap.
use alloc::vec::Vec;
use quiltwork_types::{Chapter, StoryEntry, Time};

/// Entries kept of one task. When there are more, the oldest but the first go.
const LIMIT: usize = 64;

/// Set in `Story::submitted` if the next chapter is `Queued` at the same moment. That is all there is to say about most
/// tasks of a long queue, so it costs one bit; the others count nanoseconds for 292 years.
const QUEUED_AT_ONCE: u64 = 1 << 63;

/// What happened to a task since it was submitted.
#[derive(Debug)]
pub(crate) struct Story {
    /// Nanoseconds, and `QUEUED_AT_ONCE`.
    submitted: u64,
    later: Vec<StoryEntry>,
}

impl Story {
    pub(crate) const fn new(submitted: Time) -> Self {
        Self { submitted: submitted.0 & !QUEUED_AT_ONCE, later: Vec::new() }
    }

    pub(crate) const fn submitted(&self) -> Time {
        Time(self.submitted & !QUEUED_AT_ONCE)
    }

    const fn was_queued_at_once(&self) -> bool {
        self.submitted & QUEUED_AT_ONCE != 0
    }

    pub(crate) fn push(&mut self, at: Time, chapter: Chapter) {
        let is_first = self.later.is_empty() && !self.was_queued_at_once();
        if is_first && chapter == Chapter::Queued && at == self.submitted() {
            self.submitted |= QUEUED_AT_ONCE;
            return;
        }
        if self.later.len() + 2 >= LIMIT {
            self.later.remove(0);
        }
        self.later.push(StoryEntry { at, chapter });
    }

    pub(crate) fn entries(&self) -> Vec<StoryEntry> {
        let at = self.submitted();
        let mut entries = Vec::with_capacity(self.later.len() + 2);
        entries.push(StoryEntry { at, chapter: Chapter::Submitted });
        if self.was_queued_at_once() {
            entries.push(StoryEntry { at, chapter: Chapter::Queued });
        }
        entries.extend_from_slice(&self.later);
        entries
    }
}
