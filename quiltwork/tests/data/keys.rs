//! Steps that bring equal keys together: all of them meet, once, in an order that partitions do not change.
use crate::{flat, given, keys, partitions};
use proptest::prelude::*;
use quiltwork::data::Partitioned;
use std::collections::{BTreeMap, BTreeSet};

type Pair = (String, u32);
type Pairs = Vec<Pair>;

#[quiltwork::pipeline]
fn joined_texts(parts: Partitioned<Pairs>) -> Partitioned<(String, String)> {
    parts.flat_map(|part| part).map_values(|n| n.to_string()).reduce_by_key(|a, b| a + ";" + &b)
}

#[quiltwork::pipeline]
fn groups(parts: Partitioned<Pairs>) -> Partitioned<(String, Vec<u32>)> {
    parts.flat_map(|part| part).group_by_key()
}

#[quiltwork::pipeline]
fn distinct(parts: Partitioned<Pairs>) -> Partitioned<Pair> {
    parts.flat_map(|part| part).distinct()
}

#[quiltwork::pipeline]
fn lengths(parts: Partitioned<Pairs>) -> Partitioned<(usize, Vec<Pair>)> {
    parts.flat_map(|part| part).key_by(|(key, _)| key.len()).group_by_key()
}

#[quiltwork::pipeline]
fn inner(left: Partitioned<Pairs>, right: Partitioned<Pairs>) -> Partitioned<(String, (u32, u32))> {
    left.flat_map(|part| part).join(right.flat_map(|part| part))
}

#[quiltwork::pipeline]
fn left(left: Partitioned<Pairs>, right: Partitioned<Pairs>) -> Partitioned<(String, (u32, Option<u32>))> {
    left.flat_map(|part| part).left_join(right.flat_map(|part| part))
}

#[quiltwork::pipeline]
#[allow(clippy::type_complexity, reason = "it is what a full join makes")]
fn full(left: Partitioned<Pairs>, right: Partitioned<Pairs>) -> Partitioned<(String, (Option<u32>, Option<u32>))> {
    left.flat_map(|part| part).full_join(right.flat_map(|part| part))
}

#[quiltwork::pipeline]
fn semi(left: Partitioned<Pairs>, right: Partitioned<Pairs>) -> Partitioned<Pair> {
    left.flat_map(|part| part).semi_join(right.flat_map(|part| part))
}

#[quiltwork::pipeline]
fn with_itself(parts: Partitioned<Pairs>) -> Partitioned<(String, (u32, u32))> {
    let pairs = parts.flat_map(|part| part);
    pairs.clone().join(pairs)
}

fn grouped(parts: &[Pairs]) -> BTreeMap<String, Vec<u32>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    flat(parts).into_iter().for_each(|(key, value)| groups.entry(key).or_default().push(value));
    groups
}

/// Every pair of the left with every one of the right that has its key.
fn inner_reference(left: &[Pairs], right: &[Pairs]) -> Vec<(String, (u32, u32))> {
    let right = grouped(right);
    let pairs = flat(left).into_iter().flat_map(|(key, value)| {
        let others = right.get(&key).cloned().unwrap_or_default();
        others.into_iter().map(move |other| (key.clone(), (value, other)))
    });
    pairs.collect()
}

/// Those of the left that meet nobody.
fn alone(left: &[Pairs], right: &[Pairs]) -> Pairs {
    let right = grouped(right);
    flat(left).into_iter().filter(|(key, _)| !right.contains_key(key)).collect()
}

/// Key by key, each in the order of the records: what must be the same although keys come out in another order.
fn by_key<V>(records: impl IntoIterator<Item = (String, V)>) -> BTreeMap<String, Vec<V>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    records.into_iter().for_each(|(key, value)| groups.entry(key).or_default().push(value));
    groups
}

fn pairs() -> impl Strategy<Value = Vec<Pairs>> {
    partitions((keys(), 0..50_u32))
}

