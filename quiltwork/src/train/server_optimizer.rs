//! Optimisers of the server's: the step from the old parameters to the average is taken for a gradient, and followed with
//! momentum and a rate for each element.
use super::error::Result;
use super::parameters::Parameters;
use super::round::{Reply, Round};
use super::strategy::{Strategy, demand};
use super::tensor::{BLOCK, Dtype, Tensor};
use super::updates::{Sum, Updates};

const MOMENTUM: &str = "momentum/";
const SCALE: &str = "scale/";

/// Follows the average with an optimiser instead of taking it as it is: the difference between the weighted average and the
/// parameters the round began with stands for a (negative) gradient. Rate 1 without momentum is the weighted average.
///
/// `FedAdam`, `FedYogi` and `FedAdagrad` are those of Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar and McMahan, *Adaptive
/// Federated Optimization*, ICLR 2021; `FedAvgM` is that of Hsu, Qi and Brown, *Measuring the Effects of Non-Identical Data
/// Distribution for Federated Visual Classification*, 2019.
///
/// ```
/// use quiltwork::train::{self, Metrics, Parameters, ServerOptimizer, Tensor, Trainer, Update};
/// let model: Parameters = [("x".to_owned(), Tensor::new([1], vec![0.0_f64])?)].into_iter().collect();
/// let trainer = Trainer::new(model).rounds(300).strategy(ServerOptimizer::fed_adam(0.1));
/// let outcome = train::serial(trainer, &[1.0, 2.0, 6.0], |_, model, target| {
///     let mut parameters = model.clone();
///     let x = &mut parameters.slice_mut::<f64>("x")?[0];
///     *x += 0.1 * (target - *x);
///     Ok::<_, train::Error>(Update::new(parameters, 1, Metrics::new()))
/// })?;
/// assert!((outcome.parameters.slice::<f64>("x")?[0] - 3.0).abs() < 0.01);
/// # Ok::<(), train::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerOptimizer {
    rule: Rule,
    rate: f64,
    momentum: f64,
    decay: f64,
    adaptivity: f64,
    /// The algorithm with all its settings.
    name: String,
    memory: Option<Memory>,
}

/// How the second moment of the pseudo-gradients is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// It is not: one rate for all elements.
    AvgM,
    Adagrad,
    Adam,
    Yogi,
}

/// What stays from round to round, in `f64` whatever the parameters are.
#[derive(Clone, Debug)]
struct Memory {
    momentum: Parameters,
    /// The second moments; none for a rule that has one rate for all.
    scale: Parameters,
}

impl ServerOptimizer {
    /// Steps of `rate` along the sum of the pseudo-gradients so far, each `momentum` times as strong as the next
    /// one: rate 1 and momentum 0.9 are usual.
    #[must_use]
    pub fn fed_avg_m(rate: f64, momentum: f64) -> Self {
        Self::new(Rule::AvgM, rate, momentum)
    }

    /// Adam on the pseudo-gradients, with momentum 0.9, decay 0.99 and adaptivity 0.001; no bias is corrected.
    #[must_use]
    pub fn fed_adam(rate: f64) -> Self {
        Self::new(Rule::Adam, rate, 0.9)
    }

    /// Yogi on the pseudo-gradients: like Adam, but rates grow slowly; momentum 0.9, decay 0.99, adaptivity 0.001.
    #[must_use]
    pub fn fed_yogi(rate: f64) -> Self {
        Self::new(Rule::Yogi, rate, 0.9)
    }

    /// Adagrad on the pseudo-gradients, without momentum and with adaptivity 0.001.
    #[must_use]
    pub fn fed_adagrad(rate: f64) -> Self {
        Self::new(Rule::Adagrad, rate, 0.0)
    }

