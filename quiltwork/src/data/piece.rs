//! What one step leaves for the next: sections of encoded records in one blob, and how they are read piece by piece. It
//! knows no step.
//!
//! ```text
//! sections     one after the other: the encodings of their records, or one note
//! index        for each section 8 bytes of how many records it has, and 8 of where it ends
//! trailer      8 bytes of how many sections there are, 8 bytes of magic
//! ```
//! The index stands at the end, so that a piece is written in one go; a reader begins there.
use super::error::DataError;
use crate::{Blob, BlobReader};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::OnceCell;
use std::marker::PhantomData;
use std::ops::Range;

const MAGIC: u64 = u64::from_le_bytes(*b"QWPIECE\x01");

/// Bytes of an entry of the index, and of the trailer: two words.
const ENTRY: usize = 16;

/// More records than a piece may claim to have, so that those of many can be summed up.
const MOST_RECORDS: u64 = 1 << 48;

/// How much of the end is read at first, in bytes: most indexes lie in it.
const GLANCE: u64 = 4096;

/// A section of records ends when it has so many bytes, unless it must not be cut.
const SECTION: u64 = 64 * 1024;

/// Sections that follow each other are read together up to so many bytes.
const READ: u64 = 256 * 1024;

/// How many records are handed on at once at most: enough that a call costs nothing, few enough for the processor's
/// cache. Records that are encoded in more than `BATCH_BYTES` together are not handed on at once either.
pub(super) const BATCH: usize = 1024;
const BATCH_BYTES: usize = 64 * 1024;

/// The result of one task of a pipeline, wherever it is.
#[derive(Debug)]
pub(super) struct Piece {
    reader: BlobReader,
    index: OnceCell<Vec<Section>>,
}

/// A section of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Section {
    records: u64,
    /// Where it ends.
    end: u64,
}

impl Piece {
    /// How many records there are in all sections together.
    ///
    /// # Errors
    /// If the piece cannot be read.
    pub(super) fn records(&self) -> Result<u64, DataError> {
        self.records_in(0..self.len()?)
    }

    /// How many sections there are.
    ///
    /// # Errors
    /// If the piece cannot be read.
    pub(super) fn len(&self) -> Result<usize, DataError> {
        Ok(self.index()?.len())
    }

    /// How many records these sections have.
    ///
    /// # Errors
    /// If the piece cannot be read, or has no such sections.
    pub(super) fn records_in(&self, sections: Range<usize>) -> Result<u64, DataError> {
        Ok(self.sections(sections)?.iter().map(|section| section.records).sum())
    }

    /// Decodes a section that is a note.
    ///
    /// # Errors
    /// If the piece cannot be read, has no such section, or that is no `T`.
    pub(super) fn note<T: DeserializeOwned>(&self, at: usize) -> Result<T, DataError> {
        let bytes = self.reader.read(self.bytes_of(at..at + 1)?)?;
        crate::from_bytes(&bytes).map_err(|error| DataError::Damaged(error.to_string()))
    }

    /// The records of these sections, in batches. At no time more of them is here than a few hundred kilobytes.
    ///
    /// # Errors
    /// If the piece cannot be read or has no such sections. The batches are errors if what they read are no `T`s.
    pub(super) fn batches<T: DeserializeOwned>(&self, sections: Range<usize>) -> Result<Batches<'_, T>, DataError> {
        self.sections(sections.clone())?;
        Ok(Batches { piece: self, sections, blob: Blob::default(), at: 0, left: 0, makes: PhantomData })
    }

    /// The records of these sections from one place to another, counted from the first of them on.
    ///
    /// # Errors
    /// As for [`batches`](Self::batches).
    pub(super) fn stretch<T: DeserializeOwned>(
        &self,
        sections: Range<usize>,
        records: Range<u64>,
    ) -> Result<impl Iterator<Item = Result<Vec<T>, DataError>>, DataError> {
        let mut at = 0;
        let mut skipped = 0;
        for section in self.sections(sections.clone())? {
            if at + section.records > records.start {
                break;
            }
            at += section.records;
            skipped += 1;
        }
        let batches = self.batches(sections.start + skipped..sections.end)?;
        Ok(batches.map_while(move |batch| match batch {
            _ if at >= records.end => None,
            Ok(mut batch) => {
                let before = in_memory(records.start.saturating_sub(at)).min(batch.len());
                batch.truncate(in_memory(records.end - at));
                at += batch.len() as u64;
                batch.drain(..before.min(batch.len()));
                Some(Ok(batch))
            }
            Err(error) => Some(Err(error)),
        }))
    }

    fn sections(&self, sections: Range<usize>) -> Result<&[Section], DataError> {
        let missing = || DataError::Damaged(format!("there are no sections {sections:?}"));
        self.index()?.get(sections.clone()).ok_or_else(missing)
    }

    /// Where these sections lie in the blob.
    fn bytes_of(&self, sections: Range<usize>) -> Result<Range<u64>, DataError> {
        let start = match sections.start.checked_sub(1) {
            Some(before) => self.sections(before..sections.start)?[0].end,
            None => 0,
        };
        let end = self.sections(sections)?.last().map_or(start, |last| last.end);
        Ok(start..end)
    }

    fn index(&self) -> Result<&Vec<Section>, DataError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = read_index(&self.reader)?;
        Ok(self.index.get_or_init(|| index))
    }
}

