//! Steps over records with keys: equal keys meet in one partition by a shuffle. Which records meet never depends on
//! timing.
use super::flow::{Flow, Inputs, pour};
use super::join::{Kept, joined, keys};
use super::partitioned::Partitioned;
use super::piece::BucketWriter;
use super::plan::{Feed, StageId, Width};
use super::record::Record;
use super::seen::{Seen, target_of};
use std::hash::Hash;

/// What records can be grouped by.
///
/// Where it goes is decided by its [`Hash`], which must be the same in every process: derived ones are.
pub trait Key: Record + Hash + Eq {}

impl<K: Record + Hash + Eq> Key for K {}

/// Keys come out in a fixed order: by the partition they belong to, then in the order in which they were first seen.
impl<K: Key, V: Record> Partitioned<(K, V)> {
    /// Joins all values of a key, two and two, in the order of the records. Each partition is joined before it is
    /// shuffled. `join` must be associative, but need not be commutative.
    pub fn reduce_by_key(self, join: impl Fn(V, V) -> V + Clone + Send + Sync + 'static) -> Self {
        self.combined("reduce_by_key", |value| value, join.clone(), join)
    }

    /// All values of each key, in the order of the records. A group is one record: it is held in memory as a whole, and
    /// made and used by one task.
    pub fn group_by_key(self) -> Partitioned<(K, Vec<V>)> {
        let add = |mut values: Vec<V>, value| {
            values.push(value);
            values
        };
        let join = |mut values: Vec<V>, more| {
            values.extend(more);
            values
        };
        self.combined("group_by_key", |value| vec![value], add, join)
    }

    /// Changes every value; its key stays.
    pub fn map_values<W: 'static>(self, change: impl Fn(V) -> W + Send + Sync + 'static) -> Partitioned<(K, W)> {
        self.map(move |(key, value)| (key, change(value)))
    }

    /// Every pair of values from the left and the right that have the same key; other records are left out. Pairs come in
    /// the order of the left, and for each record of the left in the order of the right.
    ///
    /// A task holds the records of the right that its records of the left meet. If one key has many more records than
    /// others, several tasks share its pairs.
    pub fn join<W: Record + Clone>(self, right: Partitioned<(K, W)>) -> Partitioned<(K, (V, W))>
    where
        K: Clone,
        V: Clone,
    {
        let pairs = joined("join", self, right, Kept { left: false, right: false });
        pairs.reshaped(|(key, (value, other))| Some((key, (value?, other?))))
    }

    /// Like [`join`](Self::join), but a record of the left that meets nobody stays, with `None`.
    pub fn left_join<W: Record + Clone>(self, right: Partitioned<(K, W)>) -> Partitioned<(K, (V, Option<W>))>
    where
        K: Clone,
        V: Clone,
    {
        let pairs = joined("left_join", self, right, Kept { left: true, right: false });
        pairs.reshaped(|(key, (value, other))| Some((key, (value?, other))))
    }

    /// Like [`join`](Self::join), but records of both sides that meet nobody stay, with `None`. Those of the right come
    /// behind all others that were shuffled to the same place.
    #[allow(clippy::type_complexity, reason = "a name would hide what a record looks like")]
    pub fn full_join<W: Record + Clone>(self, right: Partitioned<(K, W)>) -> Partitioned<(K, (Option<V>, Option<W>))>
    where
        K: Clone,
        V: Clone,
    {
        joined("full_join", self, right, Kept { left: true, right: true })
    }

    /// The records whose key stands somewhere in the right, each once.
    pub fn semi_join<W: Record>(self, right: Partitioned<(K, W)>) -> Self {
        let draft = self.draft.clone();
        let width = self.width.clone().wider(right.width.clone());
        let known = right.map(|(key, _)| (key, ()));
        let known = known.combined_parts("keys", width.clone(), |()| (), |(), ()| ());
        let left = self.shuffled("semi_join", width.clone());
        let flow = Flow::new(|inputs: &Inputs, sink| {
            let known = keys::<K, ()>(inputs.bucket().batches(inputs.feed(1)))?;
            Flow::<(K, V)>::of_bucket(0).run(inputs, &mut |mut batch| {
                batch.retain(|(key, _)| known.contains(key));
                sink(batch)
            })
        });
        Self::fed_by(draft, vec![Feed::Bucket(left), Feed::Bucket(known)], width, "semi_join", flow)
    }

    /// Brings the values of each key together: in each partition first, then after a shuffle.
    fn combined<A: Record>(
        self,
        step: &'static str,
        start: impl Fn(V) -> A + Send + Sync + 'static,
        add: impl Fn(A, V) -> A + Send + Sync + 'static,
        join: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Partitioned<(K, A)> {
        let (draft, width) = (self.draft.clone(), self.width.clone());
        let parts = self.combined_parts(step, width.clone(), start, add);
        let flow = Flow::new(move |inputs, sink| {
            let mut seen = Seen::new();
            Flow::<(K, A)>::of_bucket(0).for_each_batch(inputs, |batch| {
                batch.into_iter().for_each(|(key, value)| seen.add(key, value, |first| first, &join));
                Ok(())
            })?;
            pour(seen.into_ordered(), sink)
        });
        Partitioned::fed_by(draft, vec![Feed::Bucket(parts)], width, step, flow)
    }

    /// A stage that brings the values of each key together within each partition, and shuffles what that makes.
    fn combined_parts<A: Record>(
        self,
        step: &'static str,
        targets: Width,
        start: impl Fn(V) -> A + Send + Sync + 'static,
        add: impl Fn(A, V) -> A + Send + Sync + 'static,
    ) -> StageId {
        self.into_stage::<(K, A)>(step, targets, move |flow, inputs| {
            let mut seen = Seen::new();
            flow.for_each_batch(inputs, |batch| {
                batch.into_iter().for_each(|(key, value)| seen.add(key, value, &start, &add));
                Ok(())
            })?;
            let mut buckets = BucketWriter::new(inputs.targets);
            seen.into_ordered().try_for_each(|pair| buckets.push(target_of(&pair.0, inputs.targets), &pair))?;
            Ok(buckets.finish())
        })
    }

    /// A stage that sends every record to the target of its key.
    pub(super) fn shuffled(self, step: &'static str, targets: Width) -> StageId {
        self.into_stage::<(K, V)>(step, targets, |flow, inputs| {
            let mut buckets = BucketWriter::new(inputs.targets);
            flow.for_each_batch(inputs, |batch| {
                batch.iter().try_for_each(|pair| buckets.push(target_of(&pair.0, inputs.targets), pair))
            })?;
            Ok(buckets.finish())
        })
    }
}

impl<T: Key> Partitioned<T> {
    /// Every different record once, in the order of keys.
    pub fn distinct(self) -> Self {
        self.map(|record| (record, ()))
            .combined("distinct", |()| (), |(), ()| (), |(), ()| ())
            .map(|(record, ())| record)
    }
}
