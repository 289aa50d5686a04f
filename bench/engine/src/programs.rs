//! Measurements of whole programs: words are counted, numbers are sorted.
use crate::request::{Figures, Request};
use anyhow::{Result, ensure};
use quiltwork::prelude::*;
use quiltwork::{Blob, BlobReaders};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

/// Counts that are merged by one task.
const AT_ONCE: usize = 8;
const PARTITIONS: usize = 16;
const SAMPLES: usize = 1_000;

type Counts = HashMap<String, u64>;

#[quiltwork::task]
fn count(path: PathBuf) -> std::io::Result<Counts> {
    let text = std::fs::read_to_string(path)?;
    let mut counts = Counts::new();
    for word in text.split_ascii_whitespace() {
        match counts.get_mut(word) {
            Some(count) => *count += 1,
            None => drop(counts.insert(word.to_owned(), 1)),
        }
    }
    Ok(counts)
}

#[quiltwork::task]
fn merge(counts: Vec<Counts>) -> Counts {
    let mut counts = counts.into_iter();
    let mut merged = counts.next().unwrap_or_default();
    for (word, count) in counts.flatten() {
        *merged.entry(word).or_default() += count;
    }
    merged
}

/// Seconds to count the words of the prepared files.
pub(crate) async fn word_count(client: &Client, request: &Request) -> Result<Figures> {
    let texts = request.folder.join(format!("words-{}", request.size("bytes")?));
    let files = std::fs::read_dir(texts)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let paths: Vec<_> = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    let mut read = 0;
    for path in &paths {
        // Into the system's cache.
        read += std::fs::read(path)?.len() as u64 + 1;
    }
    client.submit(merge(vec![Counts::new()])).await?;
    let began = Instant::now();
    let mut counts = client.map(paths, count);
    while counts.len() > 1 {
        counts = counts.chunks(AT_ONCE).map(|some| client.submit(merge(some.to_vec()))).collect();
    }
    let total = counts.remove(0).await?;
    let time = began.elapsed().as_secs_f64();
    let counted: u64 = total.iter().map(|(word, count)| (word.len() as u64 + 1) * count).sum();
    ensure!(counted == read, "words of {counted} bytes were counted, {read} were read");
    Ok([("time", time)].into())
}

#[quiltwork::task]
fn generate(seed: u64, count: usize) -> Blob {
    // SplitMix64, Steele et al. 2014.
    let mut state = seed;
    let numbers: Vec<u64> = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
    .take(count)
    .collect();
    Blob::from_slice_of(&numbers)
}

#[quiltwork::task]
fn sample(numbers: Blob, count: usize) -> quiltwork::Result<Vec<u64>> {
    let numbers = numbers.as_slice_of::<u64>()?;
    Ok(numbers.iter().step_by((numbers.len() / count).max(1)).copied().collect())
}

#[quiltwork::task]
fn order(numbers: Blob) -> quiltwork::Result<Blob> {
    let mut numbers = numbers.as_slice_of::<u64>()?.to_vec();
    numbers.sort_unstable();
    Ok(Blob::from_slice_of(&numbers))
}

/// The numbers from `least` on and below `limit`, of partitions that are sorted.
#[quiltwork::task]
fn merge_part(least: u64, limit: Option<u64>, partitions: BlobReaders) -> quiltwork::Result<Blob> {
    let mut merged = Vec::new();
    for partition in partitions.iter() {
        let all = partition.read(0..partition.len())?;
        let numbers = all.as_slice_of::<u64>()?;
        let begin = numbers.partition_point(|number| *number < least);
        let end = limit.map_or(numbers.len(), |limit| numbers.partition_point(|number| *number < limit));
        merged.extend_from_slice(&numbers[begin..end]);
    }
    order_pieces(&mut merged);
    Ok(Blob::from_slice_of(&merged))
}

#[expect(clippy::stable_sort_primitive, reason = "it finds the pieces that are in order already")]
fn order_pieces(numbers: &mut [u64]) {
    numbers.sort();
}

#[quiltwork::task]
fn length(numbers: Blob) -> usize {
    numbers.len() / 8
}

/// The first and the last number, and whether all are in order.
#[quiltwork::task]
fn edges(numbers: Blob) -> quiltwork::Result<(u64, u64, bool)> {
    let numbers = numbers.as_slice_of::<u64>()?;
    Ok((numbers[0], numbers[numbers.len() - 1], numbers.is_sorted()))
}

/// Seconds of a sample sort whose result stays with the workers.
pub(crate) async fn sort(client: &Client, request: &Request) -> Result<Figures> {
    let each = request.size("numbers")? / PARTITIONS;
    sort_once(client, each / 10).await?;
    Ok([("time", sort_once(client, each).await?)].into())
}

async fn sort_once(client: &Client, each: usize) -> Result<f64> {
    let partitions = client.map(0..PARTITIONS as u64, |seed| generate(seed, each));
    client.gather(partitions.iter().map(|partition| client.submit(length(partition)))).await?;
    let began = Instant::now();
    let samples = client.gather(partitions.iter().map(|partition| client.submit(sample(partition, SAMPLES)))).await?;
    let mut samples = samples.concat();
    samples.sort_unstable();
    let bounds: Vec<u64> = (0..PARTITIONS).map(|part| samples[part * samples.len() / PARTITIONS]).collect();
    let ordered: Vec<_> = partitions.iter().map(|partition| client.submit(order(partition))).collect();
    let merged: Vec<_> = (0..PARTITIONS)
        .map(|part| {
            let least = if part == 0 { 0 } else { bounds[part] };
            client.submit(merge_part(least, bounds.get(part + 1).copied(), ordered.clone()))
        })
        .collect();
    let lengths = client.gather(merged.iter().map(|part| client.submit(length(part)))).await?;
    let time = began.elapsed().as_secs_f64();
    let edges = client.gather(merged.iter().map(|part| client.submit(edges(part)))).await?;
    ensure!(lengths.iter().sum::<usize>() == each * PARTITIONS, "numbers were lost");
    let in_order = edges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    ensure!(in_order && edges.iter().all(|(.., sorted)| *sorted), "the numbers are not in order");
    Ok(time)
}
