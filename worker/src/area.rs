//! A node's area of shared memory: a private folder with one sealed file per value and holder. It finds, keeps and maps
//! files; who may hold what, and how much, is not its business.
//!
//! ```text
//! <job>-<task>-<output>.w<worker>          a sealed value: read-only, whole, never changed
//! <job>-<task>-<output>.w<worker>.<n>~     being written; nobody else looks at it
//! <job>-<task>-<output>.c<job>             of the job's client, to be made a worker's
//!
//! 0   magic        8 bytes
//! 8   encoding     8 bytes of tag, 8 bytes of type hash
//! 24  size         8 bytes, of the payload
//! 64  payload      aligned to 64 bytes, because mappings begin at a page
//! ```
//! Several holders of one value share its bytes: their files are links to one inode, which goes with the last of them.
mod mapping;
mod uploads;

pub use uploads::Upload;

use crate::copies::note_copy;
use bytes::Bytes;
use nix::unistd::Uid;
use quiltwork_types::{Encoding, NodeId, TypeHash, ValueId, WorkerId};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: [u8; 8] = *b"QWVALUE\x01";
/// Bytes before the payload.
const HEADER: usize = 64;
/// Permission bits of an area's folder: nobody but its user.
const PRIVATE: u32 = 0o700;
/// Permission bits of a sealed file.
const SEALED: u32 = 0o400;

/// A node's area, as one of its processes sees it.
#[derive(Clone, Debug)]
pub struct Area {
    folder: PathBuf,
}

/// A file that has no name others look at yet; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    area: &'a Area,
    path: PathBuf,
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

    /// Writes a value, whole and sealed, but under no name yet.
    ///
    /// # Errors
    /// If there is no room or it cannot be written.
    pub(crate) fn write(
        &self,
        value: ValueId,
        holder: WorkerId,
        encoding: Encoding,
        payload: &[u8],
    ) -> io::Result<Part<'_>> {
        let part = Part { area: self, path: self.unnamed(value, holder) };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part.path)?;
        write_all(&mut file, &header(encoding, payload.len() as u64), payload)?;
        file.set_permissions(Permissions::from_mode(SEALED))?;
        note_copy(payload.len());
        Ok(part)
    }

    /// Another name, not known to others yet, for what `holder` holds; none if it holds nothing here.
    ///
    /// # Errors
    /// If the system does not give it.
    pub(crate) fn link(&self, value: ValueId, holder: WorkerId, to: WorkerId) -> io::Result<Option<Part<'_>>> {
        let path = self.unnamed(value, to);
        match fs::hard_link(self.path(value, holder), &path) {
            Ok(()) => Ok(Some(Part { area: self, path })),
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

impl Part<'_> {
    /// Gives it the name under which others find it; what had that name before is gone.
    ///
    /// # Errors
    /// If the system does not.
    pub(crate) fn seal(self, value: ValueId, holder: WorkerId) -> io::Result<()> {
        fs::rename(&self.path, self.area.path(value, holder))
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        remove(&self.path);
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

fn header(encoding: Encoding, size: u64) -> [u8; HEADER] {
    let (tag, hash) = match encoding {
        Encoding::Raw => (0_u64, 0),
        Encoding::Bincode(TypeHash(hash)) => (1, hash),
    };
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    for (place, field) in header[8..].chunks_exact_mut(8).zip([tag, hash, size]) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    header
}

/// Reads the header of a file and leaves the payload.
fn open_value(mut bytes: Bytes) -> io::Result<(Encoding, Bytes)> {
    let wrong = |what: &str| io::Error::new(ErrorKind::InvalidData, format!("a file of the area {what}"));
    if bytes.len() < HEADER || bytes[..8] != MAGIC {
        return Err(wrong("holds no value"));
    }
    let header = bytes.split_to(HEADER);
    let field = |number: usize| {
        let (fields, _) = header.as_chunks::<8>();
        u64::from_le_bytes(fields[number])
    };
    if field(3) != bytes.len() as u64 {
        return Err(wrong("is not whole"));
    }
    match field(1) {
        0 => Ok((Encoding::Raw, bytes)),
        1 => Ok((Encoding::Bincode(TypeHash(field(2))), bytes)),
        tag => Err(wrong(&format!("has the unknown encoding {tag}"))),
    }
}

fn write_all(file: &mut File, header: &[u8], payload: &[u8]) -> io::Result<()> {
    let slices = &mut [IoSlice::new(header), IoSlice::new(payload)][..];
    let written = file.write_vectored(slices)?;
    if written < header.len() {
        file.write_all(&header[written..])?;
    }
    file.write_all(&payload[written.saturating_sub(header.len())..])
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
    use quiltwork_types::{JobId, TaskId};

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

    fn files(area: &Area) -> usize {
        fs::read_dir(area.folder()).unwrap().count()
    }

    #[test]
    fn a_sealed_value_is_mapped_as_it_was_written_and_aligned() {
        let (_folder, area) = area();
        let payload: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        area.write(value(1), MAKER, ENCODING, &payload).unwrap().seal(value(1), MAKER).unwrap();
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
        let part = area.write(value(1), MAKER, Encoding::Raw, b"x").unwrap();
        assert!(area.map(value(1), MAKER).unwrap().is_none());
        drop(part);
        assert_eq!(files(&area), 0);
    }

    #[test]
    fn a_link_lives_on_when_the_first_holder_drops_the_value() {
        let (_folder, area) = area();
        area.write(value(1), MAKER, Encoding::Raw, b"shared").unwrap().seal(value(1), MAKER).unwrap();
        area.link(value(1), MAKER, OTHER).unwrap().expect("it is there").seal(value(1), OTHER).unwrap();
        area.remove(value(1), MAKER);
        assert_eq!(area.map(value(1), OTHER).unwrap().unwrap().1, "shared");
        assert!(area.link(value(1), MAKER, OTHER).unwrap().is_none());
    }

    #[test]
    fn what_a_holder_leaves_is_passed_on_or_removed_and_others_stay() {
        let (_folder, area) = area();
        for (index, holder) in [(1, MAKER), (2, MAKER), (3, OTHER)] {
            area.write(value(index), holder, Encoding::Raw, b"x").unwrap().seal(value(index), holder).unwrap();
        }
        std::mem::forget(area.write(value(4), MAKER, Encoding::Raw, b"cut off").unwrap());
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
