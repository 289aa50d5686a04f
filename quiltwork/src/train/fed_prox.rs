//! `FedProx`: averaging whose local training is pulled back to where it began; how strongly travels with the assignment.
use super::average::average;
use super::error::Result;
use super::parameters::Parameters;
use super::round::{Assignment, Plan, Reply, Round};
use super::strategy::{Strategy, demand};
use super::tensor::Element;

/// By this name the strength stands in [`Assignment::settings`].
const MU: &str = "proximal";

/// Weighted averaging of models that each minimize their own loss plus μ/2 ‖w − w₀‖², where w₀ is what the round began
/// with, so that they do not drift apart (Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, *Federated Optimization in
/// Heterogeneous Networks*, Machine Learning and Systems 2020). With μ = 0 it is [`WeightedAverage`](super::WeightedAverage).
///
/// The task that trains adds the pull to its gradients by [`Assignment::add_proximal`]:
///
/// ```
/// use quiltwork::train::{self, FedProx, Metrics, Parameters, Tensor, Trainer, Update};
/// let model: Parameters = [("x".to_owned(), Tensor::new([1], vec![0.0_f64])?)].into_iter().collect();
/// let outcome = train::serial(Trainer::new(model).rounds(99).strategy(FedProx::new(0.5)), &[1.0, 3.0], |assignment, model, target| {
///     let (start, mut parameters) = (model.slice::<f64>("x")?, model.clone());
///     let x = parameters.slice_mut::<f64>("x")?;
///     for _ in 0..10 {
///         let mut gradient = [x[0] - target];
///         assignment.add_proximal(start, x, &mut gradient);
///         x[0] -= 0.1 * gradient[0];
///     }
///     Ok::<_, train::Error>(Update::new(parameters, 1, Metrics::new()))
/// })?;
/// assert!((outcome.parameters.slice::<f64>("x")?[0] - 2.0).abs() < 1e-9);
/// # Ok::<(), train::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FedProx {
    mu: f64,
    name: String,
}

impl FedProx {
    /// With this strength μ of the pull, at least 0.
    #[must_use]
    pub fn new(mu: f64) -> Self {
        Self { mu, name: format!("FedProx, mu {mu}") }
    }
}

impl Strategy for FedProx {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _partitions: u32) -> Result<()> {
        demand(self.mu.is_finite() && self.mu >= 0.0, "a proximal mu", self.mu, "at least 0")
    }

    fn plan(&self, round: &Round<'_>) -> Plan {
        let mut plan = round.everyone();
        for assignment in &mut plan.assignments {
            assignment.settings.insert(MU.to_owned(), self.mu);
        }
        plan
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        average(round, replies)
    }
}

impl Assignment {
    /// Adds the gradient of the proximal term, μ (`now` − `start`), to a gradient: what [`FedProx`] asks a step to do with each
    /// tensor. Does nothing under other strategies.
    pub fn add_proximal<T: Element>(&self, start: &[T], now: &[T], gradient: &mut [T]) {
        let Some(&mu) = self.settings.get(MU) else { return };
        for ((gradient, now), start) in gradient.iter_mut().zip(now).zip(start) {
            let (slope, now, start): (f64, f64, f64) = ((*gradient).into(), (*now).into(), (*start).into());
            *gradient = T::rounded(slope + mu * (now - start));
        }
    }
}
