//! What a partition of files is, and how files are packed into partitions: plain arithmetic, no file is touched.
use super::listing::ListedFile;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One piece of a data set of files: an argument for a task, which reads it where it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePartition {
    index: u32,
    slices: Vec<FileSlice>,
}

/// A file, or the part of it that belongs to a partition: every line that *begins* within the range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSlice {
    path: PathBuf,
    start: u64,
    end: u64,
}

impl FilePartition {
    /// Which of the data set's partitions it is, from 0.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Its files and parts of files, in order.
    #[must_use]
    pub fn slices(&self) -> &[FileSlice] {
        &self.slices
    }

    /// How many bytes it covers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.slices.iter().map(FileSlice::bytes).sum()
    }
}

impl FileSlice {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the file in which its lines begin.
    #[must_use]
    pub const fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// How many bytes it covers.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// What begins where this slice ends.
    pub(super) fn rest(&self) -> Self {
        Self { path: self.path.clone(), start: self.end, end: u64::MAX }
    }

    fn of(file: &ListedFile, range: Range<u64>) -> Self {
        Self { path: file.path.clone(), start: range.start, end: range.end }
    }
}

/// A file of at most this part of a partition is not cut: the sizes of two partitions differ by no more than that.
const WHOLE_UP_TO: u64 = 8;

/// Lays the files end to end and cuts the row into `count` equal ranges; empty ones are left out.
pub(super) fn pack(files: &[ListedFile], count: usize, may_cut: bool) -> Vec<FilePartition> {
    let row = Row { bytes: files.iter().map(|file| file.bytes).sum(), count: count.max(1) };
    let whole_up_to = if may_cut { row.bytes / row.count as u64 / WHOLE_UP_TO } else { u64::MAX };
    let mut partitions = vec![Vec::new(); row.count];
    let mut begin = 0;
    for file in files {
        let end = begin + file.bytes;
        if file.bytes <= whole_up_to {
            partitions[row.home(begin + file.bytes / 2)].push(FileSlice::of(file, 0..file.bytes));
        } else {
            for (index, range) in row.cut(begin..end) {
                partitions[index].push(FileSlice::of(file, range));
            }
        }
        begin = end;
    }
    let filled = partitions.into_iter().filter(|slices| !slices.is_empty());
    filled.zip(0..).map(|(slices, index)| FilePartition { index, slices }).collect()
}

/// All bytes of a data set in one row, and how many equal ranges it is cut into.
struct Row {
    bytes: u64,
    count: usize,
}

impl Row {
    /// The first byte of a range. Rounded up, so that it is the first byte whose `home` is that range.
    fn border(&self, index: usize) -> u64 {
        let border = (u128::from(self.bytes) * index as u128).div_ceil(self.count as u128);
        u64::try_from(border).expect("a border lies within the row")
    }

    /// The range a byte lies in.
    fn home(&self, at: u64) -> usize {
        let home = u128::from(at) * self.count as u128 / u128::from(self.bytes.max(1));
        usize::try_from(home).map_or(self.count - 1, |home| home.min(self.count - 1))
    }

    /// Cuts a file that lies at these bytes of the row: pairs of a range and the file's own bytes in it.
    fn cut(&self, file: Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
        let (first, last) = (self.home(file.start), self.home(file.end.saturating_sub(1)));
        (first..=last).map(move |index| {
            let start = self.border(index).max(file.start);
            let end = self.border(index + 1).min(file.end);
            (index, start - file.start..end - file.start)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn listed(sizes: &[u64]) -> Vec<ListedFile> {
        let file = |(number, bytes): (usize, &u64)| ListedFile { path: format!("{number:04}").into(), bytes: *bytes };
        sizes.iter().enumerate().map(file).collect()
    }

    /// Sizes that are neither equal nor random: the same at every run.
    fn uneven(count: u64) -> Vec<u64> {
        (0..count).map(|number| number * number * 7919 % 5003 + 1).collect()
    }

    /// The ranges of each file, in the order of the partitions.
    fn ranges(partitions: &[FilePartition]) -> BTreeMap<&Path, Vec<Range<u64>>> {
        let mut ranges: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for slice in partitions.iter().flat_map(FilePartition::slices) {
            ranges.entry(slice.path()).or_default().push(slice.range());
        }
        ranges
    }

    #[test]
    fn every_byte_is_in_exactly_one_partition() {
        for (sizes, count) in
            [(uneven(300), 16), (vec![1_000_003], 7), (vec![10, 90_000, 10], 9), (uneven(5), 64), (vec![1, 1], 3)]
        {
            let files = listed(&sizes);
            let partitions = pack(&files, count, true);
            for (file, ranges) in files.iter().zip(ranges(&partitions).into_values()) {
                let mut next = 0;
                for range in ranges {
                    assert_eq!(range.start, next, "{sizes:?} in {count}");
                    assert!(range.end > range.start, "{sizes:?} in {count}");
                    next = range.end;
                }
                assert_eq!(next, file.bytes, "{sizes:?} in {count}");
            }
            let covered: u64 = partitions.iter().map(FilePartition::bytes).sum();
            assert_eq!(covered, sizes.iter().sum::<u64>());
        }
    }

    #[test]
    fn partitions_are_of_similar_size_and_in_order() {
        for sizes in [uneven(300), vec![1_000_000], vec![5, 500_000, 5, 500_000]] {
            let partitions = pack(&listed(&sizes), 10, true);
            let share = sizes.iter().sum::<u64>() / 10;
            assert_eq!(partitions.len(), 10);
            for (partition, index) in partitions.iter().zip(0..) {
                assert_eq!(partition.index(), index);
                assert!(partition.bytes().abs_diff(share) <= share / WHOLE_UP_TO + 1, "{}", partition.bytes());
            }
            let paths: Vec<_> = partitions.iter().flat_map(|p| p.slices().iter().map(FileSlice::path)).collect();
            assert!(paths.is_sorted());
        }
    }

    #[test]
    fn whole_files_are_never_cut() {
        let partitions = pack(&listed(&[10, 1_000_000, 10]), 4, false);
        let slices: Vec<_> = partitions.iter().flat_map(FilePartition::slices).map(FileSlice::range).collect();
        assert_eq!(slices, [0..10, 0..1_000_000, 0..10]);
    }

    #[test]
    fn there_are_no_empty_partitions() {
        assert_eq!(pack(&listed(&[1, 1]), 64, true).len(), 2);
        assert_eq!(pack(&listed(&[5]), 0, true).len(), 1);
        assert!(pack(&[], 8, true).is_empty());
    }
}
