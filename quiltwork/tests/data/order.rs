//! Steps that look at where a record stands among all: sorting, cutting anew, pairing and windows.
use crate::{flat, given, keys, partitions};
use proptest::prelude::*;
use quiltwork::data::{Partitioned, from_iter};
use std::num::NonZero;

type Pairs = Vec<(String, u32)>;

#[quiltwork::pipeline]
fn sorted(parts: Partitioned<Pairs>) -> Partitioned<Pairs> {
    parts.flat_map(|part| part).sort_by_key(|(key, _)| key.clone()).map_partitions(|part| [part])
}

#[quiltwork::pipeline]
fn cut_anew(parts: Partitioned<Vec<u32>>, count: u32) -> Partitioned<Vec<u32>> {
    parts.flat_map(|part| part).repartition(count).map_partitions(|part| [part])
}

#[quiltwork::pipeline]
fn zipped(left: Partitioned<Vec<u32>>, right: Partitioned<Pairs>) -> Partitioned<Vec<(u32, (String, u32))>> {
    left.flat_map(|part| part).zip(right.flat_map(|part| part)).map_partitions(|part| [part])
}

#[quiltwork::pipeline]
fn windows(parts: Partitioned<Vec<u32>>, size: NonZero<usize>) -> Partitioned<Vec<u32>> {
    parts.flat_map(|part| part).windows(size)
}

#[quiltwork::pipeline]
fn steps_of_sorted(parts: Partitioned<Vec<u32>>) -> Partitioned<u32> {
    let sorted = parts.flat_map(|part| part).sort_by_key(|n| *n);
    sorted.windows(NonZero::new(2).unwrap()).map(|pair| pair[1] - pair[0])
}

proptest! {
    #[test]
    fn records_are_sorted_and_equal_keys_keep_their_order(parts in partitions((keys(), any::<u32>()))) {
        let mut expected = flat(&parts);
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        prop_assert_eq!(flat(&sorted(given(parts)).run_serially().unwrap()), expected);
    }

    #[test]
    fn records_are_cut_anew_into_equal_partitions(parts in partitions(any::<u32>()), count in 0..12_u32) {
        let cut = cut_anew(given(parts.clone()), count).run_serially().unwrap();
        prop_assert_eq!(cut.len(), count.max(1) as usize);
        let sizes = cut.iter().map(Vec::len);
        prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        prop_assert_eq!(flat(&cut), flat(&parts));
    }

    #[test]
    fn records_are_paired_by_their_places(
        one in partitions(any::<u32>()), other in partitions((keys(), any::<u32>())),
    ) {
        let expected: Vec<_> = flat(&one).into_iter().zip(flat(&other)).collect();
        let found = zipped(given(one.clone()), given(other)).run_serially().unwrap();
        prop_assert_eq!(found.len(), one.len().max(1));
        for (pairs, part) in found.iter().zip(&one) {
            prop_assert!(pairs.len() <= part.len(), "the partitions are those of the left");
        }
        prop_assert_eq!(flat(&found), expected);
    }

    #[test]
    fn windows_reach_over_partitions(parts in partitions(any::<u32>()), size in 1..9_usize) {
        let expected: Vec<Vec<u32>> = flat(&parts).windows(size).map(<[u32]>::to_vec).collect();
        prop_assert_eq!(windows(given(parts), NonZero::new(size).unwrap()).run_serially().unwrap(), expected);
    }

    #[test]
    fn windows_over_sorted_partitions(parts in partitions(any::<u32>())) {
        let mut sorted = flat(&parts);
        sorted.sort_unstable();
        let expected: Vec<u32> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
        prop_assert_eq!(steps_of_sorted(given(parts)).run_serially().unwrap(), expected);
    }
}

#[test]
fn sorted_partitions_are_of_similar_size_even_if_all_keys_are_equal() {
    let equal = |n: u32| ("giant".to_owned(), n);
    let different = |n: u32| (format!("{:08}", n.wrapping_mul(2_654_435_761) % 1_000_003), n);
    for record in [equal as fn(u32) -> (String, u32), different] {
        let parts: Vec<Pairs> = (0..5_u32).map(|part| (part * 4000..(part + 1) * 4000).map(record).collect()).collect();
        let sizes: Vec<usize> = sorted(given(parts)).run_serially().unwrap().iter().map(Vec::len).collect();
        // A cut is found among one sample of every 16 records of each of 5 partitions.
        assert!(sizes.len() == 5 && sizes.iter().all(|size| size.abs_diff(4000) <= 2 * 5 * 16), "{sizes:?}");
    }
}

#[test]
fn nothing_at_all_can_be_sorted_cut_and_paired() {
    let nothing = from_iter(Vec::<Vec<u32>>::new(), 3).unwrap();
    assert_eq!(cut_anew(&nothing, 2).run_serially().unwrap(), vec![Vec::<u32>::new(); 2]);
    assert!(steps_of_sorted(&nothing).run_serially().unwrap().is_empty());
}
