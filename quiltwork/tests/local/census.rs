//! Which processes, threads, sockets and files there are, as the system tells.
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A hang guard for what happens by itself soon.
const SOON: Duration = Duration::from_secs(30);

/// The processes started by this one and not reaped, with zombies.
pub(crate) fn children() -> Vec<u32> {
    children_of(std::process::id())
}

/// The processes started by that one and not reaped, with zombies.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| field(*pid, 1).is_some_and(|number| number == parent.to_string())).collect()
}

/// The threads of this process that keep a local cluster running.
pub(crate) fn supervising_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    // The system keeps 15 characters of a name.
    names.filter(|name| ["quiltwork-super", "quiltwork-maste"].contains(&name.trim_end())).count()
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_running(pid: u32) -> bool {
    field(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

/// Fails if this process still has a child, be it a zombie, or a thread that keeps a cluster running.
pub(crate) fn no_child_is_left() -> Result<()> {
    let left = children();
    ensure!(left.is_empty(), "these children are left: {left:?}");
    let deadline = Instant::now() + SOON;
    // A thread that was joined stays on the system's list for a moment.
    while supervising_threads() > 0 {
        ensure!(Instant::now() < deadline, "{} threads of a cluster are left", supervising_threads());
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Fails if something of a cluster is left: processes, threads, or an area of values that was not there before. Areas of
/// others may come and go meanwhile.
pub(crate) fn nothing_is_left(areas_before: &BTreeSet<PathBuf>) -> Result<()> {
    no_child_is_left()?;
    let new = areas().into_iter().filter(|folder| !areas_before.contains(folder));
    let left: Vec<PathBuf> = new.filter(|folder| is_unlocked(folder)).collect();
    ensure!(left.is_empty(), "these areas are left: {left:?}");
    Ok(())
}

/// Whether the cluster a folder belongs to does not live any more.
fn is_unlocked(folder: &Path) -> bool {
    fs::File::open(folder).is_ok_and(|folder| folder.try_lock().is_ok())
}

/// Waits until none of these processes runs.
pub(crate) fn all_end(pids: &[u32]) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while let Some(pid) = pids.iter().find(|pid| is_running(**pid)) {
        ensure!(Instant::now() < deadline, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The UDP sockets a process has open, by inode.
pub(crate) fn sockets_of(pid: u32) -> BTreeSet<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok()?.into_os_string().into_string().ok());
    let inodes: BTreeSet<String> =
        targets.filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
    udp_sockets().intersection(&inodes).cloned().collect()
}

/// The UDP sockets of the whole machine, by inode.
pub(crate) fn udp_sockets() -> BTreeSet<String> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| row.split_whitespace().nth(9).map(str::to_owned)).collect()
}

/// The folders with values of this user's clusters, in memory and on disk.
pub(crate) fn areas() -> BTreeSet<PathBuf> {
    let temporary = std::env::temp_dir();
    [Path::new("/dev/shm"), &temporary].into_iter().flat_map(areas_in).collect()
}

/// Those of them that are in this place.
pub(crate) fn areas_in(place: &Path) -> Vec<PathBuf> {
    let own = format!("quiltwork-{}-", nix::unistd::Uid::effective());
    files_in(place).iter().filter(|name| name.starts_with(&own)).map(|name| place.join(name)).collect()
}

/// The names in a folder.
pub(crate) fn files_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !condition() {
        ensure!(Instant::now() < deadline, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A field of `/proc/<pid>/stat` behind the program's name: 0 is the state, 1 the parent.
fn field(pid: u32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(index).map(str::to_owned)
}
