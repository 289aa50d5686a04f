//! One folder of an area: private, with one sealed file per value and holder. It finds files by their names; what is in
//! them is not its business.
//!
//! ```text
//! <job>-<task>-<output>.w<worker>          a sealed value: read-only, whole, never changed
//! <job>-<task>-<output>.w<worker>.<n>~     being written; nobody else looks at it
//! ```
use nix::unistd::Uid;
use quiltwork_types::{ValueId, WorkerId};
use std::fs::{self, DirBuilder, File, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Permission bits of the folder: nobody but its user.
const PRIVATE: u32 = 0o700;

/// A private folder of values.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes a new one.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(PRIVATE).create(path)?;
        Self::open(path)
    }

    /// One that exists, belongs to this user and is closed to others.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let mode = metadata.mode() & 0o7777;
        if !metadata.is_dir() || metadata.uid() != Uid::effective().as_raw() || mode != PRIVATE {
            let (path, owner) = (path.display(), metadata.uid());
            let message = format!("{path} is not a private folder of this user (owner {owner}, mode {mode:o})");
            return Err(io::Error::new(ErrorKind::PermissionDenied, message));
        }
        Ok(Self { path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that says `holder` holds the value.
    pub(super) fn file(&self, value: ValueId, holder: WorkerId) -> PathBuf {
        self.path.join(name(value, holder))
    }

    /// A name nobody looks at, for what is to become that file.
    pub(super) fn unnamed(&self, value: ValueId, holder: WorkerId) -> PathBuf {
        static PARTS: AtomicU64 = AtomicU64::new(0);
        let number = PARTS.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{}.{number}~", name(value, holder)))
    }

    /// Opens what `holder` holds, if it is here.
    pub(super) fn open_file(&self, value: ValueId, holder: WorkerId) -> io::Result<Option<File>> {
        unless_missing(File::open(self.file(value, holder)))
    }

    /// Opens what `holder` holds, if it is here, in a folder whose files are written again when their values are gone:
    /// not as long as it is read or mapped.
    pub(super) fn open_locked(&self, value: ValueId, holder: WorkerId) -> io::Result<Option<File>> {
        let Some(file) = self.open_file(value, holder)? else { return Ok(None) };
        match file.try_lock_shared() {
            Ok(()) => {}
            // Its name was taken away, and somebody writes into it.
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The same may have happened, and be over, before it was locked.
        let opened = file.metadata()?.ino();
        let named = self.metadata(value, holder).map(|named| named.ino());
        Ok((named == Some(opened)).then_some(file))
    }

    /// What is known of the file that says `holder` holds the value, if it is here.
    pub(super) fn metadata(&self, value: ValueId, holder: WorkerId) -> Option<Metadata> {
        fs::symlink_metadata(self.file(value, holder)).ok()
    }

    /// The sealed files of a value, whoever holds them.
    pub(super) fn files_of(&self, value: ValueId) -> impl Iterator<Item = PathBuf> {
        let of_value = format!("{}.", stem(value));
        let files = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let names = files.filter(move |file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.starts_with(&of_value) && !name.ends_with('~')
        });
        names.map(|file| file.path())
    }
}

/// Removes everything of a holder from a folder, also what it was still writing.
pub(super) fn remove_all_of(folder: &Path, holder: WorkerId) {
    let (whole, part) = (format!(".w{}", holder.0), format!(".w{}.", holder.0));
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = file.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(&whole) || name.contains(&part) {
            remove(&file.path());
        }
    }
}

/// Removes a file; says whether it was there.
pub(super) fn remove(path: &Path) -> bool {
    match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::debug!(path = %path.display(), %error, "a file of the area stays");
            }
            false
        }
    }
}

/// What came of looking for a file that need not be there.
pub(super) fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of the file that says `holder` holds the value.
pub(super) fn name(value: ValueId, holder: WorkerId) -> String {
    format!("{}.w{}", stem(value), holder.0)
}

/// How the names of all files of a value begin.
pub(super) fn stem(ValueId { task, output }: ValueId) -> String {
    format!("{}-{}-{output}", task.job.0, task.index)
}
