//! The weighted average in a fixed order: it depends on nothing but the list of partitions that are in it, not on who answered
//! first, on how many workers there are, or on who died.
use super::error::Result;
use super::parameters::Parameters;
use super::round::{Metrics, Reply, Round};
use super::updates::{Updates, in_order, samples_of, shares};

/// The mean of the updates in `replies`, weighted by their samples; failed replies have no part in it. Sums are taken in
/// `f64` and rounded to the element type once, at the end. Bit-identical in whatever order the replies stand.
///
/// # Errors
/// If there is no update or none has a sample, two are of one partition, or one has other tensors than the round's
/// parameters, or NaN or infinite elements: the error names tensor and partition.
pub fn average(round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
    let updates = Updates::of(round, replies)?;
    updates.finite_mean(&updates.weights()?)
}

/// The means of the metrics, weighted by samples, each over the partitions that have it; and the samples in all.
pub(super) fn mean_metrics(replies: &[Reply]) -> (Metrics, u64) {
    let updates = in_order(replies);
    let mut means = Metrics::new();
    for name in updates.iter().flat_map(|(_, update)| update.metrics.keys()) {
        if means.contains_key(name) {
            continue;
        }
        let having: Vec<_> = updates.iter().filter(|(_, update)| update.metrics.contains_key(name)).copied().collect();
        if let Some(weights) = shares(&having) {
            let mean = having.iter().zip(weights).map(|((_, update), weight)| update.metrics[name] * weight).sum();
            means.insert(name.clone(), mean);
        }
    }
    (means, samples_of(&updates))
}
