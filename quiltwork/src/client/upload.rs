//! Brings the bytes of a value into the cluster: large ones into the area of the client's node, where a worker makes them
//! its own, others to the master; it numbers nothing.
use super::errands;
use super::session::Shared;
use crate::error::Result;
use bytes::Bytes;
use quiltwork_protocol::{ClientToMaster, Parcel};
use quiltwork_types::{Encoding, TaskId, ValueId};
use quiltwork_worker::Upload;

/// Values up to this many bytes go to the master although there is an area: sending them takes no longer than a file and
/// the worker's round trip, and a worker reads them as fast.
pub(super) const SENT_LIMIT: usize = 64 * 1024;

/// A value that is about to be announced.
pub(super) struct Cargo {
    encoding: Encoding,
    bytes: Bytes,
    /// It is in the area already, under no name yet.
    written: Option<Upload>,
}

impl Cargo {
    /// Writes a large value into the area; takes as long as that. Where there is no room, or no area, it will be sent to
    /// the master. Waits while much is on its way or not adopted.
    pub(super) fn load(shared: &Shared, (encoding, bytes): (Encoding, Bytes)) -> Self {
        shared.errands.wait_for_room();
        let area = shared.area.as_ref().filter(|_| bytes.len() > SENT_LIMIT);
        let written = area.and_then(|area| match area.write_upload(shared.job, encoding, &bytes) {
            Ok(upload) => Some(upload),
            Err(error) => {
                tracing::debug!(%error, "a value cannot be written into the node's area");
                None
            }
        });
        Self { encoding, bytes, written }
    }

    /// Announces the value under its number and has it sent if it is not there yet.
    pub(super) fn announce(self, shared: &Shared, task: TaskId) -> Result<()> {
        let Self { encoding, bytes, written } = self;
        let named = written.map(|written| written.seal(ValueId::of(task))).transpose();
        let written = named.unwrap_or_else(|error| {
            tracing::debug!(%error, "a value cannot be named in the node's area");
            None
        });
        let (size, is_written) = (bytes.len() as u64, written.is_some());
        if is_written {
            shared.expect_adoption(task, bytes.len());
        }
        shared.say(&Parcel::bare(ClientToMaster::Put { task, size, encoding, written: is_written }))?;
        match written {
            Some(written) => written.leave_to_workers(),
            None => shared.errands.upload(errands::Upload { task, bytes }),
        }
        Ok(())
    }
}
