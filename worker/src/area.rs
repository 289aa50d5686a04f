//! A node's area of shared memory: a private folder with one sealed file per value and holder. It finds, keeps and maps
//! files; who may hold what, and how much, is not its business.
//!
//! ```text
//! <job>-<task>-<output>.w<worker>          a sealed value: read-only, whole, never changed
//! <job>-<task>-<output>.w<worker>.<n>~     being written; nobody else looks at it
//! ```
//! Several holders of one value share its bytes: their files are links to one inode, which goes with the last of them.
mod format;
mod mapping;
mod part;

pub(crate) use part::{Draft, Part};

use crate::copies::note_copy;
use bytes::Bytes;
use format::{HEADER, open_value};
use nix::unistd::Uid;
use quiltwork_types::{Encoding, NodeId, TypeHash, ValueId, WorkerId};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Permission bits of an area's folder: nobody but its user.
const PRIVATE: u32 = 0o700;

/// A node's area, as one of its processes sees it.
#[derive(Clone, Debug)]
pub struct Area {
    folder: PathBuf,
}

impl Area {
    /// Makes the folder of a new area.
    ///
    /// # Errors
    /// If it exists already or cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(PRIVATE).create(folder)?;
        Self::open(folder)
    }

    /// An area that exists.
    ///
    /// # Errors
    /// If there is none, or its folder belongs to another user or is open to others.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(folder)?;
        let mode = metadata.mode() & 0o7777;
        if !metadata.is_dir() || metadata.uid() != Uid::effective().as_raw() || mode != PRIVATE {
            let (folder, owner) = (folder.display(), metadata.uid());
            let message = format!("{folder} is not a private folder of this user (owner {owner}, mode {mode:o})");
            return Err(io::Error::new(ErrorKind::PermissionDenied, message));
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// What names the node to the master: workers that share an area are on one node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        let TypeHash(hash) = TypeHash::of(&self.folder.to_string_lossy());
        NodeId(hash)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Maps what `holder` holds of `value`; none if it holds nothing here. The bytes are not copied, unless the system
    /// has no more mappings to give.
    ///
    /// # Errors
    /// If the file is not one of an area or cannot be read.
    pub fn map(&self, value: ValueId, holder: WorkerId) -> io::Result<Option<(Encoding, Bytes)>> {
        let mut file = match File::open(self.path(value, holder)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = match mapping::map(&file) {
            Ok(map) => Bytes::from_owner(map),
            Err(_) => read_whole(&mut file)?,
        };
        open_value(bytes).map(Some)
    }

    /// Begins to write a value of so many bytes, under no name yet.
    ///
    /// # Errors
    /// If there is no room or it cannot be written.
    pub(crate) fn begin(&self, value: ValueId, holder: WorkerId, encoding: Encoding, size: u64) -> io::Result<Draft> {
        Draft::create(self.unnamed(value, holder), encoding, size)
    }

    /// Gives a file the name under which others find what `holder` holds; what had that name before is gone.
    ///
    /// # Errors
    /// If the system does not.
    pub(crate) fn enter(&self, part: Part, value: ValueId, holder: WorkerId) -> io::Result<()> {
        part.rename(&self.path(value, holder))
    }

    /// Another name, not known to others yet, for what `holder` holds; none if it holds nothing here.
    ///
    /// # Errors
    /// If the system does not give it.
    pub(crate) fn link(&self, value: ValueId, holder: WorkerId, to: WorkerId) -> io::Result<Option<Part>> {
        let path = self.unnamed(value, to);
        match fs::hard_link(self.path(value, holder), &path) {
            Ok(()) => Ok(Some(Part::at(path))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives what `from` holds to `heir`, whatever that had. Says whether there was something to give.
    pub(crate) fn pass_on(&self, value: ValueId, from: WorkerId, heir: WorkerId) -> bool {
        fs::rename(self.path(value, from), self.path(value, heir)).is_ok()
    }

    /// Bytes of what `holder` holds; none if it holds nothing here.
    pub(crate) fn size(&self, value: ValueId, holder: WorkerId) -> Option<u64> {
        let metadata = fs::metadata(self.path(value, holder)).ok()?;
        Some(metadata.len().saturating_sub(HEADER as u64))
    }

    /// Removes what `holder` holds of `value`.
    pub(crate) fn remove(&self, value: ValueId, holder: WorkerId) {
        remove(&self.path(value, holder));
    }

    /// Removes everything of a holder, also what it was still writing.
    pub(crate) fn remove_all_of(&self, holder: WorkerId) {
        let (whole, part) = (format!(".w{}", holder.0), format!(".w{}.", holder.0));
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for file in files {
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(&whole) || name.contains(&part) {
                remove(&file.path());
            }
        }
    }

    fn path(&self, value: ValueId, holder: WorkerId) -> PathBuf {
        self.folder.join(name(value, holder))
    }

    fn unnamed(&self, value: ValueId, holder: WorkerId) -> PathBuf {
        static PARTS: AtomicU64 = AtomicU64::new(0);
        let number = PARTS.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{}.{number}~", name(value, holder)))
    }
}

fn name(ValueId { task, output }: ValueId, holder: WorkerId) -> String {
    format!("{}-{}-{output}.w{}", task.job.0, task.index, holder.0)
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::debug!(path = %path.display(), %error, "a file of the area stays");
        }
        _ => {}
    }
}

fn read_whole(file: &mut File) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    note_copy(bytes.len());
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use format::header;
    use part::SEALED;
    use quiltwork_types::{JobId, TaskId};
    use std::fs::Permissions;
    use std::io::IoSlice;
    use std::os::unix::fs::PermissionsExt;

    const MAKER: WorkerId = WorkerId(1);
    const OTHER: WorkerId = WorkerId(11);
    const ENCODING: Encoding = Encoding::Bincode(TypeHash(42));

    fn value(index: u32) -> ValueId {
        ValueId::of(TaskId { job: JobId(1), index })
    }

    fn area() -> (tempfile::TempDir, Area) {
        let folder = tempfile::tempdir().unwrap();
        let area = Area::create(&folder.path().join("area")).unwrap();
        (folder, area)
    }

    /// Writes a value that no name has yet.
    fn write(area: &Area, index: u32, encoding: Encoding, payload: &[u8]) -> Part {
        let draft = area.begin(value(index), MAKER, encoding, payload.len() as u64).unwrap();
        draft.write_at(0, &mut [IoSlice::new(payload)]).unwrap();
        draft.seal().unwrap()
    }

    fn files(area: &Area) -> usize {
        fs::read_dir(area.folder()).unwrap().count()
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
        let mode = fs::metadata(area.path(value(1), MAKER)).unwrap().mode();
        assert_eq!(mode & 0o777, SEALED);
        assert_eq!(area.size(value(1), MAKER), Some(400_000));
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
            fs::write(area.path(value(9), MAKER), bytes).unwrap();
            assert_eq!(area.map(value(9), MAKER).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
