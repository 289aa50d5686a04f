//! Steps over records with keys: equal keys meet in one partition by a shuffle. Which records meet never depends on
//! timing.
use super::flow::{Flow, Halt, Sink, pour, split};
use super::partitioned::Partitioned;
use super::plan::{Feed, Width};
use super::record::Record;
use super::seen::{Seen, target_of};
use std::collections::HashSet;
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

    /// All values of each key, in the order of the records.
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

    /// Every pair of values from the left and the right that have the same key; other records are left out.
    pub fn join<W: Record + Clone>(self, right: Partitioned<(K, W)>) -> Partitioned<(K, (V, W))>
    where
        K: Clone,
        V: Clone,
    {
        self.met("join", right, |left, right, sink| {
            let right = grouped(right);
            let pairs = left.into_iter().flat_map(|(key, value)| {
                let matches = right.get(&key).map_or(&[][..], Vec::as_slice);
                matches.iter().map(move |other| (key.clone(), (value.clone(), other.clone())))
            });
            pour(pairs, sink)
        })
    }

    /// Like [`join`](Self::join), but a record of the left that meets nobody stays, with `None`.
    pub fn left_join<W: Record + Clone>(self, right: Partitioned<(K, W)>) -> Partitioned<(K, (V, Option<W>))>
    where
        K: Clone,
        V: Clone,
    {
        self.met("left_join", right, |left, right, sink| {
            let right = grouped(right);
            pour(left.into_iter().flat_map(|(key, value)| outer(&right, key, value)), sink)
        })
    }

    /// Like [`join`](Self::join), but records of both sides that meet nobody stay, with `None`. Those of the right come
    /// last within their partition.
    #[allow(clippy::type_complexity, reason = "a name would hide what a record looks like")]
    pub fn full_join<W: Record + Clone>(self, right: Partitioned<(K, W)>) -> Partitioned<(K, (Option<V>, Option<W>))>
    where
        K: Clone,
        V: Clone,
    {
        self.met("full_join", right, |left, right, sink| {
            let keys: HashSet<K> = left.iter().map(|(key, _)| key.clone()).collect();
            let right = grouped(right);
            let both = left.into_iter().flat_map(|(key, value)| outer(&right, key, value));
            pour(both.map(|(key, (value, other))| (key, (Some(value), other))), sink)?;
            let alone = right.into_ordered().into_iter().filter(|(key, _)| !keys.contains(key));
            let alone =
                alone.flat_map(|(key, others)| others.into_iter().map(move |other| (key.clone(), (None, Some(other)))));
            pour(alone, sink)
        })
    }

    /// The records whose key stands somewhere in the right, each once.
    pub fn semi_join<W: Record>(self, right: Partitioned<(K, W)>) -> Self {
        let right = right.map(|(key, _)| (key, ())).combined("keys", |()| (), |(), ()| (), |(), ()| ());
        self.met("semi_join", right, |left, right, sink| {
            let right = grouped(right);
            pour(left.into_iter().filter(|(key, _)| right.contains(key)), sink)
        })
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
        let stage = self.into_stage::<(K, A)>(step, width.clone(), move |flow, inputs| {
            let mut seen = Seen::new();
            flow.for_each_batch(inputs, |batch| {
                batch.into_iter().for_each(|(key, value)| seen.add(key, value, &start, &add));
                Ok(())
            })?;
            split(seen.into_ordered(), inputs.targets, |(key, _)| Some(target_of(key, inputs.targets)))
        });
        let flow = Flow::new(move |inputs, sink| {
            let mut seen = Seen::new();
            for bucket in inputs.bucket::<(K, A)>(0) {
                bucket?.into_iter().for_each(|(key, value)| seen.add(key, value, |first| first, &join));
            }
            pour(seen.into_ordered().into_iter(), sink)
        });
        Partitioned::fed_by(draft, vec![Feed::Bucket(stage)], width, step, flow)
    }

    /// Lets the records of both sides that have the same key meet in one partition.
    fn met<W: Record, U: 'static>(
        self,
        step: &'static str,
        right: Partitioned<(K, W)>,
        meet: impl Fn(Vec<(K, V)>, Vec<(K, W)>, &mut Sink<'_, U>) -> Result<(), Halt> + Send + Sync + 'static,
    ) -> Partitioned<U> {
        let draft = self.draft.clone();
        let width = self.width.clone().wider(right.width.clone());
        let feeds = vec![self.shuffled(step, width.clone()), right.shuffled(step, width.clone())];
        let (left, right) = (Flow::of_bucket(0), Flow::of_bucket(1));
        let flow = Flow::new(move |inputs, sink| meet(left.collect(inputs)?, right.collect(inputs)?, sink));
        Partitioned::fed_by(draft, feeds, width, step, flow)
    }

    fn shuffled(self, step: &'static str, targets: Width) -> Feed {
        let stage = self.into_stage::<(K, V)>(step, targets, |flow, inputs| {
            let target = |(key, _): &(K, V)| Some(target_of(key, inputs.targets));
            split(flow.collect(inputs)?, inputs.targets, target)
        });
        Feed::Bucket(stage)
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

fn grouped<K: Key, W>(records: Vec<(K, W)>) -> Seen<K, Vec<W>> {
    let mut groups = Seen::new();
    for (key, value) in records {
        groups.add(
            key,
            value,
            |value| vec![value],
            |mut values, value| {
                values.push(value);
                values
            },
        );
    }
    groups
}

/// A record of the left with everyone it meets, or alone.
fn outer<K: Key + Clone, V: Clone, W: Clone>(
    right: &Seen<K, Vec<W>>,
    key: K,
    value: V,
) -> impl Iterator<Item = (K, (V, Option<W>))> + use<'_, K, V, W> {
    let matches = right.get(&key).map_or(&[][..], Vec::as_slice);
    let alone = matches.is_empty().then_some(None);
    let others = matches.iter().cloned().map(Some).chain(alone);
    others.map(move |other| (key.clone(), (value.clone(), other)))
}
