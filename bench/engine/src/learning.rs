//! Measurements of parameter averaging, by the library's own training: the models and steps are those of the contenders in
//! Python.
use crate::engine::WORKERS;
use crate::request::{Figures, Request};
use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quiltwork::prelude::*;
use quiltwork::train::{self, ClusterTeam, Element, Metrics, Outcome, Parameters, Tensor, Trainer, Update};
use serde::{Deserialize, Serialize};
use std::time::Instant;

const PARTITIONS: usize = 8;
const ROWS: usize = 256;
const CLASSES: usize = 10;
const RATE: f64 = 0.1;
const NETWORK_RATE: f32 = 0.1;
const WARM_UP: u32 = 2;
const DIGITS: &str = include_str!("../../../examples/data/digits.csv");
/// Pixels of a digit, and a constant input for the bias.
const INPUTS: usize = 65;

/// Rows of inputs, one after the other, and the label of each.
#[derive(Clone, Serialize, Deserialize)]
struct Rows {
    inputs: Tensor,
    labels: Vec<u8>,
}

#[quiltwork::task]
fn hold(rows: Rows) -> Rows {
    rows
}

#[quiltwork::task]
fn logistic_step(model: Parameters, rows: Rows) -> train::Result<Update> {
    let mut model = model;
    let weights = model.slice_mut::<f64>("weights")?;
    let (weights, _) = weights.as_chunks_mut::<CLASSES>();
    let mut gradient = [[0.0; CLASSES]; INPUTS];
    for (inputs, &label) in numbers::<f64>(&rows.inputs).chunks_exact(INPUTS).zip(&rows.labels) {
        let mut miss = [0.0; CLASSES];
        for (&input, weights) in inputs.iter().zip(&*weights) {
            miss.iter_mut().zip(weights).for_each(|(score, weight)| *score += input * weight);
        }
        likelihood(&mut miss);
        miss[usize::from(label)] -= 1.0;
        for (&input, gradient) in inputs.iter().zip(&mut gradient) {
            gradient.iter_mut().zip(&miss).for_each(|(sum, miss)| *sum += input * miss);
        }
    }
    let rate = RATE / rows.labels.len() as f64;
    let slopes = gradient.as_flattened();
    weights.as_flattened_mut().iter_mut().zip(slopes).for_each(|(weight, slope)| *weight -= rate * slope);
    Ok(Update::new(model, rows.labels.len() as u64, Metrics::new()))
}

fn likelihood(scores: &mut [f64; CLASSES]) {
    let most = scores.iter().copied().fold(f64::MIN, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let total: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= total);
}

#[quiltwork::task]
fn network_step(model: Parameters, rows: Rows) -> train::Result<Update> {
    Ok(Update::new(descend(model, &rows)?, rows.labels.len() as u64, Metrics::new()))
}

/// Forward and backward through the network, once, with all rows.
fn descend(mut model: Parameters, rows: &Rows) -> train::Result<Parameters> {
    let count = rows.labels.len();
    let inputs = numbers::<f32>(&rows.inputs);
    let width = inputs.len() / count;
    let shaped = "the layers have these shapes";
    let inputs = ArrayView2::from_shape((count, width), inputs).expect(shaped);
    let into = Array2::from_shape_vec((width, width), model.slice::<f32>("into")?.to_vec()).expect(shaped);
    let out = Array2::from_shape_vec((width, CLASSES), model.slice::<f32>("out")?.to_vec()).expect(shaped);
    let (into_bias, out_bias) = (
        Array1::from(model.slice::<f32>("into.bias")?.to_vec()),
        Array1::from(model.slice::<f32>("out.bias")?.to_vec()),
    );
    let hidden = (inputs.dot(&into) + &into_bias).mapv_into(|unit| unit.max(0.0));
    let mut miss = hidden.dot(&out) + &out_bias;
    for (mut scores, &label) in miss.rows_mut().into_iter().zip(&rows.labels) {
        let most = scores.iter().copied().fold(f32::MIN, f32::max);
        scores.mapv_inplace(|score| (score - most).exp());
        let total = scores.sum();
        scores.mapv_inplace(|score| score / total);
        scores[usize::from(label)] -= 1.0;
    }
    miss *= NETWORK_RATE / count as f32;
    let mut blame = miss.dot(&out.t());
    blame.zip_mut_with(&hidden, |blame, &unit| {
        if unit <= 0.0 {
            *blame = 0.0;
        }
    });
    let slopes = [
        ("into", inputs.t().dot(&blame).into_raw_vec_and_offset().0),
        ("into.bias", blame.sum_axis(Axis(0)).to_vec()),
        ("out", hidden.t().dot(&miss).into_raw_vec_and_offset().0),
        ("out.bias", miss.sum_axis(Axis(0)).to_vec()),
    ];
    for (name, slope) in slopes {
        model.slice_mut::<f32>(name)?.iter_mut().zip(slope).for_each(|(number, slope)| *number -= slope);
    }
    Ok(model)
}

