//! How a join is dealt out to tasks: one for each bucket of the shuffle, and more for a bucket that is much larger than
//! the others, as a key makes it that stands almost everywhere. Plain arithmetic, no record is read.
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A bucket is split if it is so many times as large as a fair share.
const LARGE: u64 = 2;

/// Some of the pairs of a bucket: those of a range of the left with a range of the right. Those that share a bucket
/// follow each other in the order of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) bucket: u32,
    /// Records of the bucket on the left.
    pub(super) left: Range<u64>,
    /// Records of the bucket on the right: all, unless `left` is one record.
    pub(super) right: Range<u64>,
    /// How many records the whole bucket has.
    pub(super) of: Sides,
}

/// A number of records on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sides {
    pub(super) left: u64,
    pub(super) right: u64,
}

impl Share {
    fn whole(bucket: u32, of: Sides) -> Self {
        Self { bucket, left: 0..of.left, right: 0..of.right, of }
    }

    /// Whether it has the whole left of its bucket.
    pub(super) fn is_left_whole(&self) -> bool {
        self.left == (0..self.of.left)
    }

    /// Whether no other share has more of the right for the same records of the left.
    pub(super) const fn ends_right(&self) -> bool {
        self.right.end == self.of.right
    }

    /// Whether it is the last one of its bucket.
    pub(super) const fn is_last(&self) -> bool {
        self.ends_right() && self.left.end == self.of.left
    }
}

/// Deals the buckets out to as many tasks, in the order of the buckets. If none is large, each task gets one.
pub(super) fn deal(buckets: &[Sides]) -> Vec<Vec<Share>> {
    let tasks = buckets.len() as u64;
    let weight = |of: &Sides| of.left + of.right;
    let total: u64 = buckets.iter().map(weight).sum();
    let fair = (total / tasks.max(1)).max(1);
    let numbered = || buckets.iter().zip(0..);
    if buckets.iter().all(|of| weight(of) <= LARGE * fair) {
        return numbered().map(|(of, bucket)| vec![Share::whole(bucket, *of)]).collect();
    }
    let mut dealt = vec![Vec::new(); buckets.len()];
    let mut before = 0;
    for (of, bucket) in numbered() {
        let weight = weight(of);
        let parts = if weight > LARGE * fair { weight.div_ceil(fair) } else { 1 };
        let shares = split(bucket, *of, parts);
        let count = shares.len() as u64;
        for (share, number) in shares.into_iter().zip(0..) {
            let begins = before + border(weight, number, count);
            let task = u128::from(begins) * u128::from(tasks) / u128::from(total);
            let task = usize::try_from(task).map_or(dealt.len(), |task| task).min(dealt.len() - 1);
            dealt[task].push(share);
        }
        before += weight;
    }
    dealt
}

/// Splits a bucket into about so many shares: the left, or if that has too few records each of them with parts of the
/// right.
fn split(bucket: u32, of: Sides, parts: u64) -> Vec<Share> {
    let lefts = parts.min(of.left).max(1);
    let rights = if of.left < parts { parts.div_ceil(lefts).min(of.right).max(1) } else { 1 };
    if of.left == 0 {
        return vec![Share::whole(bucket, of)];
    }
    let range = |all: u64, number: u64, count: u64| border(all, number, count)..border(all, number + 1, count);
    let grid = (0..lefts).flat_map(|left| (0..rights).map(move |right| (left, right)));
    let share =
        |(left, right)| Share { bucket, left: range(of.left, left, lefts), right: range(of.right, right, rights), of };
    grid.map(share).collect()
}

/// Where the part of that number begins if so many are cut into `count` equal ones.
fn border(all: u64, number: u64, count: u64) -> u64 {
    let border = u128::from(all) * u128::from(number) / u128::from(count);
    u64::try_from(border).expect("a border lies within all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn even_buckets_are_a_task_each() {
        let buckets = [(10, 3), (9, 5), (0, 0), (12, 1)].map(|(left, right)| Sides { left, right });
        let dealt = deal(&buckets);
        assert!(
            dealt.iter().zip(0..).all(|(shares, bucket)| *shares == [Share::whole(bucket, buckets[bucket as usize])])
        );
        assert!(deal(&[]).is_empty());
    }

    #[test]
    fn a_large_bucket_is_split_on_the_side_that_has_the_records() {
        let small = Sides { left: 5, right: 5 };
        let dealt = deal(&[small, Sides { left: 1000, right: 50 }, small, small]);
        assert!(dealt.iter().flatten().filter(|share| share.bucket == 1).count() >= 3, "{dealt:?}");
        assert!(dealt.iter().flatten().all(|share| share.right == (0..share.of.right)), "{dealt:?}");
        let dealt = deal(&[small, small, Sides { left: 1, right: 1000 }, small]);
        let large: Vec<_> = dealt.iter().flatten().filter(|share| share.bucket == 2).collect();
        assert!(large.len() >= 3 && large.iter().all(|share| share.left == (0..1)), "{large:?}");
    }

    proptest! {
        #[test]
        fn every_pair_is_in_one_share_and_their_order_is_that_of_the_result(
            sizes in proptest::collection::vec((0..40_u64, 0..40_u64), 1..9), giant in 0..9_usize, (l, r) in (0..2000_u64, 0..2000_u64),
        ) {
            let mut buckets: Vec<_> = sizes.into_iter().map(|(left, right)| Sides { left, right }).collect();
            let at = giant % buckets.len();
            buckets[at] = Sides { left: l, right: r };
            let dealt = deal(&buckets);
            prop_assert_eq!(dealt.len(), buckets.len());
            let shares: Vec<Share> = dealt.into_iter().flatten().collect();
            prop_assert!(shares.is_sorted_by_key(|share| (share.bucket, share.left.start, share.right.start)));
            for (bucket, of) in (0..).zip(buckets) {
                let shares: Vec<&Share> = shares.iter().filter(|share| share.bucket == bucket).collect();
                let pairs = |share: &&Share| (share.left.end - share.left.start) * (share.right.end - share.right.start);
                prop_assert_eq!(shares.iter().map(pairs).sum::<u64>(), of.left * of.right);
                prop_assert_eq!(shares.iter().filter(|share| share.is_last()).count(), 1);
                prop_assert!(shares.iter().all(|share| share.right == (0..of.right) || share.left.end - share.left.start == 1));
                for follow in shares.windows(2) {
                    let (one, other) = (follow[0], follow[1]);
                    let goes_right = other.left == one.left && other.right.start == one.right.end;
                    prop_assert!(goes_right || (other.left.start == one.left.end && one.ends_right()));
                }
            }
        }
    }
}
