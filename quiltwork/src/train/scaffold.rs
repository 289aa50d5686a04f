//! SCAFFOLD: averaging with control variates, which tell each partition how its gradients differ from everybody's.
//!
//! All control variates stay here, by partition number, so that they survive whatever becomes of tasks and workers. A partition
//! is given only the difference it is to add to its gradients, and gives back only how far it walked.
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::round::{Assignment, Plan, Reply, Round, Update};
use super::strategy::{Strategy, demand};
use super::tensor::{BLOCK, Dtype, Element, Tensor};
use super::updates::{Sum, Updates};
use std::collections::BTreeMap;

/// By this name the sum of the learning rates stands in [`Update::extras`].
const WALKED: &str = "walked";
const CONTROL: &str = "control/";
const SAMPLES: &str = "samples/";

/// Averaging that corrects the drift of unlike partitions: each adds to its gradients the difference of two control variates, the
/// mean of all and its own, which estimate the gradients of everybody and of the partition (Karimireddy, Kale, Mohri,
/// Reddi, Stich and Suresh, *SCAFFOLD: Stochastic Controlled Averaging for Federated Learning*, ICML 2020, option II).
/// However many local steps there are, it ends where all data in one place would.
///
/// The task adds the correction by [`Assignment::add_control`] and says by [`Update::walked`] how far it went. Means are
/// weighted by samples. A partition that is absent in a round keeps its control variate; those of all partitions are kept where the
/// trainer runs, and in the checkpoints.
///
/// ```
/// use quiltwork::train::{self, Metrics, Parameters, Scaffold, Tensor, Trainer, Update};
/// let model: Parameters = [("x".to_owned(), Tensor::new([1], vec![0.0_f64])?)].into_iter().collect();
/// // The minimum of 1/2 (x - 0)² + 10/2 (x - 1)² is at 10/11; plain averaging would end at 0.71.
/// let quadratics = [(1.0, 0.0), (10.0, 1.0)];
/// let trainer = Trainer::new(model).rounds(200).strategy(Scaffold::new());
/// let outcome = train::serial(trainer, &quadratics, |assignment, model, (a, c)| {
///     let mut parameters = model.clone();
///     let x = parameters.slice_mut::<f64>("x")?;
///     for _ in 0..10 {
///         let mut gradient = [a * (x[0] - c)];
///         assignment.add_control("x", &mut gradient)?;
///         x[0] -= 0.05 * gradient[0];
///     }
///     Ok::<_, train::Error>(Update::new(parameters, 1, Metrics::new()).walked(10.0 * 0.05))
/// })?;
/// assert!((outcome.parameters.slice::<f64>("x")?[0] - 10.0 / 11.0).abs() < 1e-6);
/// # Ok::<(), train::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scaffold {
    rate: f64,
    name: String,
    controls: BTreeMap<u32, Control>,
}

/// What is kept of a partition that has trained.
#[derive(Clone, Debug)]
struct Control {
    samples: u64,
    variate: Parameters,
}

impl Default for Scaffold {
    fn default() -> Self {
        Self::new()
    }
}

impl Scaffold {
    /// Takes the average as it is.
    #[must_use]
    pub fn new() -> Self {
        Self { rate: 1.0, name: String::new(), controls: BTreeMap::new() }.server_rate(1.0)
    }

    /// Goes this many times the way to the average in each round (the paper's global step size); 1 unless told otherwise.
    #[must_use]
    pub fn server_rate(self, rate: f64) -> Self {
        Self { rate, name: format!("SCAFFOLD, rate {rate}"), ..self }
    }

    /// The mean of all partitions' control variates, in `f64`.
    fn mean(&self, round: &Round<'_>) -> Parameters {
        let weights = self.weights(round.partitions);
        let mean = |(name, model): (&str, &Tensor)| {
            let mut mean = Sum::of(self.controls.values().map(|control| tensor(&control.variate, name)), &weights);
            (name.to_owned(), Tensor::made(Dtype::F64, model.shape(), |start, block| mean.write(start, block)))
        };
        round.parameters.iter().map(mean).collect()
    }

    /// What a partition is to add to its gradients: the mean control variate minus its own, which is zero before it has trained.
    fn correction(&self, mean: &Tensor, name: &str, partition: u32, dtype: Dtype) -> Tensor {
        let own = self.controls.get(&partition).map(|control| tensor(&control.variate, name));
        let mut mine = [0.0; BLOCK];
        Tensor::made(dtype, mean.shape(), |start, block| {
            mean.write_scaled(start, 1.0, block);
            if let Some(own) = own {
                let mine = &mut mine[..block.len()];
                own.write_scaled(start, 1.0, mine);
                block.iter_mut().zip(mine).for_each(|(mean, mine)| *mean -= *mine);
            }
        })
    }

    /// The share of each control variate there is in the mean of all: by samples, where those that have never trained
    /// count like the mean of the others.
    fn weights(&self, partitions: u32) -> Vec<f64> {
        let samples: f64 = self.controls.values().map(|control| control.samples as f64).sum();
        let known = self.controls.len() as f64 / f64::from(partitions);
        let share = |control: &Control| if samples > 0.0 { known * control.samples as f64 / samples } else { 0.0 };
        self.controls.values().map(share).collect()
    }

