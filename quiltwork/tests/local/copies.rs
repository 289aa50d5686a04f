//! Where values and tasks are: told, chosen, and kept on several nodes so that they survive the loss of one.
use crate::census::until;
use crate::tasks::{numbers, process, sleep_long, sleep_millis, sum_in_place};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{Blob, ErrorKind, FailureKind, NodeId, WorkerId, WorkerInfo};
use std::collections::BTreeSet;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_task_runs_on_the_worker_it_is_bound_to", bound_to_worker),
        trial("a_task_runs_on_the_node_it_is_bound_to", bound_to_node),
        trial("a_task_bound_to_a_worker_that_is_lost_fails_at_once", bound_to_lost),
        trial("a_replicated_value_survives_the_loss_of_a_node", replicated),
        trial("more_copies_than_nodes_are_refused", too_many),
        trial("a_broadcast_value_is_on_every_node", broadcast),
        trial("scattered_values_are_spread_over_the_nodes", scattered),
        trial("copies_without_room_are_told", no_room),
    ]
}

const LARGE: usize = 1 << 20;

fn blob() -> Blob {
    Blob::from_slice_of(&vec![7_u64; LARGE / 8])
}

fn nodes_of(workers: &[WorkerInfo]) -> BTreeSet<NodeId> {
    workers.iter().filter_map(|worker| worker.node).collect()
}

async fn bound_to_worker() -> Result<()> {
    let cluster = LocalCluster::builder().workers(3).start().await?;
    for WorkerInfo { worker, pid, .. } in cluster.workers() {
        let handles: Vec<_> = (0..4).map(|_| cluster.client().submit(process().on_worker(worker))).collect();
        ensure!(cluster.client().gather(handles).await? == [pid; 4]);
    }
    let (one, other) = (cluster.workers().remove(0), cluster.workers().remove(2));
    let either = || process().on_workers([one.worker, other.worker]);
    let ran_on = cluster.client().gather(cluster.client().map(0..8, |_| either())).await?;
    ensure!(ran_on.iter().all(|pid| [one.pid, other.pid].contains(pid)), "{ran_on:?}");
    cluster.kill_worker(one.pid)?;
    ensure!(cluster.client().submit(either()).await? == other.pid);
    let nowhere = cluster.client().submit(process().on_workers([])).await.err().context("nowhere to run")?;
    ensure!(nowhere.to_string().contains("bound to 0 workers"), "{nowhere}");

    let mut graph = Graph::new();
    let WorkerInfo { worker, pid, .. } = cluster.workers().remove(1);
    let bound = graph.add(process().on_worker(worker));
    ensure!(cluster.client().run(graph, bound).await? == pid);
    Ok(())
}

async fn bound_to_node() -> Result<()> {
    let cluster = LocalCluster::builder().workers(4).nodes(2).start().await?;
    let workers = cluster.client().workers().await?;
    ensure!(nodes_of(&workers).len() == 2, "{workers:?}");
    for node in nodes_of(&workers) {
        let mates: BTreeSet<u32> = workers.iter().filter(|w| w.node == Some(node)).map(|w| w.pid).collect();
        let busy = cluster.client().map([50; 2], |millis| sleep_millis(millis).on_node(node));
        let handles = cluster.client().map(0..4, |_| process().on_node(node));
        let ran_on: BTreeSet<u32> = cluster.client().gather(handles).await?.into_iter().collect();
        ensure!(ran_on.is_subset(&mates), "{ran_on:?} are not among {mates:?}");
        cluster.client().gather(busy).await?;
    }
    Ok(())
}

async fn bound_to_lost() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let WorkerInfo { worker, pid, .. } = cluster.workers().remove(0);
    let (runs, waits) =
        (client.submit(sleep_long(0).on_worker(worker)), client.submit(sleep_long(1).on_worker(worker)));
    until("one of them runs", || cluster.workers()[0].running == 1).await?;
    cluster.kill_worker(pid)?;
    for error in [runs.await.err(), waits.await.err(), client.submit(process().on_worker(worker)).await.err()] {
        let error = error.context("the worker is gone")?;
        ensure!(error.kind() == ErrorKind::Task(FailureKind::NoSuchResources), "{error}");
        ensure!(error.to_string().contains(&format!("bound to worker {worker}")) && error.hint().is_some(), "{error}");
    }
    let error =
        client.submit(process().on_worker(WorkerId(999))).await.err().context("there never was such a worker")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::NoSuchResources), "{error}");
    Ok(())
}

