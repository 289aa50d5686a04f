//! Measurements of large values: between workers, between nodes, and with the client.
use crate::engine::pair;
use crate::request::{Figures, Request};
use anyhow::{Context, Result, ensure};
use quiltwork::prelude::*;
use quiltwork::{Blob, LocalCluster, WorkerId};
use std::time::{Duration, Instant};

/// Runs before the one that counts: the memory of a value is new in the first one, and mapped by its writer in the second.
const WARM_UP: usize = 2;

#[quiltwork::task]
fn make(size: usize) -> Blob {
    vec![1; size].into()
}

#[quiltwork::task]
fn total(value: Blob) -> quiltwork::Result<u64> {
    Ok(value.as_slice_of::<u64>()?.iter().fold(0, |sum, number| sum.wrapping_add(*number)))
}

#[quiltwork::task]
fn length(value: Blob) -> usize {
    value.len()
}

#[quiltwork::task]
fn length_of_four(first: Blob, second: Blob, third: Blob, fourth: Blob) -> usize {
    first.len() + second.len() + third.len() + fourth.len()
}

#[quiltwork::task]
fn item(value: Blob, index: usize) -> u8 {
    value[index]
}

/// What `total` says of a value of `make`.
fn expected_total(size: usize) -> u64 {
    u64::from_ne_bytes([1; 8]).wrapping_mul(size as u64 / 8)
}

/// Tasks a second that read one byte each of the same value.
pub(crate) async fn shared_value(client: &Client, request: &Request) -> Result<Figures> {
    let (tasks, size) = (request.size("tasks")?, request.size("bytes")?);
    let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
    let shared = client.put(&Blob::from(bytes))?;
    client.submit(item(&shared, 0)).await?;
    let began = Instant::now();
    let items = client.gather((0..tasks).map(|index| client.submit(item(&shared, index)))).await?;
    let rate = tasks as f64 / began.elapsed().as_secs_f64();
    ensure!(items.into_iter().eq((0..=250).cycle().take(tasks)), "an item of a shared value is wrong");
    Ok([("rate", rate)].into())
}

/// Milliseconds for a value that one worker has and another takes.
pub(crate) async fn between_workers(cluster: &LocalCluster, request: &Request) -> Result<Figures> {
    let (client, size) = (cluster.client(), request.size("bytes")?);
    let [(here, _), (there, _)] = pair(cluster).await?;
    let mut figures = Figures::new();
    for _ in 0..=WARM_UP {
        let began = Instant::now();
        let made = client.submit(make(size).on_worker(here));
        let summed = client.submit(total(&made).on_worker(there)).await?;
        figures.insert("made_moved_summed", millis(began.elapsed()));
        ensure!(summed == expected_total(size), "what was moved has a wrong sum");
        let value = made_at(client, here, size).await;
        let began = Instant::now();
        ensure!(client.submit(total(&value).on_worker(there)).await? == expected_total(size));
        figures.insert("moved_summed", millis(began.elapsed()));
        let value = made_at(client, here, size).await;
        let began = Instant::now();
        ensure!(client.submit(length(&value).on_worker(there)).await? == size);
        figures.insert("moved", millis(began.elapsed()));
    }
    Ok(figures)
}

/// What the client puts, and what it is brought.
pub(crate) async fn with_client(client: &Client, request: &Request) -> Result<Figures> {
    let size = request.size("bytes")?;
    let bytes = Blob::from(vec![1; size]);
    let mut figures = Figures::new();
    for _ in 0..=WARM_UP {
        let began = Instant::now();
        let put = client.put(&bytes)?;
        figures.insert("put", gigabytes(size, began.elapsed()));
        ensure!(client.submit(length(&put)).await? == size);
        drop(put);
        let value = made(client, size).await;
        let began = Instant::now();
        ensure!(value.await?.len() == size);
        figures.insert("brought", millis(began.elapsed()));
        let value = made(client, size).await;
        let began = Instant::now();
        ensure!(total::call(value.await?)? == expected_total(size));
        figures.insert("brought_summed", millis(began.elapsed()));
    }
    Ok(figures)
}

/// The rate from one node to another, and what the processes work for it.
pub(crate) async fn between_nodes(cluster: &LocalCluster, request: &Request) -> Result<Figures> {
    let (client, size) = (cluster.client(), request.size("bytes")?);
    let [(here, sender), (there, receiver)] = pair(cluster).await?;
    let mut figures = Figures::new();
    for _ in 0..=WARM_UP {
        let value = made_at(client, here, size).await;
        let moved = moved(size, [sender, receiver], async {
            ensure!(client.submit(length(&value).on_worker(there)).await? == size);
            Ok(())
        });
        figures.extend(moved.await?.figures());
    }
    let quarter = size * 6 / 10;
    for _ in 0..=WARM_UP {
        let mut values = Vec::new();
        for _ in 0..4 {
            values.push(made_at(client, here, quarter).await);
        }
        let [first, second, third, fourth] = &values[..] else { unreachable!("four were made") };
        let began = Instant::now();
        let task = length_of_four(first, second, third, fourth).on_worker(there);
        ensure!(client.submit(task).await? == 4 * quarter);
        figures.insert("four", gigabytes(4 * quarter, began.elapsed()));
    }
    Ok(figures)
}

async fn made(client: &Client, size: usize) -> Handle<Blob> {
    let value = client.submit(make(size));
    value.ready().await;
    value
}

async fn made_at(client: &Client, worker: WorkerId, size: usize) -> Handle<Blob> {
    let value = client.submit(make(size).on_worker(worker));
    value.ready().await;
    value
}

/// What it took to move bytes from one process to another.
pub(crate) struct Moved {
    bytes: usize,
    took: Duration,
    /// Processor time of the sending and of the receiving process.
    worked: [Duration; 2],
}

impl Moved {
    /// The rate, and the processor time of both.
    pub(crate) fn figures(&self) -> Figures {
        let per_gigabyte = |time: Duration| time.as_secs_f64() * 1e12 / self.bytes as f64;
        let [sender, receiver] = self.worked.map(per_gigabyte);
        [("one", gigabytes(self.bytes, self.took)), ("sender", sender), ("receiver", receiver)].into()
    }
}

/// Measures what moves so many bytes between these processes, first the sender.
pub(crate) async fn moved(bytes: usize, pids: [u32; 2], movement: impl Future<Output = Result<()>>) -> Result<Moved> {
    let before = [worked(pids[0])?, worked(pids[1])?];
    let began = Instant::now();
    movement.await?;
    let took = began.elapsed();
    Ok(Moved {
        bytes,
        took,
        worked: [worked(pids[0])?.saturating_sub(before[0]), worked(pids[1])?.saturating_sub(before[1])],
    })
}

/// The processor time of a process so far.
fn worked(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let times = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += times.split(' ').next().context("a thread has a time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Bytes in a time as gigabytes a second.
pub(crate) fn gigabytes(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
