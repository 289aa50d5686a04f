//! One value on its way into the store: what has arrived of it is written where it stays; who sends it is known elsewhere.
use super::pieces::Pieces;
use crate::arguments::Output;
use crate::failure::TaskError;
use crate::store::Incoming;
use bytes::Bytes;
use quiltwork_transport::Arriving;
use quiltwork_types::Encoding;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

/// A value that is being fetched.
pub(super) struct Landing {
    encoding: Encoding,
    size: u64,
    /// Taken out when it is whole.
    incoming: RwLock<Option<Box<dyn Incoming>>>,
    pieces: Mutex<Pieces>,
}

impl Landing {
    /// For the value of which this is the first stretch.
    pub(super) fn new(first: &Arriving, incoming: Box<dyn Incoming>) -> Self {
        let (encoding, size) = (first.encoding(), first.size());
        let pieces = Mutex::new(Pieces::behind(first.left(), size));
        Self { encoding, size, incoming: RwLock::new(Some(incoming)), pieces }
    }

    /// Whether this is a stretch of the same value, namely the one that was asked for.
    pub(super) fn fits(&self, arriving: &Arriving, asked: &Range<u64>) -> bool {
        (arriving.encoding(), arriving.size(), &arriving.left()) == (self.encoding, self.size, asked)
    }

    /// The foremost bytes nobody was asked for, at most `longest`; from now on somebody is.
    pub(super) fn take(&self, longest: u64) -> Option<Range<u64>> {
        self.pieces().take(longest)
    }

    /// What was taken, or the rest of it, does not come.
    pub(super) fn give_back(&self, range: Range<u64>) {
        self.pieces().give_back(range);
    }

    /// Writes what has arrived, from this place of the value on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, offset: u64, chunks: &[Bytes]) -> Result<(), TaskError> {
        let mut slices: Vec<_> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let incoming = self.incoming.read().unwrap_or_else(PoisonError::into_inner);
        incoming.as_ref().expect("nothing arrives behind the last byte").write_at(offset, &mut slices)?;
        let length: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        self.pieces().arrive(offset..offset + length);
        Ok(())
    }

    /// Keeps the value; none if something is missing.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub(super) fn finish(&self) -> Result<Option<Output>, TaskError> {
        if !self.pieces().is_whole() {
            return Ok(None);
        }
        let incoming = self.incoming.write().unwrap_or_else(PoisonError::into_inner).take();
        incoming.map(Incoming::finish).transpose()
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