impl From<BlobReader> for Piece {
    fn from(reader: BlobReader) -> Self {
        Self { reader, index: OnceCell::new() }
    }
}

impl From<Blob> for Piece {
    fn from(blob: Blob) -> Self {
        BlobReader::from(blob).into()
    }
}

/// Reads the index and checks that it is one.
fn read_index(reader: &BlobReader) -> Result<Vec<Section>, DataError> {
    let damaged = |what: &str| DataError::Damaged(format!("a piece of {} bytes {what}", reader.len()));
    let size = reader.len();
    let glance = reader.read(size.saturating_sub(GLANCE)..size)?;
    let Some(trailer) = glance.last_chunk() else { return Err(damaged("is too short for one")) };
    let [count, magic] = words(trailer);
    if magic != MAGIC {
        return Err(damaged("ends as no piece does"));
    }
    let end = size - ENTRY as u64;
    let index = count.checked_mul(ENTRY as u64).filter(|bytes| *bytes <= end);
    let payload = end - index.ok_or_else(|| damaged("has not that many sections"))?;
    let bytes = match (payload + glance.len() as u64).checked_sub(size) {
        Some(before) => glance.slice(in_memory(before)..glance.len() - ENTRY),
        None => reader.read(payload..end)?,
    };
    let (entries, _) = bytes.as_chunks();
    let entries = entries.iter().map(words);
    let index = entries.map(|[records, end]| Section { records, end }).collect();
    check(&index, payload).map_err(damaged)?;
    Ok(index)
}

/// What is wrong with an index, if something is.
fn check(index: &Vec<Section>, payload: u64) -> Result<(), &'static str> {
    let (mut before, mut records) = (0, 0_u64);
    for section in index {
        let bytes = section.end.checked_sub(before).ok_or("has sections that overlap")?;
        let sum = records.checked_add(section.records).filter(|sum| *sum <= MOST_RECORDS);
        records = sum.ok_or("claims more records than anybody has")?;
        // Only records that take no bytes can be more than their bytes.
        if bytes > 0 && section.records > bytes {
            return Err("claims more records than it can have");
        }
        before = section.end;
    }
    if before == payload { Ok(()) } else { Err("is not as long as its sections") }
}

/// The two words of an entry, or of the trailer.
fn words(bytes: &[u8; ENTRY]) -> [u64; 2] {
    let (words, _) = bytes.as_chunks();
    [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
}

fn in_memory(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Records in batches, read from sections that follow each other.
pub(super) struct Batches<'p, T> {
    piece: &'p Piece,
    /// Those that have not been read.
    sections: Range<usize>,
    /// What has been read.
    blob: Blob,
    /// How far it has been decoded.
    at: usize,
    /// Records in what is left of it.
    left: u64,
    makes: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Batches<'_, T> {
    /// Reads the next sections: as many as make a good read, and at least one.
    fn read(&mut self) -> Result<(), DataError> {
        let first = self.sections.start;
        let start = self.piece.bytes_of(first..first)?.start;
        let rest = self.piece.sections(self.sections.clone())?;
        let count = rest.iter().take_while(|section| section.end - start <= READ).count().max(1);
        let sections = first..first + count;
        self.left = self.piece.records_in(sections.clone())?;
        self.blob = self.piece.reader.read(self.piece.bytes_of(sections)?)?;
        (self.at, self.sections.start) = (0, first + count);
        Ok(())
    }

    fn decode(&mut self) -> Result<Vec<T>, DataError> {
        let all = &self.blob[self.at..];
        let mut rest = all;
        let mut batch = Vec::with_capacity(in_memory(self.left).min(BATCH).min(all.len()));
        while self.left > 0 && batch.len() < BATCH && all.len() - rest.len() < BATCH_BYTES {
            batch.push(crate::take_value(&mut rest).map_err(|error| DataError::Damaged(error.to_string()))?);
            self.left -= 1;
        }
        self.at = self.blob.len() - rest.len();
        if self.left == 0 && !rest.is_empty() {
            return Err(DataError::Damaged(format!("{} bytes are left over", rest.len())));
        }
        Ok(batch)
    }
}

impl<T: DeserializeOwned> Iterator for Batches<'_, T> {
    type Item = Result<Vec<T>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left == 0 {
            if self.sections.is_empty() {
                return None;
            }
            if let Err(error) = self.read() {
                self.sections = 0..0;
                return Some(Err(error));
            }
        }
        let batch = self.decode();
        if batch.is_err() {
            (self.left, self.sections) = (0, 0..0);
        }
        Some(batch)
    }
}