    /// The new control variate of a partition: minus the correction, plus the way it went by the sum of its learning rates.
    fn renewed(&self, round: &Round<'_>, mean: &Parameters, partition: u32, update: &Update) -> Result<Control> {
        let walked = walked(round, partition, update)?;
        let variate = round.parameters.iter().map(|(name, start)| {
            let correction = self.correction(tensor(mean, name), name, partition, Dtype::F64);
            let end = tensor(&update.parameters, name);
            let (mut from, mut to) = ([0.0; BLOCK], [0.0; BLOCK]);
            let renewed = start.made_like(|place, block| {
                let (from, to) = (&mut from[..block.len()], &mut to[..block.len()]);
                start.write_scaled(place, 1.0, from);
                end.write_scaled(place, 1.0, to);
                correction.write_scaled(place, -1.0, block);
                for ((control, from), to) in block.iter_mut().zip(from).zip(to) {
                    *control += (*from - *to) / walked;
                }
            });
            (name.to_owned(), renewed)
        });
        let variate: Parameters = variate.collect();
        variate.check_finite(&format!("the control variate of partition {partition}"))?;
        Ok(Control { samples: update.samples, variate })
    }
}

impl Strategy for Scaffold {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _partitions: u32) -> Result<()> {
        demand(self.rate.is_finite() && self.rate > 0.0, "a server's rate", self.rate, "more than 0")
    }

    fn plan(&self, round: &Round<'_>) -> Plan {
        let mut plan = round.everyone();
        if self.controls.is_empty() {
            return plan;
        }
        let mean = self.mean(round);
        for assignment in &mut plan.assignments {
            let correction = |(name, model): (&str, &Tensor)| {
                (name.to_owned(), self.correction(tensor(&mean, name), name, assignment.partition, model.dtype()))
            };
            assignment.extras = round.parameters.iter().map(correction).collect();
        }
        plan
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        let updates = Updates::of(round, replies)?.all_finite()?;
        let weights = updates.weights()?;
        let mean = self.mean(round);
        let mut renewed = Vec::with_capacity(updates.len());
        for (partition, update) in updates.iter() {
            renewed.push((partition, self.renewed(round, &mean, partition, update)?));
        }
        self.controls.extend(renewed);
        let rate = self.rate;
        let mut old = [0.0; BLOCK];
        updates.merged(|name, model| {
            let mut mean = Sum::of(updates.tensors(name), &weights);
            Ok(model.made_like(|start, block| {
                mean.write(start, block);
                // Not computed for rate 1, so that this is the average bit for bit.
                if rate.to_bits() != 1.0_f64.to_bits() {
                    let old = &mut old[..block.len()];
                    model.write_scaled(start, 1.0, old);
                    block.iter_mut().zip(old).for_each(|(x, old)| *x = *old + rate * (*x - *old));
                }
            }))
        })
    }

    fn state(&self) -> Parameters {
        let mut state = Parameters::new();
        for (partition, Control { samples, variate }) in &self.controls {
            let samples = Tensor::new([], vec![*samples as f64]).expect("it is one number");
            state.insert(format!("{SAMPLES}{partition}"), samples);
            for (name, tensor) in variate.under(&format!("{CONTROL}{partition}/")) {
                state.insert(name, tensor);
            }
        }
        state
    }

    fn restore(&mut self, model: &Parameters, state: Parameters) -> Result<()> {
        self.controls.clear();
        for (name, samples) in state.below(SAMPLES) {
            let (Ok(partition), Some(&[samples])) = (name.parse::<u32>(), samples.as_slice::<f64>()) else {
                return Err(Error::Setup(format!("the strategy's state has a strange tensor `{SAMPLES}{name}`")));
            };
            let variate = state.below(&format!("{CONTROL}{partition}/"));
            variate.check_layout(model, &format!("the control variate of partition {partition}"))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a number of samples")]
            self.controls.insert(partition, Control { samples: samples as u64, variate });
        }
        state.check_layout(&self.state(), "the strategy's state")
    }
}

impl Assignment {
    /// Adds the partition's correction to the gradient of a tensor of the model: what [`Scaffold`] asks a step to do before
    /// each local step. Does nothing under other strategies.
    ///
    /// # Errors
    /// If the model has no tensor of this name, or it is not like this gradient.
    pub fn add_control<T: Element>(&self, tensor: &str, gradient: &mut [T]) -> Result<()> {
        if self.extras.is_empty() {
            return Ok(());
        }
        let correction = self.extras.slice::<T>(tensor)?;
        if correction.len() != gradient.len() {
            return Err(Error::Shape { shape: vec![correction.len()], elements: gradient.len() });
        }
        for (gradient, correction) in gradient.iter_mut().zip(correction) {
            let (slope, correction): (f64, f64) = ((*gradient).into(), (*correction).into());
            *gradient = T::rounded(slope + correction);
        }
        Ok(())
    }
}

impl Update {
    /// Says how far the local steps went: the sum of their learning rates, such as `steps * rate`. [`Scaffold`] needs it.
    #[must_use]
    pub fn walked(mut self, rates: f64) -> Self {
        self.extras.insert(WALKED, Tensor::new([], vec![rates]).expect("it is one number"));
        self
    }
}

fn walked(round: &Round<'_>, partition: u32, update: &Update) -> Result<f64> {
    let walked = update.extras.get(WALKED).and_then(Tensor::as_slice::<f64>).and_then(<[f64]>::first).copied();
    walked.filter(|walked| walked.is_finite() && *walked > 0.0).ok_or_else(|| Error::Strategy {
        round: round.number,
        reason: format!(
            "the update of partition {partition} does not say how far its local steps went\n  \
             hint: SCAFFOLD needs the sum of their learning rates, by `walked`"
        ),
    })
}

fn tensor<'p>(parameters: &'p Parameters, name: &str) -> &'p Tensor {
    parameters.get(name).expect("its layout was checked")
}