    /// How much of the momentum stays from round to round (β₁), from 0 to less than 1.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self.named()
    }

    /// How much of the second moment stays from round to round (β₂ of Adam and Yogi), from 0 to less than 1.
    #[must_use]
    pub fn decay(mut self, decay: f64) -> Self {
        self.decay = decay;
        self.named()
    }

    /// What is added to the root of the second moment (τ): the smaller, the more the rates of elements differ.
    #[must_use]
    pub fn adaptivity(mut self, adaptivity: f64) -> Self {
        self.adaptivity = adaptivity;
        self.named()
    }

    fn new(rule: Rule, rate: f64, momentum: f64) -> Self {
        Self { rule, rate, momentum, decay: 0.99, adaptivity: 1e-3, name: String::new(), memory: None }.named()
    }

    fn named(mut self) -> Self {
        let Self { rule, rate, momentum, decay, adaptivity, .. } = self;
        self.name = match rule {
            Rule::AvgM => format!("FedAvgM, rate {rate}, momentum {momentum}"),
            Rule::Adagrad => format!("FedAdagrad, rate {rate}, momentum {momentum}, adaptivity {adaptivity}"),
            _ => format!("Fed{rule:?}, rate {rate}, momentum {momentum}, decay {decay}, adaptivity {adaptivity}"),
        };
        self
    }

    /// What the parameters change by, from their pseudo-gradient; momentum and scale are those of the same element.
    fn step(&self, gradient: f64, momentum: &mut f64, scale: Option<&mut f64>) -> f64 {
        let Some(scale) = scale else {
            *momentum = self.momentum * *momentum + gradient;
            return self.rate * *momentum;
        };
        *momentum = self.momentum * *momentum + (1.0 - self.momentum) * gradient;
        let square = gradient * gradient;
        *scale = match self.rule {
            Rule::AvgM | Rule::Adagrad => *scale + square,
            Rule::Adam => self.decay * *scale + (1.0 - self.decay) * square,
            Rule::Yogi => *scale - (1.0 - self.decay) * square * f64::from(scale.total_cmp(&square) as i8),
        };
        self.rate * *momentum / (scale.sqrt() + self.adaptivity)
    }

    /// Nothing to remember yet: no momentum, and the square of the adaptivity as second moment.
    fn fresh(&self, model: &Parameters) -> Memory {
        let filled = |number: f64| {
            let tensor = |like: &Tensor| Tensor::made(Dtype::F64, like.shape(), |_, block| block.fill(number));
            model.iter().map(|(name, like)| (name.to_owned(), tensor(like))).collect::<Parameters>()
        };
        let scale = if self.rule == Rule::AvgM { Parameters::new() } else { filled(self.adaptivity * self.adaptivity) };
        Memory { momentum: filled(0.0), scale }
    }
}

impl Strategy for ServerOptimizer {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _partitions: u32) -> Result<()> {
        let below_one = |number: f64| (0.0..1.0).contains(&number);
        let Self { rate, momentum, decay, adaptivity, .. } = self;
        demand(rate.is_finite() && *rate > 0.0, "a server's rate", rate, "more than 0")?;
        demand(below_one(*momentum), "a momentum", momentum, "at least 0 and less than 1")?;
        demand(below_one(*decay), "a decay", decay, "at least 0 and less than 1")?;
        demand(adaptivity.is_finite() && *adaptivity > 0.0, "an adaptivity", adaptivity, "more than 0")
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        let updates = Updates::of(round, replies)?.all_finite()?;
        let weights = updates.weights()?;
        let mut memory = self.memory.take().unwrap_or_else(|| self.fresh(round.parameters));
        let mut old = [0.0; BLOCK];
        let merged = updates.merged(|name, model| {
            let mut mean = Sum::of(updates.tensors(name), &weights);
            let momentum = memory.momentum.slice_mut::<f64>(name)?;
            let mut scale = if self.rule == Rule::AvgM { None } else { Some(memory.scale.slice_mut::<f64>(name)?) };
            Ok(model.made_like(|start, block| {
                mean.write(start, block);
                let old = &mut old[..block.len()];
                model.write_scaled(start, 1.0, old);
                for (place, (element, old)) in block.iter_mut().zip(old).enumerate() {
                    let scale = scale.as_mut().map(|scale| &mut scale[start + place]);
                    *element = *old + self.step(*element - *old, &mut momentum[start + place], scale);
                }
            }))
        })?;
        self.memory = Some(memory);
        Ok(merged)
    }

    fn state(&self) -> Parameters {
        let Some(memory) = &self.memory else { return Parameters::new() };
        memory.momentum.under(MOMENTUM).chain(memory.scale.under(SCALE)).collect()
    }

    fn restore(&mut self, model: &Parameters, state: Parameters) -> Result<()> {
        if state.is_empty() {
            self.memory = None;
            return Ok(());
        }
        let fresh = self.fresh(model);
        let expected: Parameters = fresh.momentum.under(MOMENTUM).chain(fresh.scale.under(SCALE)).collect();
        state.check_layout(&expected, "the strategy's state")?;
        self.memory = Some(Memory { momentum: state.below(MOMENTUM), scale: state.below(SCALE) });
        Ok(())
    }
}
