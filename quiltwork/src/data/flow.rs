//! Steps fused into one: records flow in batches from what feeds a task to whatever takes them; it knows no plan.
use super::error::DataError;
use super::piece::{BATCH, Piece, PieceWriter};
use crate::Blob;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;

/// Why a flow ends before its records do.
pub(super) enum Halt {
    /// Nobody wants more.
    Enough,
    /// Something went wrong.
    Failed(DataError),
}

impl From<DataError> for Halt {
    fn from(error: DataError) -> Self {
        Self::Failed(error)
    }
}

/// Takes batches of records.
pub(super) type Sink<'s, T> = dyn FnMut(Vec<T>) -> Result<(), Halt> + 's;

/// Where a task stands, and what feeds it.
#[derive(Debug)]
pub(super) struct Inputs {
    /// Which partition of its stage it makes.
    pub(super) partition: u32,
    /// Into how many parts it splits what it makes, if it does.
    pub(super) targets: u32,
    /// The pieces of each feed.
    pub(super) feeds: Vec<Vec<Piece>>,
}

impl Inputs {
    /// The pieces of a feed.
    pub(super) fn feed(&self, index: usize) -> &[Piece] {
        &self.feeds[index]
    }

    /// The section of each piece that is meant for this task, if other tasks split what they made.
    pub(super) const fn bucket(&self) -> Sections {
        Sections::One(self.partition as usize)
    }
}

/// Which sections of a piece.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sections {
    All,
    One(usize),
}

impl Sections {
    fn of(self, piece: &Piece) -> Result<Range<usize>, DataError> {
        match self {
            Self::All => Ok(0..piece.len()?),
            Self::One(at) => Ok(at..at + 1),
        }
    }

    /// How many records are in them.
    pub(super) fn records(self, pieces: &[Piece]) -> Result<u64, DataError> {
        pieces.iter().map(|piece| piece.records_in(self.of(piece)?)).sum()
    }

    /// The records in them, in the order of the pieces.
    pub(super) fn batches<T: DeserializeOwned>(
        self,
        pieces: &[Piece],
    ) -> impl Iterator<Item = Result<Vec<T>, DataError>> {
        self.stretch(pieces, 0..u64::MAX)
    }

    /// The records in them from one place to another, counted in the order of the pieces.
    pub(super) fn stretch<T: DeserializeOwned>(
        self,
        pieces: &[Piece],
        records: Range<u64>,
    ) -> impl Iterator<Item = Result<Vec<T>, DataError>> {
        let mut before = 0;
        let parts = pieces.iter().map_while(move |piece| {
            if before >= records.end {
                return None;
            }
            let part = self.of(piece).and_then(|sections| {
                let (start, end) = (records.start.saturating_sub(before), records.end - before);
                before += piece.records_in(sections.clone())?;
                piece.stretch(sections, start..end)
            });
            Some(part)
        });
        parts.flat_map(|part| {
            let (batches, error) = part.map_or_else(|error| (None, Some(Err(error))), |batches| (Some(batches), None));
            batches.into_iter().flatten().chain(error)
        })
    }
}

/// Whatever makes the records of a partition out of a task's inputs. Clones are the same flow.
pub(super) struct Flow<T>(Arc<Runs<T>>);

type Runs<T> = dyn Fn(&Inputs, &mut Sink<'_, T>) -> Result<(), Halt> + Send + Sync;

impl<T: 'static> Flow<T> {
    pub(super) fn new(run: impl Fn(&Inputs, &mut Sink<'_, T>) -> Result<(), Halt> + Send + Sync + 'static) -> Self {
        Self(Arc::new(run))
    }

    /// The same records, each batch changed on its way.
    pub(super) fn then<U: 'static>(
        self,
        change: impl Fn(Vec<T>) -> Result<Vec<U>, DataError> + Send + Sync + 'static,
    ) -> Flow<U> {
        Flow::new(move |inputs, sink| self.run(inputs, &mut |batch| sink(change(batch)?)))
    }

    pub(super) fn run(&self, inputs: &Inputs, sink: &mut Sink<'_, T>) -> Result<(), Halt> {
        (self.0)(inputs, sink)
    }

    /// Hands on all batches.
    pub(super) fn for_each_batch(
        &self,
        inputs: &Inputs,
        mut take: impl FnMut(Vec<T>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        match self.run(inputs, &mut |batch| Ok(take(batch)?)) {
            Ok(()) | Err(Halt::Enough) => Ok(()),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    /// All records at once.
    pub(super) fn collect(&self, inputs: &Inputs) -> Result<Vec<T>, DataError> {
        let mut records = Vec::new();
        self.for_each_batch(inputs, |batch| {
            records.extend(batch);
            Ok(())
        })?;
        Ok(records)
    }
}

impl<T: DeserializeOwned + 'static> Flow<T> {
    /// All records of a feed, as other tasks left them.
    pub(super) fn of_feed(feed: usize) -> Self {
        Self::new(move |inputs, sink| Sections::All.batches(inputs.feed(feed)).try_for_each(|batch| sink(batch?)))
    }

    /// What other tasks meant for this one, in the order of these tasks.
    pub(super) fn of_bucket(feed: usize) -> Self {
        Self::new(move |inputs, sink| inputs.bucket().batches(inputs.feed(feed)).try_for_each(|batch| sink(batch?)))
    }
}

impl<T: Serialize + 'static> Flow<T> {
    /// All records as a piece.
    pub(super) fn write(&self, inputs: &Inputs) -> Result<Blob, DataError> {
        let mut piece = PieceWriter::default();
        self.for_each_batch(inputs, |batch| batch.iter().try_for_each(|record| piece.push(record)))?;
        Ok(piece.finish())
    }
}

impl<T> Clone for Flow<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Hands on records in batches, without ever holding all of them.
pub(super) fn pour<T>(records: impl Iterator<Item = T>, sink: &mut Sink<'_, T>) -> Result<(), Halt> {
    let mut records = records.peekable();
    while records.peek().is_some() {
        sink(records.by_ref().take(BATCH).collect())?;
    }
    Ok(())
}
