//! Measures the engine's own figures on this machine: start-up, memory, throughput, latency, an actor, a chain and a tree.
//!
//! Run it: `cargo run --release --example figures` (`--quick` for a tenth of the work). It prints a Markdown table, each
//! row `minimum / median / maximum` of five runs, as in `docs/performance.md`. Expected output (the figures are yours):
//!
//! ```text
//! | figure | unit | min / median / max |
//! |---|---|---|
//! | start to first result | ms | … |
//! | idle: driver + workers | MiB | … |
//! ```
use anyhow::{Context, Result};
use clap::Parser;
use quiltwork::prelude::*;
use std::fs;
use std::time::{Duration, Instant};

/// Measure throughput, latency and memory of a local cluster.
#[derive(Parser)]
struct Options {
    /// Worker processes, one slot each.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// A tenth of the work.
    #[arg(long)]
    quick: bool,
}

/// Runs of each measurement.
const RUNS: usize = 5;

#[quiltwork::task]
fn noop(number: u64) -> u64 {
    number
}

#[quiltwork::task]
fn add(left: u64, right: u64) -> u64 {
    left + right
}

/// An actor that does nothing.
struct Idler;

#[quiltwork::actor]
impl Idler {
    fn new() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "a call has an object")]
    fn noop(&mut self, number: u64) -> u64 {
        number
    }
}

#[quiltwork::main]
async fn main() -> Result<()> {
    let began = Instant::now();
    let options = Options::parse();
    let tasks = if options.quick { 10_000 } else { 100_000 };
    let cluster = LocalCluster::builder().workers(options.workers).start().await?;
    let client = cluster.client();
    client.submit(noop(0)).await?;
    let first_result = began.elapsed();

    println!("| figure | unit | min / median / max |\n|---|---|---|");
    row("start to first result", "ms", &[millis(first_result)]);
    let idle = resident(&cluster)?;
    row("idle: driver + workers", "MiB", &[idle / 1024.0]);
    // Before anything else has made the processes grow.
    row("memory per held result, all processes", "B", &[held_memory(&cluster, tasks).await?]);
    row(&format!("no-op, {tasks} one by one"), "tasks/s", &repeat(async || throughput(client, tasks).await).await?);
    let mut medians = Vec::new();
    let mut tails = Vec::new();
    for _ in 0..RUNS {
        let mut trips = round_trips(client, tasks / 50).await?;
        trips.sort_by(f64::total_cmp);
        medians.push(trips[trips.len() / 2]);
        tails.push(trips[trips.len() * 99 / 100]);
    }
    row("submit one, await it: p50", "µs", &medians);
    row("submit one, await it: p99", "µs", &tails);
    let actor = client.actor(Idler::create());
    Actor::ready(&actor).await?;
    row("actor: calls one by one", "calls/s", &repeat(async || calls_in_turn(client, &actor, tasks / 20).await).await?);
    let figure = format!("actor: {tasks} calls pipelined");
    row(&figure, "calls/s", &repeat(async || calls_at_once(client, &actor, tasks).await).await?);
    row("chain of 1000, per hop", "µs", &repeat(async || chain(client, 1000).await).await?);
    row("tree of 8191", "ms", &repeat(async || tree(client, 4096).await).await?);
    cluster.shutdown().await;
    Ok(())
}

/// Tasks a second when `tasks` no-ops are submitted one by one and all results are gathered.
async fn throughput(client: &Client, tasks: u64) -> Result<f64> {
    let began = Instant::now();
    let handles: Vec<Handle<u64>> = (0..tasks).map(|i| client.submit(noop(i))).collect();
    let results = client.gather(handles).await?;
    let seconds = began.elapsed().as_secs_f64();
    anyhow::ensure!(results.iter().copied().eq(0..tasks), "a result came back wrong");
    Ok(tasks as f64 / seconds)
}

/// Microseconds from submit to result, for each of `count` tasks run one after another.
async fn round_trips(client: &Client, count: u64) -> Result<Vec<f64>> {
    let mut trips = Vec::new();
    for i in 0..count {
        let began = Instant::now();
        client.submit(noop(i)).await?;
        trips.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(trips)
}

/// Calls a second when each is awaited before the next is made.
async fn calls_in_turn(client: &Client, actor: &Actor<Idler>, calls: u64) -> Result<f64> {
    let began = Instant::now();
    for i in 0..calls {
        client.submit(actor.noop(i)).await?;
    }
    Ok(calls as f64 / began.elapsed().as_secs_f64())
}

/// Calls a second when all are made before the first is awaited.
async fn calls_at_once(client: &Client, actor: &Actor<Idler>, calls: u64) -> Result<f64> {
    let began = Instant::now();
    let handles: Vec<Handle<u64>> = (0..calls).map(|i| client.submit(actor.noop(i))).collect();
    let results = client.gather(handles).await?;
    let seconds = began.elapsed().as_secs_f64();
    anyhow::ensure!(results.iter().copied().eq(0..calls), "a result came back wrong");
    Ok(calls as f64 / seconds)
}

/// Microseconds per hop of a chain in which each task takes the one before.
async fn chain(client: &Client, hops: u64) -> Result<f64> {
    let began = Instant::now();
    let mut last = client.submit(noop(0));
    for _ in 0..hops {
        last = client.submit(noop(&last));
    }
    last.await?;
    Ok(began.elapsed().as_secs_f64() * 1e6 / hops as f64)
}

/// Milliseconds for a binary tree of sums over `leaves` no-ops, as one graph.
async fn tree(client: &Client, leaves: u64) -> Result<f64> {
    let began = Instant::now();
    let mut graph = Graph::new();
    let mut level: Vec<Value<u64>> = (0..leaves).map(|i| graph.add(noop(i))).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| graph.add(add(pair[0], pair[1]))).collect();
    }
    let total = client.run(graph, level[0]).await?;
    anyhow::ensure!(total == leaves * (leaves - 1) / 2, "the tree's sum is wrong");
    Ok(millis(began.elapsed()))
}

/// Bytes by which all processes together grow for each result that is held.
async fn held_memory(cluster: &LocalCluster, tasks: u64) -> Result<f64> {
    let before = resident(cluster)?;
    let handles: Vec<Handle<u64>> = (0..tasks).map(|i| cluster.client().submit(noop(i))).collect();
    for handle in &handles {
        handle.ready().await;
    }
    let after = resident(cluster)?;
    Ok((after - before) * 1024.0 / handles.len() as f64)
}

/// Resident memory of the driver (client and master are in it) and its workers, in KiB.
fn resident(cluster: &LocalCluster) -> Result<f64> {
    let mut total = 0.0;
    for pid in cluster.worker_pids().into_iter().chain([std::process::id()]) {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process without VmRSS")?;
        total += line.trim().trim_end_matches(" kB").parse::<f64>()?;
    }
    Ok(total)
}

/// The figures of [`RUNS`] runs of one measurement.
async fn repeat(mut measurement: impl AsyncFnMut() -> Result<f64>) -> Result<Vec<f64>> {
    let mut figures = Vec::new();
    for _ in 0..RUNS {
        figures.push(measurement().await?);
    }
    Ok(figures)
}

fn row(figure: &str, unit: &str, runs: &[f64]) {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, middle, high) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    println!("| {figure} | {unit} | {low:.1} / **{middle:.1}** / {high:.1} |");
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
