//! Memory that runs short in real processes: who is spared, who is ended, and what the user is told.
use crate::tasks::{big, increment, small};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{Chapter, ErrorKind, FailureKind, WorkerInfo};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_task_over_the_limit_fails_by_name_and_its_neighbour_is_not_blamed", over_the_limit),
        trial("short_tasks_beside_one_over_the_limit_all_finish", beside_a_hog),
        trial("two_tasks_that_fit_one_by_one_both_finish", fit_one_by_one),
        trial("the_values_of_a_worker_without_memory_are_not_made_again", values_stay),
        trial("a_worker_short_of_memory_gets_nothing_while_another_is_free", short_of_memory),
    ]
}

/// What each worker may use. A worker itself takes a few MiB.
const LIMIT: &str = "256MiB";

/// Fills so much memory, leaves a mark, and keeps it until its gate is opened; says on which worker.
#[quiltwork::task]
fn hold(mebibytes: usize, gate: String) -> u32 {
    let filled = vec![1_u8; mebibytes << 20];
    let context = TaskContext::current().expect("a task runs");
    std::fs::write(format!("{gate}.{}", context.attempt_number()), "").expect("a writable folder");
    while !Path::new(&gate).exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(filled.iter().step_by(4096).all(|byte| *byte == 1), "memory does not forget");
    context.worker().0
}

/// The same, beside a value.
#[quiltwork::task]
fn hold_beside(words: Vec<u64>, mebibytes: usize, gate: String) -> usize {
    hold::call(mebibytes, gate);
    words.len()
}

/// Says on which worker it ran, for a while.
#[quiltwork::task]
fn where_am_i(millis: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(millis));
    TaskContext::current().expect("a task runs").worker().0
}

/// A cluster, and a folder with the gates its tasks wait at.
struct Stage {
    cluster: LocalCluster,
    folder: TempDir,
}

impl Stage {
    async fn new(workers: usize) -> Result<Self> {
        let cluster = LocalCluster::builder().workers(workers).slots(2).memory_limit(LIMIT).start().await?;
        Ok(Self { cluster, folder: tempfile::tempdir()? })
    }

    fn gate(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn open(&self, name: &str) -> Result<()> {
        Ok(std::fs::write(self.gate(name), "")?)
    }

    /// Submits a task that holds so much behind a gate, and waits until it does.
    async fn holds(&self, mebibytes: usize, gate: &str) -> Handle<u32> {
        let handle = self.cluster.client().submit(hold(mebibytes, self.gate(gate)));
        until(|| Path::new(&format!("{}.1", self.gate(gate))).exists()).await;
        handle
    }

    async fn until_workers(&self, are: impl Fn(&[WorkerInfo]) -> bool) {
        until(|| are(&self.cluster.workers())).await;
    }

    /// How many deaths the task counted at each loss of a worker it was on.
    async fn deaths(&self, handle: &Handle<u32>) -> Result<Vec<u32>> {
        let story = self.cluster.client().story(handle).await?;
        let deaths = story.entries.iter().filter_map(|entry| match entry.chapter {
            Chapter::WorkerLost { deaths, .. } => Some(deaths),
            _ => None,
        });
        Ok(deaths.collect())
    }
}

/// Waits for something that must happen; the harness ends a wait in vain.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn over_the_limit() -> Result<()> {
    let stage = Stage::new(1).await?;
    let neighbour = stage.holds(1, "neighbour").await;
    let hog = stage.cluster.client().submit(hold(400, stage.gate("never")).memory("64MiB").named("hog"));
    let dependent = stage.cluster.client().submit(increment(stage.cluster.client().submit(increment(1))));
    // Before the third time it must have a worker of its own.
    until(|| stage.cluster.workers_lost() == 2).await;
    stage.open("neighbour")?;
    (&neighbour).await?;
    ensure!(stage.deaths(&neighbour).await? == [0, 0], "the neighbour was blamed");

