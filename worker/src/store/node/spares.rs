//! The spare files a worker has set aside, and the room they take: they count as what they held, and go first.
use crate::area::{Area, SMALLEST_SPARE, Spare, discard};
use crate::store::room::{Counted, Room};
use quiltwork_types::{ValueId, WorkerId};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Spares are kept up to this part of the room in memory,
const PART: u64 = 4;
/// and up to so many bytes: what nobody needs any more should not fill the machine's memory.
const MOST_BYTES: u64 = 512 << 20;
/// The most files that are kept.
const MOST_FILES: usize = 32;

/// What this worker has set aside, the oldest first.
#[derive(Debug)]
pub(super) struct Spares {
    kept: Mutex<VecDeque<Kept>>,
    room: Room,
}

/// One file, unless another process has taken it.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    _counted: Counted,
    _room: Counted,
}

impl Spares {
    /// None yet, for a store with so much room in memory.
    pub(super) fn new(memory: u64) -> Self {
        Self { kept: Mutex::default(), room: Room::new((memory / PART).min(MOST_BYTES)) }
    }

    /// Whether the file of a value of so many bytes is worth keeping.
    pub(super) fn want(&self, size: u64) -> bool {
        size >= SMALLEST_SPARE && size <= self.room.limit()
    }

    /// Keeps a file that was set aside, at the price of older ones.
    pub(super) fn keep(&self, path: PathBuf, counted: Counted) {
        let mut kept = self.lock();
        let room = loop {
            if kept.len() < MOST_FILES
                && let Some(room) = self.room.reserve(counted.size())
            {
                break room;
            }
            let Some(oldest) = kept.pop_front() else { return discard(&path) };
            discard(&oldest.path);
        };
        kept.push_back(Kept { path, _counted: counted, _room: room });
    }

    /// Takes a spare for a value of so many bytes, this worker's or a mate's. What others have taken counts no longer.
    pub(super) fn take(&self, area: &Area, value: ValueId, worker: WorkerId, size: u64) -> Option<Spare> {
        let spare = area.take_spare(value, worker, size);
        self.lock().retain(|kept| kept.path.exists());
        spare
    }

    /// Gives all of their memory back.
    pub(super) fn clear(&self) {
        self.lock().drain(..).for_each(|kept| discard(&kept.path));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
