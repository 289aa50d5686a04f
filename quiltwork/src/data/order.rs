//! Steps that need to know where every record stands among all. The order of records stays.
use super::error::DataError;
use super::flow::{Flow, Halt, Inputs, Sections, pour};
use super::partitioned::Partitioned;
use super::piece::PieceWriter;
use super::plan::{Draft, Feed, StageId, Width};
use super::record::Record;
use std::num::NonZero;

impl<T: Record> Partitioned<T> {
    /// Cuts the records anew, into this many partitions of equal size (0 counts as 1).
    pub fn repartition(self, partitions: u32) -> Self {
        let draft = self.draft.clone();
        let partitions = partitions.max(1);
        let made = self.made();
        let flow = Flow::new(move |inputs: &Inputs, sink| {
            let pieces = inputs.feed(0);
            let total = u128::from(Sections::All.records(pieces)?);
            let border = |partition: u32| {
                let border = (total * u128::from(partition)).div_ceil(u128::from(partitions));
                u64::try_from(border).expect("a border lies within the records")
            };
            let stretch = border(inputs.partition)..border(inputs.partition + 1);
            Sections::All.stretch(pieces, stretch).try_for_each(|batch| sink(batch?))
        });
        Self::fed_by(draft, vec![Feed::All(made)], Width::fixed(partitions), "repartition", flow)
    }

    /// Pairs the first record with the first one of the other data set, and so on, as long as both have records. The
    /// partitions are those of this data set.
    pub fn zip<U: Record>(self, other: Partitioned<U>) -> Partitioned<(T, U)> {
        let draft = self.draft.clone();
        let (left, right) = (self.made(), other.made());
        let feeds = vec![Feed::Same(left), Feed::All(counted(&draft, left)), Feed::All(right)];
        let flow = Flow::new(|inputs: &Inputs, sink| {
            let before = inputs.feed(1)[..inputs.partition as usize].iter().map(|piece| piece.note::<u64>(0));
            let start = before.sum::<Result<u64, _>>()?;
            let records = inputs.feed(0)[0].records()?;
            let right = Sections::All.stretch::<U>(inputs.feed(2), start..start + records);
            let mut right = right.flat_map(|batch| batch.map_or_else(|e| vec![Err(e)], each_ok));
            let mut ended = false;
            let end = Flow::<T>::of_feed(0).run(inputs, &mut |batch| {
                let wanted = batch.len();
                let pairs = batch.into_iter().zip(&mut right).map(|(one, other)| Ok((one, other?)));
                let pairs = pairs.collect::<Result<Vec<_>, DataError>>()?;
                ended = pairs.len() < wanted;
                sink(pairs)?;
                if ended { Err(Halt::Enough) } else { Ok(()) }
            });
            match end {
                Err(Halt::Enough) if ended => Ok(()),
                end => end,
            }
        });
        Partitioned::fed_by(draft, feeds, Width::of(left), "zip", flow)
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
            let following = &inputs.feed(1)[inputs.partition as usize + 1..];
            for batch in Sections::All.stretch(following, 0..wanted as u64) {
                records.append(&mut batch?);
            }
            // No window begins among the heads: they are one record too few for that.
            pour(records.windows(wanted + 1).map(<[T]>::to_vec), sink)
        });
        let feeds = vec![Feed::Same(made), Feed::All(heads)];
        Partitioned::fed_by(draft, feeds, Width::of(made), "windows", flow)
    }
}

fn each_ok<T>(batch: Vec<T>) -> Vec<Result<T, DataError>> {
    batch.into_iter().map(Ok).collect()
}

/// A stage that tells how many records each partition of another one has.
fn counted(draft: &Draft, stage: StageId) -> StageId {
    draft.stage::<u64>("count", (Width::of(stage), Width::none()), vec![Feed::Same(stage)], |inputs| {
        PieceWriter::note(&inputs.feed(0)[0].records()?)
    })
}
