//! The updates among a round's replies, in partition order and checked, and sums over them; which sum is a strategy's matter.
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::round::{Reply, Round, Update};
use super::tensor::{BLOCK, Tensor};

/// The updates of a round, in the order of their partitions, each with the tensors of the round's parameters.
pub(super) struct Updates<'r> {
    round: &'r Round<'r>,
    list: Vec<(u32, &'r Update)>,
}

impl<'r> Updates<'r> {
    /// The updates among the replies; failed replies have no part in it.
    ///
    /// # Errors
    /// If two are of one partition, or one has other tensors than the round's parameters.
    pub(super) fn of(round: &'r Round<'r>, replies: &'r [Reply]) -> Result<Self> {
        let updates = Self { round, list: in_order(replies) };
        if let Some(twice) = updates.list.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(updates.refused(format!("partition {} has two updates", twice[0].0)));
        }
        if updates.list.is_empty() {
            return Err(updates.refused("there is no update".to_owned()));
        }
        for (partition, update) in &updates.list {
            update.parameters.check_layout(round.parameters, &format!("partition {partition}"))?;
        }
        Ok(updates)
    }

    /// The same, if no element is NaN or infinite.
    pub(super) fn all_finite(self) -> Result<Self> {
        self.check_finite()?;
        Ok(self)
    }

    /// That no element is NaN or infinite.
    fn check_finite(&self) -> Result<()> {
        let check =
            |(partition, update): &(u32, &Update)| update.parameters.check_finite(&format!("partition {partition}"));
        self.list.iter().try_for_each(check)
    }

    /// The mean with these weights, if no element of any update is NaN or infinite: that is looked for only if the mean
    /// has one, for none gets lost on the way there, whatever its weight.
    pub(super) fn finite_mean(&self, weights: &[f64]) -> Result<Parameters> {
        let mean = self.mean(weights)?;
        if !mean.iter().all(|(_, tensor)| tensor.is_finite()) {
            self.check_finite()?;
        }
        Ok(mean)
    }

    /// Those at these places of the list.
    pub(super) fn only(&self, places: &[usize]) -> Self {
        Self { round: self.round, list: places.iter().map(|place| self.list[*place]).collect() }
    }

    /// How many there are: at least one.
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &'r Update)> {
        self.list.iter().copied()
    }

    /// The tensors of this name, one of each update.
    pub(super) fn tensors(&self, name: &str) -> impl Iterator<Item = &'r Tensor> {
        self.iter().map(move |(_, update)| update.parameters.get(name).expect("its layout was checked"))
    }

    /// The share of each update in all samples. One update alone has exactly 1, so that averaging it changes nothing.
    ///
    /// # Errors
    /// If none has a sample.
    pub(super) fn weights(&self) -> Result<Vec<f64>> {
        shares(&self.list).ok_or_else(|| self.refused("no update has a sample".to_owned()))
    }

    /// One and the same share for each.
    pub(super) fn equal_weights(&self) -> Vec<f64> {
        vec![1.0 / self.len() as f64; self.len()]
    }

    /// The mean with these weights.
    pub(super) fn mean(&self, weights: &[f64]) -> Result<Parameters> {
        self.merged(|name, model| {
            Ok(model.made_together(|| {
                let mut mean = Sum::of(self.tensors(name), weights);
                move |start, block: &mut [f64]| mean.write(start, block)
            }))
        })
    }

    /// New parameters, tensor by tensor.
    pub(super) fn merged(&self, mut merge: impl FnMut(&str, &Tensor) -> Result<Tensor>) -> Result<Parameters> {
        let tensors = self.round.parameters.iter();
        tensors.map(|(name, model)| Ok((name.to_owned(), merge(name, model)?))).collect()
    }

    pub(super) fn refused(&self, reason: String) -> Error {
        Error::Strategy { round: self.round.number, reason }
    }
}

/// The updates among the replies, in partition order.
pub(super) fn in_order(replies: &[Reply]) -> Vec<(u32, &Update)> {
    let mut updates: Vec<_> =
        replies.iter().filter_map(|reply| Some((reply.partition, reply.result.as_ref().ok()?))).collect();
    updates.sort_by_key(|(partition, _)| *partition);
    updates
}

/// The share of each update in all samples; `None` if there are none.
pub(super) fn shares(updates: &[(u32, &Update)]) -> Option<Vec<f64>> {
    let samples = samples_of(updates);
    (samples > 0).then(|| updates.iter().map(|(_, update)| update.samples as f64 / samples as f64).collect())
}

/// How many samples they have in all; as many as can be counted, if an update claims more.
pub(super) fn samples_of(updates: &[(u32, &Update)]) -> u64 {
    updates.iter().fold(0, |sum, (_, update)| sum.saturating_add(update.samples))
}

/// A weighted sum of tensors by halves: a binary tree over the list as it stands. Floating-point addition is not associative,
/// so the shape of the sum decides the last bits; this one depends on nothing but how many tensors there are.
pub(super) struct Sum<'t> {
    leaves: Vec<(&'t Tensor, f64)>,
    /// One block for each level of the tree.
    spare: Vec<f64>,
}

impl<'t> Sum<'t> {
    pub(super) fn of(tensors: impl IntoIterator<Item = &'t Tensor>, weights: &[f64]) -> Self {
        let leaves: Vec<_> = tensors.into_iter().zip(weights.iter().copied()).collect();
        let levels = leaves.len().next_power_of_two().ilog2() as usize;
        Self { leaves, spare: vec![0.0; levels * BLOCK] }
    }

    /// Writes the elements of the sum from `start` on into a block of at most [`BLOCK`].
    pub(super) fn write(&mut self, start: usize, block: &mut [f64]) {
        write_sum(&self.leaves, start, block, &mut self.spare);
    }
}

fn write_sum(leaves: &[(&Tensor, f64)], start: usize, block: &mut [f64], spare: &mut [f64]) {
    match leaves {
        [] => block.fill(0.0),
        [(tensor, weight)] => tensor.write_scaled(start, *weight, block),
        [(left, weight), (right, other)] => left.write_scaled_sum(start, *weight, (right, *other), block),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().div_ceil(2));
            let (other, spare) = spare.split_at_mut(BLOCK);
            let other = &mut other[..block.len()];
            write_sum(left, start, block, spare);
            write_sum(right, start, other, spare);
            block.iter_mut().zip(other).for_each(|(sum, right)| *sum += *right);
        }
    }
}
