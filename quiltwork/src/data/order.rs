//! Steps that need to know where every record stands among all: they count partitions first. The order of records
//! stays.
use super::error::DataError;
use super::flow::{Flow, Inputs, pour, split};
use super::partitioned::Partitioned;
use super::piece::Piece;
use super::plan::{Draft, Feed, StageId, Width};
use super::record::Record;
use std::num::NonZero;

impl<T: Record> Partitioned<T> {
    /// Cuts the records anew, into this many partitions of equal size (0 counts as 1).
    pub fn repartition(self, partitions: u32) -> Self {
        let draft = self.draft.clone();
        let width = Width::fixed(partitions.max(1));
        let made = self.made();
        let feeds = vec![Feed::Same(made), Feed::All(counted(&draft, made))];
        let parted = draft.stage::<T>("cut", (Width::of(made), width.clone()), feeds, |inputs| {
            let counts = counts(inputs, 1)?;
            let total: u64 = counts.iter().sum();
            let (targets, mut at) = (inputs.targets, before(&counts, inputs.partition));
            split(Flow::<T>::of_feed(0).collect(inputs)?, targets, |_| {
                let target = u128::from(at) * u128::from(targets) / u128::from(total);
                at += 1;
                u32::try_from(target).ok()
            })
        });
        Self::fed_by(draft, vec![Feed::Bucket(parted)], width, "repartition", Flow::of_bucket(0))
    }

    /// Pairs the first record with the first one of the other data set, and so on, as long as both have records. The
    /// partitions are those of this data set.
    pub fn zip<U: Record>(self, other: Partitioned<U>) -> Partitioned<(T, U)> {
        let draft = self.draft.clone();
        let (left, right) = (self.made(), other.made());
        let width = Width::of(left);
        let feeds = vec![Feed::Same(right), Feed::All(counted(&draft, right)), Feed::All(counted(&draft, left))];
        let parted = draft.stage::<U>("cut alike", (Width::of(right), width.clone()), feeds, |inputs| {
            let mut at = before(&counts(inputs, 1)?, inputs.partition);
            let ends = ends(&counts(inputs, 2)?);
            split(Flow::<U>::of_feed(0).collect(inputs)?, inputs.targets, |_| {
                let target = ends.partition_point(|end| *end <= at);
                at += 1;
                u32::try_from(target).ok().filter(|_| target < ends.len())
            })
        });
        let flow = Flow::new(|inputs: &Inputs, sink| {
            let left = Flow::<T>::of_feed(0).collect(inputs)?;
            let right = Flow::<U>::of_bucket(1).collect(inputs)?;
            pour(left.into_iter().zip(right), sink)
        });
        Partitioned::fed_by(draft, vec![Feed::Same(left), Feed::Bucket(parted)], width, "zip", flow)
    }

    /// Every run of `size` records that follow each other, also from one partition to the next; none if there are fewer
    /// records. A window lies in the partition of its first record.
    pub fn windows(self, size: NonZero<usize>) -> Partitioned<Vec<T>>
    where
        T: Clone,
    {
        let draft = self.draft.clone();
        let made = self.made();
        let wanted = size.get() - 1;
        let heads =
            Self::of_stage(draft.clone(), made).fused("heads", |flow| super::single::first(flow, wanted)).made();
        let flow = Flow::new(move |inputs: &Inputs, sink| {
            let mut records = Flow::<T>::of_feed(0).collect(inputs)?;
            let own = records.len();
            for piece in &inputs.feed(1)[inputs.partition as usize + 1..] {
                for section in 0..piece.len() {
                    let missing = (own + wanted).saturating_sub(records.len());
                    records.extend(piece.section::<Vec<T>>(section)?.into_iter().take(missing));
                }
            }
            // No window begins among the heads: they are one record too few for that.
            pour(records.windows(wanted + 1).map(<[T]>::to_vec), sink)
        });
        let feeds = vec![Feed::Same(made), Feed::All(heads)];
        Partitioned::fed_by(draft, feeds, Width::of(made), "windows", flow)
    }
}

/// A stage that tells how many records each partition of another one has.
fn counted(draft: &Draft, stage: StageId) -> StageId {
    draft.stage::<u64>("count", (Width::of(stage), Width::none()), vec![Feed::Same(stage)], |inputs| {
        Piece::of_note(&inputs.feed(0)[0].records())
    })
}

/// What it told.
fn counts(inputs: &Inputs, feed: usize) -> Result<Vec<u64>, DataError> {
    inputs.feed(feed).iter().map(|piece| piece.section(0)).collect()
}

/// How many records stand before a partition.
fn before(counts: &[u64], partition: u32) -> u64 {
    counts[..partition as usize].iter().sum()
}

/// How many records there are up to the end of each partition.
fn ends(counts: &[u64]) -> Vec<u64> {
    counts
        .iter()
        .scan(0, |end, count| {
            *end += count;
            Some(*end)
        })
        .collect()
}
