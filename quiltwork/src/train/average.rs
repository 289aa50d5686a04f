//! The weighted average in a fixed order: a binary tree over the partitions that are there, sorted by number.
//!
//! Floating-point addition is not associative, so the shape of the sum decides the last bits. The tree's shape depends
//! on nothing but the list of partitions: not on who answered first, on how many workers there are, or on who died.
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::round::{Metrics, Reply, Round, Update};
use super::tensor::Tensor;

/// The mean of the updates in `replies`, weighted by their samples; failed replies have no part in it. Sums are taken in
/// `f64` and rounded to the element type once, at the end. Bit-identical in whatever order the replies stand.
///
/// # Errors
/// If there is no update or none has a sample, two are of one partition, or one has other tensors than the round's
/// parameters, or NaN or infinite elements: the error names tensor and partition.
pub fn average(round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
    let updates = updates(replies);
    if let Some(twice) = updates.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(refused(round, format!("partition {} has two updates", twice[0].0)));
    }
    for (partition, update) in &updates {
        let whose = format!("partition {partition}");
        update.parameters.check_layout(round.parameters, &whose)?;
        update.parameters.check_finite(&whose)?;
    }
    let weights = weights(&updates).ok_or_else(|| refused(round, "no update has a sample".to_owned()))?;
    let mean_of = |(name, model): (&str, &Tensor)| {
        let tensors = updates.iter().map(|(_, update)| update.parameters.get(name).expect("its layout was checked"));
        let leaves: Vec<_> = tensors.zip(weights.iter().copied()).collect();
        (name.to_owned(), model.with_elements(sum(&leaves)))
    };
    Ok(round.parameters.iter().map(mean_of).collect())
}

/// The means of the metrics, weighted by samples, each over the partitions that have it; and the samples in all.
pub(super) fn mean_metrics(replies: &[Reply]) -> (Metrics, u64) {
    let updates = updates(replies);
    let mut means = Metrics::new();
    for name in updates.iter().flat_map(|(_, update)| update.metrics.keys()) {
        if means.contains_key(name) {
            continue;
        }
        let having: Vec<_> = updates.iter().filter(|(_, update)| update.metrics.contains_key(name)).copied().collect();
        if let Some(weights) = weights(&having) {
            let mean = having.iter().zip(weights).map(|((_, update), weight)| update.metrics[name] * weight).sum();
            means.insert(name.clone(), mean);
        }
    }
    (means, updates.iter().map(|(_, update)| update.samples).sum())
}

/// The updates among the replies, in partition order.
fn updates(replies: &[Reply]) -> Vec<(u32, &Update)> {
    let mut updates: Vec<_> =
        replies.iter().filter_map(|reply| Some((reply.partition, reply.result.as_ref().ok()?))).collect();
    updates.sort_by_key(|(partition, _)| *partition);
    updates
}

/// The share of each update in all samples; `None` if there are none. One update alone has exactly 1, so that
/// averaging it changes nothing.
fn weights(updates: &[(u32, &Update)]) -> Option<Vec<f64>> {
    let samples: u64 = updates.iter().map(|(_, update)| update.samples).sum();
    (samples > 0).then(|| updates.iter().map(|(_, update)| update.samples as f64 / samples as f64).collect())
}

/// The weighted sum of the leaves, by halves.
fn sum(leaves: &[(&Tensor, f64)]) -> Vec<f64> {
    if let [(tensor, weight)] = leaves {
        return tensor.scaled(*weight);
    }
    let (left, right) = leaves.split_at(leaves.len().div_ceil(2));
    let mut total = sum(left);
    for (total, right) in total.iter_mut().zip(sum(right)) {
        *total += right;
    }
    total
}

fn refused(round: &Round<'_>, reason: String) -> Error {
    Error::Strategy { round: round.number, reason }
}
