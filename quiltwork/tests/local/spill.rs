//! Values beyond the memory limit move to disk; when that is full as well, the writer fails and everything else goes on.
use crate::drivers::{FULL_DISK, command};
use crate::tasks::{double, numbers, sum_in_place};
use crate::trial;
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{Blob, ErrorKind, FailureKind};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use tempfile::TempDir;
use walkdir::WalkDir;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("values_of_four_times_the_memory_are_spilled_and_right", four_times_the_memory),
        trial("what_a_killed_worker_has_spilled_is_not_made_again", inherited),
        trial("a_full_disk_fails_the_writer_and_nobody_else", full_disk),
    ]
}

const SIZE: usize = 4 << 20;
const SUM: u64 = (SIZE as u64 / 8 - 1) * (SIZE as u64 / 8) / 2;
/// Each worker's; there are two.
const MEMORY_LIMIT: u64 = 64 << 20;

#[quiltwork::task]
fn total(sums: Vec<(u64, u64)>) -> u64 {
    sums.into_iter().map(|(sum, _)| sum).sum()
}

/// Bytes of all files in a folder, each counted once whatever names it has.
fn bytes_in(folder: &Path) -> u64 {
    let files = WalkDir::new(folder).into_iter().flatten().filter_map(|file| file.metadata().ok());
    let files = files.filter(std::fs::Metadata::is_file).map(|file| (file.ino(), file.len()));
    files.collect::<BTreeMap<_, _>>().values().sum()
}

async fn four_times_the_memory() -> Result<()> {
    let (memory, disk) = (TempDir::new_in("/dev/shm")?, TempDir::new_in("/var/tmp")?);
    let builder = LocalCluster::builder().workers(2).memory_limit(MEMORY_LIMIT);
    let cluster = builder.shared_memory(memory.path()).spill(disk.path()).start().await?;
    let client = cluster.client();
    let count = usize::try_from(4 * 2 * MEMORY_LIMIT)? / SIZE;
    let made: Vec<Handle<Blob>> = client.map(vec![SIZE; count], numbers);
    let sums: Vec<_> = made.iter().map(|made| client.submit(sum_in_place(made))).collect();
    ensure!(client.submit(total(&sums[..])).await? == count as u64 * SUM);
    let (in_memory, on_disk) = (bytes_in(memory.path()), bytes_in(disk.path()));
    ensure!(in_memory <= 2 * MEMORY_LIMIT * 60 / 100 + (1 << 20), "{in_memory} bytes are in memory");
    ensure!(in_memory + on_disk >= (count * SIZE) as u64, "{in_memory} + {on_disk} bytes are not all of them");
    // The client reads them in place as well, and a second time they are as they were.
    for made in [&made[0], &made[count / 2], &made[count - 1]] {
        ensure!(made.await?.as_slice_of::<u64>()?.iter().sum::<u64>() == SUM);
        ensure!(client.submit(sum_in_place(made)).await?.0 == SUM);
    }
    drop((made, sums));
    cluster.shutdown().await;
    ensure!(bytes_in(memory.path()) + bytes_in(disk.path()) == 0, "something is left");
    Ok(())
}

async fn inherited() -> Result<()> {
    let disk = TempDir::new_in("/var/tmp")?;
    let cluster = LocalCluster::builder().workers(2).store_limit("16MiB").spill(disk.path()).start().await?;
    let client = cluster.client();
    let made: Vec<Handle<Blob>> = client.map([SIZE; 12], numbers);
    for made in &made {
        made.ready().await;
    }
    ensure!(bytes_in(disk.path()) > 0, "nothing was spilled");
    cluster.kill_worker(cluster.worker_pids()[0])?;
    for made in &made {
        ensure!(client.submit(sum_in_place(made)).await?.0 == SUM);
        let story = client.story(made).await?;
        ensure!(!story.entries.iter().any(|entry| entry.chapter == quiltwork::Chapter::ValueLost), "{story}");
    }
    Ok(())
}

/// The driver sees a disk of 8 MiB that nobody else sees.
async fn full_disk() -> Result<()> {
    let place = TempDir::new()?;
    let mut complaints = String::new();
    // Root may mount as it is; others may within a namespace of users of their own.
    for namespaces in [&["--mount"][..], &["--mount", "--map-root-user"]] {
        let driver = command(FULL_DISK)?;
        let mut unshare = Command::new("unshare");
        unshare.args(namespaces).args(["sh", "-c", MOUNT_AND_RUN, "sh"]).arg(place.path());
        unshare.arg(driver.get_program()).args(driver.get_args()).env(DISK, place.path());
        let output = unshare.output().context("this test needs `unshare` of util-linux")?;
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if said.starts_with(MOUNTED) {
            ensure!(output.status.success() && said.ends_with(WENT_ON), "{said}{complained}");
            return Ok(());
        }
        complaints.push_str(&complained);
    }
    bail!("this test must be allowed to mount a small disk, as root or in a namespace of users: {complaints}")
}

/// Gives a folder a file system of its own, says so, and runs the rest of the command.
const MOUNT_AND_RUN: &str = r#"mount -t tmpfs -o size=8m none "$1" && echo mounted && shift && exec "$@""#;
const MOUNTED: &str = "mounted\n";
const WENT_ON: &str = "refused, then went on\n";
/// The variable that names the folder to the driver.
const DISK: &str = "QUILTWORK_TEST_DISK";

/// What the driver does that sees the small disk.
pub(crate) fn fill_disk() -> ExitCode {
    let disk = std::env::var(DISK).expect("the test sets it");
    let builder = LocalCluster::builder().workers(2).store_limit("4MiB").spill(&disk).spill_limit("1GiB");
    let cluster = builder.start_blocking().expect("it starts");
    let client = cluster.client();
    let size = 1 << 20;
    let (kept, refused): (Vec<_>, Vec<_>) =
        client.map([size; 24], numbers).into_iter().map(|made| (made.wait(), made)).partition(|(made, _)| made.is_ok());
    assert!(kept.len() > 8 && !refused.is_empty(), "{} kept, {} refused", kept.len(), refused.len());
    for (result, _) in &refused {
        let error = result.as_ref().expect_err("it was refused");
        assert_eq!(error.kind(), ErrorKind::Task(FailureKind::StoreFull), "{error}");
        assert!(error.hint().is_some() && error.to_string().contains(&disk), "{error}");
    }
    assert_eq!(client.submit(double(4)).wait().expect("others go on"), 8);
    drop(kept);
    for _ in 0..8 {
        let (sum, _) = client.submit(sum_in_place(client.submit(numbers(size)))).wait().expect("there is room again");
        assert_eq!(sum, (1 << 17) * ((1 << 17) - 1) / 2);
    }
    print!("{WENT_ON}");
    ExitCode::SUCCESS
}
