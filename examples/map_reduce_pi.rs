//! Many tasks and one sum: estimates pi by throwing points at a square, each partition with a seed of its own.
//!
//! Run it: `cargo run --release --example map_reduce_pi` (`-- --help` for the options). The points depend on nothing but
//! the partition's number, so the output is the same on every machine, with any number of workers. Expected output:
//!
//! ```text
//! pi is about 3.141779: 12567116 of 16000000 points of 64 partitions hit the circle
//! ```
use clap::Parser;
use quiltwork::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Estimate pi on a local cluster.
#[derive(Parser)]
struct Options {
    /// Tasks the points are split into.
    #[arg(long, default_value_t = 64)]
    partitions: u32,
    /// Points of each partition.
    #[arg(long, default_value_t = 250_000)]
    points: u64,
}

/// Throws `points` at the unit square and counts those within the circle, in whole numbers and so exactly.
#[quiltwork::task]
fn count_hits(partition: u32, points: u64) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(u64::from(partition));
    let mut square = || u64::from(random.next_u32() / 2).pow(2);
    let radius = u64::from(u32::MAX / 2).pow(2);
    (0..points).map(|_| u64::from(square() + square() <= radius)).sum()
}

#[quiltwork::task]
fn sum(counts: Vec<u64>) -> u64 {
    counts.iter().sum()
}

#[quiltwork::main]
async fn main() -> quiltwork::Result<()> {
    let Options { partitions, points } = Options::parse();
    let cluster = LocalCluster::builder().start().await?;
    let client = cluster.client();

    let counts = client.map(0..partitions, |number| count_hits(number, points).partition(number));
    let hits = client.submit(sum(counts)).await?;

    let thrown = u64::from(partitions) * points;
    let pi = 4.0 * hits as f64 / thrown as f64;
    println!("pi is about {pi:.6}: {hits} of {thrown} points of {partitions} partitions hit the circle");
    cluster.shutdown().await;
    Ok(())
}