/// Writes a [`Piece`] section by section.
#[derive(Debug, Default)]
pub(super) struct PieceWriter {
    index: Vec<Section>,
    bytes: Vec<u8>,
    /// Records of the section that is being written.
    records: u64,
}

impl PieceWriter {
    /// A piece of one section that is no record.
    ///
    /// # Errors
    /// If its `Serialize` fails.
    pub(super) fn note<T: Serialize>(note: &T) -> Result<Blob, DataError> {
        let mut piece = Self::default();
        piece.push_note(note)?;
        Ok(piece.finish())
    }

    /// Adds a record to the section that is being written, and ends that if it is large enough to be read by itself.
    ///
    /// # Errors
    /// If its `Serialize` fails.
    pub(super) fn push<T: Serialize>(&mut self, record: &T) -> Result<(), DataError> {
        append(record, &mut self.bytes)?;
        self.records += 1;
        if self.bytes.len() as u64 - self.index.last().map_or(0, |section| section.end) >= SECTION {
            self.end_section();
        }
        Ok(())
    }

    /// Records of the section that is being written.
    pub(super) const fn open_records(&self) -> u64 {
        self.records
    }

    /// Ends the section that is being written.
    pub(super) fn end_section(&mut self) {
        let records = std::mem::take(&mut self.records);
        self.index.push(Section { records, end: self.bytes.len() as u64 });
    }

    /// Adds a section that is no record: it does not count.
    ///
    /// # Errors
    /// If its `Serialize` fails.
    pub(super) fn push_note<T: Serialize>(&mut self, note: &T) -> Result<(), DataError> {
        append(note, &mut self.bytes)?;
        self.end_section();
        Ok(())
    }

    /// Adds a section of records that were encoded before.
    fn push_encoded(&mut self, Encoded { records, bytes }: Encoded) {
        self.bytes.extend_from_slice(&bytes);
        self.records = records;
        self.end_section();
    }

    pub(super) fn finish(mut self) -> Blob {
        if self.records > 0 {
            self.end_section();
        }
        let count = self.index.len() as u64;
        let index = self.index.iter().flat_map(|section| [section.records, section.end]);
        index.chain([count, MAGIC]).for_each(|word| self.bytes.extend_from_slice(&word.to_le_bytes()));
        self.bytes.into()
    }
}

/// Writes a piece with one section for each target of a shuffle; records are encoded as they come.
pub(super) struct BucketWriter(Vec<Encoded>);

/// Encoded records.
#[derive(Clone, Default)]
struct Encoded {
    records: u64,
    bytes: Vec<u8>,
}

impl BucketWriter {
    pub(super) fn new(targets: u32) -> Self {
        Self(vec![Encoded::default(); targets as usize])
    }

    /// Adds a record for a target; the order within a target stays.
    ///
    /// # Errors
    /// If its `Serialize` fails.
    pub(super) fn push<T: Serialize>(&mut self, target: u32, record: &T) -> Result<(), DataError> {
        let bucket = &mut self.0[target as usize];
        append(record, &mut bucket.bytes)?;
        bucket.records += 1;
        Ok(())
    }

    pub(super) fn finish(self) -> Blob {
        let bytes: usize = self.0.iter().map(|bucket| bucket.bytes.len()).sum();
        let mut piece = PieceWriter::default();
        piece.bytes.reserve_exact(bytes + (self.0.len() + 1) * ENTRY);
        // Each bucket is freed as soon as it is copied.
        self.0.into_iter().for_each(|bucket| piece.push_encoded(bucket));
        piece.finish()
    }
}

