//! Parameter averaging hits the numbers published about it; all of it goes through the same round loop and merge.
use quiltwork::train::{self, Assignment, Metrics, Outcome, Parameters, Result, Tensor, Trainer, Update};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const NAME: &str = "x";

fn vector(values: Vec<f64>) -> Parameters {
    let tensor = Tensor::new([values.len()], values).expect("one dimension of that length");
    [(NAME.to_owned(), tensor)].into_iter().collect()
}

fn values(parameters: &Parameters) -> &[f64] {
    parameters.slice(NAME).expect("the only tensor there is")
}

/// Trains serially; `step` changes a copy of the vector and says how many samples it used.
fn train<P: Sync>(
    start: Vec<f64>,
    rounds: u32,
    partitions: &[P],
    mut step: impl FnMut(&Assignment, &mut [f64], &P) -> u64 + Send,
) -> Outcome {
    let step = |assignment: &Assignment, model: &Parameters, partition: &P| -> Result<Update> {
        let mut parameters = model.clone();
        let samples = step(assignment, parameters.slice_mut(NAME)?, partition);
        Ok(Update::new(parameters, samples, Metrics::new()))
    };
    train::serial(Trainer::new(vector(start)).rounds(rounds), partitions, step).expect("nothing fails here")
}

/// The fixed point of K local gradient steps on two unlike quadratics a/2 (x - c)², from any start (Charles and Konečný,
/// "Convergence and Accuracy Trade-Offs in Federated Learning and Meta-Learning", arXiv 2103.05032).
fn fixed_point(local_steps: u32) -> f64 {
    let quadratics = [(1.0, 0.0), (10.0, 1.0)];
    let outcome = train(vec![-3.0], 300, &quadratics, |_, x, (a, c)| {
        for _ in 0..local_steps {
            x[0] -= 0.05 * a * (x[0] - c);
        }
        1
    });
    values(&outcome.parameters)[0]
}

#[test]
fn local_steps_on_unlike_quadratics_end_at_the_published_fixed_points() {
    for (local_steps, published) in [(1, 0.909_090_909), (10, 0.713_442_170), (20, 0.609_193_452)] {
        let found = fixed_point(local_steps);
        assert!((found - published).abs() < 1e-9, "{local_steps} local steps: {found}, published {published}");
    }
}

#[test]
fn averaging_after_every_step_is_one_worker_with_the_joint_batch() {
    const WORKERS: usize = 5;
    const BATCH: usize = 4;
    const DIMENSIONS: usize = 6;
    const ROUNDS: u32 = 80;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let rows: Vec<Row> = (0..WORKERS * BATCH * ROUNDS as usize).map(|_| Row::random(DIMENSIONS, &mut rng)).collect();
    let batch = |round: u32, size: usize| &rows[(round - 1) as usize * WORKERS * BATCH..][..size];

    let parts: Vec<usize> = (0..WORKERS).collect();
    let averaged = train(vec![0.0; DIMENSIONS], ROUNDS, &parts, |assignment, x, part| {
        let joint = batch(assignment.round, WORKERS * BATCH);
        descend(x, &joint[part * BATCH..][..BATCH]);
        BATCH as u64
    });
    let alone = train(vec![0.0; DIMENSIONS], ROUNDS, &[()], |assignment, x, ()| {
        descend(x, batch(assignment.round, WORKERS * BATCH));
        1
    });
    for (a, b) in values(&averaged.parameters).iter().zip(values(&alone.parameters)) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
        assert!(a.abs() > 1e-3, "the test learns nothing: {a}");
    }
}

/// One step of plain gradient descent on the mean squared error.
fn descend(x: &mut [f64], batch: &[Row]) {
    let mut gradient = vec![0.0; x.len()];
    for row in batch {
        let miss = row.inputs.iter().zip(&*x).map(|(input, x)| input * x).sum::<f64>() - row.output;
        gradient.iter_mut().zip(&row.inputs).for_each(|(g, input)| *g += miss * input / batch.len() as f64);
    }
    x.iter_mut().zip(gradient).for_each(|(x, g)| *x -= 0.05 * g);
}

