//! Sorting: partitions are sorted and sampled, the samples say where to cut, the cuts are merged. Equal keys keep their
//! order.
use super::error::DataError;
use super::flow::{Flow, Inputs, pour, split};
use super::partitioned::Partitioned;
use super::piece::{Piece, PieceWriter};
use super::plan::{Feed, Width};
use super::record::Record;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many records of a partition are looked at to find out where to cut.
const SAMPLES: usize = 256;

/// How many records are in a section.
const SECTION: usize = 4096;

/// Where a record stands in the order of all records. No two stand in the same place, however many keys are equal, so
/// even a data set of one key is cut into equal parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place<K> {
    key: K,
    partition: u32,
    index: u64,
}

/// Places at equal distances, and the distance.
type Samples<K> = (Vec<Place<K>>, u64);

impl<T: Record> Partitioned<T> {
    /// Sorts all records by a key: within the partitions, and from one partition to the next. Records of equal keys
    /// keep their order, and may lie in neighbouring partitions. A partition is held in memory as a whole.
    pub fn sort_by_key<K: Record + Ord>(self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        let (draft, width) = (self.draft.clone(), self.width.clone());
        let key = Arc::new(key);
        let sorting = Arc::clone(&key);
        let sorted = self.into_stage::<(T, K)>("sort", Width::none(), move |flow, inputs| {
            sort(flow.collect(inputs)?, inputs.partition, &*sorting)
        });
        // The samples lie before the records; they are taken out so that choosing does not fetch the records.
        let each = (Width::of(sorted), Width::none());
        let sampled = draft.stage::<K>("sample", each, vec![Feed::Same(sorted)], |inputs| {
            Piece::of_note(&inputs.feed(0)[0].section::<Samples<K>>(0)?)
        });
        let one = (Width::fixed(1), width.clone());
        let chosen = draft.stage::<K>("choose", one, vec![Feed::All(sampled)], choose::<K>);
        let feeds = vec![Feed::Same(sorted), Feed::All(chosen)];
        let cutting = Arc::clone(&key);
        let each = (Width::of(sorted), width.clone());
        let parted = draft.stage::<T>("cut", each, feeds, move |inputs| cut::<T, K>(inputs, &*cutting));
        let merged = Flow::new(move |inputs: &Inputs, sink| {
            let mut records: Vec<T> = Flow::of_bucket(0).collect(inputs)?;
            // Stable, and the runs lie in the order of the partitions: equal keys stay as they were.
            records.sort_by_cached_key(&*key);
            pour(records.into_iter(), sink)
        });
        Self::fed_by(draft, vec![Feed::Bucket(parted)], width, "merge", merged)
    }
}

/// Leaves the samples first, then all records in their new order.
fn sort<T: Serialize, K: Ord + Serialize>(
    mut records: Vec<T>,
    partition: u32,
    key: &impl Fn(&T) -> K,
) -> Result<Piece, DataError> {
    records.sort_by_cached_key(key);
    let distance = records.len().div_ceil(SAMPLES).max(1);
    let sampled = records.iter().zip(0..).step_by(distance);
    let places: Vec<_> = sampled.map(|(record, index)| Place { key: key(record), partition, index }).collect();
    let samples: Samples<K> = (places, distance as u64);
    let mut piece = PieceWriter::default();
    piece.push_note(&samples)?;
    records.chunks(SECTION).try_for_each(|records| piece.push(records))?;
    Ok(piece.finish())
}

/// The places at which the next partition begins, so that all are of similar size.
fn choose<K: Record + Ord>(inputs: &Inputs) -> Result<Piece, DataError> {
    let mut samples: Vec<(Place<K>, u64)> = Vec::new();
    for piece in inputs.feed(0) {
        let (places, distance) = piece.section::<Samples<K>>(0)?;
        samples.extend(places.into_iter().map(|place| (place, distance)));
    }
    samples.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let total: u64 = samples.iter().map(|(_, distance)| distance).sum();
    let mut cuts: Vec<Place<K>> = Vec::new();
    let mut before = 0;
    for (place, distance) in samples {
        let target = u64::from(inputs.targets) * before / total;
        if target > cuts.len() as u64 {
            cuts.push(place);
        }
        before += distance;
    }
    Piece::of_note(&cuts)
}

/// Splits a sorted partition at the chosen places.
fn cut<T: Record, K: Record + Ord>(inputs: &Inputs, key: &impl Fn(&T) -> K) -> Result<Piece, DataError> {
    let cuts: Vec<Place<K>> = inputs.feed(1)[0].section(0)?;
    let sorted = &inputs.feed(0)[0];
    let sections = (1..sorted.len()).map(|at| sorted.section::<Vec<T>>(at)).collect::<Result<Vec<_>, _>>()?;
    let mut index = 0;
    split(sections.into_iter().flatten(), inputs.targets, |record| {
        let place = Place { key: key(record), partition: inputs.partition, index };
        index += 1;
        Some(u32::try_from(cuts.partition_point(|cut| *cut <= place)).expect("there are fewer cuts than targets"))
    })
}
