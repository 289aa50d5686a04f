//! Tasks in Rust for programs in Python, and the other way round: here their results go to a function in Python.
//!
//! `examples/python/mixed_rust.py` is the program in Python. Run this one with `cargo run --release --example signals`; it
//! needs a `python3` with the package `quiltwork`, or one that `QUILTWORK_PYTHON` names. Expected output:
//!
//! ```text
//! 24 peaks, the one in the middle at 500
//! ```
use quiltwork::prelude::*;
use quiltwork::{Array, python};
use std::f64::consts::TAU;

/// A cosine with a peak every 40 points.
#[quiltwork::task]
fn wave(points: usize) -> Array<f64> {
    Array::build([points], |wave| {
        wave.iter_mut().enumerate().for_each(|(place, height)| *height = (place as f64 * TAU / 40.0).cos());
    })
}

/// Each point as the mean of those at most `reach` away.
#[quiltwork::task]
fn smooth(signal: Array<f64>, reach: usize) -> Array<f64> {
    Array::build(signal.shape(), |out| {
        for (place, mean) in out.iter_mut().enumerate() {
            let near = &signal[place.saturating_sub(reach)..signal.len().min(place + reach + 1)];
            *mean = near.iter().sum::<f64>() / near.len() as f64;
        }
    })
}

/// Where the signal is higher than on both sides.
#[quiltwork::task]
fn peaks(signal: Array<f64>) -> Vec<usize> {
    let is_peak = |place: &usize| signal[place - 1] < signal[*place] && signal[*place] > signal[place + 1];
    (1..signal.len().saturating_sub(1)).filter(is_peak).collect()
}

#[quiltwork::main]
async fn main() -> quiltwork::Result<()> {
    let cluster = LocalCluster::builder().workers(1).python_workers(1).start().await?;
    let mut graph = Graph::new();
    let wave = graph.add(wave(1000));
    let peaks = graph.add(peaks(wave));
    let count = graph.add(python::<usize>("builtins:len").call((peaks,)));
    let middle = graph.add(python::<f64>("statistics:median").call((peaks,)));
    let (count, middle) = cluster.client().run(graph, (count, middle)).await?;
    println!("{count} peaks, the one in the middle at {middle}");
    Ok(())
}
