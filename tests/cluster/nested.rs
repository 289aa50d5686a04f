//! Tasks that submit tasks and wait for them, even where there is a single slot.
use crate::tasks::{fibonacci, sums_children};
use crate::trial;
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("waiting_tasks_lend_their_only_slot", async_recursion),
        trial("blocking_waits_lend_too", blocking_children),
        trial("nested_work_survives_kills", nested_kills),
    ]
}

async fn async_recursion() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    ensure!(cluster.client().submit(fibonacci(10)).await? == 55, "fibonacci by tasks");
    Ok(())
}

async fn blocking_children() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    ensure!(cluster.client().submit(sums_children(100)).await? == 5050, "a sum of children");
    Ok(())
}

async fn nested_kills() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).max_worker_deaths(1000).start().await?;
    let handles = cluster.client().map(0..40_u64, |i| fibonacci(i % 8));
    for _ in 0..3 {
        handles[10].ready().await;
        cluster.kill_worker(cluster.worker_pids()[0])?;
    }
    let expected = [0, 1, 1, 2, 3, 5, 8, 13];
    for (i, handle) in handles.into_iter().enumerate() {
        ensure!(handle.await? == expected[i % 8], "fibonacci {} is wrong", i % 8);
    }
    Ok(())
}
