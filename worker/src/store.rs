//! The values this worker holds: results its attempts made and copies it fetched; it moves nothing over the wire.
mod memory;
mod node;

pub(crate) use memory::MemoryStore;
pub(crate) use node::NodeStore;

use crate::arguments::Output;
use crate::failure::TaskError;
use quiltwork_protocol::master_to_worker::Orphan;
use quiltwork_types::{AttemptId, JobId, ValueId, WorkerId};
use std::sync::atomic::{AtomicU64, Ordering};

/// A value in a store.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Where it came from.
    pub(crate) origin: Origin,
    /// Its encoding and bytes; cloning shares them.
    pub(crate) output: Output,
}

/// How a value came into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An attempt here made it. It may never be published, for another attempt may come first.
    Made(AttemptId),
    /// It was fetched, inherited or adopted, so it is the published one.
    Copied,
}

/// Where values are kept: in this worker's own memory, or in an area all workers of a node share.
pub(crate) trait ValueStore: Send + Sync {
    /// Keeps a value. A copy takes the place of what an attempt here made; otherwise the first one stays, for others
    /// may have been told of it.
    ///
    /// # Errors
    /// [`TaskError::StoreFull`] if that would be more than may be held, or another one if it cannot be written.
    fn put(&self, value: ValueId, stored: Stored) -> Result<(), TaskError>;

    /// The value, if it is here.
    fn get(&self, value: ValueId) -> Option<Stored>;

    /// Drops the value, whoever made it.
    fn remove(&self, value: ValueId);

    /// Drops what this attempt made; what another attempt made under the same name stays.
    fn remove_made_by(&self, attempt: AttemptId);

    /// Holds from now on what another worker of this node holds, without a copy of its bytes; none if `holder` is not
    /// on this node or does not hold it.
    fn share(&self, _value: ValueId, _holder: WorkerId) -> Option<Output> {
        None
    }

    /// A worker of this node is gone and `heir` holds these values now. If that is this worker, all else that was left
    /// behind is removed, and the values that were not there are returned.
    fn inherit(&self, _from: WorkerId, _heir: WorkerId, _values: Vec<ValueId>) -> Vec<ValueId> {
        Vec::new()
    }

    /// Holds from now on what a client has written into the area of the node, or left there under the names of workers
    /// that are gone. What there is no room for is removed.
    ///
    /// # Errors
    /// [`TaskError::StoreFull`] if that would be more than may be held, [`TaskError::NotWritten`] if it is not there, or
    /// another one if it cannot be kept.
    fn adopt(&self, _orphan: &Orphan) -> Result<(), TaskError> {
        Err(TaskError::NotWritten)
    }

    /// Removes from the area of the node what a client that is gone has written there.
    fn clear_away(&self, _job: JobId) {}
}

/// How much is held of what may be.
#[derive(Debug)]
struct Room {
    /// Bytes of all values, counted before they are inserted and until after they are removed.
    held: AtomicU64,
    limit: u64,
}

impl Room {
    const fn new(limit: u64) -> Self {
        Self { held: AtomicU64::new(0), limit }
    }

    /// Makes room for a value. Copies can be had again, so they must leave half of the room to results.
    fn reserve(&self, size: u64, origin: Origin) -> Result<(), TaskError> {
        self.reserve_within(size, if origin == Origin::Copied { self.limit / 2 } else { self.limit })
    }

    fn reserve_within(&self, size: u64, limit: u64) -> Result<(), TaskError> {
        let add = |held: u64| held.checked_add(size).filter(|sum| *sum <= limit);
        match self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(held) => Err(TaskError::StoreFull { size, held, limit }),
        }
    }

    /// Counts what is here whether or not there is room for it.
    fn take(&self, size: u64) {
        self.held.fetch_add(size, Ordering::Relaxed);
    }

    fn release(&self, size: u64) {
        self.held.fetch_sub(size, Ordering::Relaxed);
    }

    #[cfg(test)]
    fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}
