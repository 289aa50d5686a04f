//! Where the nodes of a cluster keep their values: it founds their areas and sees that nothing of them is left, however
//! the driver ends; it reads no value.
//!
//! ```text
//! /dev/shm/quiltwork-<user>-<random>/      locked by the driver as long as it lives
//!                                   0/     the area of the first node
//! ```
//! The driver removes the folder at the end of the cluster. If it is killed, a shell that waits for its end does. If that
//! is killed too, the next cluster of the same user does: a folder nobody has locked belongs to nobody who lives.
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::Uid;
use quiltwork_worker::Area;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Where Linux has memory that processes share by names.
pub(super) const USUAL_PLACE: &str = "/dev/shm";
/// A place with less room is not worth the trouble, in bytes.
const LEAST_ROOM: u64 = 64 << 20;
/// Tries to found a folder; only another cluster that clears up in the same moment can spoil one.
const TRIES: usize = 16;
/// Removes a folder when the driver has ended. Its workers are dying then, and may be writing for another moment.
const AFTER_THE_DRIVER: &str =
    r#"trap "" HUP INT TERM; read -r _; rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }"#;

/// The areas of a cluster's nodes.
pub(super) struct SharedMemory {
    areas: Vec<Area>,
    /// Bytes of values each node may hold.
    limit: u64,
    successor: Option<Child>,
    folder: TempDir,
    /// Held for life.
    _lock: File,
}

impl SharedMemory {
    /// Founds the areas of so many nodes in `place`, or among the temporary files if there is no room, and says so.
    /// Together the nodes may hold `limit` bytes; by default half of what is free.
    pub(super) fn found(place: &Path, nodes: usize, limit: Option<u64>) -> io::Result<Self> {
        let temporary = std::env::temp_dir();
        for place in BTreeSet::from([place, &temporary]) {
            clear_up(place);
        }
        let (place, room) = match room_in(place) {
            Ok(room) => (place, room),
            Err(reason) => {
                let (place, temporary) = (place.display(), temporary.display());
                eprintln!("quiltwork: values are kept as files in {temporary}: shared memory in {place} {reason}");
                (&*std::env::temp_dir(), free_bytes(&std::env::temp_dir())?)
            }
        };
        let (folder, lock) = found_folder(place)?;
        let areas = (0..nodes).map(|node| Area::create(&folder.path().join(node.to_string())));
        let areas = areas.collect::<io::Result<Vec<_>>>()?;
        let successor = leave_to_a_shell(folder.path());
        let limit = limit.unwrap_or(room / 2) / nodes as u64;
        Ok(Self { areas, limit, successor, folder, _lock: lock })
    }

    /// The area of the node a worker belongs to; workers are dealt out in turn, from number 0.
    pub(super) fn area_of(&self, worker: usize) -> &Area {
        &self.areas[worker % self.areas.len()]
    }

    /// Bytes of values each of so many workers may hold.
    pub(super) fn share(&self, workers: usize) -> u64 {
        let workers_of_a_node = workers.div_ceil(self.areas.len()).max(1);
        (self.limit / workers_of_a_node as u64).max(1)
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.folder.path()) {
            tracing::warn!(folder = %self.folder.path().display(), %error, "the store is left behind");
        }
        // Nothing is left for it to do.
        if let Some(mut successor) = self.successor.take() {
            let _ = successor.kill();
            let _ = successor.wait();
        }
    }
}

/// Bytes that are free there, or why it is not used.
fn room_in(place: &Path) -> Result<u64, String> {
    let state = statvfs(place).map_err(|error| format!("cannot be used: {}", error.desc()))?;
    if state.flags().contains(FsFlags::ST_RDONLY) {
        return Err("is read-only".to_owned());
    }
    tempfile::tempdir_in(place).map_err(|error| format!("cannot be used: {error}"))?;
    match free_bytes(place) {
        Ok(free) if free >= LEAST_ROOM => Ok(free),
        Ok(free) => Err(format!("has only {} MiB free", free >> 20)),
        Err(error) => Err(format!("cannot be used: {error}")),
    }
}

fn free_bytes(place: &Path) -> io::Result<u64> {
    let state = statvfs(place)?;
    Ok(state.blocks_available().saturating_mul(state.fragment_size()))
}

/// A new folder and its lock. It is ours when it is locked and still there: before, it may be taken for a left-over.
fn found_folder(place: &Path) -> io::Result<(TempDir, File)> {
    for _ in 0..TRIES {
        let folder = tempfile::Builder::new().prefix(&prefix()).rand_bytes(16).tempdir_in(place)?;
        let Ok(lock) = File::open(folder.path()) else { continue };
        if lock.try_lock().is_ok() && folder.path().exists() {
            return Ok((folder, lock));
        }
    }
    let message = format!("no folder can be kept in {}: something removes each at once", place.display());
    Err(io::Error::other(message))
}

/// Removes what clusters of this user have left that do not live any more.
fn clear_up(place: &Path) {
    let own = Uid::effective().as_raw();
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| {
        let is_own = entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own);
        is_own && entry.file_name().to_string_lossy().starts_with(&prefix())
    });
    let folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    for folder in folders {
        // The lock is held until the folder is gone: who founds it in this moment sees that it is not its own.
        if let Ok(lock) = File::open(&folder)
            && lock.try_lock().is_ok()
        {
            tracing::info!(folder = %folder.display(), "removing what a cluster has left");
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

fn prefix() -> String {
    format!("quiltwork-{}-", Uid::effective())
}

/// Starts the shell that outlives this process by a moment. In a group of its own: what interrupts the driver from a
/// terminal is not for it.
fn leave_to_a_shell(folder: &Path) -> Option<Child> {
    let mut shell = Command::new("sh");
    shell.args(["-c", AFTER_THE_DRIVER, "quiltwork-store"]).arg(folder);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = shell.current_dir("/").process_group(0).spawn();
    started.inspect_err(|error| tracing::debug!(%error, "no shell; the next cluster clears up instead")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(place: &Path) -> Vec<PathBuf> {
        fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_living_cluster_keeps_its_areas_and_a_crashed_one_does_not() {
        let place = tempfile::tempdir().unwrap();
        let crashed = place.path().join(format!("{}crashed", prefix()));
        fs::create_dir_all(crashed.join("0")).unwrap();
        let strangers = place.path().join("quiltwork-strange");
        fs::create_dir(&strangers).unwrap();
        let living = SharedMemory::found(place.path(), 2, None).unwrap();
        assert!(!crashed.exists() && strangers.exists());
        let second = SharedMemory::found(place.path(), 1, None).unwrap();
        assert!(living.area_of(0).folder().exists() && living.area_of(1).folder().exists());
        assert_ne!(living.area_of(0).node(), living.area_of(1).node());
        assert_eq!(living.area_of(0).node(), living.area_of(2).node());
        drop(second);
        drop(living);
        assert_eq!(entries(place.path()), [strangers]);
    }

    #[test]
    fn the_limit_is_divided_among_nodes_and_their_workers() {
        let place = tempfile::tempdir().unwrap();
        let memory = SharedMemory::found(place.path(), 2, Some(600)).unwrap();
        assert_eq!((memory.share(2), memory.share(3), memory.share(6)), (300, 150, 100));
    }

    #[test]
    fn a_place_that_is_not_there_is_replaced() {
        let memory = SharedMemory::found(Path::new("/no/such/place"), 1, None).unwrap();
        assert!(memory.area_of(0).folder().starts_with(std::env::temp_dir()));
        assert!(room_in(Path::new("/no/such/place")).is_err());
        assert!(room_in(Path::new("/proc")).is_err());
    }
}
