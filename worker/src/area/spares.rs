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
use super::part::Part;
use super::{OwnMapping, Place, SPARES};
use quiltwork_types::{ValueId, WorkerId};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The smallest value whose file is worth it, in bytes: for less, the system's calls cost more than its pages.
pub(crate) const SMALLEST_SPARE: u64 = 64 * 1024;

/// A file to write into once more, under a name nobody looks at.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(super) part: Part,
    /// The name under which it was set aside.
    pub(crate) set_aside: PathBuf,
    /// If this process has written the last value through one.
    pub(crate) mapping: Option<OwnMapping>,
}

impl Area {
    /// Takes the name of what `holder` holds in memory and keeps the file; none, and the file is gone, if others hold it
    /// as well.
    pub(crate) fn set_aside(&self, value: ValueId, holder: WorkerId) -> Option<PathBuf> {
        static SPARE: AtomicU64 = AtomicU64::new(0);
        let bytes = self.memory.metadata(value, holder)?.len().checked_sub(HEADER as u64)?;
        let number = SPARE.fetch_add(1, Ordering::Relaxed);
        let spare = self.memory.path().join(SPARES).join(format!("{bytes}-{number}.w{}", holder.0));
        fs::rename(self.memory.file(value, holder), &spare).ok()?;
        // Nobody can link to it any more: it has lost the name they know.
        if fs::symlink_metadata(&spare).is_ok_and(|metadata| metadata.nlink() == 1) {
            return Some(spare);
        }
        remove(&spare);
        None
    }

    /// Takes a spare of about this size, whoever has set it aside, for a value that `holder` will hold.
    pub(crate) fn take_spare(&self, value: ValueId, holder: WorkerId, size: u64) -> Option<Spare> {
        self.take_spare_as(self.memory.unnamed(value, holder), size)
    }

    /// Takes a spare of about this size and gives it a name nobody looks at.
    pub(super) fn take_spare_as(&self, path: PathBuf, size: u64) -> Option<Spare> {
        if size < SMALLEST_SPARE {
            return None;
        }
        let files = fs::read_dir(self.memory.path().join(SPARES)).ok()?.flatten();
        let sizes = files.filter_map(|file| Some((bytes_of(&file.path())?, file.path())));
        let alike = sizes.filter(|(bytes, _)| (size / 2..=size.saturating_mul(2)).contains(bytes));
        let (_, nearest) = alike.min_by_key(|(bytes, _)| bytes.abs_diff(size))?;
        // Another process may have been faster.
        fs::rename(&nearest, &path).ok()?;
        Some(Spare { part: Part::at(Place::Memory, path), set_aside: nearest, mapping: None })
    }
}

/// How large a value it held, by its name.
fn bytes_of(spare: &Path) -> Option<u64> {
    spare.file_name()?.to_str()?.split('-').next()?.parse().ok()
}
