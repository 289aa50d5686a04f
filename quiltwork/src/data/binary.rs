//! Files that are nothing but records of one length, one after the other: read and written. It changes no record.
use super::error::DataError;
use super::fixed::FixedRecord;
use super::flow::{Halt, Sink};
use super::partition::{FilePartition, FileSlice};
use super::partitioned::Partitioned;
use super::single::Single;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// How much of a file is read at once, in bytes, unless a record is longer.
const CHUNK: usize = 64 * 1024;

impl Partitioned<FilePartition> {
    /// The records of files that are nothing but records of `N` bytes, at least 1. Large files are cut between records.
    ///
    /// ```
    /// use quiltwork::data::{self, FilePartition, FixedRecord, Partitioned};
    ///
    /// #[quiltwork::pipeline]
    /// fn sorted(files: Partitioned<FilePartition>) -> Partitioned<FixedRecord<8>> {
    ///     files.fixed_records::<8>().sort_by_key(|record| *record)
    /// }
    ///
    /// let folder = tempfile::tempdir()?;
    /// std::fs::write(folder.path().join("a.bin"), "record 2record 1record 3")?;
    /// let files = data::files(folder.path()).list()?.partitions(2);
    /// assert_eq!(sorted(files).run_serially()?, [b"record 1", b"record 2", b"record 3"].map(|bytes| FixedRecord(*bytes)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fixed_records<const N: usize>(self) -> Partitioned<FixedRecord<N>> {
        const { assert!(N > 0, "a record has at least one byte") };
        self.read("fixed_records", read_records)
    }
}

impl<const N: usize> Partitioned<FixedRecord<N>> {
    /// The records one after the other, as [`fixed_records`](Partitioned::fixed_records) reads them.
    pub fn write_fixed_records(self, folder: impl Into<PathBuf>) -> Single<Vec<PathBuf>> {
        self.written("write_fixed_records", folder.into(), "bin", |file| {
            Box::new(|batch| batch.iter().try_for_each(|record| file.write_all(&record[..])))
        })
    }
}

/// Hands on the records that begin within the slice, so that together the slices of a file give each of them once.
fn read_records<const N: usize>(slice: &FileSlice, sink: &mut Sink<'_, FixedRecord<N>>) -> Result<(), Halt> {
    let length = N as u64;
    let unreadable = || DataError::read(slice.path());
    let first_from = |at: u64| at.div_ceil(length) * length;
    let (start, end) = (first_from(slice.range().start), first_from(slice.range().end));
    let mut file = File::open(slice.path()).map_err(unreadable())?;
    file.seek(SeekFrom::Start(start)).map_err(unreadable())?;
    let mut rest = file.take(end.saturating_sub(start));
    let mut chunk = vec![0; (CHUNK / N).max(1) * N];
    loop {
        let read = fill(&mut rest, &mut chunk).map_err(unreadable())?;
        let (records, torn) = chunk[..read].as_chunks::<N>();
        if !torn.is_empty() {
            let reason = format!("its last {} bytes are no record of {N}", torn.len());
            return Err(DataError::Record { path: slice.path().to_owned(), reason }.into());
        }
        if records.is_empty() {
            return Ok(());
        }
        sink(records.iter().copied().map(FixedRecord).collect())?;
    }
}

/// Reads until the buffer is full or there is no more.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
