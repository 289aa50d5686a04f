//! Large values between nodes: what a broadcast costs its source.
use crate::trial;
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use quiltwork::Blob;
use quiltwork::prelude::*;
use std::path::Path;
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("a_broadcast_costs_its_source_three_sends_at_most", broadcast)]
}

const SIZE: usize = 32 << 20;
/// The source and eight others.
const WORKERS: u32 = 9;

#[quiltwork::task]
fn make(size: usize) -> Blob {
    vec![7; size].into()
}

/// Waits until every worker has the value, and returns how much this one has sent.
#[quiltwork::task]
fn meet(value: Blob, folder: String, number: u32) -> Result<u64, std::io::Error> {
    let is_whole = value.len() == SIZE && value.iter().all(|byte| *byte == 7);
    std::fs::write(Path::new(&folder).join(number.to_string()), [u8::from(is_whole)])?;
    while std::fs::read_dir(&folder)?.count() < WORKERS as usize {
        std::thread::sleep(Duration::from_millis(5));
    }
    // What the last one has received was counted just after it was sent.
    std::thread::sleep(Duration::from_millis(100));
    Ok(quiltwork::__private::sent_bytes())
}

async fn broadcast() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().display().to_string();
    let cluster = LocalCluster::builder().workers(WORKERS as usize).nodes(WORKERS as usize).start().await?;
    let value = cluster.client().submit(make(SIZE));
    let meetings: Vec<_> =
        (0..WORKERS).map(|number| cluster.client().submit(meet(&value, path.clone(), number))).collect();
    let mut sent = Vec::new();
    for meeting in meetings {
        sent.push(meeting.await?);
    }
    for number in 0..WORKERS {
        ensure!(std::fs::read(folder.path().join(number.to_string()))? == [1], "another value arrived");
    }
    let (size, total) = (SIZE as u64, sent.iter().sum::<u64>());
    ensure!(total >= 8 * size, "eight have it, but only {total} bytes were sent: {sent:?}");
    ensure!(sent.iter().all(|sent| *sent <= 3 * size), "somebody sent it more than three times: {sent:?}");
    Ok(())
}
