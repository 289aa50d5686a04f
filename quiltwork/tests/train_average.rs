//! The weighted average: right, in a fixed order, and clear about what it cannot average.
use proptest::prelude::*;
use quiltwork::train::{
    Absence, Dtype, Error, Metrics, Parameters, Reply, Result, Round, Strategy as _, Tensor, Update, WeightedAverage,
};

fn model(single: Vec<f32>, double: Vec<f64>) -> Parameters {
    let single = Tensor::new([single.len()], single).expect("one dimension");
    let double = Tensor::new([double.len(), 1], double).expect("two dimensions");
    [("single".to_owned(), single), ("double".to_owned(), double)].into_iter().collect()
}

fn update(partition: u32, samples: u64, parameters: Parameters) -> Reply {
    Reply { partition, result: Ok(Update::new(parameters, samples, Metrics::new())) }
}

fn failed(partition: u32) -> Reply {
    Reply { partition, result: Err(Absence::Failed { message: "out of luck".to_owned(), retryable: true }) }
}

fn merge(parameters: &Parameters, replies: &[Reply]) -> Result<Parameters> {
    WeightedAverage.merge(&Round { number: 4, parameters, partitions: 16, seed: 0 }, replies)
}

#[test]
fn the_average_is_weighted_by_samples() {
    let zero = model(vec![0.0], vec![0.0, 0.0]);
    let replies =
        [update(0, 1, model(vec![1.0], vec![0.0, 4.0])), failed(1), update(2, 3, model(vec![5.0], vec![-8.0, 0.0]))];
    let merged = merge(&zero, &replies).expect("two updates of one layout");
    assert_eq!(merged, model(vec![4.0], vec![-6.0, 1.0]));
}

#[test]
fn single_precision_is_summed_in_double_precision_and_rounded_once() {
    let replies: Vec<Reply> =
        [16_777_216.0, 1.0, 1.0, 0.0].into_iter().zip(0..).map(|(x, p)| update(p, 9, model(vec![x], vec![]))).collect();
    let merged = merge(&model(vec![0.0], vec![]), &replies).expect("four updates of one layout");
    // In single precision, the two ones would vanish one by one beside the large number.
    assert_eq!(merged.slice::<f32>("single").expect("it is f32"), [4_194_304.5]);
}

#[test]
fn a_large_average_is_that_of_its_parts_bit_for_bit() {
    const LENGTH: usize = 600_001;
    const PARTS: u16 = 7;
    let replies_of = |range: std::ops::Range<usize>| -> Vec<Reply> {
        let numbers = |p: u16| (p..=60_000 + p).cycle().skip(range.start).take(range.len());
        let both = |p| {
            model(numbers(p).map(|n| f32::from(n) / 7.0).collect(), numbers(p).map(|n| f64::from(n) / 7.0).collect())
        };
        (0..PARTS).map(|p| update(u32::from(p), u64::from(p) + 1, both(p))).collect()
    };
    let merged = |range: std::ops::Range<usize>| {
        let zero = model(vec![0.0; range.len()], vec![0.0; range.len()]);
        merge(&zero, &replies_of(range)).expect("updates of one layout")
    };
    let whole = merged(0..LENGTH);
    for start in (0..LENGTH).step_by(100_000) {
        let part = start..LENGTH.min(start + 100_000);
        let alone = merged(part.clone());
        assert!(
            whole.slice::<f32>("single").expect("f32")[part.clone()] == *alone.slice::<f32>("single").expect("f32")
        );
        assert!(whole.slice::<f64>("double").expect("f64")[part] == *alone.slice::<f64>("double").expect("f64"));
    }
}

proptest! {
    /// Contract 7: bit for bit the same model in whatever order the replies arrive, whoever failed beside them.
    #[test]
    fn the_order_of_replies_changes_nothing(
        updates in prop::collection::btree_map(0_u32..64, (1_u64..1000, -1e6_f32..1e6, -1e300_f64..1e300), 1..12),
        failures in prop::collection::btree_set(64_u32..80, 0..4),
        order in any::<u64>(),
    ) {
        let zero = model(vec![0.0, 0.0], vec![0.0]);
        let sorted: Vec<Reply> =
            updates.iter().map(|(&p, &(n, x, y))| update(p, n, model(vec![x, 1.0 / x], vec![y]))).collect();
        let mut arrived: Vec<Reply> = sorted.iter().cloned().chain(failures.into_iter().map(failed)).collect();
        arrived.sort_by_key(|reply| (u64::from(reply.partition) + 1).wrapping_mul(order | 1).rotate_left(17));
        let (sorted, arrived) = (merge(&zero, &sorted)?, merge(&zero, &arrived)?);
        prop_assert_eq!(sorted.digest(), arrived.digest());
    }

    #[test]
    fn one_update_alone_is_the_average_bit_for_bit(x in any::<f64>(), samples in 1_u64..u64::MAX) {
        prop_assume!(x.is_finite());
        let alone = model(vec![], vec![x]);
        let merged = merge(&model(vec![], vec![0.0]), &[update(3, samples, alone.clone())])?;
        prop_assert_eq!(merged.digest(), alone.digest());
    }
}

#[test]
fn what_cannot_be_averaged_is_named_with_tensor_and_partition() {
    let zero = model(vec![0.0], vec![0.0]);
    let message = |reply: Reply| merge(&zero, &[update(1, 1, zero.clone()), reply]).expect_err("refused").to_string();

    let text = message(update(7, 1, model(vec![0.0], vec![f64::NAN])));
    assert!(text.starts_with("tensor `double` of partition 7 is not finite\n  hint: "), "{text}");
    let text = message(update(7, 1, model(vec![0.0, 1.0], vec![0.0])));
    assert_eq!(text, "tensor `single` of partition 7: found f32 [2], expected f32 [1]");
    let text = message(update(7, 1, model(vec![0.0], vec![0.0]).into_iter().skip(1).collect()));
    assert_eq!(text, "tensor `double` of partition 7: found missing, expected f64 [1, 1]");
    let mut more = zero.clone();
    more.insert("bias", Tensor::zeros(Dtype::F64, []));
    assert_eq!(message(update(7, 1, more)), "tensor `bias` of partition 7: found f64 [], expected no such tensor");
    assert_eq!(message(update(1, 1, zero.clone())), "round 4: partition 1 has two updates");
}

#[test]
fn an_average_of_nothing_is_refused() {
    let zero = model(vec![0.0], vec![0.0]);
    for replies in [vec![], vec![failed(0)], vec![update(0, 0, zero.clone())]] {
        assert!(matches!(merge(&zero, &replies), Err(Error::Strategy { round: 4, .. })), "{replies:?}");
    }
}
