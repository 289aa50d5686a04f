//! Joins: both sides are shuffled, and the pairs of each key are made in the order of the left. A key that stands almost
//! everywhere is worked on by many tasks; the result does not show it.
use super::error::DataError;
use super::flow::{Flow, Halt, Inputs, Sections, Sink, pour};
use super::keyed::Key;
use super::partitioned::Partitioned;
use super::piece::{Piece, PieceWriter};
use super::plan::{Feed, Width};
use super::record::Record;
use super::seen::Seen;
use super::shares::{Share, Sides, deal};
use crate::Blob;
use std::collections::HashSet;

/// A record of either side, with the one it meets if there is one.
type Pair<K, V, W> = (K, (Option<V>, Option<W>));

/// Which records stay although they meet nobody.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) left: bool,
    pub(super) right: bool,
}

/// Pairs of records that have the same key, and those that are kept without.
pub(super) fn joined<K: Key + Clone, V: Record + Clone, W: Record + Clone>(
    step: &'static str,
    left: Partitioned<(K, V)>,
    right: Partitioned<(K, W)>,
    kept: Kept,
) -> Partitioned<Pair<K, V, W>> {
    let draft = left.draft.clone();
    let width = left.width.clone().wider(right.width.clone());
    let (left, right) = (left.shuffled(step, width.clone()), right.shuffled(step, width.clone()));
    let one = (Width::fixed(1), width.clone());
    let dealt = draft.stage::<Share>("deal out", one, vec![Feed::All(left), Feed::All(right)], deal_out);
    let flow = Flow::new(move |inputs: &Inputs, sink| {
        let shares: Vec<Share> = inputs.feed(2)[0].note(inputs.partition as usize)?;
        let (left, right) = (inputs.feed(0), inputs.feed(1));
        shares.iter().try_for_each(|share| Meeting { share, left, right, kept }.pairs::<K, V, W>(sink))
    });
    let feeds = vec![Feed::All(left), Feed::All(right), Feed::Bucket(dealt)];
    Partitioned::fed_by(draft, feeds, width, step, flow)
}

/// What every task shall do: a note for each.
fn deal_out(inputs: &Inputs) -> Result<Blob, DataError> {
    let sides = (0..inputs.targets as usize).map(|bucket| {
        let records = |feed| Sections::One(bucket).records(inputs.feed(feed));
        Ok(Sides { left: records(0)?, right: records(1)? })
    });
    let dealt = deal(&sides.collect::<Result<Vec<_>, DataError>>()?);
    let mut piece = PieceWriter::default();
    dealt.iter().try_for_each(|shares| piece.push_note(shares))?;
    Ok(piece.finish())
}

/// A share, and both sides of the shuffle.
struct Meeting<'a> {
    share: &'a Share,
    left: &'a [Piece],
    right: &'a [Piece],
    kept: Kept,
}

impl Meeting<'_> {
    /// The left passes by, while what it may meet of the right is held.
    fn pairs<K: Key + Clone, V: Record + Clone, W: Record + Clone>(
        &self,
        sink: &mut Sink<'_, Pair<K, V, W>>,
    ) -> Result<(), Halt> {
        let Self { share, left, right, kept } = self;
        let bucket = self.bucket();
        // If the share has all of the left, all of the right may be met.
        let wanted = (!share.is_left_whole()).then(|| keys::<K, V>(bucket.stretch(left, share.left.clone())));
        let wanted = wanted.transpose()?;
        let is_wanted = |key: &K| wanted.as_ref().is_none_or(|wanted| wanted.contains(key));
        let matches = grouped::<K, W>(bucket.stretch(right, share.right.clone()), is_wanted)?;
        // Whoever meets somebody in another share is not alone.
        let met_before = keys::<K, W>(bucket.stretch(right, 0..share.right.start))?;
        let is_alone = |key: &K| kept.left && share.ends_right() && !met_before.contains(key);

        for batch in bucket.stretch::<(K, V)>(left, share.left.clone()) {
            let pairs = batch?.into_iter().flat_map(|(key, value)| {
                let others = matches.get(&key).map_or(&[][..], Vec::as_slice);
                let alone = (others.is_empty() && is_alone(&key)).then_some(None);
                let others = others.iter().cloned().map(Some).chain(alone);
                others.map(move |other| (key.clone(), (Some(value.clone()), other)))
            });
            pour(pairs, sink)?;
        }
        if kept.right && share.is_last() { self.alone_on_the_right::<K, V, W>(sink) } else { Ok(()) }
    }

    /// Records of the right that meet nobody in the whole bucket.
    fn alone_on_the_right<K: Key, V: Record, W: Record>(&self, sink: &mut Sink<'_, Pair<K, V, W>>) -> Result<(), Halt> {
        let met = keys::<K, V>(self.bucket().batches(self.left))?;
        for batch in self.bucket().batches::<(K, W)>(self.right) {
            let alone = batch?.into_iter().filter(|(key, _)| !met.contains(key));
            sink(alone.map(|(key, other)| (key, (None, Some(other)))).collect())?;
        }
        Ok(())
    }

    const fn bucket(&self) -> Sections {
        Sections::One(self.share.bucket as usize)
    }
}

