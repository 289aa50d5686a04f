//! Measurements of an actor: called one by one, and many times before an answer is read.
use crate::request::{Figures, Request};
use anyhow::{Result, ensure};
use quiltwork::prelude::*;
use std::time::Instant;

const WARM_UP: u64 = 100;

struct Counter {
    count: u64,
}

#[quiltwork::actor]
impl Counter {
    fn new() -> Self {
        Self { count: 0 }
    }

    /// The new count.
    fn add(&mut self, amount: u64) -> u64 {
        self.count += amount;
        self.count
    }
}

/// Calls a second.
pub(crate) async fn calls(client: &Client, request: &Request) -> Result<Figures> {
    let (one_by_one, pipelined) = (request.size("one_by_one")? as u64, request.size("pipelined")? as u64);
    let counter = client.actor(Counter::create());
    call_one_by_one(client, &counter, WARM_UP).await?;
    let began = Instant::now();
    let last = call_one_by_one(client, &counter, one_by_one).await?;
    let alone = began.elapsed().as_secs_f64();
    ensure!(last == WARM_UP + one_by_one, "a call one by one was lost");
    let began = Instant::now();
    let answers: Vec<_> = (0..pipelined).map(|_| client.submit(counter.add(1))).collect();
    let counts = client.gather(answers).await?;
    let together = began.elapsed().as_secs_f64();
    ensure!(counts.into_iter().eq(last + 1..=last + pipelined), "calls were lost or not in order");
    Ok([("one_by_one", one_by_one as f64 / alone), ("pipelined", pipelined as f64 / together)].into())
}

async fn call_one_by_one(client: &Client, counter: &Actor<Counter>, calls: u64) -> Result<u64> {
    let mut last = 0;
    for _ in 0..calls {
        last = client.submit(counter.add(1)).await?;
    }
    Ok(last)
}
