//! Sorted pieces: how a partition becomes one, and how a stretch of the order of all records is merged out of many of
//! them. It holds a block of each at a time, never a whole one.
//!
//! The sections of a sorted piece are records in their order; the last one is a note of the first key of each other.
use super::error::DataError;
use super::flow::{Halt, Sink};
use super::piece::{BATCH, Batches, Piece, PieceWriter};
use super::record::Record;
use crate::Blob;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::vec;

/// Into how many sections a sorted piece is cut at least, if it has as many records: the more there are, the more
/// exactly the order of all records can be cut.
const SECTIONS: usize = 256;

/// Where a record stands in the order of all records. No two stand in the same place, however many keys are equal, so
/// even a data set of one key can be cut into equal parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place<K> {
    key: K,
    partition: u32,
    index: u64,
}

/// Sorts a partition by a key and writes it down. Records of equal keys keep their order.
pub(super) fn sorted<T: Serialize, K: Ord + Serialize>(
    mut records: Vec<T>,
    key: &impl Fn(&T) -> K,
) -> Result<Blob, DataError> {
    records.sort_by_cached_key(key);
    let most = records.len().div_ceil(SECTIONS) as u64;
    let mut piece = PieceWriter::default();
    let mut firsts = Vec::new();
    for record in &records {
        if piece.open_records() == 0 {
            firsts.push(key(record));
        }
        piece.push(record)?;
        if piece.open_records() == most {
            piece.end_section();
        }
    }
    drop(records);
    if piece.open_records() > 0 {
        piece.end_section();
    }
    piece.push_note(&firsts)?;
    Ok(piece.finish())
}

/// Where the sections of a sorted piece begin, and how many records each has.
pub(super) fn sections<K: Record>(piece: &Piece, partition: u32) -> Result<Vec<(Place<K>, u64)>, DataError> {
    let note = piece.len()?.checked_sub(1);
    let note = note.ok_or_else(|| DataError::Damaged("a sorted piece has no note".to_owned()))?;
    let mut index = 0;
    let places = piece.note::<Vec<K>>(note)?.into_iter().enumerate().map(|(at, key)| {
        let records = piece.records_in(at..at + 1)?;
        let place = Place { key, partition, index };
        index += records;
        Ok((place, records))
    });
    places.collect()
}

/// Merges what sorted pieces have from one place (or the beginning) up to another one (or the end).
pub(super) fn merge<T: Record, K: Record + Ord>(
    pieces: &[Piece],
    key: &impl Fn(&T) -> K,
    (from, upto): (Option<&Place<K>>, Option<&Place<K>>),
    sink: &mut Sink<'_, T>,
) -> Result<(), Halt> {
    let mut runs = Vec::new();
    let mut heap = BinaryHeap::new();
    for (piece, partition) in pieces.iter().zip(0..) {
        let mut run = Run::new(piece, partition, from, upto)?;
        if let Some(place) = run.advance(key, from, upto)? {
            heap.push(Reverse((place, runs.len())));
            runs.push(run);
        }
    }
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(mut head) = heap.peek_mut() {
        let Reverse((place, at)) = &mut *head;
        let run = &mut runs[*at];
        batch.push(run.head.take().expect("a run in the heap has a head"));
        match run.advance(key, None, upto)? {
            Some(next) => *place = next,
            None => drop(PeekMut::pop(head)),
        }
        if batch.len() == BATCH {
            sink(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))?;
        }
    }
    if batch.is_empty() { Ok(()) } else { sink(batch) }
}

/// What is left of a sorted piece while it is merged.
struct Run<'p, T> {
    partition: u32,
    /// The place of the next record of `block`.
    index: u64,
    block: vec::IntoIter<T>,
    batches: Batches<'p, T>,
    /// The record whose place is in the heap.
    head: Option<T>,
}

impl<'p, T: Record> Run<'p, T> {
    /// Begins with the section in which `from` lies, and reads none behind `upto`.
    fn new<K: Record + Ord>(
        piece: &'p Piece,
        partition: u32,
        from: Option<&Place<K>>,
        upto: Option<&Place<K>>,
    ) -> Result<Self, DataError> {
        let sections = sections::<K>(piece, partition)?;
        let begun = from.map_or(0, |from| sections.partition_point(|(first, _)| first <= from));
        let start = begun.saturating_sub(1);
        let end = upto.map_or(sections.len(), |upto| sections.partition_point(|(first, _)| first < upto));
        let index = sections.get(start).map_or(0, |(first, _)| first.index);
        let batches = piece.batches(start..end.max(start))?;
        Ok(Self { partition, index, block: Vec::new().into_iter(), batches, head: None })
    }

    /// Takes the next record that lies between the two; its place, if there is one.
    fn advance<K: Ord>(
        &mut self,
        key: &impl Fn(&T) -> K,
        from: Option<&Place<K>>,
        upto: Option<&Place<K>>,
    ) -> Result<Option<Place<K>>, DataError> {
        loop {
            let Some(record) = self.block.next() else {
                let Some(block) = self.batches.next() else { return Ok(None) };
                self.block = block?.into_iter();
                continue;
            };
            let place = Place { key: key(&record), partition: self.partition, index: self.index };
            self.index += 1;
            if upto.is_some_and(|upto| place >= *upto) {
                return Ok(None);
            }
            if from.is_none_or(|from| place >= *from) {
                self.head = Some(record);
                return Ok(Some(place));
            }
        }
    }
}