    let error = (&hog).await.err().context("it holds more than there is")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::OutOfMemory), "wrong kind: {error}");
    ensure!(!error.is_retryable() && error.hint().is_some_and(|hint| hint.contains(".memory(")), "no help: {error}");
    let text = error.to_string();
    ensure!(text.contains("`hog`") && text.contains("of its 256 MiB while it ran"), "unclear: {text}");
    ensure!(text.contains("it had asked for 64 MiB"), "its own budget is not told: {text}");
    ensure!(stage.deaths(&hog).await? == [1, 2, 3], "another number of deaths");
    ensure!(dependent.await? == 3, "another task was hurt");
    // The last words of a worker are heard before its end.
    until(|| stage.cluster.workers_lost() >= 3).await;
    ensure!(stage.cluster.workers_lost() == 3, "{} workers were lost", stage.cluster.workers_lost());
    Ok(())
}

async fn beside_a_hog() -> Result<()> {
    let stage = Stage::new(2).await?;
    let client = stage.cluster.client();
    let before = client.map(0..300_u64, |seed| small(seed, Vec::<u64>::new(), 3));
    let hog = client.submit(hold(400, stage.gate("never")));
    let after = client.map(300..900_u64, |seed| small(seed, Vec::<u64>::new(), 3));
    for (seed, handle) in (0..).zip(before.iter().chain(&after)) {
        ensure!(handle.await? == small::call(seed, Vec::new(), 0), "task {seed} is wrong");
    }
    let error = hog.await.err().context("it holds more than there is")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::OutOfMemory), "wrong kind: {error}");
    Ok(())
}

async fn values_stay() -> Result<()> {
    // However late the lost ones come back, there is a mate to inherit the value.
    let stage = Stage::new(4).await?;
    let client = stage.cluster.client();
    let value = client.submit(big(7, Vec::<u64>::new(), 0));
    value.ready().await;
    // It goes where its input is, and dies there; then on the heir.
    let hog = client.submit(hold_beside(&value, 400, stage.gate("never")));
    ensure!(hog.await.is_err(), "it holds more than there is");
    ensure!((&value).await? == big::call(7, Vec::new(), 0), "the value is another one");
    let story = client.story(&value).await?;
    ensure!(!story.entries.iter().any(|entry| entry.chapter == Chapter::ValueLost), "it was made again:\n{story}");
    Ok(())
}

async fn fit_one_by_one() -> Result<()> {
    let stage = Stage::new(2).await?;
    // In turn on the one worker and the other: the large ones share the first.
    let first = stage.holds(140, "first").await;
    let _small = stage.holds(1, "small").await;
    let second = stage.cluster.client().submit(hold(140, stage.gate("second")));
    until(|| stage.cluster.workers_lost() > 0).await;
    ["first", "small", "second"].into_iter().try_for_each(|gate| stage.open(gate))?;
    (&first).await?;
    (&second).await?;
    let (first, second) = (stage.deaths(&first).await?, stage.deaths(&second).await?);
    ensure!((first.first(), second.first()) == (Some(&0), Some(&1)), "blamed: {first:?} and {second:?}");
    Ok(())
}

async fn short_of_memory() -> Result<()> {
    let stage = Stage::new(2).await?;
    let holder = stage.holds(215, "holder").await;
    stage.until_workers(|workers| workers.iter().any(|worker| worker.pressed)).await;
    let pressed = stage.cluster.workers().into_iter().find(|worker| worker.pressed).context("it was a moment ago")?;
    for handle in stage.cluster.client().map([10; 20], where_am_i) {
        ensure!(handle.await? != pressed.worker.0, "a worker short of memory was given more");
    }
    stage.open("holder")?;
    ensure!(holder.await? == pressed.worker.0, "it is the large one that is short of memory");
    stage.until_workers(|workers| workers.iter().all(|worker| !worker.pressed)).await;
    let after: Vec<_> = (0..4).map(|_| stage.cluster.client().submit(hold(1, stage.gate("after")))).collect();
    stage.until_workers(|workers| workers.iter().all(|worker| worker.running == 2)).await;
    stage.open("after")?;
    for handle in after {
        handle.await?;
    }
    ensure!(stage.cluster.workers_lost() == 0, "a worker was ended although it kept within its limit");
    Ok(())
}
