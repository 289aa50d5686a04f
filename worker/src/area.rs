//! A node's area: a private folder in shared memory, and one on disk for what does not fit, with one sealed file per value
//! and holder. It finds, keeps and maps files; who may hold what, and how much, is not its business.
//!
//! ```text
//! /dev/shm/…/0/<job>-<task>-<output>.w<worker>     in memory
//! /dev/shm/…/0/<job>-<task>-<output>.c<job>        of the job's client, to be made a worker's; may be on disk as well
//! /dev/shm/…/0/spare/                              files whose values are gone, for others
//! /dev/shm/…/0/disk                                a link to the folder on disk, if there is one
//!     /tmp/…/0/<job>-<task>-<output>.w<worker>     on disk
//! ```
//! Several holders of one value share its bytes: their files are links to one inode, which goes with the last of them.
//! A file may move from memory to disk, never back: whoever looks in memory first and then on disk finds it.
mod folder;
mod format;
mod kept;
mod mapping;
mod own_mapping;
mod part;
mod spares;
mod spill;
mod uploads;

pub(crate) use own_mapping::OwnMapping;
pub(crate) use part::{Draft, Part, Sealed};
pub(crate) use spares::{SMALLEST_SPARE, Spare, discard};
pub use uploads::Upload;

use crate::copies::note_copy;
use bytes::Bytes;
use folder::{Folder, remove, remove_all_of, unless_missing};
use format::{HEADER, open_value};
use kept::{Kept, ReadMapping};
use memmap2::Advice;
use quiltwork_types::{Encoding, NodeId, TypeHash, ValueId, WorkerId};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

/// The name of the link to the folder on disk.
const DISK: &str = "disk";
/// The name of the folder in memory for files whose values are gone.
const SPARES: &str = "spare";

/// A node's area, as one of its processes sees it.
#[derive(Clone, Debug)]
pub struct Area {
    memory: Folder,
    disk: Option<Folder>,
    /// Through which this process has read values.
    read: Arc<Kept<ReadMapping>>,
    /// Through which this process has written them.
    written: Arc<Kept<OwnMapping>>,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the memory the node shares.
    Memory,
    /// On disk.
    Disk,
}

/// A value that was found, and where.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) encoding: Encoding,
    pub(crate) bytes: Bytes,
}

impl Area {
    /// Makes the folders of a new area: one in shared memory and, if values may be spilled, one on disk.
    ///
    /// # Errors
    /// If one exists already or cannot be made.
    pub fn create(folder: &Path, disk: Option<&Path>) -> io::Result<Self> {
        let memory = Folder::create(folder)?;
        fs::create_dir(folder.join(SPARES))?;
        let disk = disk.map(|disk| {
            symlink(disk, folder.join(DISK))?;
            Folder::create(disk)
        });
        Ok(Self::of(memory, disk.transpose()?))
    }

