//! Where the nodes of a cluster keep their values: it founds their areas and sees that nothing of them is left, however
//! the driver ends; it reads no value.
//!
//! ```text
//! /dev/shm/quiltwork-<user>-<random>/      locked by the driver as long as it lives
//!                                   0/     the area of the first node
//!                                   0/disk a link to its folder on disk
//!     /tmp/quiltwork-<user>-<random>/      locked as well
//!                                   0/     what the first node has spilled
//! ```
//! The driver removes both folders at the end of the cluster. If it is killed, a shell that waits for its end does. If
//! that is killed too, the next cluster of the same user does: a folder nobody has locked belongs to nobody who lives.
use super::folder::{LockedFolder, clear_up};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use quiltwork_worker::Area;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where Linux has memory that processes share by names.
pub(super) const USUAL_PLACE: &str = "/dev/shm";
/// Where temporary files are on a disk even if the folder for temporary files is in memory.
const LASTING_FILES: &str = "/var/tmp";
/// A place with less room is not worth the trouble, in bytes.
const LEAST_ROOM: u64 = 64 << 20;
/// Removes folders when the driver has ended. Its workers are dying then, and may be writing for another moment.
const AFTER_THE_DRIVER: &str =
    r#"trap "" HUP INT TERM; read -r _; rm -rf -- "$@" 2>/dev/null || { sleep 1; rm -rf -- "$@"; }"#;

/// Where values shall be kept, and how many bytes of them; what is left out is chosen.
#[derive(Clone, Debug)]
pub(super) struct StorePlan {
    /// Where the shared memory is.
    pub(super) memory: PathBuf,
    /// Bytes of values all nodes together may hold in memory.
    pub(super) memory_limit: Option<u64>,
    /// Where spilled values go.
    pub(super) disk: Option<PathBuf>,
    /// Bytes of values they may hold on disk; 0 if nothing shall be spilled.
    pub(super) disk_limit: Option<u64>,
}

/// The areas of a cluster's nodes.
pub(super) struct SharedMemory {
    areas: Vec<Area>,
    /// Bytes of values each node may hold.
    limits: Share,
    successor: Option<Child>,
    folder: LockedFolder,
    disk: Option<LockedFolder>,
}

/// Bytes of values somebody may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) memory: u64,
    pub(super) disk: u64,
}

impl SharedMemory {
    /// Founds the areas of so many nodes in shared memory, or among the temporary files if there is no room, and says so.
    /// By default all nodes together may hold half of what is free, in memory as on disk.
    pub(super) fn found(plan: &StorePlan, nodes: usize) -> io::Result<Self> {
        let temporary = std::env::temp_dir();
        let places = [&plan.memory, &temporary, Path::new(LASTING_FILES)];
        for place in BTreeSet::from(places).into_iter().chain(plan.disk.as_deref()) {
            clear_up(place, folders_on_disk);
        }
        let (place, room) = match room_in(&plan.memory) {
            Ok(room) => (&*plan.memory, room),
            Err(reason) => {
                let (place, temporary) = (plan.memory.display(), temporary.display());
                eprintln!("quiltwork: values are kept as files in {temporary}: shared memory in {place} {reason}");
                (&*std::env::temp_dir(), free_bytes(&std::env::temp_dir())?)
            }
        };
        let folder = LockedFolder::found(place)?;
        let (disk, room_on_disk) = plan.found_disk(place)?.unzip();
        let areas = (0..nodes).map(|node| {
            let node = node.to_string();
            Area::create(&folder.path().join(&node), disk.as_ref().map(|disk| disk.path().join(&node)).as_deref())
        });
        let areas = areas.collect::<io::Result<Vec<_>>>()?;
        let successor = leave_to_a_shell([&folder].into_iter().chain(&disk));
        let limits = Share {
            memory: plan.memory_limit.unwrap_or(room / 2) / nodes as u64,
            disk: plan.disk_limit.unwrap_or(room_on_disk.unwrap_or(0) / 2) / nodes as u64,
        };
        Ok(Self { areas, limits, successor, folder, disk })
    }

