//! The median of each element, which fewer than half of the partitions cannot move far, whatever they send.
use super::columns::merge_columns;
use super::error::Result;
use super::parameters::Parameters;
use super::round::{Reply, Round};
use super::strategy::Strategy;
use super::updates::Updates;

/// Each element becomes the median of its values in the updates (of an even number of them, the mean of the two in the
/// middle): as long as fewer than half of the updates are nonsense, be it NaN, the result lies among the others (Yin, Chen,
/// Ramchandran and Bartlett, *Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates*, ICML 2018).
///
/// Every update counts alike, however many samples it claims.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoordinateMedian;

impl Strategy for CoordinateMedian {
    fn name(&self) -> &'static str {
        "coordinate median"
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        merge_columns(&Updates::of(round, replies)?, |sorted| {
            let middle = sorted.len() / 2;
            if sorted.len().is_multiple_of(2) {
                f64::midpoint(sorted[middle - 1], sorted[middle])
            } else {
                sorted[middle]
            }
        })
    }
}