/// Milliseconds of a round of logistic regression on the handwritten digits.
pub(crate) async fn digits(client: &Client, request: &Request) -> Result<Figures> {
    let rounds = u32::try_from(request.size("rounds")?)?;
    let partitions = client.gather(digit_rows()?.into_iter().map(|rows| client.submit(hold(rows)))).await?;
    let handles = client.map(partitions, hold);
    let model =
        Parameters::from_iter([("weights".to_owned(), Tensor::new([INPUTS, CLASSES], vec![0.0; INPUTS * CLASSES])?)]);
    let outcome =
        timed(model, rounds, || ClusterTeam::new(client, handles.clone(), |_, model, rows| logistic_step(model, rows)));
    let (outcome, millis) = outcome.await?;
    ensure!(outcome.parameters.slice::<f64>("weights")?.iter().any(|weight| *weight > 0.01), "nothing was learned");
    Ok([("round", millis)].into())
}

fn digit_rows() -> Result<Vec<Rows>> {
    let mut partitions = vec![(Vec::new(), Vec::new()); PARTITIONS];
    for (number, line) in DIGITS.lines().skip(1).enumerate() {
        let (pixels, label) = line.rsplit_once(',').context("a row without a digit")?;
        let (inputs, labels) = &mut partitions[number % PARTITIONS];
        for pixel in pixels.split(',') {
            inputs.push(pixel.parse::<f64>()? / 16.0);
        }
        inputs.push(1.0);
        labels.push(label.parse()?);
    }
    partitions.into_iter().map(|(inputs, labels)| Ok(Rows { inputs: rows_of(INPUTS, inputs)?, labels })).collect()
}

/// Milliseconds of a round of a network, and what its computing alone takes with as many threads.
pub(crate) async fn network(client: &Client, request: &Request) -> Result<Figures> {
    let (rounds, width) = (u32::try_from(request.size("rounds")?)?, request.size("width")?);
    let partitions = (0..PARTITIONS).map(|seed| random_rows(seed, width)).collect::<Result<Vec<_>>>()?;
    let handles = client.map(partitions.clone(), hold);
    let model = network_model(width)?;
    let outcome = timed(model.clone(), rounds, || {
        ClusterTeam::new(client, handles.clone(), |_, model, rows| network_step(model, rows))
    });
    let (_, millis) = outcome.await?;
    Ok([("round", millis), ("computing", computing(&model, &partitions, rounds)?)].into())
}

/// Milliseconds of a round if nothing is sent and nothing averaged.
fn computing(model: &Parameters, partitions: &[Rows], rounds: u32) -> Result<f64> {
    let compute = |rounds: u32| -> train::Result<()> {
        std::thread::scope(|scope| {
            let share = |share: &[Rows]| -> train::Result<()> {
                for rows in share.iter().cycle().take(share.len() * rounds as usize) {
                    descend(model.clone(), rows)?;
                }
                Ok(())
            };
            let threads: Vec<_> =
                partitions.chunks(PARTITIONS / WORKERS).map(|part| scope.spawn(move || share(part))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("computing does not panic"))
        })
    };
    compute(1)?;
    let began = Instant::now();
    compute(rounds)?;
    Ok(began.elapsed().as_secs_f64() * 1e3 / f64::from(rounds))
}

/// Trains after a short training that warms up; the milliseconds are those of a round.
async fn timed<T: train::Team>(model: Parameters, rounds: u32, mut team: impl FnMut() -> T) -> Result<(Outcome, f64)> {
    Trainer::new(model.clone()).rounds(WARM_UP).fit(team()).await?;
    let began = Instant::now();
    let outcome = Trainer::new(model).rounds(rounds).fit(team()).await?;
    Ok((outcome, began.elapsed().as_secs_f64() * 1e3 / f64::from(rounds)))
}

fn network_model(width: usize) -> Result<Parameters> {
    let mut noise = Noise(1);
    let mut layer = |count: usize| (0..count).map(|_| 0.06 * noise.next()).collect::<Vec<f32>>();
    let tensors = [
        ("into", Tensor::new([width, width], layer(width * width))?),
        ("into.bias", Tensor::new([width], vec![0.0_f32; width])?),
        ("out", Tensor::new([width, CLASSES], layer(width * CLASSES))?),
        ("out.bias", Tensor::new([CLASSES], vec![0.0_f32; CLASSES])?),
    ];
    Ok(tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect())
}

fn random_rows(seed: usize, width: usize) -> Result<Rows> {
    let mut noise = Noise(seed as u64 + 2);
    let inputs = rows_of(width, (0..ROWS * width).map(|_| 2.0 * noise.next()).collect())?;
    Ok(Rows { inputs, labels: (0..ROWS).map(|row| (row % CLASSES).to_le_bytes()[0]).collect() })
}

fn rows_of<T: Element>(width: usize, numbers: Vec<T>) -> Result<Tensor> {
    Ok(Tensor::new([numbers.len() / width, width], numbers)?)
}

fn numbers<T: Element>(inputs: &Tensor) -> &[T] {
    inputs.as_slice().expect("inputs are of the type their model is for")
}

/// Numbers that look random, between -1 and 1 (a linear congruential generator, Knuth's MMIX).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