async fn replicated() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).nodes(2).restart_workers(false).start().await?;
    let client = cluster.client();
    let (put, made) = (client.put(&blob())?, client.submit(numbers(LARGE)));
    put.replicate(2).await?;
    made.replicate(2).await?;
    let holders = client.who_has(&put).await?;
    ensure!(nodes_of(&holders).len() == 2, "{holders:?}");
    put.replicate(2).await?;
    ensure!(client.who_has(&put).await? == client.workers().await?, "there are copies already");
    // The driver is on the first node, whose worker has adopted the value.
    let adopter = holders.iter().map(|worker| worker.worker).min().context("there are two")?;
    let pid = holders.iter().find(|worker| worker.worker == adopter).context("it is one of them")?.pid;
    cluster.kill_worker(pid)?;
    until("it is lost", || cluster.workers().len() == 1).await?;
    ensure!(client.submit(sum_in_place(&made)).await?.0 == (1 << 17) * ((1 << 17) - 1) / 2);
    ensure!((&put).await? == blob());
    Ok(())
}

async fn too_many() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let put = cluster.client().put(&blob())?;
    let error = put.replicate(2).await.err().context("there is one node")?;
    ensure!(error.kind() == ErrorKind::Invalid && error.to_string().contains("the 1 nodes"), "{error}");
    put.replicate(1).await?;
    let small = cluster.client().put(&5_u64)?;
    small.replicate(2).await?;
    ensure!(cluster.client().who_has(&small).await?.is_empty(), "the master holds it");
    Ok(())
}

async fn broadcast() -> Result<()> {
    let cluster = LocalCluster::builder().workers(6).nodes(3).start().await?;
    let client = cluster.client();
    let value = client.broadcast(&blob()).await?;
    ensure!(nodes_of(&client.who_has(&value).await?).len() == 3);
    let workers = client.workers().await?;
    let sums: Vec<_> = workers.iter().map(|w| client.submit(sum_in_place(&value).on_worker(w.worker))).collect();
    let results = client.gather(sums).await?;
    ensure!(results.iter().all(|(sum, _)| *sum == 7 * (LARGE as u64 / 8)), "{results:?}");
    let receivers = results.iter().filter(|(_, copied)| *copied > 0).count();
    ensure!(receivers == 2, "{receivers} workers have received it, one on each other node should have");
    ensure!(client.broadcast(&5_u64).await?.await? == 5);
    Ok(())
}

async fn scattered() -> Result<()> {
    let cluster = LocalCluster::builder().workers(3).nodes(3).start().await?;
    let client = cluster.client();
    let values = client.scatter((0..6).map(|_| blob())).await?;
    let mut homes = Vec::new();
    for value in &values {
        homes.push(nodes_of(&client.who_has(value).await?));
    }
    // One of the nodes is the driver's own, where all of them are.
    let alone = homes.iter().filter(|home| home.len() == 1).count();
    ensure!(alone == 2 && homes.iter().filter(|home| home.len() == 2).count() == 4, "{homes:?}");
    ensure!(homes.iter().flatten().collect::<BTreeSet<_>>().len() == 3, "{homes:?}");
    let blocking = client.blocking();
    let small = std::thread::spawn(move || blocking.scatter(0..3_u64)).join().expect("it does not panic")?;
    ensure!(client.gather(small).await? == [0, 1, 2]);
    Ok(())
}

async fn no_room() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).nodes(2).store_limit("2MiB").spill_limit(0).start().await?;
    let client = cluster.client();
    let others: Vec<_> =
        cluster.workers().iter().map(|w| client.submit(numbers(900_000).on_worker(w.worker))).collect();
    for other in &others {
        other.ready().await;
    }
    let value = client.put(&Blob::from(vec![7; 100_000]))?;
    let error = value.replicate(2).await.err().context("the other node is full")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::StoreFull), "{error}");
    ensure!(error.to_string().contains("1 of 2 copies could be kept"), "{error}");
    drop(others);
    value.replicate(2).await?;
    Ok(())
}
