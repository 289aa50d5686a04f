//! Sorting: partitions are sorted, their sections say where to cut the order of all records, and each cut is merged out
//! of its stretch of every partition. Equal keys keep their order.
use super::error::DataError;
use super::flow::{Flow, Inputs};
use super::partitioned::Partitioned;
use super::piece::PieceWriter;
use super::plan::{Feed, Width};
use super::record::Record;
use super::runs::{Place, merge, sections, sorted};
use crate::Blob;
use std::sync::Arc;

impl<T: Record> Partitioned<T> {
    /// Sorts all records by a key: within the partitions, and from one partition to the next. Records of equal keys
    /// keep their order, and may lie in neighbouring partitions, so that no key makes a partition large. A partition is
    /// held in memory to be sorted; a sorted one is made and used up block by block.
    pub fn sort_by_key<K: Record + Ord>(self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        let (draft, width) = (self.draft.clone(), self.width.clone());
        let key = Arc::new(key);
        let sorting = Arc::clone(&key);
        let runs = self
            .into_stage::<(T, K)>("sort", Width::none(), move |flow, inputs| sorted(flow.collect(inputs)?, &*sorting));
        let one = (Width::fixed(1), width.clone());
        let chosen = draft.stage::<K>("choose", one, vec![Feed::All(runs)], choose::<K>);
        let merged = Flow::new(move |inputs: &Inputs, sink| {
            let cuts: Vec<Place<K>> = inputs.feed(1)[0].note(0)?;
            let partition = inputs.partition as usize;
            let from = partition.checked_sub(1).map(|before| cuts.get(before));
            // If there are fewer cuts, nothing is behind the last one.
            let (None | Some(Some(_))) = from else { return Ok(()) };
            merge(inputs.feed(0), &*key, (from.flatten(), cuts.get(partition)), sink)
        });
        Self::fed_by(draft, vec![Feed::All(runs), Feed::All(chosen)], width, "merge", merged)
    }
}

/// The places at which the next partition begins, so that all are of similar size.
fn choose<K: Record + Ord>(inputs: &Inputs) -> Result<Blob, DataError> {
    let mut all: Vec<(Place<K>, u64)> = Vec::new();
    for (piece, partition) in inputs.feed(0).iter().zip(0..) {
        all.append(&mut sections(piece, partition)?);
    }
    all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let total: u64 = all.iter().map(|(_, records)| records).sum::<u64>().max(1);
    let mut cuts: Vec<Place<K>> = Vec::new();
    let mut before = 0;
    for (place, records) in all {
        let target = u128::from(inputs.targets) * u128::from(before) / u128::from(total);
        if target > cuts.len() as u128 {
            cuts.push(place);
        }
        before += records;
    }
    PieceWriter::note(&cuts)
}
