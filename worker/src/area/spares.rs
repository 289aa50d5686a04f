//! Files whose values are gone, kept because their memory is warm: a new page costs the system several times what it takes
//! to write a page that is there. How many are kept is not decided here.
//!
//! ```text
//! spare/<bytes>-<n>.w<worker>      set aside by this worker; whoever renames it has it
//! ```
//! A spare may still be mapped somewhere. Readers lock what they map, and the lock lives as long as the mapping, so
//! only who locks a spare against all others may write into it.
use super::Area;
use super::folder::remove;
use super::format::HEADER;
use super::part::{OPEN, Part};
use super::{OwnMapping, Place, SPARES};
use quiltwork_types::{ValueId, WorkerId};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{DirEntryExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The smallest value whose file is worth it, in bytes: for less, the system's calls cost more than its pages.
pub(crate) const SMALLEST_SPARE: u64 = 64 * 1024;

/// A file to write into once more, under a name nobody looks at.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(super) part: Part,
    /// If this process has written a value into it through one.
    pub(super) mapping: Option<OwnMapping>,
}

impl Area {
    /// Takes the name of what `holder` holds in memory and keeps the file; none, and the file is gone, if others hold it
    /// as well.
    pub(crate) fn set_aside(&self, value: ValueId, holder: WorkerId) -> Option<PathBuf> {
        static SPARE: AtomicU64 = AtomicU64::new(0);
        let unnamed = self.take_name(value, holder)?;
        let metadata = fs::symlink_metadata(&unnamed).ok()?;
        let number = SPARE.fetch_add(1, Ordering::Relaxed);
        let bytes = metadata.len().saturating_sub(HEADER as u64);
        let spare = self.memory.path().join(SPARES).join(format!("{bytes}-{number}.w{}", holder.0));
        // Only now, for what is there may be written by anybody.
        if metadata.nlink() == 1 && fs::rename(&unnamed, &spare).is_ok() {
            return Some(spare);
        }
        remove(&unnamed);
        None
    }

    /// Takes the name of what `holder` holds in memory, so that nobody finds it or links to it any more by that name;
    /// returns one that nobody looks at.
    pub(super) fn take_name(&self, value: ValueId, holder: WorkerId) -> Option<PathBuf> {
        let unnamed = self.memory.unnamed(value, holder);
        fs::rename(self.memory.file(value, holder), &unnamed).ok()?;
        Some(unnamed)
    }

    /// Takes a spare of about this size, whoever has set it aside, for a value that `holder` will hold.
    pub(crate) fn take_spare(&self, value: ValueId, holder: WorkerId, size: u64) -> Option<Spare> {
        self.take_spare_as(self.memory.unnamed(value, holder), size)
    }

    /// Takes a spare of about this size and gives it a name nobody looks at; best one that this process has mapped for
    /// writing.
    pub(super) fn take_spare_as(&self, path: PathBuf, size: u64) -> Option<Spare> {
        if size < SMALLEST_SPARE {
            return None;
        }
        let files = fs::read_dir(self.memory.path().join(SPARES)).ok()?.flatten();
        let sizes = files.filter_map(|file| Some((bytes_of(&file.path())?, file)));
        let alike = sizes.filter(|(bytes, _)| (size / 2..=size.saturating_mul(2)).contains(bytes));
        let (_, best) = alike.min_by_key(|(bytes, file)| (bytes.abs_diff(size), !self.written.has(file.ino())))?;
        // Another process may have been faster.
        fs::rename(best.path(), &path).ok()?;
        let part = Part::at(Place::Memory, path);
        let mapping = self.written.take(fs::symlink_metadata(part.path()).ok()?.ino());
        Some(Spare { part, mapping })
    }

    /// Keeps the mapping through which a value was written that is gone, or that this process does not read: others that
    /// hold the file may set it aside.
    pub(crate) fn keep_mapping(&self, mapping: OwnMapping) {
        self.written.keep(mapping);
    }
}

/// Removes a file that has lost the name others know. It is emptied first if nobody holds or reads it: processes that keep a
/// mapping of it would keep its memory.
pub(crate) fn discard(path: &Path) {
    empty(path);
    remove(path);
}

fn empty(path: &Path) -> Option<()> {
    let named = fs::symlink_metadata(path).ok().filter(|metadata| metadata.nlink() == 1)?;
    fs::set_permissions(path, Permissions::from_mode(OPEN)).ok()?;
    let file = OpenOptions::new().write(true).open(path).ok()?;
    file.try_lock().ok()?;
    // Before it was locked, another process may have taken it and written a value into it.
    let now = fs::symlink_metadata(path).ok()?;
    if now.ino() == named.ino() && file.metadata().ok()?.ino() == named.ino() {
        file.set_len(0).ok()?;
    }
    Some(())
}

/// How large a value it held, by its name.
fn bytes_of(spare: &Path) -> Option<u64> {
    spare.file_name()?.to_str()?.split('-').next()?.parse().ok()
}
