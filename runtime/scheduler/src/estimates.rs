//! How long each function is expected to run, learned from how long it ran.
use alloc::collections::BTreeMap;
use core::time::Duration;
use quiltwork_types::FunctionId;

/// A new run moves the average by one eighth of its distance: a handful of runs decide, one outlier does not.
const WEIGHT: u64 = 8;
/// About 18 minutes. Longer runs count as this, so that sums over a worker's attempts cannot overflow.
const LONGEST: u64 = 1 << 40;

/// Moving averages of run times.
#[derive(Debug)]
pub(crate) struct Estimates {
    unknown: u64,
    nanos: BTreeMap<FunctionId, u64>,
}

impl Estimates {
    pub(crate) fn new(unknown: Duration) -> Self {
        Self { unknown: clamp(unknown), nanos: BTreeMap::new() }
    }

    /// Expected run time in nanoseconds.
    pub(crate) fn of(&self, function: FunctionId) -> u64 {
        self.nanos.get(&function).copied().unwrap_or(self.unknown)
    }

    pub(crate) fn learn(&mut self, function: FunctionId, ran: Duration) {
        let ran = clamp(ran);
        self.nanos
            .entry(function)
            .and_modify(|average| *average = *average - *average / WEIGHT + ran / WEIGHT)
            .or_insert(ran);
    }
}

fn clamp(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_counts_fully_and_later_ones_by_an_eighth() {
        let mut estimates = Estimates::new(Duration::from_millis(4));
        assert_eq!(estimates.of(FunctionId(1)), 4_000_000);
        estimates.learn(FunctionId(1), Duration::from_nanos(800));
        assert_eq!(estimates.of(FunctionId(1)), 800);
        estimates.learn(FunctionId(1), Duration::from_nanos(1600));
        assert_eq!(estimates.of(FunctionId(1)), 900);
        assert_eq!(estimates.of(FunctionId(2)), 4_000_000);
        estimates.learn(FunctionId(2), Duration::MAX);
        assert_eq!(estimates.of(FunctionId(2)), LONGEST);
    }
}
