//! Measures how fast values move: between two nodes against bare QUIC with the same settings, and within one node.
//!
//! Run it: `cargo run --release -p quiltwork-tests --bin transfer`. All sides take turns in every round, so that what else
//! happens on the machine meets them alike. It prints a Markdown table, `minimum / median / maximum` of the rounds.
mod raw;

use anyhow::{Context, Result, ensure};
use quiltwork::prelude::*;
use quiltwork::{Blob, LocalCluster};
use raw::Raw;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
/// Rounds before them: the memory of a value is new in the first one, and mapped by its writer in the second one.
const WARM_UP: usize = 2;
const SIZE: usize = 100_000_000;
const SMALL: usize = 1_000_000;
/// Of each of four values: all of them fit into the memory a worker keeps warm.
const QUARTER: usize = 60_000_000;
/// Heavier than all that is moved: a task that takes it as well runs where it is.
const ANCHOR: usize = 300_000_000;

/// A value of so many bytes, made where the anchor is.
#[quiltwork::task]
fn make(anchor: Blob, size: usize) -> Blob {
    vec![anchor[0]; size].into()
}

/// An anchor; it takes long enough that another worker makes the next one.
#[quiltwork::task]
fn settle(size: usize) -> Blob {
    std::thread::sleep(Duration::from_millis(300));
    vec![7; size].into()
}

/// Which process has the anchor.
#[quiltwork::task]
fn process_of(anchor: Blob) -> u32 {
    std::process::id() + u32::from(anchor.is_empty())
}

/// Takes one value where the anchor is.
#[quiltwork::task]
fn take(anchor: Blob, value: Blob) -> usize {
    value.len() + usize::from(anchor.is_empty())
}

/// Takes four values where the anchor is.
#[quiltwork::task]
fn take_four(anchor: Blob, first: Blob, second: Blob, third: Blob, fourth: Blob) -> usize {
    first.len() + second.len() + third.len() + fourth.len() + usize::from(anchor.is_empty())
}

