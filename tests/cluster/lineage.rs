//! What is made again when values are lost: exactly what is needed, counted task by task.
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use quiltwork::prelude::*;
use quiltwork::{Client, WorkerInfo};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_holder_of_one_value_of_five_levels_is_killed", one_kept),
        trial("the_holder_of_each_of_all_values_of_five_levels_is_killed", all_kept),
    ]
}

/// Each task and its inputs: five levels, of which the last is one task.
const GRAPH: [(&str, &[&str]); 8] = [
    ("a0", &[]),
    ("a1", &[]),
    ("b0", &["a0"]),
    ("b1", &["a1"]),
    ("c0", &["b0"]),
    ("c1", &["b1"]),
    ("d", &["c0", "c1"]),
    ("e", &["d"]),
];
const LAST: &str = "e";

/// Large enough to stay with the worker that makes it.
const SIZE: usize = 20_000;

/// Leaves its name in a file each time it runs.
#[quiltwork::task]
fn grow(name: String, log: PathBuf, inputs: Vec<Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let bytes = name.bytes().chain(inputs.into_iter().flatten());
    let sum = bytes.fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    OpenOptions::new().append(true).create(true).open(log)?.write_all(format!("{name}\n").as_bytes())?;
    Ok(vec![sum; SIZE])
}

#[quiltwork::task]
fn first_byte(bytes: Vec<u8>) -> u8 {
    bytes[0]
}

type Handles = BTreeMap<&'static str, Handle<Vec<u8>>>;

/// Two nodes of one worker each: nobody inherits.
async fn two_nodes() -> Result<LocalCluster> {
    Ok(LocalCluster::builder().workers(2).nodes(2).max_worker_deaths(1000).start().await?)
}

/// Of one value and the last one, of which each node has a copy, only the first can be lost.
async fn one_kept() -> Result<()> {
    let cluster = two_nodes().await?;
    for (lost, _) in GRAPH {
        let mut history = History::new(&cluster, lost).await?;
        history.handles[LAST].replicate(2).await?;
        history.handles.retain(|name, _| *name == lost || *name == LAST);
        history.kill_holders_of(lost).await?;
    }
    Ok(())
}

async fn all_kept() -> Result<()> {
    let cluster = two_nodes().await?;
    for (lost, _) in GRAPH {
        History::new(&cluster, lost).await?.kill_holders_of(lost).await?;
    }
    Ok(())
}

/// One run of the graph.
struct History<'a> {
    cluster: &'a LocalCluster,
    handles: Handles,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl<'a> History<'a> {
    /// Makes all values once.
    async fn new(cluster: &'a LocalCluster, name: &str) -> Result<Self> {
        while cluster.workers().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let folder = tempfile::tempdir()?;
        let log = folder.path().join(name);
        let handles = submit_all(cluster.client(), &log);
        handles[LAST].ready().await;
        ensure!(executed(&log)?.len() == GRAPH.len(), "without losses every task runs once");
        Ok(Self { cluster, handles, log, _folder: folder })
    }

    /// Kills everybody who has a value; what runs again must be what is needed, and nothing twice.
    async fn kill_holders_of(self, lost: &str) -> Result<()> {
        let holders = self.holders().await?;
        let victims = &holders[lost];
        let expected = needed(&holders, victims);
        ensure!(expected.contains(lost), "{lost} was held by {victims:?}");
        fs::remove_file(&self.log)?;
        // All at once: one that goes on while another is dead already may run what is needed, and take it along.
        for pid in victims {
            kill(Pid::from_raw(i32::try_from(*pid)?), Signal::SIGSTOP)?;
        }
        for pid in victims {
            self.cluster.kill_worker(*pid)?;
        }
        let bytes = self.cluster.client().map(self.handles.values(), first_byte);
        self.cluster.client().gather(bytes).await?;
        let executed = executed(&self.log)?;
        let once: BTreeSet<&str> = executed.iter().map(String::as_str).collect();
        ensure!(once == expected && executed.len() == once.len(), "{lost}: {executed:?} ran again, not {expected:?}");
        Ok(())
    }

    /// The processes that hold each value that is kept.
    async fn holders(&self) -> Result<BTreeMap<&'static str, BTreeSet<u32>>> {
        let mut holders = BTreeMap::new();
        for (name, handle) in &self.handles {
            let workers: Vec<WorkerInfo> = self.cluster.client().who_has(handle).await?;
            holders.insert(*name, workers.iter().map(|worker| worker.pid).collect());
        }
        Ok(holders)
    }
}

fn submit_all(client: &Client, log: &Path) -> Handles {
    let mut handles = Handles::new();
    for (name, inputs) in GRAPH {
        let inputs: Vec<Handle<Vec<u8>>> = inputs.iter().map(|input| handles[input].clone()).collect();
        handles.insert(name, client.submit(grow(name, log.to_owned(), inputs).named(name)));
    }
    handles
}

/// What must be made again when these processes end: the values only they held, and whatever of their lineage is
/// nowhere else.
fn needed(holders: &BTreeMap<&str, BTreeSet<u32>>, victims: &BTreeSet<u32>) -> BTreeSet<&'static str> {
    let is_there = |name: &str| holders.get(name).is_some_and(|holders| !holders.is_subset(victims));
    let mut needed = BTreeSet::new();
    let mut open: Vec<&str> = holders.keys().copied().filter(|name| !is_there(name)).collect();
    while let Some(name) = open.pop() {
        let (name, inputs) = GRAPH.iter().find(|(other, _)| *other == name).expect("it is one of the graph");
        if needed.insert(*name) {
            open.extend(inputs.iter().filter(|input| !is_there(input)));
        }
    }
    needed
}

/// The tasks that ran, in that order.
fn executed(log: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(log).context("nothing ran")?;
    Ok(text.lines().map(str::to_owned).collect())
}
