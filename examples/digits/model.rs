//! A network with one hidden layer in plain loops; every sum is taken in a fixed order, so a run is bit for bit repeatable.
use super::data::{DIGITS, PIXELS, Rows};
use quiltwork::train::{Assignment, Metrics, Parameters, Result, Tensor, Update};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HIDDEN: usize = 64;
const EPOCHS: usize = 10;
const BATCH: usize = 8;
const RATE: f32 = 0.04;
const MOMENTUM: f32 = 0.9;

/// The layers; also a gradient and a velocity have this form.
#[derive(Clone)]
struct Network {
    /// Pixels x hidden units, then hidden units x digits: row by row what one input gives to each unit.
    weights: [Vec<f32>; 2],
    biases: [Vec<f32>; 2],
}

const NAMES: [[&str; 2]; 2] = [["hidden.weight", "hidden.bias"], ["digit.weight", "digit.bias"]];

/// Small random weights (He et al., 2015), no biases.
pub(crate) fn initial(seed: u64) -> Result<Parameters> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut network = Network::zeros();
    for (weights, inputs) in network.weights.iter_mut().zip([PIXELS as f32, HIDDEN as f32]) {
        let most = (6.0 / inputs).sqrt();
        weights.fill_with(|| rng.random_range(-most..most));
    }
    network.into_parameters()
}

/// Trains on one partition for one round: some epochs of gradient descent with momentum in small shuffled batches.
pub(crate) fn train(model: &Parameters, rows: &Rows, assignment: &Assignment) -> Result<Update> {
    let mut rng = ChaCha8Rng::seed_from_u64(assignment.seed);
    let mut network = Network::from_parameters(model)?;
    let mut velocity = Network::zeros();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut loss = 0.0;
    for _ in 0..EPOCHS {
        order.shuffle(&mut rng);
        for batch in order.chunks(BATCH) {
            velocity.scale(MOMENTUM);
            for &row in batch {
                let (pixels, digit) = rows.get(row);
                loss += network.descend(pixels, digit, RATE / batch.len() as f32, &mut velocity);
            }
            network.add(&velocity);
        }
    }
    let metrics = Metrics::from([("loss".to_owned(), loss / (EPOCHS * rows.len()) as f64)]);
    Ok(Update::new(network.into_parameters()?, rows.len() as u64, metrics))
}

/// The share of rows the model reads correctly.
pub(crate) fn evaluate(model: &Parameters, rows: &Rows) -> Result<Metrics> {
    let network = Network::from_parameters(model)?;
    let right = (0..rows.len()).filter(|&row| {
        let (pixels, digit) = rows.get(row);
        let (_, chances) = network.read(pixels);
        (0..DIGITS).max_by(|&a, &b| chances[a].total_cmp(&chances[b])) == Some(digit)
    });
    Ok(Metrics::from([("accuracy".to_owned(), right.count() as f64 / rows.len() as f64)]))
}

impl Network {
    fn zeros() -> Self {
        Self {
            weights: [vec![0.0; PIXELS * HIDDEN], vec![0.0; HIDDEN * DIGITS]],
            biases: [vec![0.0; HIDDEN], vec![0.0; DIGITS]],
        }
    }

    fn from_parameters(parameters: &Parameters) -> Result<Self> {
        let mut network = Self::zeros();
        for (layer, [weight, bias]) in NAMES.iter().enumerate() {
            network.weights[layer].copy_from_slice(parameters.slice(weight)?);
            network.biases[layer].copy_from_slice(parameters.slice(bias)?);
        }
        Ok(network)
    }

    fn into_parameters(self) -> Result<Parameters> {
        let mut parameters = Parameters::new();
        for ((weights, biases), [weight, bias]) in self.weights.into_iter().zip(self.biases).zip(NAMES) {
            let outputs = biases.len();
            parameters.insert(weight, Tensor::new([weights.len() / outputs, outputs], weights)?);
            parameters.insert(bias, Tensor::new([outputs], biases)?);
        }
        Ok(parameters)
    }

    /// What the hidden units say to these pixels, and how likely each digit is.
    fn read(&self, pixels: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut hidden = forward(pixels, &self.weights[0], &self.biases[0]);
        hidden.iter_mut().for_each(|unit| *unit = unit.max(0.0));
        let mut chances = forward(&hidden, &self.weights[1], &self.biases[1]);
        let most = chances.iter().copied().fold(f32::MIN, f32::max);
        chances.iter_mut().for_each(|chance| *chance = (*chance - most).exp());
        let total: f32 = chances.iter().sum();
        chances.iter_mut().for_each(|chance| *chance /= total);
        (hidden, chances)
    }

    /// Adds `rate` times the downhill direction of one row's loss to `velocity`; returns the loss.
    fn descend(&self, pixels: &[f32], digit: usize, rate: f32, velocity: &mut Self) -> f64 {
        let (hidden, chances) = self.read(pixels);
        let loss = -f64::from(chances[digit].max(f32::MIN_POSITIVE)).ln();
        let mut miss: Vec<f32> = chances.iter().map(|chance| -rate * chance).collect();
        miss[digit] += rate;
        let mut blame = vec![0.0; HIDDEN];
        for (unit, weights) in self.weights[1].chunks_exact(DIGITS).enumerate() {
            if hidden[unit] > 0.0 {
                blame[unit] = weights.iter().zip(&miss).map(|(weight, miss)| weight * miss).sum();
            }
        }
        backward(&hidden, &miss, &mut velocity.weights[1], &mut velocity.biases[1]);
        backward(pixels, &blame, &mut velocity.weights[0], &mut velocity.biases[0]);
        loss
    }

    fn layers(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        self.weights.iter_mut().chain(&mut self.biases)
    }

    fn scale(&mut self, factor: f32) {
        self.layers().flatten().for_each(|x| *x *= factor);
    }

    fn add(&mut self, other: &Self) {
        for (mine, other) in self.layers().zip(other.weights.iter().chain(&other.biases)) {
            add_scaled(mine, 1.0, other);
        }
    }
}

/// Outputs of a layer: its biases and what each input gives.
fn forward(inputs: &[f32], weights: &[f32], biases: &[f32]) -> Vec<f32> {
    let mut outputs = biases.to_vec();
    for (&input, weights) in inputs.iter().zip(weights.chunks_exact(biases.len())) {
        add_scaled(&mut outputs, input, weights);
    }
    outputs
}

/// Adds to a layer's velocity what `outputs` blames on its `inputs`.
fn backward(inputs: &[f32], outputs: &[f32], weights: &mut [f32], biases: &mut [f32]) {
    for (&input, weights) in inputs.iter().zip(weights.chunks_exact_mut(outputs.len())) {
        add_scaled(weights, input, outputs);
    }
    add_scaled(biases, 1.0, outputs);
}

/// Element by element: the compiler may do several at once without changing a bit.
fn add_scaled(sum: &mut [f32], factor: f32, addends: &[f32]) {
    for (sum, addend) in sum.iter_mut().zip(addends) {
        *sum += factor * addend;
    }
}
