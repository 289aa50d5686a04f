//! Folders that live as long as a cluster does: founded, locked, and removed when nobody who lives has them locked.
use nix::unistd::Uid;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tries to found a folder; only another cluster that clears up in the same moment can spoil one.
const TRIES: usize = 16;

/// A private folder, locked until it is removed.
pub(super) struct LockedFolder {
    folder: TempDir,
    /// Held for life.
    _lock: File,
}

impl LockedFolder {
    /// Makes a new one. It is ours when it is locked and still there: before, it may be taken for a left-over.
    pub(super) fn found(place: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let folder = tempfile::Builder::new().prefix(&prefix()).rand_bytes(16).tempdir_in(place)?;
            let Ok(lock) = File::open(folder.path()) else { continue };
            if lock.try_lock().is_ok() && folder.path().exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
        let message = format!("no folder can be kept in {}: something removes each at once", place.display());
        Err(io::Error::other(message))
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes it and all that is in it.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(self.path()) {
            tracing::warn!(folder = %self.path().display(), %error, "the store is left behind");
        }
    }
}

/// Removes what clusters of this user have left in `place` that do not live any more. What such a folder is said to
/// belong with goes first.
pub(super) fn clear_up(place: &Path, belongings: impl Fn(&Path) -> Vec<PathBuf>) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|folder| is_ours(folder)).collect();
    for folder in folders {
        // The lock is held until the folder is gone: who founds it in this moment sees that it is not its own.
        if let Some(_lock) = lock_left_over(&folder) {
            tracing::info!(folder = %folder.display(), "removing what a cluster has left");
            for other in belongings(&folder).into_iter().filter(|other| is_ours(other)) {
                if let Some(_lock) = lock_left_over(&other) {
                    let _ = fs::remove_dir_all(&other);
                }
            }
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

fn lock_left_over(folder: &Path) -> Option<File> {
    File::open(folder).ok().filter(|lock| lock.try_lock().is_ok())
}

/// Whether it is a folder of a cluster of this user.
fn is_ours(folder: &Path) -> bool {
    let own = Uid::effective().as_raw();
    let is_named_so = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix()));
    is_named_so && fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own)
}

/// How the names of all such folders begin.
pub(super) fn prefix() -> String {
    format!("quiltwork-{}-", Uid::effective())
}