/// One-shot averaging of exact local least-squares solutions (Rosenblatt and Nadler, "On the Optimality of Averaging in
/// Distributed Statistical Learning", arXiv 1407.2724; Zhang, Duchi and Wainwright, arXiv 1209.4129): the squared
/// error relative to the central solution's is (N - d - 1) / (m (n - d - 1)).
#[test]
fn one_shot_averaging_of_least_squares_loses_what_is_published() {
    const ROWS: usize = 10_000;
    const DIMENSIONS: usize = 20;
    const TRIALS: u64 = 300;
    let mut errors: Vec<[f64; 3]> = Vec::new();
    for trial in 0..TRIALS {
        let mut rng = ChaCha8Rng::seed_from_u64(trial);
        let truth: Vec<f64> = (0..DIMENSIONS).map(|_| normal(&mut rng)).collect();
        let smallest: Vec<Normal> = (0..200)
            .map(|_| {
                let mut equations = Normal::new(DIMENSIONS);
                (0..ROWS / 200).for_each(|_| equations.add_row(&Row::of(&truth, &mut rng)));
                equations
            })
            .collect();
        errors.push([1, 10, 200].map(|workers| {
            let parts: Vec<Normal> = smallest.chunks(200 / workers).map(Normal::joined).collect();
            let outcome = train(vec![0.0; DIMENSIONS], 1, &parts, |_, x, part| {
                x.copy_from_slice(&part.solve());
                part.rows
            });
            values(&outcome.parameters).iter().zip(&truth).map(|(x, t)| (x - t).powi(2)).sum()
        }));
    }
    for (index, published, sharp) in [(1, 1.0193, 0.015), (2, 1.7205, 0.15)] {
        let (ratio, standard_error) = ratio_of_means(&errors, index);
        assert!((ratio - published).abs() < 3.0 * standard_error, "{ratio} ± {standard_error}, published {published}");
        assert!(3.0 * standard_error < sharp, "too few trials to tell: {ratio} ± {standard_error}");
    }
}

/// The mean of one column by the mean of the first, and its standard error (delta method: the columns are paired).
fn ratio_of_means(errors: &[[f64; 3]], index: usize) -> (f64, f64) {
    let trials = errors.len() as f64;
    let central = errors.iter().map(|error| error[0]).sum::<f64>() / trials;
    let ratio = errors.iter().map(|error| error[index]).sum::<f64>() / trials / central;
    let variance = errors.iter().map(|error| (error[index] - ratio * error[0]).powi(2)).sum::<f64>() / (trials - 1.0);
    (ratio, (variance / trials).sqrt() / central)
}

struct Row {
    inputs: Vec<f64>,
    output: f64,
}

impl Row {
    fn random(dimensions: usize, rng: &mut ChaCha8Rng) -> Self {
        let truth: Vec<f64> = (0..dimensions).map(|i| 1.0 + i as f64).collect();
        Self::of(&truth, rng)
    }

    /// Standard normal inputs, and what the truth makes of them with standard normal noise.
    fn of(truth: &[f64], rng: &mut ChaCha8Rng) -> Self {
        let inputs: Vec<f64> = truth.iter().map(|_| normal(rng)).collect();
        let output = inputs.iter().zip(truth).map(|(input, truth)| input * truth).sum::<f64>() + normal(rng);
        Self { inputs, output }
    }
}

/// Box and Muller, 1958.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// The normal equations of a least-squares problem.
#[derive(Clone)]
struct Normal {
    squares: Vec<Vec<f64>>,
    products: Vec<f64>,
    rows: u64,
}

impl Normal {
    fn new(dimensions: usize) -> Self {
        Self { squares: vec![vec![0.0; dimensions]; dimensions], products: vec![0.0; dimensions], rows: 0 }
    }

    fn add_row(&mut self, row: &Row) {
        for (i, &a) in row.inputs.iter().enumerate() {
            self.squares[i].iter_mut().zip(&row.inputs).for_each(|(square, b)| *square += a * b);
            self.products[i] += a * row.output;
        }
        self.rows += 1;
    }

    fn joined(parts: &[Self]) -> Self {
        let mut whole = Self::new(parts[0].products.len());
        for part in parts {
            let (squares, others) = (whole.squares.iter_mut().flatten(), part.squares.iter().flatten());
            squares.zip(others).for_each(|(mine, other)| *mine += other);
            whole.products.iter_mut().zip(&part.products).for_each(|(mine, other)| *mine += other);
            whole.rows += part.rows;
        }
        whole
    }

    /// Gaussian elimination; the matrix is positive definite, so it needs no pivots.
    fn solve(&self) -> Vec<f64> {
        let Self { mut squares, mut products, .. } = self.clone();
        for i in 0..products.len() {
            for j in i + 1..products.len() {
                let factor = squares[j][i] / squares[i][i];
                let pivot = squares[i].clone();
                squares[j].iter_mut().zip(pivot).skip(i).for_each(|(x, p)| *x -= factor * p);
                products[j] -= factor * products[i];
            }
        }
        for i in (0..products.len()).rev() {
            let known: f64 = (i + 1..products.len()).map(|j| squares[i][j] * products[j]).sum();
            products[i] = (products[i] - known) / squares[i][i];
        }
        products
    }
}
