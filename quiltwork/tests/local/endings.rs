//! Nothing is left of a cluster, however it or its driver ends.
use crate::census::{self, all_end, is_running};
use crate::drivers::{BUSY, Driver, EXITING, PANICKING};
use crate::tasks::{double, leave_process, sleep_long};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use quiltwork::ErrorKind;
use quiltwork::prelude::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("nothing_is_left_after_shutdown", shutdown),
        trial("nothing_is_left_after_a_drop", dropped),
        trial("pending_work_fails_at_shutdown", pending),
        trial("a_stopped_worker_ends_at_shutdown", stopped),
        trial("a_worker_killed_at_shutdown_is_not_replaced", killed_at_shutdown),
        trial("what_tasks_left_running_ends_with_the_cluster", left_by_tasks),
        trial("nothing_is_left_when_the_driver_is_killed", driver_killed),
        trial("nothing_is_left_when_a_stopped_driver_is_killed", stopped_driver_killed),
        trial("nothing_is_left_after_ctrl_c", driver_interrupted),
        trial("nothing_is_left_when_the_driver_exits", || driver_ends(EXITING)),
        trial("nothing_is_left_when_the_driver_panics", || driver_ends(PANICKING)),
    ]
}

fn pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("a process id"))
}

async fn shutdown() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    ensure!(census::children().len() >= 2 && census::supervising_threads() > 0, "the census sees nothing");
    ensure!(cluster.client().submit(double(2)).await? == 4);
    cluster.shutdown().await;
    census::no_child_is_left()
}

async fn dropped() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let _running = cluster.client().map(0..4, sleep_long);
    drop(cluster);
    census::no_child_is_left()
}

async fn pending() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let running = cluster.client().submit(sleep_long(0));
    cluster.shutdown().await;
    let error = running.await.err().context("it ended well")?;
    ensure!(error.kind() == ErrorKind::ConnectionLost, "{error}");
    Ok(())
}

async fn stopped() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    kill(pid(cluster.worker_pids()[0]), Signal::SIGSTOP)?;
    cluster.shutdown().await;
    census::no_child_is_left()
}

async fn killed_at_shutdown() -> Result<()> {
    let cluster = LocalCluster::builder().workers(4).start().await?;
    for pid in cluster.worker_pids() {
        cluster.kill_worker(pid)?;
    }
    cluster.shutdown().await;
    census::no_child_is_left()
}

async fn left_by_tasks() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let left = cluster.client().submit(leave_process()).await?;
    ensure!(is_running(left), "it did not even run");
    cluster.shutdown().await;
    all_end(&[left])
}

async fn driver_killed() -> Result<()> {
    let driver = Driver::start(BUSY)?;
    kill(pid(driver.pid()), Signal::SIGKILL)?;
    driver.leaves_nothing().await
}

/// Neither the driver nor its workers can do anything then: only the system can.
async fn stopped_driver_killed() -> Result<()> {
    let driver = Driver::start(BUSY)?;
    for process in driver.workers.iter().chain([&driver.pid()]) {
        kill(pid(*process), Signal::SIGSTOP)?;
    }
    kill(pid(driver.pid()), Signal::SIGKILL)?;
    driver.leaves_nothing().await
}

async fn driver_interrupted() -> Result<()> {
    let driver = Driver::start(BUSY)?;
    ensure!(driver.workers.iter().all(|worker| is_running(*worker)), "the workers did not even run");
    killpg(pid(driver.pid()), Signal::SIGINT)?;
    driver.leaves_nothing().await
}

async fn driver_ends(role: &str) -> Result<()> {
    let driver = Driver::start(role)?;
    driver.leaves_nothing().await
}
