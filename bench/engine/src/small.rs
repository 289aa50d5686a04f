//! Measurements of tasks that do next to nothing.
use crate::request::{Figures, Request, trip_figures};
use anyhow::{Result, ensure};
use quiltwork::prelude::*;
use std::time::Instant;

/// Calls of a task that makes several.
const CHUNK: usize = 100;

#[quiltwork::task]
fn same(number: u64) -> u64 {
    number
}

#[quiltwork::task]
fn same_each(numbers: Vec<u64>) -> Vec<u64> {
    numbers
}

#[quiltwork::task]
fn add(left: u64, right: u64) -> u64 {
    left + right
}

/// Tasks a second when they are submitted one by one and all results are gathered.
pub(crate) async fn no_ops(client: &Client, request: &Request) -> Result<Figures> {
    let tasks = request.size("tasks")? as u64;
    client.gather((0..500).map(|i| client.submit(same(i)))).await?;
    let began = Instant::now();
    let handles: Vec<_> = (0..tasks).map(|i| client.submit(same(i))).collect();
    let results = client.gather(handles).await?;
    let rate = tasks as f64 / began.elapsed().as_secs_f64();
    ensure!(results.into_iter().eq(0..tasks), "a no-op came back wrong");
    Ok([("rate", rate)].into())
}

/// Calls a second when a task makes a hundred of them.
pub(crate) async fn chunked_map(client: &Client, request: &Request) -> Result<Figures> {
    let calls = request.size("calls")?;
    let numbers: Vec<u64> = (0..calls as u64).collect();
    client.submit(same_each(numbers[..CHUNK].to_vec())).await?;
    let began = Instant::now();
    let handles: Vec<_> = numbers.chunks(CHUNK).map(|chunk| client.submit(same_each(chunk.to_vec()))).collect();
    let results = client.gather(handles).await?;
    let rate = calls as f64 / began.elapsed().as_secs_f64();
    ensure!(results.concat() == numbers, "a chunk came back wrong");
    Ok([("rate", rate)].into())
}

/// Microseconds from submission to result, one after the other.
pub(crate) async fn round_trip(client: &Client, request: &Request) -> Result<Figures> {
    let warm_up = request.size("warm_up")?;
    let mut trips = Vec::new();
    for _ in 0..warm_up + request.size("trips")? {
        let began = Instant::now();
        client.submit(same(7)).await?;
        trips.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(trip_figures(trips.split_off(warm_up)))
}

/// Microseconds per hop of a chain in which each task takes the one before.
pub(crate) async fn chain(client: &Client, request: &Request) -> Result<Figures> {
    let hops = request.size("hops")?;
    pass_on(client, hops / 10).await?;
    let began = Instant::now();
    ensure!(pass_on(client, hops).await? == 7, "a chain came back wrong");
    Ok([("hop", began.elapsed().as_secs_f64() * 1e6 / hops as f64)].into())
}

async fn pass_on(client: &Client, hops: usize) -> Result<u64> {
    let mut last = client.submit(same(7));
    for _ in 1..hops {
        last = client.submit(same(&last));
    }
    Ok(last.await?)
}

/// Milliseconds for a binary tree of sums over no-ops, as one graph.
pub(crate) async fn tree(client: &Client, request: &Request) -> Result<Figures> {
    let leaves = request.size("leaves")? as u64;
    grow(client, 64).await?;
    let began = Instant::now();
    let total = grow(client, leaves).await?;
    let time = began.elapsed().as_secs_f64() * 1e3;
    ensure!(total == leaves * (leaves - 1) / 2, "the tree's sum is wrong");
    Ok([("time", time)].into())
}

async fn grow(client: &Client, leaves: u64) -> Result<u64> {
    let mut graph = Graph::new();
    let mut level: Vec<Value<u64>> = (0..leaves).map(|i| graph.add(same(i))).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| graph.add(add(pair[0], pair[1]))).collect();
    }
    Ok(client.run(graph, level[0]).await?)
}
