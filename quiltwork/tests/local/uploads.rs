//! What the driver puts into the cluster lies in the memory of its node: adopted by workers, and outliving them.
use crate::census::{files_in, until};
use crate::tasks::{double, sleep_millis, sum_in_place};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{Blob, ErrorKind, FailureKind, Ticket};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("what_is_put_is_copied_once_and_read_in_place", read_in_place),
        trial("what_is_put_survives_the_worker_that_holds_it", one_killed),
        trial("what_is_put_survives_all_workers_of_its_node", all_killed),
        trial("what_is_put_beyond_the_memory_goes_to_disk", beyond_memory),
        trial("a_put_without_room_fails_with_what_needs_it_and_nothing_else", full),
        trial("what_a_client_has_put_goes_with_it", client_gone),
    ]
}

const LARGE: usize = 100_000_000;

/// A blob of so many bytes and the sum of its numbers.
fn numbers(bytes: usize) -> (Blob, u64) {
    let numbers: Vec<u64> = (0..bytes as u64 / 8).collect();
    (Blob::from_slice_of(&numbers), numbers.iter().sum())
}

/// The names of the files of values in an area.
fn values_in(area: &Path) -> BTreeSet<String> {
    files_in(area).into_iter().filter(|name| name.contains('.')).collect()
}

fn area_of(cluster: &LocalCluster) -> Result<PathBuf> {
    cluster.ticket().parse::<Ticket>()?.area.context("the driver is on a node")
}

async fn read_in_place() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).store_limit("512MiB").start().await?;
    let client = cluster.client();
    let (blob, expected) = numbers(LARGE);
    let before = quiltwork::__private::copied_bytes();
    let shared = client.put(&blob)?;
    // Long enough that both workers get one.
    let sums: Vec<_> = (0..8).map(|_| client.submit(sum_in_place(&shared))).collect();
    for sum in sums {
        ensure!(sum.await? == (expected, 0), "a worker has copied it");
    }
    let read: Blob = (&shared).await?;
    ensure!(read == blob);
    let copied = quiltwork::__private::copied_bytes() - before;
    ensure!(copied == LARGE as u64, "{copied} bytes were copied");
    Ok(())
}

async fn one_killed() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let (blob, expected) = numbers(1 << 20);
    let shared = client.put(&blob)?;
    shared.ready().await;
    let workers = cluster.workers();
    let holder = workers.iter().find(|worker| worker.held_bytes > 0).context("somebody holds it")?;
    cluster.kill_worker(holder.pid)?;
    ensure!(client.submit(sum_in_place(&shared)).await?.0 == expected);
    ensure!((&shared).await? == blob);
    Ok(())
}

async fn all_killed() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let (blob, expected) = numbers(1 << 20);
    for round in 1..=3 {
        let shared = client.put(&blob)?;
        let busy = client.map([20; 4], sleep_millis);
        // Once before it is adopted, and then after that.
        if round > 1 {
            shared.ready().await;
        }
        for pid in cluster.worker_pids() {
            cluster.kill_worker(pid)?;
        }
        ensure!(client.submit(sum_in_place(&shared)).await?.0 == expected);
        ensure!((&shared).await? == blob);
        client.gather(busy).await?;
        until("the losses are counted", || cluster.workers_lost() == 2 * round).await?;
        until("all have joined", || cluster.workers().len() == 2).await?;
    }
    Ok(())
}

async fn beyond_memory() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).store_limit("8MiB").start().await?;
    let client = cluster.client();
    let (blob, expected) = numbers(3 << 20);
    let handles = (0..8).map(|_| client.put(&blob)).collect::<quiltwork::Result<Vec<_>>>()?;
    for handle in &handles {
        ensure!(client.submit(sum_in_place(handle)).await?.0 == expected);
        ensure!(handle.await? == blob);
    }
    Ok(())
}

async fn full() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).store_limit("8MiB").spill_limit(0).start().await?;
    let client = cluster.client();
    let (blob, _) = numbers(8 << 20);
    let shared = client.put(&blob)?;
    let consumer = client.submit(sum_in_place(&shared));
    for error in [shared.await.err(), consumer.await.err()] {
        let error = error.context("there is no room for it")?;
        ensure!(error.kind() == ErrorKind::Task(FailureKind::StoreFull) && error.hint().is_some(), "{error}");
    }
    ensure!(client.submit(double(4)).await? == 8);
    let area = area_of(&cluster)?;
    ensure!(values_in(&area).is_empty(), "{:?} are left", values_in(&area));
    for _ in 0..20 {
        let (blob, expected) = numbers(1 << 20);
        ensure!(client.submit(sum_in_place(client.put(&blob)?)).await?.0 == expected, "what was released makes room");
    }
    Ok(())
}

async fn client_gone() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let other = Client::connect(&cluster.ticket()).await?;
    let (blob, _) = numbers(1 << 20);
    let shared = (0..4).map(|_| other.put(&blob)).collect::<quiltwork::Result<Vec<_>>>()?;
    shared[3].ready().await;
    let area = area_of(&cluster)?;
    ensure!(!values_in(&area).is_empty(), "they are somewhere else");
    drop((shared, other));
    until("nothing of it is left", || values_in(&area).is_empty()).await
}
