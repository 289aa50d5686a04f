//! Making room: what was used least lately moves to disk, and what finds no room in memory is written there at once.
use super::{Claim, NodeStore};
use crate::area::{Draft, Place};
use crate::failure::{FullPlace, TaskError};
use crate::store::Origin;
use crate::store::room::{Counted, Room};
use dashmap::mapref::entry::Entry;
use quiltwork_types::{Encoding, ValueId};
use std::io::{self, ErrorKind};
use std::sync::PoisonError;

/// Whoever makes room leaves this part of it free for the next ones: looking for what was used least lately costs a look
/// at every value.
const SLACK: u64 = 8;

impl NodeStore {
    /// Takes the room for a value and begins its file: in memory, if need be after others went to disk, else on disk.
    pub(super) fn open(
        &self,
        value: ValueId,
        origin: Origin,
        encoding: Encoding,
        size: u64,
    ) -> Result<(Draft, Counted), TaskError> {
        let begin = |place, spare| self.area.begin(place, value, self.worker, encoding, size, spare);
        // It counts no longer when it is asked whether there is room.
        let spare = self.spares.take(&self.area, value, self.worker, size);
        let reserve = match origin {
            Origin::Copied if self.disk.is_none() => Room::reserve_copy,
            Origin::Copied | Origin::Made(_) => Room::reserve,
        };
        if let Some(counted) = self.room_in_memory(size, reserve) {
            match begin(Place::Memory, spare) {
                Ok(draft) => return Ok((draft, counted)),
                // Others use the machine's memory as well.
                Err(error) if is_full(&error) && self.disk.is_some() => self.spares.clear(),
                Err(error) => return Err(self.not_written(size, Place::Memory, error)),
            }
        }
        let on_disk = self.disk.as_ref().and_then(|disk| disk.reserve(size));
        let counted = on_disk.ok_or_else(|| self.full(size, None))?;
        let draft = begin(Place::Disk, None).map_err(|error| self.not_written(size, Place::Disk, error))?;
        Ok((draft, counted))
    }

    /// Counts a value in memory, if need be after others went to disk.
    pub(super) fn room_in_memory(&self, size: u64, reserve: fn(&Room, u64) -> Option<Counted>) -> Option<Counted> {
        let counted = reserve(&self.memory, size).or_else(|| {
            self.spares.clear();
            reserve(&self.memory, size)
        });
        if counted.is_some() || self.disk.is_none() {
            return counted;
        }
        let target = self.memory.limit().checked_sub(size)?;
        let _alone = self.spilling.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever was waited for may have made enough.
        self.memory.reserve(size).or_else(|| {
            self.spill_down_to(target.saturating_sub(self.memory.limit() / SLACK));
            self.memory.reserve(size)
        })
    }

    /// Makes the room for a value that is counted already; says whether there is enough.
    pub(super) fn make_up_for(&self, adopted: ValueId) -> bool {
        let limit = self.memory.limit();
        if self.memory.held() > limit {
            self.spares.clear();
            let _alone = self.spilling.lock().unwrap_or_else(PoisonError::into_inner);
            self.spill_down_to(limit);
        }
        let is_on_disk = !self.values.get(&adopted).is_some_and(|held| held.is_in_memory());
        is_on_disk || self.memory.held() <= limit
    }

    /// Spills what was used least lately, until no more than `target` bytes are in memory or nothing goes any more.
    /// The caller holds the lock `spilling`.
    pub(super) fn spill_down_to(&self, target: u64) {
        if self.memory.held() <= target {
            return;
        }
        self.spares.clear();
        self.forget_borrowed();
        let in_memory = self.values.iter().filter(|held| held.is_in_memory());
        let mut candidates: Vec<_> = in_memory.map(|held| (held.used, *held.key())).collect();
        candidates.sort_unstable();
        for (_, value) in candidates {
            if self.memory.held() <= target {
                return;
            }
            if let Err(error) = self.spill(value) {
                tracing::debug!(%value, %error, "not spilled");
                return;
            }
        }
    }

    fn spill(&self, value: ValueId) -> io::Result<()> {
        let found = self.values.get(&value).and_then(|held| Some((held.serial, held.in_memory()?)));
        let (Some((serial, size)), Some(disk)) = (found, &self.disk) else { return Ok(()) };
        let counted = disk.reserve(size).ok_or(ErrorKind::QuotaExceeded)?;
        // The index is not locked while bytes are copied.
        let copy = self.area.copy_to_disk(value, self.worker)?;
        let Entry::Occupied(mut entry) = self.values.entry(value) else { return Ok(()) };
        let held = entry.get_mut();
        if held.serial != serial || !held.is_in_memory() {
            return Ok(());
        }
        self.stop_mapping(held);
        match copy {
            Some(copy) => self.area.move_to_disk(copy, value, self.worker)?,
            // A mate that counts the same bytes has moved it.
            None if self.area.size(value, self.worker).is_some_and(|(place, _)| place == Place::Disk) => {}
            None => return Ok(()),
        }
        held.claim = Claim::Own { place: Place::Disk, counted };
        Ok(())
    }

    /// Lets go of all mappings of what others hold: they may have spilled it, and mapped memory is not free.
    pub(super) fn forget_borrowed(&self) {
        self.values.iter_mut().filter(|held| held.is_borrowed()).for_each(|mut held| held.mapped = None);
    }

    /// Why a value of so many bytes was not written.
    pub(super) fn not_written(&self, size: u64, place: Place, error: io::Error) -> TaskError {
        if is_full(&error) { self.full(size, Some(place)) } else { TaskError::StoreBroken(error) }
    }

    pub(super) fn full(&self, size: u64, used_up: Option<Place>) -> TaskError {
        let place = |place, room: &Room, folder| FullPlace {
            folder,
            held: room.held(),
            limit: room.limit(),
            is_used_up: used_up == Some(place),
        };
        let memory = place(Place::Memory, &self.memory, Some(self.area.folder().to_owned()));
        let disk = self.disk.as_ref().map(|room| place(Place::Disk, room, self.area.disk().map(Into::into)));
        TaskError::StoreFull { size, places: [memory].into_iter().chain(disk).collect() }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
