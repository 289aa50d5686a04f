//! Steps that look at one record or partition at a time, and what a whole data set comes to.
use crate::{flat, given, partitions};
use proptest::prelude::*;
use quiltwork::data::{DataError, Partitioned, Single, from_iter};

/// As many clones as the number says: none, one or two.
fn times<T: Clone>(n: i64, record: T) -> Vec<T> {
    vec![record; usize::from(n.to_le_bytes()[0]) % 3]
}

fn flattened(parts: Partitioned<Vec<i64>>) -> Partitioned<i64> {
    parts.flat_map(|part| part)
}

#[quiltwork::pipeline]
fn changed(parts: Partitioned<Vec<i64>>, by: i64) -> Partitioned<String> {
    let numbers = flattened(parts).map(move |n| n.wrapping_mul(3).wrapping_add(by));
    numbers.filter(|n| n % 2 == 0).flat_map(|n| times(n, n)).map(|n| n.to_string())
}

#[quiltwork::pipeline]
fn reversed(parts: Partitioned<Vec<i64>>) -> Partitioned<Vec<i64>> {
    flattened(parts).map_partitions(|part| [part.into_iter().rev().collect()])
}

#[quiltwork::pipeline]
#[allow(clippy::type_complexity, reason = "all totals at once")]
fn totals(
    parts: Partitioned<Vec<i64>>,
    first: usize,
) -> (Single<u64>, Single<Option<String>>, Single<(String, u64)>, Partitioned<i64>) {
    let numbers = flattened(parts);
    let joined = numbers.clone().map(|n| n.to_string()).reduce(|a, b| a + "," + &b);
    let folded = numbers.clone().fold(
        (String::new(), 0),
        |(text, count), n| (text + &n.to_string(), count + 1),
        |(left, some), (right, more)| (left + &right, some + more),
    );
    (numbers.clone().count(), joined, folded, numbers.take(first))
}

#[quiltwork::pipeline]
fn collected(parts: Partitioned<Vec<i64>>) -> (Partitioned<i64>, Single<Vec<i64>>, Single<usize>) {
    let once = flattened(parts).persist();
    let again = once.clone().map(|n| n);
    (once.clone(), again.collect(), once.collect().map(|all| all.len()))
}

#[quiltwork::pipeline]
fn sampled(parts: Partitioned<Vec<i64>>, fraction: f64, seed: u64) -> Partitioned<Vec<i64>> {
    flattened(parts).sample(fraction, seed).map_partitions(|part| [part])
}

#[quiltwork::pipeline]
fn parsed(lines: Partitioned<String>) -> Single<u64> {
    lines.try_map(|line| line.parse::<u64>()).fold(0, |sum, n| sum + n, |a, b| a + b)
}

proptest! {
    #[test]
    fn records_are_changed_dropped_and_multiplied_in_their_places(parts in partitions(any::<i64>()), by in any::<i64>()) {
        let numbers = flat(&parts).into_iter().map(|n| n.wrapping_mul(3).wrapping_add(by)).filter(|n| n % 2 == 0);
        let expected: Vec<String> = numbers.flat_map(|n| times(n, n.to_string())).collect();
        prop_assert_eq!(changed(given(parts), by).run_serially().unwrap(), expected);
    }

    #[test]
    fn partitions_are_changed_as_wholes(parts in partitions(any::<i64>())) {
        let mut expected: Vec<Vec<i64>> = parts.iter().map(|part| part.iter().rev().copied().collect()).collect();
        if expected.is_empty() {
            expected.push(Vec::new()); // nothing at all is one empty partition
        }
        prop_assert_eq!(reversed(given(parts)).run_serially().unwrap(), expected);
    }

    #[test]
    fn a_data_set_comes_to_the_same_as_in_one_thread(parts in partitions(any::<i64>()), first in 0..80_usize) {
        let all = flat(&parts);
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        let (count, joined, folded, head) = totals(given(parts), first).run_serially().unwrap();
        prop_assert_eq!(count, all.len() as u64);
        prop_assert_eq!(joined, (!texts.is_empty()).then(|| texts.join(",")));
        prop_assert_eq!(folded, (texts.concat(), all.len() as u64));
        prop_assert_eq!(&head[..], &all[..first.min(all.len())]);
    }

    #[test]
    fn what_is_persisted_is_the_same_wherever_it_is_used(parts in partitions(any::<i64>())) {
        let all = flat(&parts);
        let (once, again, count) = collected(given(parts)).run_serially().unwrap();
        prop_assert_eq!((&once, &again, count), (&all, &all, all.len()));
    }

    #[test]
    fn a_sample_is_a_part_in_order_and_the_same_for_the_same_seed(
        parts in partitions(any::<i64>()), fraction in 0.0..1.0_f64, seed in any::<u64>(),
    ) {
        let run = || sampled(given(parts.clone()), fraction, seed).run_serially().unwrap();
        let samples = run();
        for (sample, part) in samples.iter().zip(&parts) {
            let mut rest = part.iter();
            prop_assert!(sample.iter().all(|kept| rest.any(|n| n == kept)), "not in order");
        }
        prop_assert_eq!(samples, run());
    }
}

#[test]
fn a_sample_has_about_the_wanted_size() {
    let parts: Vec<Vec<i64>> = (0..4).map(|part| (part * 10_000..(part + 1) * 10_000).collect()).collect();
    let size = |fraction, seed| flat(&sampled(given(parts.clone()), fraction, seed).run_serially().unwrap());
    assert_eq!((size(0.0, 1).len(), size(1.0, 1).len()), (0, 40_000));
    // Six standard deviations of a fair draw.
    assert!(size(0.25, 1).len().abs_diff(10_000) < 520);
    assert_ne!(size(0.25, 1), size(0.25, 2));
}

#[test]
fn items_are_cut_into_partitions_of_equal_size() {
    for (items, partitions) in [(10, 3), (2, 5), (0, 4), (7, 0), (5000, 2)] {
        let numbers = from_iter((0..items).map(|n| vec![n]), partitions).unwrap();
        assert_eq!(numbers.partitions(), partitions.max(1) as usize);
        let parts = reversed(numbers).run_serially().unwrap();
        let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        let records: Vec<i64> = parts.into_iter().flat_map(|part| part.into_iter().rev()).collect();
        assert_eq!(records, (0..items).collect::<Vec<_>>());
    }
}

#[test]
fn the_first_failure_of_a_step_ends_the_run() {
    let lines = |lines: &[&str]| from_iter(lines.iter().map(|&line| line.to_owned()), 3).unwrap();
    assert_eq!(parsed(lines(&["1", "2", "3", "4"])).run_serially().unwrap(), 10);
    let error = parsed(lines(&["1", "two", "3", "4"])).run_serially().unwrap_err();
    assert!(matches!(&error, DataError::Step(text) if text.contains("invalid digit")), "{error}");
}