/// The different keys of some records.
pub(super) fn keys<K: Key, V>(
    batches: impl Iterator<Item = Result<Vec<(K, V)>, DataError>>,
) -> Result<HashSet<K>, DataError> {
    let mut keys = HashSet::new();
    for batch in batches {
        keys.extend(batch?.into_iter().map(|(key, _)| key));
    }
    Ok(keys)
}

/// The values of each key that is wanted, in their order.
fn grouped<K: Key, W>(
    batches: impl Iterator<Item = Result<Vec<(K, W)>, DataError>>,
    is_wanted: impl Fn(&K) -> bool,
) -> Result<Seen<K, Vec<W>>, DataError> {
    let mut groups = Seen::new();
    let add = |mut values: Vec<W>, value| {
        values.push(value);
        values
    };
    for batch in batches {
        let wanted = batch?.into_iter().filter(|(key, _)| is_wanted(key));
        wanted.for_each(|(key, value)| groups.add(key, value, |value| vec![value], add));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::from_iter;
    use crate::data::seen::target_of;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[quiltwork::pipeline]
    #[allow(clippy::type_complexity, reason = "it is what a full join makes")]
    fn full(left: Partitioned<(u8, u32)>, right: Partitioned<(u8, u32)>) -> Partitioned<Pair<u8, u32, u32>> {
        left.full_join(right)
    }

    #[quiltwork::pipeline]
    fn inner(left: Partitioned<(u8, u32)>, right: Partitioned<(u8, u32)>) -> Partitioned<(u8, (u32, u32))> {
        left.join(right)
    }

    /// Records of which most have one key, or none.
    fn records(most: usize) -> impl Strategy<Value = Vec<(u8, u32)>> {
        vec((prop_oneof![4 => Just(0_u8), 1 => any::<u8>()], any::<u32>()), 0..most)
    }

    /// What one task for each bucket makes.
    fn expected(left: &[(u8, u32)], right: &[(u8, u32)], buckets: u32) -> Vec<Pair<u8, u32, u32>> {
        let of = |records: &[(u8, u32)], bucket| -> Vec<(u8, u32)> {
            records.iter().copied().filter(|(key, _)| target_of(key, buckets) == bucket).collect()
        };
        let mut pairs = Vec::new();
        for bucket in 0..buckets {
            let (left, right) = (of(left, bucket), of(right, bucket));
            for (key, value) in &left {
                let met = right.iter().filter(|(other, _)| other == key);
                let before = pairs.len();
                pairs.extend(met.map(|(_, other)| (*key, (Some(*value), Some(*other)))));
                if pairs.len() == before {
                    pairs.push((*key, (Some(*value), None)));
                }
            }
            let alone = right.iter().filter(|(key, _)| left.iter().all(|(other, _)| other != key));
            pairs.extend(alone.map(|(key, other)| (*key, (None, Some(*other)))));
        }
        pairs
    }

    proptest! {
        #[test]
        fn a_giant_key_is_shared_and_the_order_does_not_show_it(
            left in prop_oneof![records(4), records(120)],
            right in prop_oneof![records(4), records(120)],
            (one, other) in (1..9_u32, 1..9_u32),
        ) {
            let data = || (from_iter(left.clone(), one).unwrap(), from_iter(right.clone(), other).unwrap());
            let expected = expected(&left, &right, one.max(other));
            let (a, b) = data();
            prop_assert_eq!(full(a, b).run_serially().unwrap(), expected.clone());
            let (a, b) = data();
            let both = expected.into_iter().filter_map(|(key, (value, other))| Some((key, (value?, other?))));
            prop_assert_eq!(inner(a, b).run_serially().unwrap(), both.collect::<Vec<_>>());
        }
    }
}