/// A join of giant keys is as large as the product of both: a few partitions, none of them large.
fn few_pairs() -> impl Strategy<Value = Vec<Pairs>> {
    proptest::collection::vec(proptest::collection::vec((keys(), 0..50_u32), 0..30), 0..5)
}

proptest! {
    #[test]
    fn values_of_a_key_are_joined_in_their_order(parts in pairs()) {
        let texts = |values: Vec<u32>| values.iter().map(u32::to_string).collect::<Vec<_>>().join(";");
        let expected = grouped(&parts).into_iter().map(|(key, values)| (key, texts(values)));
        let mut joined = joined_texts(given(parts.clone())).run_serially().unwrap();
        joined.sort();
        prop_assert_eq!(joined, expected.collect::<Vec<_>>());
    }

    #[test]
    fn every_key_is_one_group_with_its_values_in_order(parts in pairs()) {
        let found = groups(given(parts.clone())).run_serially().unwrap();
        prop_assert_eq!(found.len(), grouped(&parts).len());
        prop_assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), grouped(&parts));
        let keyed = lengths(given(parts.clone())).run_serially().unwrap();
        let expected = by_key(flat(&parts).into_iter().map(|pair| (pair.0.len().to_string(), pair)));
        let keyed: BTreeMap<_, _> = keyed.into_iter().map(|(length, pairs)| (length.to_string(), pairs)).collect();
        prop_assert_eq!(keyed, expected);
    }

    #[test]
    fn every_different_record_is_left_once(parts in pairs()) {
        let found = distinct(given(parts.clone())).run_serially().unwrap();
        let expected: BTreeSet<Pair> = flat(&parts).into_iter().collect();
        prop_assert_eq!(found.len(), expected.len());
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);

        let found = distinct(given(vec![flat(&parts)])).run_serially().unwrap();
        let mut seen = BTreeSet::new();
        let first_seen = flat(&parts).into_iter().filter(|pair| seen.insert(pair.clone()));
        prop_assert_eq!(found, first_seen.collect::<Vec<_>>(), "one partition keeps the order");
    }

    #[test]
    fn joins_are_those_of_one_thread(one in few_pairs(), other in few_pairs()) {
        let (data, more) = (given(one.clone()), given(other.clone()));
        let pairs = inner_reference(&one, &other);
        let found = inner(&data, &more).run_serially().unwrap();
        prop_assert_eq!(by_key(found), by_key(pairs.clone()));

        let found = left(&data, &more).run_serially().unwrap();
        let matched = pairs.iter().cloned().map(|(key, (value, other))| (key, (value, Some(other))));
        let lonely = alone(&one, &other).into_iter().map(|(key, value)| (key, (value, None)));
        prop_assert_eq!(by_key(found), by_key(matched.chain(lonely)));

        let found = full(&data, &more).run_serially().unwrap();
        let matched = pairs.into_iter().map(|(key, (value, other))| (key, (Some(value), Some(other))));
        let left_only = alone(&one, &other).into_iter().map(|(key, value)| (key, (Some(value), None)));
        let right_only = alone(&other, &one).into_iter().map(|(key, value)| (key, (None, Some(value))));
        prop_assert_eq!(by_key(found), by_key(matched.chain(left_only).chain(right_only)));

        let found = semi(&data, &more).run_serially().unwrap();
        let known = grouped(&other);
        let expected = flat(&one).into_iter().filter(|(key, _)| known.contains_key(key));
        prop_assert_eq!(by_key(found), by_key(expected));
    }

    #[test]
    fn a_data_set_can_meet_itself(parts in few_pairs()) {
        let found = with_itself(given(parts.clone())).run_serially().unwrap();
        prop_assert_eq!(by_key(found), by_key(inner_reference(&parts, &parts)));
    }

    #[test]
    fn the_same_partitions_give_the_same_order(parts in pairs()) {
        let run = || groups(given(parts.clone())).run_serially().unwrap();
        prop_assert_eq!(run(), run());
    }
}
