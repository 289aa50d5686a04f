//! The updates that have the most like them, and no others.
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::round::{Reply, Round};
use super::strategy::{Strategy, demand};
use super::tensor::{BLOCK, Tensor};
use super::updates::Updates;

/// Takes the update whose nearest others are nearest, as it is, or the mean of the few best such (multi-Krum): of n updates, f
/// hostile ones cannot be chosen unless they are like honest ones (Blanchard, El Mhamdi, Guerraoui and Stainer, *Machine Learning
/// with Adversaries: Byzantine Tolerant Gradient Descent*, NIPS 2017). The score of an update is the sum of the squared
/// distances to the n − f − 2 nearest others. It needs 2 f + 3 updates.
///
/// Every update counts alike, however many samples it claims. Of equal scores, the one of the lower partition is better.
#[derive(Clone, Debug)]
pub struct Krum {
    hostile: usize,
    chosen: usize,
    name: String,
}

impl Krum {
    /// Bears this many hostile updates, and takes the best one.
    #[must_use]
    pub fn new(hostile: usize) -> Self {
        Self::multi(hostile, 1)
    }

    /// Bears this many hostile updates, and takes the mean of the `chosen` best.
    #[must_use]
    pub fn multi(hostile: usize, chosen: usize) -> Self {
        Self { hostile, chosen, name: format!("Krum, {hostile} hostile, {chosen} chosen") }
    }

    const fn needed(&self) -> usize {
        self.hostile.saturating_mul(2).saturating_add(3)
    }

    /// The places of the best updates, in partition order.
    fn best(&self, updates: &Updates<'_>) -> Vec<usize> {
        let distances = distances(updates);
        let scores = (0..updates.len()).map(|place| {
            let others = (0..updates.len()).filter(|other| *other != place);
            let mut near: Vec<f64> = others.map(|other| distances[place.max(other)][place.min(other)]).collect();
            near.sort_unstable_by(f64::total_cmp);
            near[..updates.len() - self.hostile - 2].iter().sum::<f64>()
        });
        let mut ranking: Vec<(f64, usize)> = scores.zip(0..).collect();
        ranking.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut best: Vec<usize> = ranking[..self.chosen].iter().map(|(_, place)| *place).collect();
        best.sort_unstable();
        best
    }
}

impl Strategy for Krum {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, partitions: u32) -> Result<()> {
        let (partitions, needed) = (partitions as usize, self.needed());
        if partitions < needed {
            return Err(Error::Setup(format!(
                "Krum bears {} hostile updates of at least {needed}, but there are {partitions} partitions",
                self.hostile
            )));
        }
        let most = partitions - self.hostile;
        demand((1..=most).contains(&self.chosen), "a choice", self.chosen, format!("from 1 to {most} updates"))
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        let updates = Updates::of(round, replies)?;
        let needed = self.needed().max(self.chosen + self.hostile);
        if updates.len() < needed {
            return Err(updates.refused(format!("Krum needs {needed} updates, but there are {}", updates.len())));
        }
        let best = updates.only(&self.best(&updates));
        best.mean(&best.equal_weights())
    }
}

/// The squared distance of each update to each one before it. What is not finite is far away.
fn distances(updates: &Updates<'_>) -> Vec<Vec<f64>> {
    let all: Vec<&Parameters> = updates.iter().map(|(_, update)| &update.parameters).collect();
    let distance = |one: &Parameters, other: &Parameters| {
        let squares = one.iter().zip(other.iter()).map(|((_, one), (_, other))| squared_distance(one, other));
        Some(squares.sum::<f64>()).filter(|sum| sum.is_finite()).unwrap_or(f64::INFINITY)
    };
    all.iter().enumerate().map(|(place, one)| all[..place].iter().map(|other| distance(one, other)).collect()).collect()
}

fn squared_distance(one: &Tensor, other: &Tensor) -> f64 {
    let (mut a, mut b) = ([0.0; BLOCK], [0.0; BLOCK]);
    let blocks = (0..one.len()).step_by(BLOCK).map(|start| {
        let length = BLOCK.min(one.len() - start);
        one.write_scaled(start, 1.0, &mut a[..length]);
        other.write_scaled(start, 1.0, &mut b[..length]);
        a[..length].iter().zip(&b[..length]).map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
    });
    blocks.sum()
}
