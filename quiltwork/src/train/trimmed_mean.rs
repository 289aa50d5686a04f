//! The mean of each element without its largest and smallest values.
use super::columns::merge_columns;
use super::error::Result;
use super::parameters::Parameters;
use super::round::{Reply, Round};
use super::strategy::{Strategy, demand};
use super::updates::Updates;

/// Each element becomes the mean of its values in the updates without the largest and the smallest: of m updates, β m of either
/// (rounded down) are left out. So β m of the updates may be nonsense, be it NaN (Yin, Chen, Ramchandran and Bartlett,
/// *Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates*, ICML 2018).
///
/// Every update counts alike, however many samples it claims. With β = 0 it is the mean of them all.
#[derive(Clone, Debug)]
pub struct TrimmedMean {
    beta: f64,
    name: String,
}

impl TrimmedMean {
    /// Leaves out this share of the values at either end, at least 0 and less than ½.
    #[must_use]
    pub fn new(beta: f64) -> Self {
        Self { beta, name: format!("trimmed mean, beta {beta}") }
    }

    /// How many of so many values are left out at either end.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small number, rounded down"
    )]
    fn trimmed(&self, values: usize) -> usize {
        // A share such as 0.3 is a bit less than it says: what is a whole number but for that counts as one.
        (self.beta * values as f64 + 1e-9) as usize
    }
}

impl Strategy for TrimmedMean {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _partitions: u32) -> Result<()> {
        demand((0.0..0.5).contains(&self.beta), "a beta to trim", self.beta, "at least 0 and less than 0.5")
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        let updates = Updates::of(round, replies)?;
        match self.trimmed(updates.len()) {
            0 => updates.mean(&updates.equal_weights()),
            trimmed => merge_columns(&updates, |sorted| {
                let rest = &sorted[trimmed..sorted.len() - trimmed];
                rest.iter().sum::<f64>() / rest.len() as f64
            }),
        }
    }
}
