//! Workers are killed at random moments while a graph runs; every result must still be right and published once.
use crate::tasks::{big, fold, increment, mix, poison, small};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{Chapter, ErrorKind, FailureKind, LocalClusterBuilder, StoryEntry};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("hundred_kills_over_a_graph_of_5000", hundred_kills),
        trial("kills_while_values_spill", kills_while_spilling),
        trial("all_workers_killed_at_once", all_killed_at_once),
        trial("poison_ends_after_three_workers_and_hurts_nobody_else", poison_hurts_nobody_else),
    ]
}

/// Tasks in the graph that is disturbed.
const TASKS: usize = 5000;
/// Kills while it runs.
const KILLS: usize = 100;

async fn hundred_kills() -> Result<()> {
    let graphs = survive(LocalCluster::builder(), KILLS).await?;
    println!("{KILLS} kills over {graphs} graph(s) of {TASKS} tasks");
    Ok(())
}

/// The memory takes eight of the big values for each worker: most of them are on disk when somebody needs them.
async fn kills_while_spilling() -> Result<()> {
    survive(LocalCluster::builder().store_limit("1MiB"), KILLS / 4).await.map(drop)
}

/// Runs graphs until so many workers were killed, and says how many.
async fn survive(builder: LocalClusterBuilder, kills: usize) -> Result<u64> {
    // A task may be unlucky more often than three times here; poison has a test of its own.
    let cluster = Arc::new(builder.workers(4).max_worker_deaths(1000).start().await?);
    let killer = Killer::start(&cluster, kills);
    let mut graphs = 0;
    while graphs == 0 || killer.kills() < kills {
        run_and_check(cluster.client(), graphs).await?;
        graphs += 1;
    }
    // The last one killed may not have come to its end yet.
    while cluster.workers_lost() < kills as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(graphs)
}

