//! Large values stay in the memory their node shares: read in place, passed on, limited, cleared away.
use crate::census::areas;
use crate::drivers::{BUSY, Driver, WITHOUT_MEMORY, command};
use crate::tasks::{double, numbers, sum_in_place};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use quiltwork::prelude::*;
use quiltwork::{Blob, Chapter, ErrorKind, FailureKind};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_large_value_is_copied_once_and_read_in_place", read_in_place),
        trial("a_value_between_nodes_travels_and_is_the_same", between_nodes),
        trial("what_a_killed_worker_made_is_not_made_again", passed_on),
        trial("a_full_store_fails_the_writer_and_nobody_else", full),
        trial("without_shared_memory_values_are_files", without_memory),
        trial("the_next_cluster_clears_up_after_a_crash_and_leaves_the_living_alone", after_a_crash),
    ]
}

const LARGE: usize = 8 << 20;
const LARGE_SUM: u64 = (LARGE as u64 / 8 - 1) * (LARGE as u64 / 8) / 2;

async fn read_in_place() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let here = quiltwork::__private::copied_bytes();
    let made = client.submit(numbers(LARGE));
    // Long enough that both workers get one.
    let sums: Vec<_> = (0..8).map(|_| client.submit(sum_in_place(&made))).collect();
    for sum in sums {
        let (sum, copied) = sum.await?;
        ensure!(sum == LARGE_SUM && [0, LARGE as u64].contains(&copied), "{sum}, {copied} bytes were copied");
    }
    let blob: Blob = (&made).await?;
    ensure!(blob.as_slice_of::<u64>()?.iter().sum::<u64>() == LARGE_SUM);
    ensure!(blob.as_ptr().align_offset(64) == 0, "it does not begin where it should");
    ensure!(quiltwork::__private::copied_bytes() == here, "this process has copied it");
    drop(made);
    ensure!(blob.as_slice_of::<u64>()?[7] == 7, "it went with the handle");
    Ok(())
}

async fn between_nodes() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).nodes(2).start().await?;
    let client = cluster.client();
    let made: Vec<_> = client.map([LARGE; 4], numbers);
    let sums: Vec<_> = made.iter().map(|made| client.submit(sum_in_place(made))).collect();
    for sum in sums {
        ensure!(sum.await?.0 == LARGE_SUM);
    }
    for made in &made {
        ensure!(made.await?.as_slice_of::<u64>()?.iter().sum::<u64>() == LARGE_SUM);
    }
    Ok(())
}

async fn passed_on() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let made: Vec<_> = client.map([LARGE; 3], numbers);
    for made in &made {
        made.ready().await;
    }
    let story = client.story(&made[0]).await?;
    let maker = story.entries.iter().find_map(|entry| match entry.chapter {
        Chapter::Finished { worker } => Some(worker),
        _ => None,
    });
    let maker = maker.context("it has finished")?;
    let pid = cluster.workers().iter().find(|worker| worker.worker == maker).context("it is there")?.pid;
    cluster.kill_worker(pid)?;
    for made in &made {
        let (sum, _) = client.submit(sum_in_place(made)).await?;
        ensure!(sum == LARGE_SUM);
        ensure!(made.await?.as_slice_of::<u64>()?.len() == LARGE / 8);
        let story = client.story(made).await?;
        let is_remade = story.entries.iter().any(|entry| entry.chapter == Chapter::ValueLost);
        ensure!(!is_remade, "{story}");
    }
    Ok(())
}

async fn full() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).store_limit("8MiB").spill_limit(0).start().await?;
    let client = cluster.client();
    let error = client.submit(numbers(LARGE)).await.err().context("there is no room for it")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::StoreFull) && error.hint().is_some(), "{error}");
    ensure!(client.submit(double(4)).await? == 8);
    for _ in 0..20 {
        let (sum, _) = client.submit(sum_in_place(client.submit(numbers(1 << 20)))).await?;
        ensure!(sum == (1 << 17) * ((1 << 17) - 1) / 2, "what was released makes room");
    }
    Ok(())
}

async fn without_memory() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).shared_memory("/no/such/place").start().await?;
    let client = cluster.client();
    let made = client.submit(numbers(LARGE));
    ensure!(client.submit(sum_in_place(&made)).await?.0 == LARGE_SUM);
    ensure!(made.await?.len() == LARGE);
    let output = command(WITHOUT_MEMORY)?.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.lines().count() == 1 && said.starts_with("quiltwork: values are kept as files in "), "{said}");
    Ok(())
}

/// Everything is killed, even the shell that would have cleared up.
async fn after_a_crash() -> Result<()> {
    let living = LocalCluster::builder().workers(1).start().await?;
    let before = areas();
    let mut driver = Driver::start(BUSY)?;
    let left: Vec<_> = areas().difference(&before).cloned().collect();
    let successors = driver.children_but_workers();
    ensure!(left.len() == 1 && successors.len() == 1, "{left:?}, {successors:?}");
    for pid in successors.iter().chain([&driver.pid()]) {
        kill(Pid::from_raw(i32::try_from(*pid)?), Signal::SIGKILL)?;
    }
    let left_on_disk = driver.ends()?;
    ensure!(left[0].exists() && left_on_disk.len() == 1, "who has removed it? {left_on_disk:?}");
    let next = LocalCluster::builder().workers(1).start().await?;
    ensure!(!left[0].exists() && !left_on_disk[0].exists(), "it is still there");
    for cluster in [&living, &next] {
        let made = cluster.client().submit(numbers(LARGE));
        ensure!(cluster.client().submit(sum_in_place(made)).await?.0 == LARGE_SUM);
    }
    Ok(())
}
