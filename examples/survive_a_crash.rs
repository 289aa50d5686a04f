//! A worker is killed while tasks run: every result is right all the same, and a task tells what happened to it.
//!
//! Run it: `cargo run --release --example survive_a_crash`. Expected output (numbers of processes and times are yours):
//!
//! ```text
//! killed worker w1 (process 4711) while it was at work
//! all 200 squares and their sum are right, though 1 worker died
//!
//! task 1.21 is finished
//!     0.013105 s  submitted
//!     0.013105 s  queued
//!     0.131325 s  attempt 1 assigned to w1
//!     0.131915 s  running on w1
//!     0.134652 s  worker w1 died holding it (death 1)
//!     0.134652 s  queued
//!     0.138326 s  attempt 2 assigned to w3
//!     0.138673 s  running on w3
//!     0.148862 s  finished on w3
//! ```
use quiltwork::prelude::*;
use std::time::Duration;

const NUMBERS: u64 = 200;

/// Takes its time, so that it can be caught in the middle.
#[quiltwork::task]
fn square(x: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(10));
    x * x
}

#[quiltwork::task]
fn sum(squares: Vec<u64>) -> u64 {
    squares.iter().sum()
}

#[quiltwork::main]
async fn main() -> quiltwork::Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let squares = client.map(1..=NUMBERS, square);
    let total = client.submit(sum(&squares));

    squares[20].ready().await;
    if let Some(victim) = cluster.workers().into_iter().find(|worker| worker.assigned > 0) {
        cluster.kill_worker(victim.pid)?;
        println!("killed worker {} (process {}) while it was at work", victim.worker, victim.pid);
    }

    for (x, square) in (1..).zip(&squares) {
        assert_eq!(square.await?, x * x);
    }
    assert_eq!(total.await?, sum::call((1..=NUMBERS).map(|x| x * x).collect()));
    let lost = cluster.workers_lost();
    println!("all {NUMBERS} squares and their sum are right, though {lost} worker died\n");

    for square in &squares {
        let story = client.story(square).await?.to_string();
        if story.contains("died") {
            println!("{story}");
            break;
        }
    }
    cluster.shutdown().await;
    Ok(())
}