/// A thread that kills a worker every now and then until there were enough, or it is dropped.
struct Killer {
    kills: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Killer {
    fn start(cluster: &Arc<LocalCluster>, most: usize) -> Self {
        let (kills, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (cluster, counted, stop) = (Arc::clone(cluster), Arc::clone(&kills), Arc::clone(&done));
        let thread = std::thread::spawn(move || kill_at_random(&cluster, &counted, most, &stop));
        Self { kills, done, thread: Some(thread) }
    }

    fn kills(&self) -> usize {
        self.kills.load(Ordering::Relaxed)
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn kill_at_random(cluster: &LocalCluster, kills: &AtomicUsize, most: usize, done: &AtomicBool) {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut killed = HashSet::new();
    while kills.load(Ordering::Relaxed) < most && !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(random.random_range(5..120)));
        let pids = cluster.worker_pids();
        if pids.is_empty() {
            continue;
        }
        let pid = pids[random.random_range(0..pids.len())];
        // A worker may have died a moment ago, or may be about to end of the last kill: then another one is tried next time.
        if cluster.kill_worker(pid).is_ok() && killed.insert(pid) {
            kills.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A node of the random graph: what it computes and from which earlier nodes.
enum Node {
    Small(Vec<usize>),
    Big(Vec<usize>),
    Fold(Vec<usize>),
}

/// A random graph in which small values feed small and big ones, and big ones are folded into small ones.
fn random_graph(random: &mut ChaCha8Rng) -> Vec<Node> {
    let (mut smalls, mut bigs) = (Vec::new(), Vec::new());
    let mut nodes = Vec::new();
    for index in 0..TASKS {
        let mut pick = |from: &[usize]| -> Vec<usize> {
            let recent = from.len().saturating_sub(400);
            (0..3).filter(|_| !from.is_empty()).map(|_| from[random.random_range(recent..from.len())]).collect()
        };
        let node = match index % 5 {
            1 => Node::Big(pick(&smalls)),
            3 => Node::Fold(pick(&bigs)),
            _ => Node::Small(pick(&smalls)),
        };
        if matches!(node, Node::Big(_)) {
            bigs.push(index);
        } else {
            smalls.push(index);
        }
        nodes.push(node);
    }
    nodes
}

/// What every node must be, computed here.
fn expected(nodes: &[Node]) -> Vec<u64> {
    let mut results: Vec<u64> = Vec::new();
    let mut words: Vec<Vec<u64>> = Vec::new();
    for (seed, node) in (0_u64..).zip(nodes) {
        let small_inputs = |from: &[usize]| from.iter().map(|i| results[*i]).collect();
        let (result, value) = match node {
            Node::Small(from) => (small::call(seed, small_inputs(from), 0), Vec::new()),
            Node::Big(from) => {
                let value = big::call(seed, small_inputs(from), 0);
                (value.iter().fold(0, |sum, word| mix(sum ^ word)), value)
            }
            Node::Fold(from) => (fold::call(seed, from.iter().map(|i| words[*i].clone()).collect(), 0), Vec::new()),
        };
        results.push(result);
        words.push(value);
    }
    results
}

/// The value of a node in the graph that is submitted.
#[derive(Clone, Copy)]
enum Submitted {
    Small(Value<u64>),
    Big(Value<Vec<u64>>),
}

async fn run_and_check(client: &Client, round: u64) -> Result<()> {
    let nodes = random_graph(&mut ChaCha8Rng::seed_from_u64(100 + round));
    let mut graph = Graph::new();
    let mut values: Vec<Submitted> = Vec::new();
    for (seed, node) in (0_u64..).zip(&nodes) {
        let smalls = |from: &[usize]| -> Vec<Value<u64>> {
            let small = |i: &usize| match values[*i] {
                Submitted::Small(value) => value,
                Submitted::Big(_) => unreachable!("small inputs are small"),
            };
            from.iter().map(small).collect()
        };
        let bigs = |from: &[usize]| -> Vec<Value<Vec<u64>>> {
            let big = |i: &usize| match values[*i] {
                Submitted::Big(value) => value,
                Submitted::Small(_) => unreachable!("folded inputs are big"),
            };
            from.iter().map(big).collect()
        };
        let millis = seed % 7;
        let value = match node {
            Node::Small(from) => Submitted::Small(graph.add(small(seed, smalls(from), millis))),
            Node::Big(from) => Submitted::Big(graph.add(big(seed, smalls(from), millis))),
            Node::Fold(from) => Submitted::Small(graph.add(fold(seed, bigs(from), millis))),
        };
        values.push(value);
    }
    let kept: Vec<(usize, Value<u64>)> = (0..)
        .zip(&values)
        .filter_map(|(i, value)| match value {
            Submitted::Small(value) => Some((i, *value)),
            Submitted::Big(_) => None,
        })
        .collect();
    let handles = client.submit_graph(graph, &kept.iter().map(|(_, value)| *value).collect::<Vec<_>>());
    let expected = expected(&nodes);
    for ((index, _), handle) in kept.iter().zip(&handles) {
        let result = handle.await.with_context(|| format!("node {index}"))?;
        ensure!(result == expected[*index], "node {index} is {result}, not {}", expected[*index]);
        published_once(&client.story(handle).await?.entries)?;
    }
    Ok(())
}

/// Whether a value was published again only after it had been lost.
fn published_once(story: &[StoryEntry]) -> Result<()> {
    let count = |wanted: fn(&Chapter) -> bool| story.iter().filter(|entry| wanted(&entry.chapter)).count();
    let finished = count(|chapter| matches!(chapter, Chapter::Finished { .. }));
    let lost = count(|chapter| matches!(chapter, Chapter::ValueLost));
    ensure!(finished == lost + 1, "published {finished} times, lost {lost} times: {story:#?}");
    Ok(())
}

async fn all_killed_at_once() -> Result<()> {
    let cluster = LocalCluster::builder().workers(3).start().await?;
    let handles = cluster.client().map(0..300_u64, |seed| small(seed, Vec::<u64>::new(), 5));
    handles[0].ready().await;
    for pid in cluster.worker_pids() {
        cluster.kill_worker(pid)?;
    }
    for (seed, handle) in (0..).zip(&handles) {
        ensure!(handle.await? == small::call(seed, Vec::new(), 0), "task {seed} is wrong");
    }
    ensure!(cluster.workers_lost() >= 3, "the kills did not hit");
    cluster.shutdown().await;
    Ok(())
}

async fn poison_hurts_nobody_else() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let before = client.map(0..500_u64, increment);
    let poisoned = client.submit(poison().retries(10));
    let dependent = client.submit(increment(&poisoned));
    let after = client.map(500..1000_u64, increment);

    let error = poisoned.await.err().context("the poison task ended well")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::Poisoned), "wrong kind: {error}");
    ensure!(!error.is_retryable(), "poison must not be retried");
    ensure!(cluster.workers_lost() == 3, "{} workers died of it", cluster.workers_lost());
    let text = error.to_string();
    ensure!(text.contains("SIGABRT") && text.contains("these are my last words"), "no last words in: {text}");
    let error = dependent.await.err().context("a task without its input ended well")?;
    ensure!(error.to_string().contains("poison"), "the origin is not named: {error}");
    for (i, handle) in (0..).zip(before.iter().chain(&after)) {
        ensure!(handle.await? == i + 1, "neighbour {i} was hurt");
    }
    cluster.shutdown().await;
    Ok(())
}