    /// The area of the node a worker belongs to; workers are dealt out in turn, from number 0.
    pub(super) fn area_of(&self, worker: usize) -> &Area {
        &self.areas[worker % self.areas.len()]
    }

    /// What each of so many workers may hold.
    pub(super) fn share(&self, workers: usize) -> Share {
        let workers_of_a_node = workers.div_ceil(self.areas.len()).max(1) as u64;
        let share = |limit: u64| (limit / workers_of_a_node).max(1);
        Share { memory: share(self.limits.memory), disk: share(self.limits.disk) }
    }
}

impl StorePlan {
    /// Founds the folder for what does not fit into memory, and says how many bytes are free there; none if nothing
    /// can be won by it or it is not wished for.
    fn found_disk(&self, memory: &Path) -> io::Result<Option<(LockedFolder, u64)>> {
        if self.disk_limit == Some(0) || !is_in_memory(memory) {
            return Ok(None);
        }
        if let Some(place) = &self.disk {
            let founded = LockedFolder::found(place).and_then(|folder| Ok((folder, free_bytes(place)?)));
            let unusable = |error: io::Error| {
                io::Error::new(error.kind(), format!("values cannot be spilled to {}: {error}", place.display()))
            };
            return founded.map(Some).map_err(unusable);
        }
        let places = [std::env::temp_dir(), PathBuf::from(LASTING_FILES)];
        let founded = places.into_iter().filter(|place| !is_in_memory(place)).find_map(|place| {
            let free = free_bytes(&place).ok()?;
            Some((LockedFolder::found(&place).ok()?, free))
        });
        if founded.is_none() {
            tracing::info!("there is no folder for temporary files on a disk: nothing is spilled");
        }
        Ok(founded)
    }
}

