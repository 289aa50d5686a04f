//! What a cluster does about workers that die.
use crate::census::until;
use crate::tasks::{abort_after, double, sleep_long, sleep_millis};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{ErrorKind, FailureKind};
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_killed_worker_is_replaced_and_counted", one_killed),
        trial("a_cluster_comes_back_from_the_loss_of_all_workers", all_killed),
        trial("only_workers_of_the_cluster_can_be_killed", strangers),
        trial("a_task_that_kills_workers_ends_with_their_last_words", poison),
        trial("a_task_that_does_not_end_in_time_fails_and_costs_no_worker", out_of_time),
        trial("without_restarts_pending_work_fails_with_the_last_worker", no_restarts),
    ]
}

async fn out_of_time() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let before = cluster.worker_pids();
    let late = cluster.client().submit(sleep_long(1).time_limit(Duration::from_millis(20)));
    let after = cluster.client().submit(double(4));
    let error = late.await.err().context("it sleeps longer than that")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::TimedOut) && error.is_retryable(), "{error}");
    ensure!(after.await? == 8 && cluster.worker_pids() == before);
    Ok(())
}

async fn one_killed() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let before = cluster.worker_pids();
    cluster.kill_worker(before[0])?;
    let replaced = || cluster.worker_pids().len() == 2 && !cluster.worker_pids().contains(&before[0]);
    until("another worker runs", replaced).await?;
    until("it has joined", || cluster.workers().len() == 2).await?;
    ensure!(cluster.workers_lost() == 1, "{} lost", cluster.workers_lost());
    ensure!(cluster.worker_pids().contains(&before[1]), "the other worker was hurt");
    Ok(())
}

async fn all_killed() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    for round in 1..=3 {
        let handles = cluster.client().map([50; 8], sleep_millis);
        until("all run", || cluster.worker_pids().len() == 2).await?;
        for pid in cluster.worker_pids() {
            cluster.kill_worker(pid)?;
        }
        for handle in handles {
            ensure!(handle.await? == 50);
        }
        until("the losses are counted", || cluster.workers_lost() == 2 * round).await?;
        until("all have joined", || cluster.workers().len() == 2).await?;
    }
    Ok(())
}

async fn strangers() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    for stranger in [std::process::id(), 1, 0, u32::MAX] {
        let error = cluster.kill_worker(stranger).err().context("it was killed")?;
        ensure!(error.kind() == ErrorKind::Invalid && error.hint().is_some(), "{error}");
    }
    ensure!(cluster.client().submit(double(1)).await? == 2);
    Ok(())
}

async fn poison() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).max_worker_deaths(2).start().await?;
    let error = cluster.client().submit(abort_after("these are my last words")).await.err().context("it ran")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::Poisoned), "{error}");
    let text = error.to_string();
    ensure!(text.contains("signal 6 (SIGABRT)") && text.contains("these are my last words"), "{text}");
    ensure!(cluster.workers_lost() == 2, "{} lost", cluster.workers_lost());
    ensure!(cluster.client().submit(double(1)).await? == 2, "others were hurt");
    Ok(())
}

async fn no_restarts() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).restart_workers(false).start().await?;
    let running = cluster.client().submit(sleep_long(0));
    cluster.kill_worker(cluster.worker_pids()[0])?;
    let error = running.await.err().context("it ended well")?;
    ensure!(error.kind() == ErrorKind::ConnectionLost, "{error}");
    ensure!(cluster.worker_pids().is_empty() && cluster.workers_lost() == 1);
    Ok(())
}
