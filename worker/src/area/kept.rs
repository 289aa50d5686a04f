//! Mappings of files in memory whose values are gone, kept by a process that has written or read them: the files are written
//! again, and to map a large one anew costs more than to copy bytes into it. It decides neither when nor by whom.
//!
//! What is kept is not locked, so nobody waits for it, and neither read nor written until its file is locked again.
use super::format::HEADER;
use super::mapping;
use bytes::Bytes;
use memmap2::Mmap;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most mappings that are kept,
const MOST: usize = 32;
/// and the most bytes of them: while they are kept, their files take memory, unless these are emptied.
const MOST_BYTES: u64 = 1 << 30;
/// The smallest payload whose mapping is worth it, in bytes.
pub(super) const SMALLEST: u64 = 1 << 20;

/// A mapping with its file.
pub(super) trait Mapping {
    /// The file, which stays open as long as the mapping.
    fn file(&self) -> &File;
}

/// The mappings that are kept, the oldest first.
#[derive(Debug)]
pub(super) struct Kept<M> {
    list: Mutex<VecDeque<Entry<M>>>,
}

#[derive(Debug)]
struct Entry<M> {
    inode: u64,
    bytes: u64,
    mapping: M,
}

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self { list: Mutex::default() }
    }
}

impl<M: Mapping> Kept<M> {
    /// Whether there is a mapping of the file with this inode.
    pub(super) fn has(&self, inode: u64) -> bool {
        self.lock().iter().any(|entry| entry.inode == inode)
    }

    /// Takes the mapping of the file with this inode.
    pub(super) fn take(&self, inode: u64) -> Option<M> {
        let mut list = self.lock();
        let place = list.iter().position(|entry| entry.inode == inode)?;
        list.remove(place).map(|entry| entry.mapping)
    }

    /// Gives the lock back and keeps the mapping, at the price of older ones, unless its file has no name any more.
    pub(super) fn keep(&self, mapping: M) {
        let Ok(metadata) = mapping.file().metadata() else { return };
        if mapping.file().unlock().is_err() {
            return;
        }
        let mut list = self.lock();
        list.retain(|entry| entry.inode != metadata.ino() && is_named(entry.mapping.file()));
        if is_named(mapping.file()) {
            list.push_back(Entry { inode: metadata.ino(), bytes: metadata.len(), mapping });
        }
        while list.len() > MOST || list.iter().map(|entry| entry.bytes).sum::<u64>() > MOST_BYTES {
            list.pop_front();
        }
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry<M>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_named(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

/// A file that is read through a mapping.
#[derive(Debug)]
pub(super) struct ReadMapping {
    file: File,
    map: Mmap,
}

impl Mapping for ReadMapping {
    fn file(&self) -> &File {
        &self.file
    }
}

/// The bytes of a file that is locked for reading: by a mapping that was kept, or a new one that will be.
///
/// # Errors
/// If the system does not map it; then the file comes back.
pub(super) fn read(kept: &Arc<Kept<ReadMapping>>, file: File) -> Result<Bytes, File> {
    let Ok(metadata) = file.metadata() else { return Err(file) };
    let length = usize::try_from(metadata.len()).expect("the system has a file of this size");
    if metadata.len() < SMALLEST + HEADER as u64 {
        return mapping::map(&file).map(Bytes::from_owner).map_err(|_| file);
    }
    let known = kept.take(metadata.ino()).filter(|known| known.map.len() >= length);
    let mapping = match known.filter(|known| known.file.try_lock_shared().is_ok()) {
        Some(mapping) => mapping,
        None => match mapping::map(&file) {
            Ok(map) => ReadMapping { file, map },
            Err(_) => return Err(file),
        },
    };
    Ok(Bytes::from_owner(Lent { mapping: Some(mapping), length, kept: Arc::clone(kept) }))
}

/// A mapping that is being read, and goes back when nobody reads it any more.
struct Lent {
    /// Until it is dropped.
    mapping: Option<ReadMapping>,
    /// Bytes of the file: it may have been longer when it was mapped.
    length: usize,
    kept: Arc<Kept<ReadMapping>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.mapping.as_ref().map_or(&[], |mapping| &mapping.map[..self.length])
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            self.kept.keep(mapping);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::discard;
    use std::fs::OpenOptions;
    use std::io::Write;

    const LENGTH: usize = 2 << 20;
    const SHORTER: usize = 4096;

    /// A sealed file, opened and locked for reading.
    fn file(folder: &tempfile::TempDir, byte: u8) -> File {
        let path = folder.path().join("file");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.write_all(&vec![byte; LENGTH]).unwrap();
        file.try_lock_shared().unwrap();
        file
    }

    #[test]
    fn a_file_is_mapped_once_and_locked_only_while_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Arc::default();
        let bytes = read(&kept, file(&folder, 1)).unwrap();
        let place = bytes.as_ptr();
        let writer = OpenOptions::new().write(true).open(folder.path().join("file")).unwrap();
        writer.try_lock().expect_err("it is being read");
        drop(bytes);
        writer.try_lock().expect("nobody reads it");
        writer.set_len((LENGTH - SHORTER) as u64).unwrap();
        writer.unlock().unwrap();
        let again = File::open(folder.path().join("file")).unwrap();
        again.try_lock_shared().unwrap();
        let bytes = read(&kept, again).unwrap();
        assert_eq!((bytes.as_ptr(), bytes.len()), (place, LENGTH - SHORTER));
        assert!(bytes.iter().all(|byte| *byte == 1));
        writer.try_lock().expect_err("it is being read again");
    }

    #[test]
    fn a_file_that_is_discarded_takes_no_memory_unless_it_is_read() {
        for is_read in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let kept = Arc::default();
            let bytes = read(&kept, file(&folder, 1)).unwrap();
            let bytes = is_read.then_some(bytes);
            let other = File::open(folder.path().join("file")).unwrap();
            discard(&folder.path().join("file"));
            let metadata = other.metadata().unwrap();
            assert_eq!((metadata.nlink(), metadata.len()), (0, if is_read { LENGTH as u64 } else { 0 }));
            assert!(bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 1)));
            assert!(!kept.has(metadata.ino()) || !is_read, "without a name nothing is kept");
        }
    }
}