    /// An area that exists.
    ///
    /// # Errors
    /// If there is none, or one of its folders belongs to another user or is open to others.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let memory = Folder::open(folder)?;
        let disk = unless_missing(fs::read_link(folder.join(DISK)))?;
        Ok(Self::of(memory, disk.map(|disk| Folder::open(&disk)).transpose()?))
    }

    fn of(memory: Folder, disk: Option<Folder>) -> Self {
        Self { memory, disk, read: Arc::default(), written: Arc::default() }
    }

    /// What names the node to the master: workers that share an area are on one node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        let TypeHash(hash) = TypeHash::of(&self.folder().to_string_lossy());
        NodeId(hash)
    }

    /// Where it is, in shared memory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.memory.path()
    }

    /// Where it keeps what does not fit, if it may.
    #[must_use]
    pub fn disk(&self) -> Option<&Path> {
        self.disk.as_ref().map(Folder::path)
    }

    /// Maps what `holder` holds of `value`; none if it holds nothing here. The bytes are not copied, unless the system
    /// has no more mappings to give.
    ///
    /// # Errors
    /// If the file is not one of an area or cannot be read.
    pub fn map(&self, value: ValueId, holder: WorkerId) -> io::Result<Option<(Encoding, Bytes)>> {
        Ok(self.find(value, holder)?.map(|found| (found.encoding, found.bytes)))
    }

    /// Like [`map`](Self::map), and says where it is.
    ///
    /// # Errors
    /// As for [`map`](Self::map).
    pub(crate) fn find(&self, value: ValueId, holder: WorkerId) -> io::Result<Option<Found>> {
        for (place, folder) in self.folders() {
            let file = match place {
                Place::Memory => folder.open_locked(value, holder)?,
                Place::Disk => folder.open_file(value, holder)?,
            };
            if let Some(file) = file {
                let (encoding, bytes) = open_value(self.read(file, place)?)?;
                return Ok(Some(Found { place, encoding, bytes }));
            }
        }
        Ok(None)
    }

    /// Begins to write a value of so many bytes, under no name yet; in memory into a spare, if there is one and nobody
    /// maps it any more.
    ///
    /// # Errors
    /// If there is no room or it cannot be written.
    pub(crate) fn begin(
        &self,
        place: Place,
        value: ValueId,
        holder: WorkerId,
        encoding: Encoding,
        size: u64,
        spare: Option<Spare>,
    ) -> io::Result<Draft> {
        let reused = spare.filter(|_| place == Place::Memory).map(|spare| Draft::reuse(spare, encoding, size));
        if let Some(Ok(draft)) = reused {
            return Ok(draft);
        }
        let folder = self.at(place).expect("who counts what is on disk has one");
        Draft::create(place, folder.unnamed(value, holder), encoding, size)
    }

    /// Gives a file the name under which others find what `holder` holds; what had that name before is gone.
    ///
    /// # Errors
    /// If the system does not.
    pub(crate) fn enter(&self, part: Part, value: ValueId, holder: WorkerId) -> io::Result<()> {
        let place = part.place();
        let folder = self.at(place).expect("the part is there");
        part.rename(&folder.file(value, holder))?;
        self.remove_elsewhere(place, value, holder);
        Ok(())
    }

    /// Another name, not known to others yet, for what `holder` holds; none if it holds nothing here.
    ///
    /// # Errors
    /// If the system does not give it.
    pub(crate) fn link(&self, value: ValueId, holder: WorkerId, to: WorkerId) -> io::Result<Option<Part>> {
        for (place, folder) in self.folders() {
            let path = folder.unnamed(value, to);
            if unless_missing(fs::hard_link(folder.file(value, holder), &path))?.is_some() {
                return Ok(Some(Part::at(place, path)));
            }
        }
        Ok(None)
    }

    /// Gives what `from` holds to `heir`, whatever that had. Says whether there was something to give.
    pub(crate) fn pass_on(&self, value: ValueId, from: WorkerId, heir: WorkerId) -> bool {
        let pass_on = |folder: &Folder| fs::rename(folder.file(value, from), folder.file(value, heir)).is_ok();
        let passed = self.folders().find(|(_, folder)| pass_on(folder));
        if let Some((place, _)) = passed {
            self.remove_elsewhere(place, value, heir);
        }
        passed.is_some()
    }

    /// Where that is which `holder` holds, and its bytes; none if it holds nothing here.
    pub(crate) fn size(&self, value: ValueId, holder: WorkerId) -> Option<(Place, u64)> {
        self.folders().find_map(|(place, folder)| {
            let metadata = folder.metadata(value, holder)?;
            Some((place, metadata.len().saturating_sub(HEADER as u64)))
        })
    }

    /// Removes what `holder` holds of `value`. If that is in memory, it is not on disk: whoever moves it there meanwhile
    /// sees that it is gone.
    pub(crate) fn remove(&self, value: ValueId, holder: WorkerId) {
        if self.memory.metadata(value, holder).is_some_and(|metadata| metadata.len() >= kept::SMALLEST) {
            if let Some(unnamed) = self.take_name(value, holder) {
                discard(&unnamed);
            }
            return;
        }
        self.folders().any(|(_, folder)| remove(&folder.file(value, holder)));
    }

    /// Removes everything of a holder, also what it was still writing.
    pub(crate) fn remove_all_of(&self, holder: WorkerId) {
        self.folders().for_each(|(_, folder)| remove_all_of(folder.path(), holder));
        remove_all_of(&self.folder().join(SPARES), holder);
    }

    /// The bytes of a file, mapped if the system has a mapping to give.
    fn read(&self, file: File, place: Place) -> io::Result<Bytes> {
        let mapped = match place {
            Place::Memory => kept::read(&self.read, file),
            Place::Disk => mapping::map(&file).map_err(|_| file).map(|map| {
                // It only asks for haste: what is not there yet is waited for where it is read.
                let _ = map.advise(Advice::WillNeed);
                Bytes::from_owner(map)
            }),
        };
        mapped.or_else(|mut file| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            note_copy(bytes.len());
            Ok(bytes.into())
        })
    }

    /// What stood under this name in the other folder is not that any more.
    fn remove_elsewhere(&self, place: Place, value: ValueId, holder: WorkerId) {
        for (_, folder) in self.folders().filter(|(other, _)| *other != place) {
            remove(&folder.file(value, holder));
        }
    }

    fn at(&self, place: Place) -> Option<&Folder> {
        match place {
            Place::Memory => Some(&self.memory),
            Place::Disk => self.disk.as_ref(),
        }
    }

    /// In the order in which they must be looked through.
    fn folders(&self) -> impl Iterator<Item = (Place, &Folder)> {
        [Place::Memory, Place::Disk].into_iter().filter_map(|place| Some((place, self.at(place)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use format::header;
    use part::SEALED;
    use quiltwork_types::{JobId, TaskId};
    use std::fs::Permissions;
    use std::io::{ErrorKind, IoSlice};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    const MAKER: WorkerId = WorkerId(1);
    const OTHER: WorkerId = WorkerId(11);
    const ENCODING: Encoding = Encoding::Bincode(TypeHash(42));

    fn value(index: u32) -> ValueId {
        ValueId::of(TaskId { job: JobId(1), index })
    }

    fn area() -> (tempfile::TempDir, Area) {
        let folder = tempfile::tempdir().unwrap();
        let area = Area::create(&folder.path().join("area"), Some(&folder.path().join("disk"))).unwrap();
        (folder, area)
    }

    /// Writes a value that no name has yet.
    fn write(area: &Area, index: u32, encoding: Encoding, payload: &[u8]) -> Part {
        let draft = area.begin(Place::Memory, value(index), MAKER, encoding, payload.len() as u64, None).unwrap();
        draft.write_at(0, &mut [IoSlice::new(payload)]).unwrap();
        draft.seal().unwrap().into_parts().0
    }

    fn files(area: &Area) -> usize {
        let files = [area.folder(), area.disk().unwrap()].map(|folder| fs::read_dir(folder).unwrap().count());
        // Two are the folder for spares and the link to the other folder.
        files.iter().sum::<usize>() - 2
    }

    #[test]
    fn a_sealed_value_is_mapped_as_it_was_written_and_aligned() {
        let (_folder, area) = area();
        let payload: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        area.enter(write(&area, 1, ENCODING, &payload), value(1), MAKER).unwrap();
        let (encoding, bytes) = area.map(value(1), MAKER).unwrap().expect("it was sealed");
        assert_eq!(encoding, ENCODING);
        assert!(bytes == payload);
        assert_eq!(bytes.as_ptr().align_offset(64), 0);
        let mode = fs::metadata(area.memory.file(value(1), MAKER)).unwrap().mode();
        assert_eq!(mode & 0o777, SEALED);
        assert_eq!(area.size(value(1), MAKER), Some((Place::Memory, 400_000)));
        area.remove(value(1), MAKER);
        assert!(bytes == payload, "a mapping outlives the name");
        assert_eq!(files(&area), 0);
    }

    #[test]
    fn what_was_not_sealed_is_not_seen_and_leaves_nothing() {
        let (_folder, area) = area();
        let part = write(&area, 1, Encoding::Raw, b"x");
        assert!(area.map(value(1), MAKER).unwrap().is_none());
        drop(part);
        assert_eq!(files(&area), 0);
    }

    #[test]
    fn a_link_lives_on_when_the_first_holder_drops_the_value() {
        let (_folder, area) = area();
        area.enter(write(&area, 1, Encoding::Raw, b"shared"), value(1), MAKER).unwrap();
        let link = area.link(value(1), MAKER, OTHER).unwrap().expect("it is there");
        area.enter(link, value(1), OTHER).unwrap();
        area.remove(value(1), MAKER);
        assert_eq!(area.map(value(1), OTHER).unwrap().unwrap().1, "shared");
        assert!(area.link(value(1), MAKER, OTHER).unwrap().is_none());
    }

    #[test]
    fn what_a_holder_leaves_is_passed_on_or_removed_and_others_stay() {
        let (_folder, area) = area();
        for (index, holder) in [(1, MAKER), (2, MAKER), (3, OTHER)] {
            area.enter(write(&area, index, Encoding::Raw, b"x"), value(index), holder).unwrap();
        }
        std::mem::forget(write(&area, 4, Encoding::Raw, b"cut off"));
        assert!(area.pass_on(value(1), MAKER, OTHER));
        assert!(!area.pass_on(value(1), MAKER, OTHER), "it was given already");
        area.remove_all_of(MAKER);
        assert!(area.map(value(1), OTHER).unwrap().is_some() && area.map(value(3), OTHER).unwrap().is_some());
        assert_eq!(files(&area), 2);
    }

    #[test]
    fn a_folder_open_to_others_and_a_file_that_is_no_value_are_refused() {
        let (folder, area) = area();
        fs::set_permissions(area.folder(), Permissions::from_mode(0o750)).unwrap();
        assert_eq!(Area::open(area.folder()).unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert!(Area::open(&folder.path().join("none")).is_err());
        for bytes in [&b"short"[..], &[7; 100], &header(Encoding::Raw, 5)] {
            fs::write(area.memory.file(value(9), MAKER), bytes).unwrap();
            assert_eq!(area.map(value(9), MAKER).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }

    fn spill(area: &Area, index: u32) {
        let copy = area.copy_to_disk(value(index), MAKER).unwrap().expect("it is in memory");
        area.move_to_disk(copy, value(index), MAKER).unwrap();
    }

    #[test]
    fn a_spilled_value_is_found_on_disk_by_all_who_hold_it_and_its_memory_is_free() {
        let (_folder, area) = area();
        area.enter(write(&area, 1, ENCODING, b"shared"), value(1), MAKER).unwrap();
        let link = area.link(value(1), MAKER, OTHER).unwrap().expect("it is there");
        area.enter(link, value(1), OTHER).unwrap();
        let before = area.map(value(1), MAKER).unwrap().unwrap();
        spill(&area, 1);
        for holder in [MAKER, OTHER] {
            let found = area.find(value(1), holder).unwrap().expect("it is on disk");
            assert_eq!((found.place, found.encoding, &found.bytes[..]), (Place::Disk, ENCODING, &b"shared"[..]));
            assert!(area.memory.metadata(value(1), holder).is_none(), "a name in memory keeps it there");
        }
        assert_eq!(before.1, "shared", "who reads it reads on");
        assert_eq!(area.disk.as_ref().unwrap().metadata(value(1), OTHER).unwrap().nlink(), 2, "it is there once");
        area.remove(value(1), MAKER);
        area.remove(value(1), OTHER);
        assert_eq!(files(&area), 0);
    }

    #[test]
    fn what_is_on_disk_is_shared_passed_on_and_replaced_like_what_is_in_memory() {
        let (_folder, area) = area();
        area.enter(write(&area, 1, ENCODING, b"old"), value(1), MAKER).unwrap();
        spill(&area, 1);
        let link = area.link(value(1), MAKER, OTHER).unwrap().expect("it is on disk");
        area.enter(link, value(1), OTHER).unwrap();
        assert!(area.pass_on(value(1), MAKER, WorkerId(7)));
        assert_eq!(area.size(value(1), WorkerId(7)), Some((Place::Disk, 3)));
        area.enter(write(&area, 1, ENCODING, b"newer"), value(1), OTHER).unwrap();
        assert_eq!(area.size(value(1), OTHER), Some((Place::Memory, 5)));
        assert!(area.pass_on(value(1), WorkerId(7), OTHER), "whatever that had");
        assert_eq!(area.map(value(1), OTHER).unwrap().unwrap().1, "old");
        area.remove_all_of(OTHER);
        assert_eq!(files(&area), 0);
    }

    #[test]
    fn an_opened_area_knows_its_disk_and_refuses_one_that_is_open_to_others() {
        let (folder, area) = area();
        assert_eq!(Area::open(area.folder()).unwrap().disk(), Some(&*folder.path().join("disk")));
        fs::set_permissions(area.disk().unwrap(), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(Area::open(area.folder()).unwrap_err().kind(), ErrorKind::PermissionDenied);
        let without = Area::create(&folder.path().join("without"), None).unwrap();
        assert!(without.disk().is_none() && without.copy_to_disk(value(1), MAKER).unwrap().is_none());
    }
}