fn append<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), DataError> {
    crate::append_value(value, bytes).map_err(|error| DataError::Unencodable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sections(sections: &[&[u32]]) -> Piece {
        let mut writer = PieceWriter::default();
        for records in sections {
            records.iter().for_each(|record| writer.push(record).unwrap());
            writer.end_section();
        }
        writer.finish().into()
    }

    fn all<T: DeserializeOwned>(piece: &Piece, sections: Range<usize>) -> Vec<T> {
        piece.batches(sections).unwrap().flat_map(Result::unwrap).collect()
    }

    #[test]
    fn sections_are_read_by_themselves() {
        let mut writer = PieceWriter::default();
        writer.push(&"a").unwrap();
        writer.push(&"b").unwrap();
        writer.end_section();
        writer.push_note(&7_u64).unwrap();
        writer.end_section();
        let piece = Piece::from(writer.finish());
        assert_eq!((piece.len().unwrap(), piece.records().unwrap()), (3, 2));
        assert_eq!(piece.note::<u64>(1).unwrap(), 7);
        assert_eq!(all::<String>(&piece, 0..1), ["a", "b"]);
        assert!(all::<String>(&piece, 2..3).is_empty());
        assert!(piece.note::<u64>(3).is_err() && piece.batches::<u64>(2..4).is_err());
        assert!(piece.note::<String>(1).is_err());
        assert!(piece.batches::<u64>(0..1).unwrap().next().unwrap().is_err());
    }

    #[test]
    fn a_stretch_is_found_wherever_sections_begin() {
        let piece = sections(&[&[0, 1, 2], &[], &[3], &[4, 5, 6, 7]]);
        for (start, end) in (0..9).flat_map(|start| (start..10).map(move |end| (start, end))) {
            let found: Vec<u32> = piece.stretch(0..4, start..end).unwrap().flat_map(Result::unwrap).collect();
            let expected: Vec<u32> = (0..8).filter(|n| (start..end).contains(&u64::from(*n))).collect();
            assert_eq!(found, expected, "{start}..{end}");
        }
    }

    #[test]
    fn what_is_large_comes_in_batches_and_its_index_is_found() {
        let mut writer = PieceWriter::default();
        for n in 0..5000_u64 {
            writer.push(&(n, vec![7_u8; 100])).unwrap();
            if n % 3 == 0 {
                writer.end_section();
            }
        }
        writer.end_section();
        let piece = Piece::from(writer.finish());
        assert_eq!((piece.len().unwrap(), piece.records().unwrap()), (1668, 5000));
        let batches: Vec<Vec<(u64, Vec<u8>)>> = piece.batches(0..1668).unwrap().map(Result::unwrap).collect();
        assert!(batches.iter().all(|batch| batch.len() <= BATCH_BYTES / 100 + 1));
        let numbers = batches.into_iter().flatten().map(|(n, _)| n);
        assert!(numbers.eq(0..5000));
    }

    #[test]
    fn buckets_keep_the_order_of_their_records() {
        let mut writer = BucketWriter::new(3);
        (0..10_u32).try_for_each(|n| writer.push(n % 3 % 2, &n)).unwrap();
        let piece = Piece::from(writer.finish());
        assert_eq!(all::<u32>(&piece, 0..1), [0, 2, 3, 5, 6, 8, 9]);
        assert_eq!(all::<u32>(&piece, 1..2), [1, 4, 7]);
        assert_eq!((piece.len().unwrap(), piece.records_in(2..3).unwrap()), (3, 0));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_damaged_and_nothing_worse(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200), words in proptest::collection::vec(0..40_u64, 0..6),
        ) {
            words.iter().chain([&MAGIC]).for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
            let piece = Piece::from(Blob::from(bytes));
            if let Ok(len) = piece.len() {
                prop_assert!(piece.records().is_ok());
                for batch in piece.batches::<(u8, String)>(0..len).unwrap() {
                    prop_assert!(matches!(batch, Ok(_) | Err(DataError::Damaged(_))));
                }
            }
        }
    }

    #[test]
    fn forged_indexes_are_refused() {
        let good = [1, 3, 1, MAGIC];
        let forged = |words: &[u64]| {
            let words = words.iter().flat_map(|word| word.to_le_bytes());
            Piece::from(Blob::from(b"abc".iter().copied().chain(words).collect::<Vec<u8>>()))
        };
        assert_eq!(forged(&good).len().unwrap(), 1);
        let cases: [&[u64]; 8] = [
            &[1, 3, 1, MAGIC + 1],
            &[1, 3, u64::MAX, MAGIC],
            &[1, 3, 2, MAGIC],
            &[1, 2, 1, MAGIC],
            &[1, u64::MAX, 1, MAGIC],
            &[4, 3, 1, MAGIC],
            &[1, 3, 0, 2, 2, MAGIC],
            &[MAGIC],
        ];
        for words in cases {
            let error = forged(words).len().unwrap_err();
            assert!(matches!(error, DataError::Damaged(_)), "{words:?}: {error}");
        }
        assert!(matches!(Piece::from(Blob::default()).len(), Err(DataError::Damaged(_))));
    }
}
