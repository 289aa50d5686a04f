//! The values this worker holds: results its attempts made and copies it fetched; it moves nothing over the wire.
mod memory;
mod node;
mod room;

pub(crate) use memory::MemoryStore;
pub(crate) use node::NodeStore;

use crate::arguments::Output;
use crate::failure::TaskError;
use quiltwork_protocol::master_to_worker::Orphan;
use quiltwork_types::{AttemptId, Encoding, JobId, ValueId, WorkerId};
use std::io::IoSlice;
use std::sync::Arc;

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
    /// may have been told of it. It takes long if others must be moved away for it.
    ///
    /// # Errors
    /// [`TaskError::StoreFull`] if that would be more than may be held, or another one if it cannot be written.
    fn put(&self, value: ValueId, stored: Stored) -> Result<(), TaskError>;

    /// Begins to keep a value of so many bytes that comes in pieces. The room for it is taken now.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    fn begin(
        self: Arc<Self>,
        value: ValueId,
        origin: Origin,
        encoding: Encoding,
        size: u64,
    ) -> Result<Box<dyn Incoming>, TaskError>;

    /// Whether a value of so many bytes can be kept at once, without others being moved away for it.
    fn has_room(&self, _size: u64) -> bool {
        true
    }

    /// Bytes of values this worker counts in memory that is not the process's own: the memory the node shares.
    fn in_memory(&self) -> u64;

    /// Moves what was used least lately to disk until at most `target` bytes are in memory, or nothing goes any more.
    /// It takes as long as the disk does.
    fn spill_to(&self, target: u64);

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

    /// What a worker of this node holds, be it this one, for whoever reads a part of it: nothing is held or kept for
    /// that. None if `holder` is not on this node or does not hold it.
    fn look_at(&self, _value: ValueId, _holder: WorkerId) -> Option<Output> {
        None
    }

    /// A worker of this node is gone and `heir` holds these values now. If that is this worker, all else that was left
    /// behind is removed, and the values that were not there are returned.
    fn inherit(&self, _from: WorkerId, _heir: WorkerId, _values: Vec<ValueId>) -> Vec<ValueId> {
        Vec::new()
    }

    /// Holds from now on what a client has written into the area of the node, or left there under the names of workers
    /// that are gone, whether or not there is room for it: see [`settle`](Self::settle).
    ///
    /// # Errors
    /// [`TaskError::NotWritten`] if it is not there, or another one if it cannot be kept; then it is removed.
    fn adopt(&self, _orphan: &Orphan) -> Result<(), TaskError> {
        Err(TaskError::NotWritten)
    }

    /// Makes the room that an adopted value has taken. It takes long if others must be moved away for it.
    ///
    /// # Errors
    /// [`TaskError::StoreFull`] if there is none; then the value is removed.
    fn settle(&self, _adopted: ValueId) -> Result<(), TaskError> {
        Ok(())
    }

    /// Removes from the area of the node what a client that is gone has written there.
    fn clear_away(&self, _job: JobId) {}
}

/// A value that comes in pieces. Dropping it before it is whole leaves nothing and gives the room back.
pub(crate) trait Incoming: Send + Sync {
    /// Writes slices one behind the other, from this place of the value on: in any order, several threads at a time.
    ///
    /// # Errors
    /// If they are not within the value or cannot be written.
    fn write_at(&self, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), TaskError>;

    /// Reads what has been written there. What has not been is anything.
    ///
    /// # Errors
    /// If it is not within the value or cannot be read.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), TaskError>;

    /// Keeps the value, all of which must have been written. Which one stays if there is one already is said at
    /// [`ValueStore::put`]; what was written is returned in either case.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn finish(self: Box<Self>) -> Result<Output, TaskError>;
}