fn main() -> Result<()> {
    quiltwork::init();
    if std::env::args().nth(1).as_deref() == Some(raw::PEER) {
        return raw::run_peer();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let raw = Raw::start().await?;
    // One for each size, because a worker writes a value into the memory of a freed one of about its size.
    let (far, far_four) = (Pair::start(2).await?, Pair::start(2).await?);
    let near = Pair::start(1).await?;
    let mut table = Table::default();
    // The first rounds warm memory and windows up and do not count.
    for round in 0..WARM_UP + ROUNDS {
        let mut figures = Vec::new();
        let bare = raw.receive(1, SIZE as u64).await?;
        figures.extend(bare.rows(["bare QUIC, one stream", "its sender works", "its receiver works"]));
        let moved = far.take_one(SIZE).await?;
        figures.extend(moved.rows(["100 MB between two nodes", "their sender works", "their receiver works"]));
        figures.push(("of bare QUIC", percent(&bare, &moved)));
        let bare = raw.receive(4, QUARTER as u64).await?;
        figures.extend(bare.rows(["bare QUIC, four streams", "their one sender works", "their one receiver works"]));
        let moved = far_four.take_four(QUARTER).await?;
        figures.extend(moved.rows(["four of 60 MB between two nodes", "the one node works", "the other node works"]));
        figures.push(("of four streams", percent(&bare, &moved)));
        figures.push(("1 MB to a task of the same node", millis(near.take_one(SMALL).await?.took)));
        figures.push(("100 MB to a task of the same node", millis(near.take_one(SIZE).await?.took)));
        figures.push(("1 MB to the client", millis(near.bring(SMALL).await?)));
        figures.push(("100 MB to the client", millis(near.bring(SIZE).await?)));
        figures.push(("memcpy of 100 MB", gigabytes(SIZE, memcpy())));
        if round >= WARM_UP {
            table.add(figures);
        }
    }
    print!("{}", table.text());
    Ok(())
}

/// Two workers, each with an anchor.
struct Pair {
    cluster: LocalCluster,
    here: Handle<Blob>,
    there: Handle<Blob>,
    /// The processes that have them.
    pids: [u32; 2],
}

impl Pair {
    async fn start(nodes: usize) -> Result<Self> {
        let cluster = LocalCluster::builder().workers(2).nodes(nodes).store_limit("8GiB").start().await?;
        let client = cluster.client();
        let [here, there] = [ANCHOR; 2].map(|size| client.submit(settle(size)));
        here.ready().await;
        there.ready().await;
        let pids = [client.submit(process_of(&here)).await?, client.submit(process_of(&there)).await?];
        ensure!(nodes == 1 || pids[0] != pids[1], "both anchors are at process {}", pids[0]);
        Ok(Self { cluster, here, there, pids })
    }

    async fn made(&self, size: usize) -> Handle<Blob> {
        let value = self.cluster.client().submit(make(&self.here, size));
        value.ready().await;
        value
    }

    /// From handing in a task to its end, if its argument is made by the other worker.
    async fn take_one(&self, size: usize) -> Result<Moved> {
        let value = self.made(size).await;
        moved(size, self.pids, async {
            let taken = self.cluster.client().submit(take(&self.there, &value)).await?;
            ensure!(taken == size);
            Ok(())
        })
        .await
    }

    async fn take_four(&self, size: usize) -> Result<Moved> {
        let values = [self.made(size).await, self.made(size).await, self.made(size).await, self.made(size).await];
        let [first, second, third, fourth] = &values;
        moved(4 * size, self.pids, async {
            let task = take_four(&self.there, first, second, third, fourth);
            ensure!(self.cluster.client().submit(task).await? == 4 * size);
            Ok(())
        })
        .await
    }

    /// How long the client waits for a value that is there.
    async fn bring(&self, size: usize) -> Result<Duration> {
        let value = self.made(size).await;
        let began = Instant::now();
        ensure!(value.await?.len() == size);
        Ok(began.elapsed())
    }
}

/// What it took to move bytes from one process to another.
pub(crate) struct Moved {
    bytes: usize,
    took: Duration,
    /// Processor time of the sending and of the receiving process.
    worked: [Duration; 2],
}

impl Moved {
    fn rows(&self, names: [&'static str; 3]) -> Vec<(&'static str, Figure)> {
        let per_gigabyte = |time: Duration| (time.as_secs_f64() * 1e12 / self.bytes as f64, "ms/GB");
        let figures = [gigabytes(self.bytes, self.took), per_gigabyte(self.worked[0]), per_gigabyte(self.worked[1])];
        names.into_iter().zip(figures).collect()
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

/// A copy within memory that was touched before.
fn memcpy() -> Duration {
    let (from, mut to) = (vec![7_u8; SIZE], vec![1_u8; SIZE]);
    let began = Instant::now();
    to.copy_from_slice(std::hint::black_box(&from));
    std::hint::black_box(&to);
    began.elapsed()
}

/// A figure with its unit.
type Figure = (f64, &'static str);

fn gigabytes(bytes: usize, time: Duration) -> Figure {
    (bytes as f64 / time.as_secs_f64() / 1e9, "GB/s")
}

fn percent(bare: &Moved, moved: &Moved) -> Figure {
    (100.0 * bare.took.as_secs_f64() / moved.took.as_secs_f64(), "%")
}

fn millis(time: Duration) -> Figure {
    (time.as_secs_f64() * 1e3, "ms")
}

/// The figures of all rounds.
#[derive(Default)]
struct Table {
    rows: Vec<(&'static str, &'static str, Vec<f64>)>,
}

impl Table {
    fn add(&mut self, figures: Vec<(&'static str, Figure)>) {
        for (name, (figure, unit)) in figures {
            match self.rows.iter_mut().find(|(row, ..)| *row == name) {
                Some((.., row)) => row.push(figure),
                None => self.rows.push((name, unit, vec![figure])),
            }
        }
    }

    fn text(self) -> String {
        let mut text = "| figure | unit | min / median / max |\n|---|---|---|\n".to_owned();
        for (name, unit, mut row) in self.rows {
            row.sort_by(f64::total_cmp);
            let (low, middle, high) = (row[0], row[row.len() / 2], row[row.len() - 1]);
            writeln!(text, "| {name} | {unit} | {low:.2} / **{middle:.2}** / {high:.2} |").expect("text takes text");
        }
        text
    }
}