/// The folders on disk of the cluster that has left this folder in memory, wherever it had them.
fn folders_on_disk(folder: &Path) -> Vec<PathBuf> {
    let areas = fs::read_dir(folder).into_iter().flatten().flatten();
    let areas = areas.filter_map(|area| Area::open(&area.path()).ok());
    areas.filter_map(|area| Some(area.disk()?.parent()?.to_owned())).collect()
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // The one on disk first: as long as the other one is there, it is known where that is.
        self.disk.iter().chain([&self.folder]).for_each(LockedFolder::remove);
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

/// Whether what is written there stays in memory.
fn is_in_memory(place: &Path) -> bool {
    statfs(place).is_ok_and(|state| state.filesystem_type() == TMPFS_MAGIC)
}

fn free_bytes(place: &Path) -> io::Result<u64> {
    let state = statvfs(place)?;
    Ok(state.blocks_available().saturating_mul(state.fragment_size()))
}

/// Starts the shell that outlives this process by a moment. In a group of its own: what interrupts the driver from a
/// terminal is not for it.
fn leave_to_a_shell<'a>(folders: impl Iterator<Item = &'a LockedFolder>) -> Option<Child> {
    let mut shell = Command::new("sh");
    shell.args(["-c", AFTER_THE_DRIVER, "quiltwork-store"]).args(folders.map(LockedFolder::path));
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = shell.current_dir("/").process_group(0).spawn();
    started.inspect_err(|error| tracing::debug!(%error, "no shell; the next cluster clears up instead")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::folder::prefix;
    use tempfile::TempDir;

    /// A place in memory, one on a disk, and what is planned with them.
    fn places() -> (TempDir, TempDir, StorePlan) {
        let (memory, disk) = (TempDir::new_in(USUAL_PLACE).unwrap(), TempDir::new_in(LASTING_FILES).unwrap());
        let (memory_place, disk_place) = (memory.path().to_owned(), Some(disk.path().to_owned()));
        let plan = StorePlan { memory: memory_place, memory_limit: None, disk: disk_place, disk_limit: None };
        (memory, disk, plan)
    }

    fn entries(place: &TempDir) -> Vec<PathBuf> {
        fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_living_cluster_keeps_its_areas_and_a_crashed_one_does_not() {
        let (memory, disk, plan) = places();
        let crashed = [&memory, &disk].map(|place| place.path().join(format!("{}crashed", prefix())));
        crashed.iter().for_each(|folder| fs::create_dir_all(folder.join("0")).unwrap());
        let strangers = memory.path().join("quiltwork-strange");
        fs::create_dir(&strangers).unwrap();
        let living = SharedMemory::found(&plan, 2).unwrap();
        assert!(crashed.iter().all(|folder| !folder.exists()) && strangers.exists());
        let second = SharedMemory::found(&plan, 1).unwrap();
        for area in [living.area_of(0), living.area_of(1)] {
            assert!(area.folder().exists() && area.disk().expect("it may spill").exists());
        }
        assert_ne!(living.area_of(0).node(), living.area_of(1).node());
        assert_eq!(living.area_of(0).node(), living.area_of(2).node());
        drop(second);
        drop(living);
        assert_eq!((entries(&memory), entries(&disk)), (vec![strangers], vec![]));
    }

    #[test]
    fn what_a_crashed_cluster_has_spilled_is_removed_wherever_it_is() {
        let (memory, elsewhere, plan) = places();
        let next = StorePlan { disk: None, ..plan.clone() };
        let living = SharedMemory::found(&plan, 1).unwrap();
        let [crashed, spilled] = [&memory, &elsewhere].map(|place| {
            let folder = place.path().join(format!("{}crashed", prefix()));
            fs::create_dir(&folder).unwrap();
            folder
        });
        Area::create(&crashed.join("0"), Some(&spilled.join("0"))).unwrap();
        drop(SharedMemory::found(&next, 1).unwrap());
        assert!(!crashed.exists() && !spilled.exists());
        assert!(living.area_of(0).disk().is_some_and(Path::exists), "it belongs to one who lives");
    }

    #[test]
    fn limits_are_divided_among_nodes_and_their_workers() {
        let (_memory, _disk, plan) = places();
        let plan = StorePlan { memory_limit: Some(600), disk_limit: Some(1200), ..plan };
        let memory = SharedMemory::found(&plan, 2).unwrap();
        let shares = [2, 3, 6].map(|workers| memory.share(workers));
        assert_eq!(shares, [(300, 600), (150, 300), (100, 200)].map(|(memory, disk)| Share { memory, disk }));
    }

    #[test]
    fn a_place_that_is_not_there_is_replaced_and_then_nothing_is_spilled() {
        let (_memory, disk, plan) = places();
        let memory = SharedMemory::found(&StorePlan { memory: "/no/such/place".into(), ..plan }, 1).unwrap();
        assert!(memory.area_of(0).folder().starts_with(std::env::temp_dir()));
        assert_eq!((memory.area_of(0).disk(), entries(&disk).len()), (None, 0));
        assert!(room_in(Path::new("/no/such/place")).is_err());
        assert!(room_in(Path::new("/proc")).is_err());
    }

    #[test]
    fn nothing_is_spilled_if_nobody_wants_it_and_a_place_that_cannot_be_used_is_named() {
        let (_memory, disk, plan) = places();
        let without = SharedMemory::found(&StorePlan { disk_limit: Some(0), ..plan.clone() }, 1).unwrap();
        assert_eq!((without.area_of(0).disk(), entries(&disk).len()), (None, 0));
        let error = SharedMemory::found(&StorePlan { disk: Some("/no/such/place".into()), ..plan }, 1).err();
        let error = error.expect("nothing can be kept there").to_string();
        assert!(error.contains("cannot be spilled to /no/such/place"), "{error}");
    }
}
