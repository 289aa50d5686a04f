//! Every step over partitioned data against what one thread makes of the same records, whatever the partitions are.
//!
//! The pipelines run in this thread, by the very tasks a cluster runs.
mod files;
mod keys;
mod order;
mod plans;
mod records;

use proptest::collection::vec;
use proptest::prelude::*;
use quiltwork::data::{Dataset, from_iter};
use std::fmt::Debug;

/// Records in up to seven partitions of very different sizes, many of them empty.
fn partitions<T: Debug>(record: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Vec<Vec<T>>> {
    let partition = prop_oneof![
        2 => Just(0..1_usize),
        5 => Just(0..6_usize),
        2 => Just(0..60_usize),
        // More than one batch.
        1 => Just(1000..2500_usize),
    ];
    let partition = partition.prop_flat_map(move |size| vec(record.clone(), size));
    vec(partition, 0..8)
}

/// Few different keys, and often one that stands almost everywhere.
fn keys() -> impl Strategy<Value = String> + Clone {
    prop_oneof![3 => Just("giant".to_owned()), 1 => "[a-c]{0,2}", 1 => "[a-z]{3}"]
}

/// The partitions as they are: each is one record, which the pipelines unpack.
fn given<T: quiltwork::data::Record>(partitions: Vec<Vec<T>>) -> Dataset<Vec<T>> {
    let count = u32::try_from(partitions.len()).unwrap();
    from_iter(partitions, count).unwrap()
}

fn flat<T: Clone>(partitions: &[Vec<T>]) -> Vec<T> {
    partitions.concat()
}
