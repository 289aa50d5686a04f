//! Tasks that follow one another on one worker: that they go there ahead of their inputs, and what becomes of them if it
//! dies or what they follow fails.
use crate::census::until;
use crate::tasks::{add_slowly, double, fail_after, sleep_millis};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{Chapter, Handle};
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_successor_is_at_its_worker_before_its_input_is_made", ahead),
        trial("a_chain_survives_the_workers_it_was_sent_ahead_to", killed),
        trial("what_was_sent_ahead_of_a_failure_fails_with_it", failed),
        trial("a_chain_leaves_room_for_others", shared),
    ]
}

/// Has it said how long `double` takes: what is not known does not go ahead.
async fn with_known_times(workers: usize) -> Result<LocalCluster> {
    let cluster = LocalCluster::builder().workers(workers).start().await?;
    for _ in 0..20 {
        cluster.client().submit(double(1)).await?;
        cluster.client().submit(add_slowly(0, 0)).await?;
    }
    Ok(cluster)
}

async fn ahead() -> Result<()> {
    let cluster = with_known_times(2).await?;
    let client = cluster.client();
    let first = client.submit(sleep_millis(300));
    let second = client.submit(double(&first));
    let third = client.submit(double(&second));
    ensure!((&third).await? == 1200);
    let (made, _) = found(client, &first, |chapter| matches!(chapter, Chapter::Finished { .. })).await?;
    for handle in [&second, &third] {
        let (assigned, chapter) = found(client, handle, |c| matches!(c, Chapter::Assigned { .. })).await?;
        ensure!(assigned < made, "assigned at {assigned:?}, its input was made at {made:?}");
        ensure!(matches!(chapter, Chapter::Assigned { number: 1, .. }), "{chapter:?}");
    }
    Ok(())
}

/// When something was first said of a task.
async fn found(client: &Client, handle: &Handle<u64>, is_it: fn(&Chapter) -> bool) -> Result<(Duration, Chapter)> {
    let story = client.story(handle).await?;
    let entry = story.entries.iter().find(|entry| is_it(&entry.chapter)).with_context(|| format!("{story}"))?;
    Ok((entry.at.since(quiltwork::Time::ZERO), entry.chapter))
}

async fn killed() -> Result<()> {
    let cluster = with_known_times(2).await?;
    let client = cluster.client();
    let chains: Vec<_> = (0..4).map(|start| chain(client, start, 200)).collect();
    for round in 1..=2 {
        tokio::time::sleep(Duration::from_millis(40)).await;
        cluster.kill_worker(cluster.worker_pids()[0])?;
        until("the loss is counted", || cluster.workers_lost() == round).await?;
    }
    for (start, chain) in (0..).zip(chains) {
        ensure!(chain.await? == start + 200);
    }
    Ok(())
}

/// `start + length`, each step of which takes half a millisecond.
fn chain(client: &Client, start: u64, length: u64) -> Handle<u64> {
    let first = client.submit(add_slowly(start, 1));
    (1..length).fold(first, |previous, _| client.submit(add_slowly(&previous, 1)))
}

async fn failed() -> Result<()> {
    let cluster = with_known_times(1).await?;
    let client = cluster.client();
    let first = client.submit(fail_after(100));
    let second = client.submit(double(&first));
    let third = client.submit(double(&second));
    let error = third.await.err().context("what it needs failed")?;
    ensure!(error.to_string().contains("as it was told"), "{error}");
    ensure!(client.submit(double(4)).await? == 8, "its worker goes on");
    Ok(())
}

async fn shared() -> Result<()> {
    let cluster = with_known_times(1).await?;
    let client = cluster.client();
    let last = chain(client, 0, 2_000);
    client.submit(double(1)).await?;
    ensure!(!last.is_done(), "one more task did not wait for a chain of 2,000");
    drop(last);
    Ok(())
}
