//! Steps fused into one: records flow in batches from what feeds a task to whatever takes them; it knows no plan.
use super::error::DataError;
use super::piece::{Piece, PieceWriter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// How many records are handed on at once: enough that a call costs nothing, few enough for the processor's cache.
pub(super) const BATCH: usize = 1024;

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

    /// The records of a feed that other tasks split, in the order of these tasks: the part that is for this task.
    pub(super) fn bucket<T: DeserializeOwned>(
        &self,
        feed: usize,
    ) -> impl Iterator<Item = Result<Vec<T>, DataError>> + use<'_, T> {
        self.feed(feed).iter().map(|piece| piece.section(self.partition as usize))
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
        Self::new(move |inputs, sink| {
            let pieces = inputs.feed(feed).iter();
            pieces.flat_map(|piece| (0..piece.len()).map(|at| piece.section(at))).try_for_each(|batch| sink(batch?))
        })
    }

    /// What other tasks meant for this one, in the order of these tasks.
    pub(super) fn of_bucket(feed: usize) -> Self {
        Self::new(move |inputs, sink| inputs.bucket(feed).try_for_each(|batch| sink(batch?)))
    }
}

impl<T: Serialize + 'static> Flow<T> {
    /// All records as a piece.
    pub(super) fn write(&self, inputs: &Inputs) -> Result<Piece, DataError> {
        let mut piece = PieceWriter::default();
        self.for_each_batch(inputs, |batch| if batch.is_empty() { Ok(()) } else { piece.push(&batch) })?;
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

/// Writes records as a piece with one section for each target; the order within a target stays. Records without a
/// target are left out.
pub(super) fn split<T: Serialize>(
    records: impl IntoIterator<Item = T>,
    targets: u32,
    mut target: impl FnMut(&T) -> Option<u32>,
) -> Result<Piece, DataError> {
    let mut buckets: Vec<Vec<T>> = (0..targets).map(|_| Vec::new()).collect();
    for record in records {
        if let Some(target) = target(&record) {
            buckets[target as usize].push(record);
        }
    }
    let mut piece = PieceWriter::default();
    buckets.iter().try_for_each(|bucket| piece.push(bucket))?;
    Ok(piece.finish())
}
