//! Brings the bytes of a value into the cluster: large ones into the area of the client's node, where a worker makes them
//! its own, others to the master, the smallest with their announcement; it numbers nothing.
use super::errands;
use super::session::Shared;
use crate::error::Result;
use bytes::Bytes;
use quiltwork_protocol::{ClientToMaster, INLINE_LIMIT, Parcel};
use quiltwork_types::{Encoding, TaskId, ValueId};
use quiltwork_worker::Upload;

/// Values up to this many bytes go to the master although there is an area: sending them takes no longer than a file and
/// the worker's round trip, and a worker reads them as fast.
pub(super) const SENT_LIMIT: usize = 64 * 1024;

/// A value that is about to be announced.
pub(super) struct Cargo {
    encoding: Encoding,
    /// The bytes, which belong one behind the other.
    pieces: Vec<Bytes>,
    /// It is in the area already, under no name yet.
    written: Option<Upload>,
}

impl Cargo {
    /// Writes a large value into the area; takes as long as that. Where there is no room, or no area, it will be sent to
    /// the master. Waits while much is on its way or not adopted.
    pub(super) fn load(shared: &Shared, encoding: Encoding, pieces: Vec<Bytes>) -> Self {
        shared.errands.wait_for_room();
        let area = shared.area.as_ref().filter(|_| size_of(&pieces) > SENT_LIMIT);
        let written = area.and_then(|area| match area.write_upload(shared.job, encoding, &pieces) {
            Ok(upload) => Some(upload),
            Err(error) => {
                tracing::debug!(%error, "a value cannot be written into the node's area");
                None
            }
        });
        Self { encoding, pieces, written }
    }

    /// Announces the value under its number and has it sent if it is not there yet.
    pub(super) fn announce(self, shared: &Shared, task: TaskId) -> Result<()> {
        let Self { encoding, pieces, written } = self;
        let named = written.map(|written| written.seal(ValueId::of(task))).transpose();
        let written = named.unwrap_or_else(|error| {
            tracing::debug!(%error, "a value cannot be named in the node's area");
            None
        });
        let (size, is_written) = (size_of(&pieces), written.is_some());
        if !is_written && size <= INLINE_LIMIT {
            return shared.say(&Parcel::new(ClientToMaster::Give { task, encoding }, vec![joined(pieces)]));
        }
        if is_written {
            shared.expect_adoption(task, size);
        }
        shared.say(&Parcel::bare(ClientToMaster::Put { task, size: size as u64, encoding, written: is_written }))?;
        if let Some(written) = written {
            written.leave_to_workers();
        } else {
            shared.errands.upload(errands::Upload { task, bytes: joined(pieces) });
        }
        Ok(())
    }
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat().into() }
}

/// Bytes of all pieces.
pub(super) fn size_of(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}
