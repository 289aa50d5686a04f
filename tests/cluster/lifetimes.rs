//! How long tasks and values live: cancelling, dropping handles, uploads, and values fetched from their holders.
use crate::tasks::{big, fold, increment, sleeps_until_cancelled};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::ErrorKind;
use quiltwork::FailureKind;
use quiltwork::prelude::*;
use std::path::Path;
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("cancel_reaches_running_and_waiting_tasks", cancel),
        trial("dropping_the_last_handle_cancels", drop_cancels),
        trial("values_are_freed_with_their_last_handle", values_are_freed),
        trial("uploads_reach_every_worker", uploads),
        trial("an_upload_waits_for_its_announcement", upload_behind_much_talk),
        trial("a_lost_value_is_made_again_for_the_client", lost_value_is_remade),
    ]
}

/// Waits until a task has left its mark.
async fn appears(path: &Path) -> Result<()> {
    for _ in 0..6000 {
        if path.exists() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("{} never appeared", path.display())
}

async fn cancel() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mark = folder.path().join("task").display().to_string();
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let running = cluster.client().submit(sleeps_until_cancelled(mark));
    let waiting = cluster.client().submit(increment(&running));
    appears(&folder.path().join("task.started")).await?;
    running.cancel();
    for error in [running.await.err(), waiting.await.err()] {
        let error = error.context("a cancelled task has no result")?;
        ensure!(error.kind() == ErrorKind::Task(FailureKind::Cancelled), "wrong kind: {error}");
    }
    appears(&folder.path().join("task.cancelled")).await?;
    ensure!(cluster.client().submit(increment(1)).await? == 2, "the slot did not come back");
    Ok(())
}

async fn drop_cancels() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mark = folder.path().join("task").display().to_string();
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let running = cluster.client().submit(sleeps_until_cancelled(mark));
    appears(&folder.path().join("task.started")).await?;
    drop(running);
    appears(&folder.path().join("task.cancelled")).await
}

async fn values_are_freed() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let held = async || -> Result<u64> { Ok(cluster.client().workers().await?.iter().map(|w| w.held_bytes).sum()) };
    let bigs = cluster.client().map(0..20_u64, |seed| big(seed, Vec::<u64>::new(), 0));
    let total = cluster.client().submit(fold(0, &bigs[..], 0));
    total.await?;
    ensure!(held().await? >= 20 * 32_768, "twenty big values are held");
    drop(bigs);
    for _ in 0..2000 {
        if held().await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("{} bytes are still held", held().await?)
}

async fn uploads() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let words: Vec<u64> = (0..200_000).collect();
    let uploaded = cluster.client().put(&words)?;
    let folds = cluster.client().map(0..8_u64, |seed| fold(seed, vec![uploaded.clone()], 1));
    drop(uploaded);
    for (seed, handle) in (0..).zip(folds) {
        ensure!(handle.await? == fold::call(seed, vec![words.clone()], 0), "a fold of an upload is wrong");
    }
    Ok(())
}

/// The announcement stands behind 16 MiB of small tasks, so an upload that did not wait would come first and fill the
/// connection's window unread. All arguments are encoded before the first of them is sent.
async fn upload_behind_much_talk() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let words: Vec<u64> = (0..2 << 20).collect();
    let late = fold(1, vec![words.clone()], 0);
    let seed = vec![u64::MAX; 450];
    let talk: Vec<_> = (0..4000_u64).map(|number| fold(number, vec![seed.clone()], 0)).collect();
    let talk: Vec<_> = talk.into_iter().map(|call| cluster.client().submit(call)).collect();
    let late = cluster.client().submit(late);
    drop(talk);
    ensure!(late.await? == fold::call(1, vec![words], 0), "the fold of an upload is wrong");
    Ok(())
}

async fn lost_value_is_remade() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let value = cluster.client().submit(big(3, vec![1, 2], 0));
    value.ready().await;
    for pid in cluster.worker_pids() {
        cluster.kill_worker(pid)?;
    }
    ensure!(value.await? == big::call(3, vec![1, 2], 0), "the value made again is another one");
    Ok(())
}
